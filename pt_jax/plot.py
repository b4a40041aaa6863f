"""From labelled datasets to figures: phase diagrams, curves with error bars, and the numbers beside them.

Colours are safe for the colour-blind (orange: transfer helps, purple: it hurts) and centred on 0. Cells whose 95%
interval over seeds includes 0 are hatched with lines, cells with a diverged seed with crosses on grey.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import CenteredNorm, Normalize
from matplotlib.figure import Figure

from pt_jax.sweep.stats import summary

_MOST_PANELS = 36
_COLOURS = ("tab:orange", "tab:blue", "tab:purple", "0.4")
_ZERO: dict[str, Any] = {"color": "k", "lw": 1.4, "ls": "-"}
_LINES: tuple[dict[str, Any], ...] = (
    {"color": "tab:green", "lw": 1.8, "ls": "--"},
    {"color": "tab:blue", "lw": 1.8, "ls": ":"},
)


def phase_diagram(
    ds: xr.Dataset,
    value: str = "gain",
    x: str | None = None,
    y: str | None = None,
    col: str | None = None,
    row: str | None = None,
    ax: Axes | None = None,
    lines: Mapping[str, xr.DataArray] | None = None,
) -> Figure:
    """Draw the mean of a result over two axes, with its zero line and the cells that are not clear.

    Args:
        ds: result of a sweep, or its `summary`.
        value: name of a result.
        x: dimension along the plane, or a quantity that lies on one dimension; the first by default.
        y: dimension up the plane, or such a quantity; the second by default.
        col: dimension along which panels stand side by side.
        row: dimension along which panels stand below each other.
        ax: axes to draw into, for a single panel.
        lines: by name what else to draw the zero line of, on the same dimensions; at most two.

    Returns:
        The figure.

    Raises:
        ValueError: a dimension is missing or left over, or there are more panels than fit.
    """
    cells = _along(ds if "clear" in ds else summary(ds, value), x, y, col, row)
    names = [str(name) for name in cells["mean"].dims]
    given = [name for name in (x, y, col, row) if name is not None]
    for name in given:
        if name not in names:
            raise ValueError(f"{name!r} is not an axis of this dataset: use {', '.join(names)}.")
    rest = [name for name in names if name not in given]
    x = x or (rest.pop(0) if rest else None)
    y = y or (rest.pop(0) if rest else None)
    if x is None or y is None or rest:
        raise ValueError(
            f"A phase diagram has the axes x, y, col and row: {', '.join(names)} do not fit; select some first."
        )
    shape = tuple(1 if name is None else cells.sizes[name] for name in (row, col))
    check_panels(shape[0] * shape[1], _MOST_PANELS if ax is None else 1)
    if ax is None:
        size = (1.2 + 3.6 * shape[1], 0.8 + 3.2 * shape[0])
        figure, panels = plt.subplots(
            *shape, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
        )
    else:
        figure, panels = ax.get_figure(), np.array([[ax]])  # type: ignore[assignment]
    look = _look(cells)
    mesh, zeros = None, [(cells["mean"], _ZERO, "simulated: gain 0")] if _signed(look) else []
    zeros += [(values, style, name) for style, (name, values) in zip(_LINES, (lines or {}).items(), strict=False)]
    drawn = {}
    for (i, j), panel in np.ndenumerate(panels):
        chosen = {name: k for name, k in ((row, i), (col, j)) if name is not None}
        mesh = _panel(panel, cells.isel(chosen).transpose(y, x), x, y, look)
        for values, style, name in zeros:
            if _zero_line(panel, values.isel(chosen).transpose(y, x), x, y, **style):
                drawn[name] = style
        panel.set_title(
            ", ".join(f"{_symbol(cells[n])} = {cells[n].values[k]:g}" for n, k in chosen.items()), fontsize=10
        )
        panel.set_xlabel(label(cells[x]) if i == shape[0] - 1 else "")
        panel.set_ylabel(label(cells[y]) if j == 0 else "")
    bar = figure.colorbar(mesh, ax=panels, shrink=0.9)  # type: ignore[arg-type]
    bar.set_label(_title(cells.attrs))
    if lines and drawn:
        handles = [plt.Line2D([], [], label=name, **style) for name, style in drawn.items()]
        panels.flat[0].legend(handles=handles, fontsize=7, loc="best", framealpha=0.85)
    return figure


def check_panels(count: int, most: int = _MOST_PANELS) -> None:
    """Raise ValueError where that many panels do not fit a figure."""
    if count > most:
        raise ValueError(f"{count} panels do not fit: at most {most}.")


def curve(
    ds: xr.Dataset,
    values: Sequence[str] = ("error", "error_scratch"),
    x: str | None = None,
    ax: Axes | None = None,
    colours: Sequence[str] = _COLOURS,
) -> Figure:
    """Draw results along one axis: mean over seeds, with the 95% t interval as error bars.

    Args:
        ds: result of a sweep with one axis, or the `summary` of a single result.
        values: names of results, at most four.
        x: its dimension, or a quantity that lies on it; the first by default.
        ax: axes to draw into.
        colours: of the results.

    Returns:
        The figure.

    Raises:
        ValueError: the dataset has more than one axis.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for value, colour, marker in zip(values, colours, "osD^", strict=False):
        cells = _along(ds if "clear" in ds else summary(ds, value), x)
        along = x or str(cells["mean"].dims[0])
        if cells["mean"].dims != (along,):
            raise ValueError(f"A curve has one axis: this dataset has {', '.join(map(str, cells['mean'].dims))}.")
        half = cells["high"] - cells["mean"]
        style: dict[str, Any] = dict(color=colour, marker=marker, ms=4, lw=1.2, capsize=2, label=_title(cells.attrs))
        ax.errorbar(cells[along], cells["mean"], half, **style)
        if float(cells["low"].min()) < 0:
            ax.axhline(0, color="0.6", lw=0.8, zorder=0)
    ax.set_xscale("log" if _logarithmic(cells[along].values) else "linear")
    ax.set_xlabel(label(cells[along]))
    if len(values) > 1:
        ax.legend(frameon=False, fontsize=8)
    else:
        ax.set_ylabel(_title(cells.attrs).split(":")[0])
    return ax.get_figure()  # type: ignore[return-value]


