"""From labelled datasets to figures: phase diagrams, curves with error bars, and the numbers beside them.

Colours are safe for the colour-blind (orange: transfer helps, purple: it hurts) and centred on 0. Cells whose 95%
interval over seeds includes 0 are hatched with lines, cells with a diverged seed with crosses on grey. Cells that are
not computed are white with dots.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pt_jax.report import panel
from pt_jax.report.panel import hatch as hatch  # also for scripts
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
    limits: tuple[float, float] | None = None,
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
        lines: by name what else to draw the zero line of, without seeds, on the same dimensions; at most two. The
            legend says which have no zero here.
        limits: of the colours; centred on 0 where the colours are.

    Returns:
        The figure.

    Raises:
        ValueError: a dimension is missing, left over or given twice, there are more panels than fit, or a line has
            other dimensions.
    """
    cells = _along(ds if "clear" in ds else summary(ds, value), x, y, col, row)
    names = [str(name) for name in cells["mean"].dims]
    given = [name for name in (x, y, col, row) if name is not None]
    for name in given:
        if name not in names:
            raise ValueError(f"{name!r} is not an axis of this dataset: use {', '.join(names)}.")
        if given.count(name) > 1:
            raise ValueError(f"{name!r} is given twice: use each of {', '.join(names)} once.")
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
    look = panel.look(cells, limits)
    mesh, zeros = None, [(cells["mean"], _ZERO, f"simulated: {cells.attrs['value']} 0")] if panel.signed(look) else []
    zeros += _lines(lines or {}, cells, (x, y, col, row))
    crossed = set()
    for (i, j), one in np.ndenumerate(panels):
        chosen = {name: k for name, k in ((row, i), (col, j)) if name is not None}
        mesh = panel.draw(one, cells.isel(chosen).transpose(y, x), x, y, look)
        for values, style, name in zeros:
            if panel.zero_line(one, values.isel(chosen).transpose(y, x), x, y, **style):
                crossed.add(name)
        one.set_title(
            ", ".join(f"{_symbol(cells[n])} = {cells[n].values[k]:g}" for n, k in chosen.items()), fontsize=10
        )
        one.set_xlabel(label(cells[x]) if i == shape[0] - 1 else "")
        one.set_ylabel(label(cells[y]) if j == 0 else "")
    bar = figure.colorbar(mesh, ax=panels, shrink=0.9)  # type: ignore[arg-type]
    bar.set_label(_title(cells.attrs))
    handles: list[Any] = [
        plt.Line2D([], [], label=name if name in crossed else f"{name}: no zero here", **style)
        for _, style, name in zeros
        if lines
    ]
    missing = panel.missing(cells)
    if missing.any():
        edge: dict[str, Any] = {"edgecolor": "0.5", "linewidth": 0.5}
        text = f"not computed: {int(missing.sum()):,} of {missing.size:,} cells"
        handles.append(
            plt.Rectangle(
                (0, 0), 1, 1, facecolor=panel.MISSING["colour"], hatch=panel.MISSING["pattern"], label=text, **edge
            )
        )
    if handles:
        panels.flat[0].legend(handles=handles, fontsize=7, loc="best", framealpha=0.85)
    return figure


