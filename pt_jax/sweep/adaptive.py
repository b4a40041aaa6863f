"""Spending trajectories where they are needed: more seeds for noisy cells, more cells along the zero contour."""

from collections.abc import Iterator
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, NamedTuple

import contourpy
import numpy as np
import xarray as xr

from pt_jax.sweep.devices import check_memory
from pt_jax.sweep.grid import Sweep, check_sweep
from pt_jax.sweep.identity import base_of, program_of
from pt_jax.sweep.run import opened
from pt_jax.sweep.stats import summary

Rectangle = tuple[int, int, int, int]  # indices of its borders: from, to along the first axis, then the second


def run_until(sweep: Sweep, se: float, value: str = "gain", first: int = 32, **how: Any) -> xr.Dataset:
    """Run a sweep with as many seeds in each cell as its standard error needs, up to all of the sweep's.

    A cell with n seeds and standard error s > `se` goes on to n (s / se)^2 of them, rounded up to a multiple of
    `first`. Seeds are added by the standard error alone, never by the sign or size of the mean: that would make clear
    cells out of nothing. The t interval after such stopping covers a true 0 in 94 to 95% (`benchmarks/coverage.py`).

    Args:
        sweep: what to run; its seeds are the most that a cell gets.
        se: standard error wanted, in units of the result.
        value: name of the result.
        first: seeds that every cell gets; few make the intervals too short.
        how: report, store, fresh, force, stop and executor of `run`.

    Returns:
        The dataset of `run`; `done` says which seeds were run.

    Raises:
        ValueError: as in `run`, or a value, standard error or number of first seeds that is not accepted.
    """
    _check_value(sweep, value)
    _check("first", first, Integral, 2, "a whole number of at least 2")
    check_se("se", se)
    *cells, most = sweep.shape
    counts = np.full(cells, min(first, most))
    with opened(sweep, **how, scattered=True) as fill:
        while True:
            ds = fill(np.arange(most) < counts[..., None])
            known = summary(ds, value)
            reached = known["seeds"].values >= counts  # false where the run was stopped
            now = known["se"].transpose(*(axis.name for axis in sweep.grid)).values
            more = reached & (now > se) & (counts < most)
            if not more.any():
                return ds
            wanted = np.ceil(counts * (now / se) ** 2 / first, where=more, out=np.ones(cells)) * first
            counts = np.where(more, np.clip(wanted, counts + first, most), counts).astype(int)


def check_se(name: str, given: Any) -> None:
    """Raise ValueError where something else than a standard error was given under a name."""
    _check(name, given, Real, 0, "a standard error above 0", above=True)


def _check(name: str, given: Any, kind: Any, least: float, words: str, above: bool = False) -> None:
    number = isinstance(given, kind) and not isinstance(given, bool)
    if not (number and (given > least if above else given >= least) and given < np.inf):
        raise ValueError(f"{name} = {given!r} is not accepted: use {words}.")


def _check_value(sweep: Sweep, value: Any) -> None:
    """Refuse what is no result of a sweep with one value a trajectory."""
    check_sweep(sweep)
    if value not in (usable := numbers_of(sweep)):
        use = f"use one of {', '.join(usable)}" if usable else "no result of this sweep has one number a trajectory"
        raise ValueError(f"value = {value!r} is not accepted: {use}.")


def numbers_of(sweep: Sweep) -> list[str]:
    """Return the names of the results with one number a trajectory; whether it has diverged is none."""
    kinds = program_of(sweep, base_of(sweep)).kinds
    return [name for name, kind in kinds.items() if not kind.shape and name != "diverged"]


class Boundary(NamedTuple):
    """The zero contour of a map.

    Attributes:
        map: over both axes, `mean` (interpolated where not computed), `computed`, and `above`, the share of resampled
            seeds in which the mean is above 0: the band of the contour is where it lies between 0.025 and 0.975.
        lines: the contour, one array (k, 2) of values of both axes for each connected piece.
        trajectories: computed.
        full: trajectories of the whole map at this resolution.
    """

    map: xr.Dataset
    lines: list[np.ndarray]
    trajectories: int
    full: int