def comparison(ds: xr.Dataset, x: str | None = None, axes: Sequence[Axes] | None = None) -> Figure:
    """Draw both test errors along one axis and, below them, the gain: paired, so that its error bars decide.

    Args:
        ds: result of a sweep with one axis and the results error, error_scratch and gain.
        x: its dimension; the first by default.
        axes: the two axes to draw into, upper first.

    Returns:
        The figure.
    """
    if axes is None:
        _, axes = plt.subplots(2, 1, figsize=(5, 5), sharex=True, height_ratios=(3, 2), layout="constrained")
    curve(ds, ("error", "error_scratch"), x, axes[0])
    axes[0].set(xlabel="", ylabel="test error")
    return curve(ds, ("gain",), x, axes[1])


def save(
    figure: Figure,
    path: str | Path,
    numbers: xr.Dataset | None = None,
    provenance: dict[str, Any] | None = None,
) -> Path:
    """Write the picture `path`.png and, where given, the plotted numbers `path`.csv and `path`.json, where from.

    Args:
        figure: what was drawn.
        path: without suffix; its folder must exist.
        numbers: what is plotted, a `summary`.
        provenance: of the sweep.

    Returns:
        The path of the picture.
    """
    picture = Path(f"{path}.png")  # not with_suffix: a name may hold a point
    figure.savefig(picture, dpi=120)
    if numbers is not None:
        table = numbers.to_dataframe(dim_order=[str(name) for name in numbers["mean"].dims]).reset_index()
        table.to_csv(f"{path}.csv", index=False, float_format="%.6g")
    if provenance is not None:
        Path(f"{path}.json").write_text(json.dumps(provenance, indent=1) + "\n")
    plt.close(figure)
    return picture


