"""Curves with error bars: results of a sweep along one axis."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pt_jax.report import panel, settings, words

_COLOURS = ("tab:orange", "tab:blue", "tab:purple", "0.4")


def curve(
    ds: xr.Dataset,
    values: Sequence[str] = ("error", "error_scratch"),
    x: str | None = None,
    ax: Axes | None = None,
    colours: Sequence[str] = _COLOURS,
    limits: panel.Limits = None,
) -> Figure:
    """Draw results along one axis: mean over seeds, with the t interval of the summary, 95%, as error bars.

    Args:
        ds: result of a sweep with one axis, or the `summary` of a single result.
        values: names of results, at most four.
        x: its dimension, or a quantity that lies on it; the first by default.
        ax: axes to draw into.
        colours: of the results.
        limits: lowest and highest value up the plane.

    Returns:
        The figure.

    Raises:
        ValueError: the dataset has more than one axis, there are more results than colours, or the limits are no two
            finite numbers in increasing order.
    """
    panel.check_limits(limits)
    if len(values) > len(colours):
        raise ValueError(f"{len(values)} results are not accepted in one curve: use at most {len(colours)}.")
    own = ax is None
    if ax is None:
        _, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
    figure: Figure = ax.get_figure()  # type: ignore[assignment]
    drawn = [
        _draw_curve(ax, panel.along(panel.summarised(ds, value), x), x, colour, marker)
        for value, colour, marker in zip(values, colours, "osD^", strict=False)
    ]
    if limits:
        ax.set_ylim(limits)
    width, height = words.inches(ax)
    ax.set_xlabel(words.fold(figure, ax.get_xlabel(), width))
    if len(values) == 1:
        ax.set_ylabel(words.fold(figure, words.meaning(drawn[0].attrs).split(":")[0], height))
    elif not own:
        ax.legend(frameon=False, fontsize=8)
    if own:
        words.legend(figure, ax.get_legend_handles_labels()[0] if len(values) > 1 else [])
        words.note(figure, [*settings.common(*drawn), *_said(drawn[0])])
    return figure


def line(ax: Axes, cells: xr.Dataset, x: str, **style: Any) -> None:
    """Draw the means of a `summary` along a coordinate, with its intervals; the style is that of `Axes.errorbar`."""
    style = {"marker": "o", "ms": 4, "lw": 1.2, "capsize": 2, **style}
    ax.errorbar(cells[x].values, cells["mean"], cells["high"] - cells["mean"], **style)


def _draw_curve(ax: Axes, cells: xr.Dataset, x: str | None, colour: str, marker: str) -> xr.Dataset:
    """Draw one summary as means with error bars, name the axis along, and return it."""
    along = x or str(cells["mean"].dims[0])
    if cells["mean"].dims != (along,):
        raise ValueError(f"A curve has one axis: this dataset has {', '.join(map(str, cells['mean'].dims))}.")
    line(ax, cells, along, label=words.meaning(cells.attrs), color=colour, marker=marker)
    if float(cells["low"].min()) < 0:
        ax.axhline(0, color="0.6", lw=0.8, zorder=0)
    panel.scale(ax, "x", cells[along].values)
    ax.set_xlabel(words.label(cells[along]))
    return cells


def _said(cells: xr.Dataset) -> list[str]:
    """Return what the bars are, and how many cells have none."""
    said = [f"bars: {panel.percent(cells)} intervals over seeds"]
    failed, absent = int(cells["diverged"].sum()), int(panel.missing(cells).sum())
    said += [f"{failed} diverged"] if failed else []
    return said + ([f"{absent} not computed"] if absent else [])


def comparison(
    ds: xr.Dataset, x: str | None = None, axes: Sequence[Axes] | None = None, limits: panel.Limits = None
) -> Figure:
    """Draw both test errors along one axis and, below them, the gain: paired, so that its error bars decide.

    Args:
        ds: result of a sweep with one axis and the results error, error_scratch and gain.
        x: its dimension; the first by default.
        axes: the two axes to draw into, upper first.
        limits: lowest and highest value of the gain.

    Returns:
        The figure.

    Raises:
        ValueError: as in `curve`.
    """
    panel.check_limits(limits)
    own = axes is None
    if axes is None:
        _, axes = plt.subplots(2, 1, figsize=(5, 5), sharex=True, height_ratios=(3, 2), layout="constrained")
    figure = curve(ds, ("error", "error_scratch"), x, axes[0])
    curve(ds, ("gain",), x, axes[1], limits=limits)
    axes[0].set(xlabel="", ylabel="test error")
    if own:
        axes[0].get_legend().remove()  # type: ignore[union-attr]
        words.legend(figure, axes[0].get_legend_handles_labels()[0])
        cells = panel.summarised(ds, "gain")
        words.note(figure, [*settings.common(cells), *_said(cells)])
    return figure