def _lines(
    lines: Mapping[str, xr.DataArray], cells: xr.Dataset, names: tuple[str | None, ...]
) -> list[tuple[xr.DataArray, dict[str, Any], str]]:
    """Return values, style and name of each line, along the dimensions of the cells."""
    if len(lines) > len(_LINES):
        raise ValueError(f"{len(lines)} lines are not accepted: use at most {len(_LINES)}.")
    found = []
    for (name, values), style in zip(lines.items(), _LINES, strict=False):
        if "seed" in values.dims:
            raise ValueError(f"The line {name!r} has seeds: give its mean, pt_jax.stats.summary(ds, NAME)['mean'].")
        values = _along(values.to_dataset(name="mean"), *names)["mean"]
        if dict(values.sizes) != dict(cells["mean"].sizes):
            raise ValueError(
                f"The line {name!r} has the sizes {dict(values.sizes)}: use those of the map, "
                f"{dict(cells['mean'].sizes)}."
            )
        found.append((values, style, name))
    return found


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
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw results along one axis: mean over seeds, with the 95% t interval as error bars.

    Args:
        ds: result of a sweep with one axis, or the `summary` of a single result.
        values: names of results, at most four.
        x: its dimension, or a quantity that lies on it; the first by default.
        ax: axes to draw into.
        colours: of the results.
        limits: of the results along the axis.

    Returns:
        The figure.

    Raises:
        ValueError: the dataset has more than one axis, or there are more results than colours.
    """
    if len(values) > len(colours):
        raise ValueError(f"{len(values)} results are not accepted in one curve: use at most {len(colours)}.")
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
    ax.set_xscale("log" if panel.logarithmic(cells[along].values) else "linear")
    ax.set_xlabel(label(cells[along]))
    if limits is not None:
        ax.set_ylim(*limits)
    if len(values) > 1:
        ax.legend(frameon=False, fontsize=8)
    else:
        ax.set_ylabel(_title(cells.attrs).split(":")[0])
    return ax.get_figure()  # type: ignore[return-value]


def comparison(
    ds: xr.Dataset,
    x: str | None = None,
    axes: Sequence[Axes] | None = None,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw both test errors along one axis and, below them, the gain: paired, so that its error bars decide.

    Args:
        ds: result of a sweep with one axis and the results error, error_scratch and gain.
        x: its dimension; the first by default.
        axes: the two axes to draw into, upper first.
        limits: of the gain.

    Returns:
        The figure.
    """
    if axes is None:
        _, axes = plt.subplots(2, 1, figsize=(5, 5), sharex=True, height_ratios=(3, 2), layout="constrained")
    curve(ds, ("error", "error_scratch"), x, axes[0])
    axes[0].set(xlabel="", ylabel="test error")
    return curve(ds, ("gain",), x, axes[1], limits=limits)


def save(
    figure: Figure,
    path: str | Path,
    numbers: xr.Dataset | None = None,
    provenance: dict[str, Any] | None = None,
    form: str = "png",
) -> Path:
    """Write the picture `path`.png and, where given, the plotted numbers `path`.csv and `path`.json, where from.

    Args:
        figure: what was drawn.
        path: without suffix, `~` is expanded; its folder must exist.
        numbers: what is plotted, a `summary`.
        provenance: of the sweep.
        form: of the picture and its suffix: png, svg, pdf, or another one that matplotlib writes.

    Returns:
        The path of the picture.
    """
    path = Path(path).expanduser()
    picture = Path(f"{path}.{form}")  # not with_suffix: a name may hold a point
    with _whole(picture) as beside:
        figure.savefig(beside, dpi=120, format=form)
    if numbers is not None:
        table = numbers.to_dataframe(dim_order=[str(name) for name in numbers["mean"].dims]).reset_index()
        with _whole(Path(f"{path}.csv")) as beside:
            table.to_csv(beside, index=False, float_format="%.6g")
    if provenance is not None:
        with _whole(Path(f"{path}.json")) as beside:
            beside.write_text(json.dumps(provenance, indent=1) + "\n")
    plt.close(figure)
    return picture


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it takes the place of the file when it is whole."""
    beside = path.with_name(f"{path.name}.new")
    yield beside
    beside.replace(path)


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
    words = meaning if _symbol(values) == meaning else f"{meaning} {_symbol(values)}"
    return words + ("" if unit == "1" else f" [{unit}]")


def _symbol(values: xr.DataArray) -> str:
    return values.attrs.get("symbol", str(values.name))


def _title(attrs: dict[str, Any]) -> str:
    return attrs.get("long_name", str(attrs.get("value", "")))