def _along(cells: xr.Dataset, *names: str | None) -> xr.Dataset:
    """Return the cells with these coordinates as dimensions, all in increasing order."""
    for name in names:
        if name in cells.coords and name not in cells.dims and cells[name].ndim == 1:
            cells = cells.swap_dims({cells[name].dims[0]: name})
    return cells.sortby([name for name in cells["mean"].dims if name in cells.coords])


def label(values: xr.DataArray) -> str:
    """Return an axis label: meaning, symbol and unit."""
    unit = values.attrs.get("units", "1")
    meaning = values.attrs.get("long_name", str(values.name))
    return f"{meaning} {_symbol(values)}" + ("" if unit == "1" else f" [{unit}]")


def _symbol(values: xr.DataArray) -> str:
    return values.attrs.get("symbol", str(values.name))


def _title(attrs: dict[str, Any]) -> str:
    return attrs.get("long_name", str(attrs.get("value", "")))


def _look(cells: xr.Dataset) -> dict[str, Any]:
    """Colours: diverging around 0 for the gain and for what takes both signs, else sequential."""
    mean = cells["mean"]
    if float(mean.min()) < 0 or cells.attrs.get("value") == "gain":
        return {"cmap": "PuOr_r", "norm": CenteredNorm(0, float(np.abs(mean).max()))}
    return {"cmap": "viridis", "norm": Normalize(float(mean.min()), float(mean.max()))}


def _panel(ax: Axes, cells: xr.Dataset, x: str, y: str, look: dict[str, Any]) -> Any:
    """Draw one panel."""
    along, up, mean = cells[x].values, cells[y].values, cells["mean"].values
    ax.set_xscale("log" if _logarithmic(along) else "linear")
    ax.set_yscale("log" if _logarithmic(up) else "linear")
    ax.set_facecolor("0.85")
    mesh = ax.pcolormesh(_edges(along), _edges(up), mean, rasterized=True, **look)
    failed = cells["diverged"].values
    hatch(ax, along, up, failed, "xxxx")
    if _signed(look):
        hatch(ax, along, up, ~cells["clear"].values & ~failed)
    return mesh


def _signed(look: dict[str, Any]) -> bool:
    return isinstance(look["norm"], CenteredNorm)


def _zero_line(ax: Axes, values: xr.DataArray, x: str, y: str, color: str, lw: float, ls: str) -> bool:
    """Draw where the values (y, x) cross 0, and say whether they do."""
    crosses = min(values.shape) > 1 and float(values.min()) < 0 < float(values.max())
    if crosses:
        ax.contour(values[x], values[y], values, levels=[0], colors=color, linewidths=lw, linestyles=ls)
    return crosses


def hatch(ax: Axes, along: np.ndarray, up: np.ndarray, mask: np.ndarray, pattern: str = "////") -> None:
    """Hatch the cells of a mask (y, x), whose centres lie at `along` and `up`."""
    right, top = _edges(along), _edges(up)
    corners = [
        [(right[j], top[i]), (right[j + 1], top[i]), (right[j + 1], top[i + 1]), (right[j], top[i + 1])]
        for i, j in np.argwhere(mask)
    ]
    ax.add_collection(PolyCollection(corners, hatch=pattern, facecolor="none", edgecolor="0.5", linewidth=0))


def _edges(centres: np.ndarray) -> np.ndarray:
    """Return the borders between cells: halfway, in the logarithm where the axis is logarithmic."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    at = np.log(centres) if _logarithmic(centres) else centres.astype(float)
    middle = (at[1:] + at[:-1]) / 2
    borders = np.array([2 * at[0] - middle[0], *middle, 2 * at[-1] - middle[-1]])
    return np.exp(borders) if _logarithmic(centres) else borders


def _logarithmic(values: np.ndarray) -> bool:
    """Whether the values are spaced evenly in the logarithm over more than a decade."""
    if len(values) < 3 or values.min() <= 0 or values.max() / values.min() < 10:
        return False
    steps = np.diff(np.log(values))
    return bool(np.ptp(steps) < 0.35 * np.abs(steps).mean())
