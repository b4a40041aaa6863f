"""From labelled datasets to figures: phase diagrams, curves with error bars, and the numbers beside them.

Colours are safe for the colour-blind (orange: transfer helps, purple: it hurts) and centred on 0. Cells whose 95%
interval over seeds includes 0 are hatched with lines, cells with a diverged seed with crosses on grey. Cells that are
not computed are white with dots. A legend below the axes says so for what is there, and below it stand the settings
that are the same in the whole figure, where the dataset knows them.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pt_jax.report import panel, settings, words
from pt_jax.report.curves import comparison as comparison
from pt_jax.report.curves import curve as curve
from pt_jax.report.curves import line as line  # also for scripts
from pt_jax.report.heat_map import heat_map as heat_map
from pt_jax.report.panel import hatch as hatch  # also for scripts
from pt_jax.report.words import label as label
from pt_jax.report.words import legend as legend
from pt_jax.report.words import note as note

_MOST_PANELS = 36
_PANEL = (3.6, 3.2)  # inches, with labels
_ZERO: dict[str, Any] = {"color": "k", "lw": 1.4, "ls": "-"}
_LINES: tuple[dict[str, Any], ...] = (
    {"color": "tab:green", "lw": 1.8, "ls": "--"},
    {"color": "tab:blue", "lw": 1.8, "ls": ":"},
)


class _Line(NamedTuple):
    """Values whose zero line is drawn, its style, and its name in the legend."""

    values: xr.DataArray
    style: dict[str, Any]
    name: str


def phase_diagram(
    ds: xr.Dataset,
    value: str = "gain",
    x: str | None = None,
    y: str | None = None,
    col: str | None = None,
    row: str | None = None,
    ax: Axes | None = None,
    lines: Mapping[str, xr.DataArray] | None = None,
    limits: panel.Limits = None,
) -> Figure:
    """Draw the mean of a result over two axes, with its zero line and the cells that are not clear.

    Args:
        ds: result of a sweep, or its `summary`.
        value: name of a result.
        x: dimension along the plane, or a quantity that lies on one dimension; the first by default.
        y: dimension up the plane, or such a quantity; the second by default.
        col: dimension along which panels stand side by side.
        row: dimension along which panels stand below each other.
        ax: axes to draw into, for a single panel, best in a figure with constrained layout: the legend is below them.
        lines: by name what else to draw the zero line of, without seeds, on the same dimensions; at most two. The
            legend says which have no zero here.
        limits: lowest and highest value of the colours, in the unit of the result; by default those of the map. Colours
            that are centred on 0 stay so.

    Returns:
        The figure.

    Raises:
        ValueError: a dimension is missing, left over or given twice, there are more panels than fit, a line has other
            dimensions, or the limits are no two finite numbers in increasing order.
    """
    panel.check_limits(limits)
    cells = panel.along(panel.summarised(ds, value), x, y, col, row)
    x, y = _plane(cells, x, y, col, row)
    figure, panels = _panels(cells, col, row, ax)
    look = panel.look(cells, limits)
    zeros = [_Line(cells["mean"], _ZERO, f"{cells.attrs['value']} 0")] if panel.signed(look) else []
    if lines:
        zeros = [one._replace(name=f"simulated: {one.name}") for one in zeros]
        zeros += _lines(lines, cells, (x, y, col, row))
    crossed = set()
    for (i, j), one in np.ndenumerate(panels):
        place = {name: k for name, k in ((row, i), (col, j)) if name is not None}
        mesh = panel.draw(one, cells.isel(place).transpose(y, x), x, y, look)
        for zero in zeros:
            if panel.zero_line(one, zero.values.isel(place).transpose(y, x), x, y, **zero.style):
                crossed.add(zero.name)
    _colour_bar(figure, mesh, panels, cells, limits)
    _name_axes(figure, panels, cells, x, y, col, row)
    entries = [
        plt.Line2D([], [], label=zero.name if zero.name in crossed else f"{zero.name}: no zero here", **zero.style)
        for zero in zeros
        if lines or zero.name in crossed
    ] + panel.entries(cells, look)
    if ax is None:
        legend(figure, entries)
        note(figure, settings.common(cells))
    else:
        panel.legend(ax, entries)
    return figure


def _plane(cells: xr.Dataset, x: str | None, y: str | None, col: str | None, row: str | None) -> tuple[str, str]:
    """Return the dimensions of the plane, once all dimensions have their place."""
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
    return x, y


def _panels(cells: xr.Dataset, col: str | None, row: str | None, ax: Axes | None) -> tuple[Figure, np.ndarray]:
    """Return the figure and its panels (row, col)."""
    shape = tuple(1 if name is None else cells.sizes[name] for name in (row, col))
    check_panels(shape[0] * shape[1], _MOST_PANELS if ax is None else 1)
    if ax is not None:
        return ax.get_figure(), np.array([[ax]])  # type: ignore[return-value]
    size = (1.2 + _PANEL[0] * shape[1], 0.9 + _PANEL[1] * shape[0])
    return plt.subplots(*shape, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained")


def _name_axes(
    figure: Figure, panels: np.ndarray, cells: xr.Dataset, x: str, y: str, col: str | None, row: str | None
) -> None:
    """Write labels at the outer panels, and above each panel where it stands."""
    texts = {name: words.each(cells[name].values.tolist()) for name in (row, col) if name is not None}
    for (i, j), ax in np.ndenumerate(panels):
        place = [(name, k) for name, k in ((row, i), (col, j)) if name is not None]
        ax.set_title(", ".join(f"{words.symbol(cells[n])} = {texts[n][k]}" for n, k in place), fontsize=10)
        width, height = (_PANEL[0] - 0.5, _PANEL[1]) if panels.size > 1 else words.inches(ax)
        ax.set_xlabel(words.fold(figure, label(cells[x]), width) if i == len(panels) - 1 else "")
        ax.set_ylabel(words.fold(figure, label(cells[y]), height) if j == 0 else "")


def _colour_bar(figure: Figure, mesh: Any, panels: np.ndarray, cells: xr.Dataset, limits: panel.Limits) -> None:
    """Draw the colour bar, pointed where values lie beyond it."""
    mean, (low, high) = cells["mean"], limits or (-math.inf, math.inf)
    below, above = bool((mean < low).any()), bool((mean > high).any())
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = figure.colorbar(mesh, ax=panels, extend=extend[below, above])
    if limits:
        bar.ax.set_ylim(limits)
    bar.set_label(words.fold(figure, words.meaning(cells.attrs), words.inches(bar.ax)[1]))


def _lines(lines: Mapping[str, xr.DataArray], cells: xr.Dataset, names: tuple[str | None, ...]) -> list[_Line]:
    """Return the lines of theory, along the dimensions of the cells."""
    if len(lines) > len(_LINES):
        raise ValueError(f"{len(lines)} lines are not accepted: use at most {len(_LINES)}.")
    found = []
    for (name, values), style in zip(lines.items(), _LINES, strict=False):
        if "seed" in values.dims:
            raise ValueError(f"The line {name!r} has seeds: give its mean, pt_jax.stats.summary(ds, NAME)['mean'].")
        values = panel.along(values.to_dataset(name="mean"), *names)["mean"]
        if dict(values.sizes) != dict(cells["mean"].sizes):
            raise ValueError(
                f"The line {name!r} has the sizes {dict(values.sizes)}: use those of the map, "
                f"{dict(cells['mean'].sizes)}."
            )
        found.append(_Line(values, style, name))
    return found


def check_panels(count: int, most: int = _MOST_PANELS) -> None:
    """Raise ValueError where that many panels do not fit a figure."""
    if count > most:
        raise ValueError(f"{count} panels do not fit: at most {most}.")


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
        provenance: of the sweep, or of several sweeps by name: what they have in common is written below the figure.
        form: of the picture and its suffix: png, svg, pdf, or another one that matplotlib writes.

    Returns:
        The path of the picture.
    """
    path = Path(path).expanduser()
    picture = Path(f"{path}.{form}")  # not with_suffix: a name may hold a point
    if provenance is not None:
        settings.explain(figure, provenance)
    with whole(picture) as beside:
        figure.savefig(beside, dpi=120, format=form)
    if numbers is not None:
        table = numbers.to_dataframe(dim_order=[str(name) for name in numbers["mean"].dims]).reset_index()
        with whole(Path(f"{path}.csv")) as beside:
            table.to_csv(beside, index=False, float_format="%.6g")
    if provenance is not None:
        with whole(Path(f"{path}.json")) as beside:
            beside.write_text(json.dumps(provenance, indent=1) + "\n")
    plt.close(figure)
    return picture


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it takes the place of the file when it is whole."""
    beside = path.with_name(f"{path.name}.new")
    yield beside
    beside.replace(path)
