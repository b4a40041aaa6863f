"""Quantities for display: what a map is drawn over beside the fields of `Point`. This file imports no jax."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Derived(NamedTuple):
    """The fields it comes from, the function of their values, and how it is written."""

    fields: tuple[str, ...]
    function: Callable[..., Any]
    attributes: Mapping[str, str]


def _snr(u: Any, v2: Any, sigma2: Any, d: Any) -> Any:
    return np.hypot(u, v2) / (sigma2 * np.sqrt(d))


def _phase(n2: Any, u: Any, v2: Any, sigma2: Any, d: Any) -> Any:
    return n2 * np.hypot(u, v2) ** 4 / (sigma2**4 * d)


def _about(symbol: str, meaning: str) -> dict[str, str]:
    return {"units": "1", "long_name": meaning, "symbol": symbol}


DERIVED: Mapping[str, Derived] = {
    "snr": Derived(
        ("u", "v2", "sigma2", "d"),
        _snr,
        _about(r"$\|\mu_2\| / (\sigma_2 \sqrt{d})$", "downstream signal-to-noise ratio"),
    ),
    "phase": Derived(
        ("n2", "u", "v2", "sigma2", "d"),
        _phase,
        _about(r"$N_2 \|\mu_2\|^4 / (\sigma_2^4 d)$", "downstream phase quantity"),
    ),
}
