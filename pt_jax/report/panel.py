"""One panel of a phase diagram: the colours of its cells, their hatches, and the line where the mean is 0."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import CenteredNorm, Normalize
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from pt_jax.report import words
from pt_jax.sweep.stats import summary

MISSING: dict[str, Any] = {"pattern": "..", "colour": "w"}  # white alone would be a gain of 0
Limits = tuple[float, float] | None
_UNCLEAR, _FAILED = "////", "xxxx"


def along(cells: xr.Dataset, *names: str | None) -> xr.Dataset:
    """Return the cells with these coordinates as dimensions, all in increasing order."""
    for name in names:
        if name in cells.coords and name not in cells.dims and cells[name].ndim == 1:
            cells = cells.swap_dims({cells[name].dims[0]: name})
    return cells.sortby([name for name in cells["mean"].dims if name in cells.coords])


def summarised(ds: xr.Dataset, value: str) -> xr.Dataset:
    """Return the summary of a result, of a dataset or given already, alone or among others."""
    if "clear" not in ds:
        return summary(ds, value)
    if not several(ds):
        return ds
    if value not in ds["result"].values:
        raise ValueError(f"{value!r} is not in this summary: use {', '.join(map(str, ds['result'].values))}.")
    return ds.sel(result=value, drop=True).assign_attrs(value=value)


def several(cells: xr.Dataset) -> bool:
    """Return whether a summary is that of a list of results."""
    return "value" not in cells.attrs and "result" in cells["mean"].dims


def check_limits(limits: Limits) -> None:
    """Raise ValueError unless these are limits, or None."""
    if limits is None:
        return
    if len(limits) != 2 or not all(math.isfinite(limit) for limit in limits) or limits[0] >= limits[1]:
        raise ValueError(f"limits = {tuple(limits)} is not accepted: use two finite numbers, the lower one first.")


def look(cells: xr.Dataset, limits: Limits = None) -> dict[str, Any]:
    """Colours: diverging around 0 for the gain and for what takes both signs, else sequential."""
    mean = cells["mean"]
    finite = mean.where(np.isfinite(mean))
    low, high = limits or (float(finite.min()), float(finite.max()))
    if float(mean.min()) < 0 or cells.attrs.get("value") == "gain":
        return {"cmap": "PuOr_r", "norm": CenteredNorm(0, max(abs(low), abs(high)))}
    return {"cmap": "viridis", "norm": Normalize(low, high)}


def draw(ax: Axes, cells: xr.Dataset, x: str, y: str, look: dict[str, Any]) -> Any:
    """Draw the means of cells (y, x) in the colours of `look`, hatched where they are not clear; return the mesh."""
    along, up, mean = cells[x].values, cells[y].values, cells["mean"].values
    scale(ax, "x", along)
    scale(ax, "y", up)
    ax.set_facecolor("0.85")
    mesh = ax.pcolormesh(edges(along), edges(up), mean, rasterized=True, **look)
    failed, absent = cells["diverged"].values, missing(cells).values
    hatch(ax, along, up, failed, _FAILED)
    hatch(ax, along, up, absent, **MISSING)
    if signed(look):
        hatch(ax, along, up, unclear(cells).values)
    return mesh


def entries(cells: xr.Dataset, look: dict[str, Any]) -> list[Patch]:
    """Return the legend of what is hatched in these cells, of one panel or of all."""
    failed, absent = cells["diverged"], missing(cells)
    found = []
    if signed(look) and unclear(cells).any():
        why = f"the {percent(cells)} interval over seeds includes 0" if (cells["seeds"] > 1).any() else "one seed"
        found.append(_patch(f"unclear: {why}", _UNCLEAR))
    if failed.any():
        found.append(_patch(f"diverged: {_share(failed)}", _FAILED, "0.85"))
    if absent.any():
        found.append(_patch(f"not computed: {_share(absent)}", **MISSING))
    return found


def percent(cells: xr.Dataset) -> str:
    """Return the level of the intervals of a summary."""
    return f"{100 * cells.attrs.get('level', 0.95):.4g}%"


def _share(mask: xr.DataArray) -> str:
    return f"{int(mask.sum()):,} of {mask.size:,} cells"


def _patch(text: str, pattern: str, colour: str = "none") -> Patch:
    return Patch(label=text, hatch=pattern, facecolor=colour, edgecolor="0.5", linewidth=0.5)


def unclear(cells: xr.Dataset) -> xr.DataArray:
    """Return which cells have a mean whose sign is not clear."""
    return ~cells["clear"] & ~cells["diverged"] & ~missing(cells)


def legend(ax: Axes, handles: Sequence[Any]) -> None:
    """Put a legend below an axes and its labels."""
    if handles:
        down = ax.bbox.y0 - ax.get_tightbbox().y0  # type: ignore[union-attr]
        below = ax.transAxes + ScaledTranslation(0, -down / ax.figure.dpi, ax.figure.dpi_scale_trans)
        ax.legend(handles=handles, **words.SMALL, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below)


def signed(look: dict[str, Any]) -> bool:
    """Return whether colours are centred on 0."""
    return isinstance(look["norm"], CenteredNorm)


def zero_line(ax: Axes, values: xr.DataArray, x: str, y: str, color: str, lw: float, ls: str) -> bool:
    """Draw where the values (y, x) cross 0, and say whether they do."""
    crosses = min(values.shape) > 1 and float(values.min()) < 0 < float(values.max())
    if crosses:
        ax.contour(values[x], values[y], values, levels=[0], colors=color, linewidths=lw, linestyles=ls)
    return crosses


def hatch(
    ax: Axes, along: np.ndarray, up: np.ndarray, mask: np.ndarray, pattern: str = _UNCLEAR, colour: str = "none"
) -> None:
    """Hatch or fill the cells of a mask (y, x), whose centres lie at `along` and `up`."""
    right, top = edges(along), edges(up)
    corners = [
        [(right[j], top[i]), (right[j + 1], top[i]), (right[j + 1], top[i + 1]), (right[j], top[i + 1])]
        for i, j in np.argwhere(mask)
    ]
    ax.add_collection(PolyCollection(corners, hatch=pattern, facecolor=colour, edgecolor="0.5", linewidth=0))


def edges(centres: np.ndarray) -> np.ndarray:
    """Return the borders between cells: halfway, in the logarithm where the axis is logarithmic; all are finite."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    at, ends = centres.astype(float), np.finfo(float)
    low, high = -ends.max, ends.max
    if logarithmic(centres):
        at, low, high = np.log(at), *np.log([ends.tiny, ends.max])
    middle = at[1:] / 2 + at[:-1] / 2
    with np.errstate(over="ignore"):
        borders = np.clip([2 * at[0] - middle[0], *middle, 2 * at[-1] - middle[-1]], low, high)
    return np.exp(borders) if logarithmic(centres) else borders


def logarithmic(values: np.ndarray) -> bool:
    """Whether the values are spaced evenly in the logarithm over more than a decade."""
    with np.errstate(over="ignore"):  # a ratio of inf is more than a decade, too
        if len(values) < 3 or values.dtype.kind not in "iuf" or values.min() <= 0 or values.max() / values.min() < 10:
            return False
    steps = np.diff(np.log(values))
    return bool(np.ptp(steps) < 0.35 * np.abs(steps).mean())


def scale(ax: Axes, name: str, values: np.ndarray) -> None:
    """Scale the axis x or y as its values are spaced; within two decades 1 and 3 have labels, nothing between has."""
    ax.set(**{f"{name}scale": "log" if logarithmic(values) else "linear"})
    if not logarithmic(values):
        return
    axis = getattr(ax, f"{name}axis")
    if values.max() / values.min() < 100:
        axis.set(major_locator=LogLocator(subs=(1, 3)), major_formatter="{x:g}")
    axis.set_minor_formatter(NullFormatter())


def missing(cells: xr.Dataset) -> xr.DataArray:
    """Return which cells have no seed that was run."""
    return cells["seeds"] == 0
