"""The first world: two-layer ReLU CNNs on signal-noise data."""
