"""One panel of a phase diagram: the colours of its cells, their hatches, and the line where the mean is 0."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import CenteredNorm, Normalize

MISSING: dict[str, Any] = {"pattern": "..", "colour": "w"}  # white alone would be a gain of 0


def look(cells: xr.Dataset, limits: tuple[float, float] | None = None) -> dict[str, Any]:
    """Colours: diverging around 0 for the gain and for what takes both signs, else sequential; within the limits."""
    mean = cells["mean"]
    low, high = limits or (float(mean.min()), float(mean.max()))
    if float(mean.min()) < 0 or cells.attrs.get("value") == "gain":
        return {"cmap": "PuOr_r", "norm": CenteredNorm(0, max(abs(low), abs(high)))}
    return {"cmap": "viridis", "norm": Normalize(low, high)}


def draw(ax: Axes, cells: xr.Dataset, x: str, y: str, look: dict[str, Any]) -> Any:
    """Draw the means of cells (y, x) in the colours of `look`, hatched where they are not clear; return the mesh."""
    along, up, mean = cells[x].values, cells[y].values, cells["mean"].values
    ax.set_xscale("log" if logarithmic(along) else "linear")
    ax.set_yscale("log" if logarithmic(up) else "linear")
    ax.set_facecolor("0.85")
    mesh = ax.pcolormesh(_edges(along), _edges(up), mean, rasterized=True, **look)
    failed, absent = cells["diverged"].values, missing(cells).values
    hatch(ax, along, up, failed, "xxxx")
    hatch(ax, along, up, absent, **MISSING)
    if signed(look):
        hatch(ax, along, up, ~cells["clear"].values & ~failed & ~absent)
    return mesh


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
    ax: Axes, along: np.ndarray, up: np.ndarray, mask: np.ndarray, pattern: str = "////", colour: str = "none"
) -> None:
    """Hatch or fill the cells of a mask (y, x), whose centres lie at `along` and `up`."""
    right, top = _edges(along), _edges(up)
    corners = [
        [(right[j], top[i]), (right[j + 1], top[i]), (right[j + 1], top[i + 1]), (right[j], top[i + 1])]
        for i, j in np.argwhere(mask)
    ]
    ax.add_collection(PolyCollection(corners, hatch=pattern, facecolor=colour, edgecolor="0.5", linewidth=0))


def _edges(centres: np.ndarray) -> np.ndarray:
    """Return the borders between cells: halfway, in the logarithm where the axis is logarithmic."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    at = np.log(centres) if logarithmic(centres) else centres.astype(float)
    middle = (at[1:] + at[:-1]) / 2
    borders = np.array([2 * at[0] - middle[0], *middle, 2 * at[-1] - middle[-1]])
    return np.exp(borders) if logarithmic(centres) else borders


def logarithmic(values: np.ndarray) -> bool:
    """Whether the values are spaced evenly in the logarithm over more than a decade."""
    if len(values) < 3 or values.min() <= 0 or values.max() / values.min() < 10:
        return False
    steps = np.diff(np.log(values))
    return bool(np.ptp(steps) < 0.35 * np.abs(steps).mean())


def missing(cells: xr.Dataset) -> xr.DataArray:
    """Return which cells have no seed that was run."""
    return cells["seeds"] == 0
