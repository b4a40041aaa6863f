"""The second world: real images. Datasets, networks, training, transfer and the comparison of networks."""
