"""Quantities for display: what a map is drawn over beside the fields of `Point`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pt_jax.signal_noise import theory
from pt_jax.signal_noise.point import Point


class Derived(NamedTuple):
    """The fields it comes from, the function of their values, and how it is written."""

    fields: tuple[str, ...]
    function: Callable[..., Any]
    attributes: Mapping[str, str]


@np.errstate(divide="ignore", invalid="ignore")  # without noise it is infinite
def _snr(u: Any, v2: Any, sigma2: Any, d: Any) -> Any:
    u, v2, sigma2, d = (np.asarray(x, float) for x in (u, v2, sigma2, d))
    return (u**2 + v2**2) ** 0.5 / (sigma2 * d**0.5)


def _phase(n2: Any, u: Any, v2: Any, sigma2: Any, d: Any) -> Any:
    return theory.phase(Point(n2=n2, u=u, v2=v2, sigma2=sigma2, d=d))


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