def boundary(
    sweep: Sweep,
    value: str = "gain",
    stride: int = 16,
    spread: float = 1.0,
    resamples: int = 400,
    seed: int = 0,
    **how: Any,
) -> Boundary:
    """Trace the contour where the mean of a result is 0, computing only the cells near it.

    The grid of the sweep is the resolution wanted. Every `stride`-th cell is computed, then a rectangle of cells is
    halved along both axes as long as the contour may cross it: some corner has mean - spread * standard error < 0 and
    some corner has mean + spread * standard error > 0. What is narrower than the stride may be missed.

    Args:
        sweep: with two axes.
        value: name of the result.
        stride: of the coarse grid.
        spread: standard errors by which the contour may be elsewhere.
        resamples: of whole seeds, for the band.
        seed: of the resampling.
        how: report, store, fresh, force, stop and executor of `run`.

    Returns:
        The contour and its map. A cell with a diverged seed has no mean: it is NaN there, and the contour goes around
        it.

    Raises:
        ValueError: the sweep does not have two axes and seeds, with at least two values each.
    """
    if len(sweep.grid) != 2 or min(sweep.shape) < 2:
        names = [axis.name for axis in sweep.grid]
        raise ValueError(f"axes = {names} is not accepted: a contour needs two axes and seeds, at least 2 of each.")
    _check_value(sweep, value)
    for name, given, least in (("stride", stride, 1), ("resamples", resamples, 1), ("seed", seed, 0)):
        _check(name, given, Integral, least, f"a whole number of at least {least}")
    _check("spread", spread, Real, 0, "a number of at least 0")
    check_memory(f"resamples = {resamples}", 8 * resamples * sweep.shape[-1])
    shape = sweep.shape[:2]
    rows, columns = (_borders(length, stride) for length in shape)
    level = [(a, b, c, d) for a, b in rows for c, d in columns]
    every, wanted = list(level), np.zeros(shape, bool)
    with opened(sweep, **how, scattered=True) as fill:
        while level:
            for a, b, c, d in level:
                wanted[np.ix_([a, b], [c, d])] = True
            ds = fill(np.broadcast_to(wanted[..., None], sweep.shape))
            cells = summary(ds, value)
            low, high = (cells["mean"] + sign * spread * cells["se"] for sign in (-1, 1))
            level = [
                part
                for rectangle in level
                if _crossed(rectangle, low.values, high.values)
                for part in _halves(rectangle)
            ]
            every += level
    return _boundary(ds, value, wanted, every, resamples, seed)


def _borders(length: int, stride: int) -> list[tuple[int, int]]:
    at = [*range(0, length - 1, stride), length - 1]
    return list(pairwise(at))


def _halves(rectangle: Rectangle) -> Iterator[Rectangle]:
    """Yield the parts of a rectangle; none of one that is a single cell."""
    a, b, c, d = rectangle
    if b - a == d - c == 1:
        return
    for p, q in _half(a, b):
        for r, s in _half(c, d):
            yield p, q, r, s


def _half(a: int, b: int) -> list[tuple[int, int]]:
    return [(a, b)] if b - a == 1 else [(a, (a + b) // 2), ((a + b) // 2, b)]


def _crossed(rectangle: Rectangle, low: np.ndarray, high: np.ndarray) -> bool:
    corners = np.ix_(rectangle[:2], rectangle[2:])
    return bool((low[corners] < 0).any() and (high[corners] > 0).any())  # false for NaN


def _boundary(
    ds: xr.Dataset, value: str, wanted: np.ndarray, every: list[Rectangle], resamples: int, seed: int
) -> Boundary:
    """Interpolate the map, resample its seeds and find the contour."""
    n, (x, y) = ds.sizes["seed"], (str(name) for name in list(ds["done"].dims)[:2])
    failed = summary(ds, value)["diverged"].transpose(x, y)
    values = ds[value].where(~failed).transpose(x, y, "seed").values.astype(float)  # NaN where not computed
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples) / n
    above = np.zeros(wanted.shape)
    for some in np.array_split(weights, -(-resamples // 32)):  # bounds the memory
        above += (_filled(values @ some.T, wanted, every) > 0).sum(-1) / resamples
    mean = _filled(values.mean(-1, keepdims=True), wanted, every)[..., 0]
    variables = {"mean": mean, "above": np.where(np.isnan(mean), np.nan, above), "computed": wanted}
    found = xr.Dataset({name: ((x, y), array) for name, array in variables.items()}, {x: ds[x], y: ds[y]})
    known = np.ma.masked_invalid(mean.T)
    lines = contourpy.contour_generator(ds[x].values, ds[y].values, known).lines(0.0)
    spent = int((ds["done"] == 1).sum())
    return Boundary(found.assign_attrs(ds[value].attrs, value=value), lines, spent, wanted.size * n)  # type: ignore[arg-type]


def _filled(values: np.ndarray, wanted: np.ndarray, every: list[Rectangle]) -> np.ndarray:
    """Interpolate maps (x, y, k) between the corners of each rectangle, coarse ones first; keep what was computed."""
    result = np.array(values)
    for a, b, c, d in every:
        s, t = np.linspace(0, 1, b - a + 1)[:, None, None], np.linspace(0, 1, d - c + 1)[:, None]
        lower = (1 - s) * values[a, c] + s * values[b, c]
        upper = (1 - s) * values[a, d] + s * values[b, d]
        result[a : b + 1, c : d + 1] = (1 - t) * lower + t * upper
    return np.where(wanted[..., None], values, result)
