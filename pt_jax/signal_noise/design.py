"""Random points over wide ranges of most fields, to test theory and advice on; ranges were fixed before any scoring."""

from collections.abc import Mapping

import numpy as np
from scipy.stats import qmc

from pt_jax.signal_noise.fields import FIELDS
from pt_jax.signal_noise.point import Point

RANGES: Mapping[str, tuple[float, float]] = {
    "d": (1e2, 1e5),
    "n1": (10, 300),
    "n2": (10, 100),
    "u": (0, 5),
    "v1": (0, 5),
    "v2": (0, 5),
    "sigma1": (0.3, 3),
    "sigma2": (0.3, 3),
    "flip1": (0, 0.3),
    "flip2": (0, 0.3),
    "alpha": (0, 1),
    "lr1": (0.05, 1),
    "lr2": (0.05, 1),
    "init_scale": (1e-3, 1e-1),
    "steps1": (50, 400),
    "steps2": (50, 400),
}
_LOGARITHMIC = ("d", "init_scale")


def points(count: int, seed: int = 2026) -> list[Point]:
    """Return a Latin hypercube over `RANGES`; sizes and steps are whole numbers, other fields at their defaults."""
    unit, values = qmc.LatinHypercube(len(RANGES), rng=seed).random(count).T, {}
    for (name, (low, high)), x in zip(RANGES.items(), unit, strict=True):
        spread = low * (high / low) ** x if name in _LOGARITHMIC else low + (high - low) * x
        values[name] = (np.round(spread) if FIELDS[name].whole else spread).tolist()
    return [Point(**dict(zip(values, row, strict=True))) for row in zip(*values.values(), strict=True)]
