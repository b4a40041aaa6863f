"""The traced zero contour against the whole map of the same resolution.

    python benchmarks/boundary.py [--size 128] [--seeds 32]

The first setting over |u| and |v2|. Printed: the trajectories spent against the whole map, and the largest distance
from one contour to the other, in cells, in both directions.
"""

import argparse
import tempfile

import contourpy
import numpy as np
from scipy.spatial import cKDTree

import pt_jax


def points(mean: np.ndarray) -> np.ndarray:
    """The zero contour as points a tenth of a cell apart at most, in units of cells."""
    lines = contourpy.contour_generator(z=mean).lines(0.0)
    ends = [(np.asarray(line)[:-1], np.asarray(line)[1:]) for line in lines]
    share = np.linspace(0, 1, 15)[:, None, None]
    return np.concatenate([(a + share * (b - a)).reshape(-1, 2) for a, b in ends])


def main() -> None:
    """Trace, compute the rest of the map, and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=32)
    options = parser.parse_args()
    pt_jax.use_all_cores()
    values = np.linspace(0, 4, options.size)
    sweep = pt_jax.Sweep(pt_jax.simulate, pt_jax.Point(), {"u": values, "v2": values}, options.seeds, ("gain",))
    with tempfile.TemporaryDirectory() as folder:
        found = pt_jax.boundary(sweep, store=folder)
        whole = pt_jax.run(sweep, store=folder)["gain"].astype(float).mean("seed").values
    print(f"{found.trajectories:,} of {found.full:,} trajectories: {found.trajectories / found.full:.1%}")
    traced, full = (cKDTree(points(mean)) for mean in (found.map["mean"].values, whole))
    print(f"largest distance from the traced contour to the whole map's: {full.query(traced.data)[0].max():.2f} cells")
    print(f"largest distance from the whole map's contour to the traced: {traced.query(full.data)[0].max():.2f} cells")
    band = ((found.map["above"] > 0.025) & (found.map["above"] < 0.975)).mean()
    print(f"the 95% band of the contour covers {float(band):.1%} of the map")


if __name__ == "__main__":
    main()
