"""A labelled dataset to draw."""

import numpy as np
import xarray as xr

SIZES = {"u": 4, "v2": 3, "alpha": 2, "d": 3}


def dataset(*dims, seeds=6, diverged=(), **coordinates):
    """A sweep's result: gain from clearly below to clearly above 0 along the first axis, noise between."""
    coords = {name: np.linspace(0, 1, SIZES[name]) for name in dims} | coordinates
    shape = [len(coords[name]) for name in dims]
    gain = np.random.default_rng(0).normal(size=(*shape, seeds))
    gain += np.linspace(-9, 9, shape[0]).round().reshape(-1, *[1] * len(dims))
    failed = np.zeros(gain.shape, bool)
    for cell in diverged:
        failed[(*cell, 0)] = True
    names = (*dims, "seed")
    parts = {"gain": gain, "error": abs(gain), "error_scratch": abs(gain) + gain, "diverged": failed}
    about = {"units": "1", "long_name": "test error", "symbol": "E"}
    ds = xr.Dataset({name: (names, values, about) for name, values in parts.items()}, coords)
    for name in dims:
        ds[name].attrs |= {
            "units": "samples" if name == "d" else "1",
            "long_name": f"the {name}",
            "symbol": f"${name}$",
        }
    return ds
