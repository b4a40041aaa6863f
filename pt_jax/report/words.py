"""What a figure says beside its data: labels, title, legend and fixed settings, none cut and none over another.

Legend and settings stand below the axes, where they hide nothing. Room is made for them at the bottom of a figure with
constrained layout, which grows by as much.
"""

import dataclasses
import json
import pkgutil
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.text import Text

SMALL: dict[str, Any] = {"fontsize": 7.5, "frameon": False, "borderpad": 0, "borderaxespad": 0.2, "handleheight": 1.2}
_TINY = 6.5  # font size of the settings
_WIDE = 0.96  # of the width of a figure, for its title and settings
_GAP = 0.04  # inches between what stands below each other
_WHOLE = 1e9  # up to here whole numbers are written out
_HOW = ("fixed", "conv")  # options of how, not what, is computed
_LEGEND, _SETTINGS = "legend", "settings"
_WORD = re.compile(r"(?:\$[^$]*\$|\S)+")  # a formula is never broken


def label(values: xr.DataArray) -> str:
    """Return an axis label: meaning, symbol and unit."""
    unit = values.attrs.get("units", "1")
    meaning = values.attrs.get("long_name", str(values.name))
    words = meaning if symbol(values) == meaning else f"{meaning} {symbol(values)}"
    return words + ("" if unit == "1" else f" [{unit}]")


def symbol(values: xr.DataArray) -> str:
    """Return how a coordinate is written in a formula."""
    return values.attrs.get("symbol", str(values.name))


def meaning(attrs: Mapping[str, Any]) -> str:
    """Return what is drawn, from the attributes of a summary."""
    return attrs.get("long_name", str(attrs.get("value", "")))


def each(values: Sequence[Any]) -> list[str]:
    """Return values as text, numbers with six digits, or so many that no two read alike."""
    for digits in range(6, 18):
        texts = [_text(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def _text(value: Any, digits: int = 6) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if value % 1 == 0 and abs(value) < _WHOLE else f"{value:.{digits}g}"


def inches(ax: Axes) -> tuple[float, float]:
    """Return width and height of an axes, about what constrained layout will make of them."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def fold(figure: Figure, text: str | Sequence[str], inches: float, size: float = 10) -> str:
    """Return a text, or its pieces, on as few lines as are no wider than so many inches, all about as long."""
    pieces = _WORD.findall(text) if isinstance(text, str) else text
    widths = [_long(figure, f"{piece} ", size) for piece in pieces]
    full = _lines(pieces, widths, inches)
    mean = sum(widths) / len(full)
    tried = (_lines(pieces, widths, part / 100 * mean) for part in range(100, int(100 * inches / mean)))
    even = next((lines for lines in tried if len(lines) == len(full)), full)
    return "\n".join(" ".join(line) for line in even)


def _lines(pieces: Sequence[str], widths: Sequence[float], most: float) -> list[list[str]]:
    """Return the pieces on lines, each begun where the one before is full."""
    lines: list[list[str]] = [[]]
    filled = 0.0
    for piece, width in zip(pieces, widths, strict=True):
        if lines[-1] and filled + width > most:
            lines.append([])
            filled = 0.0
        lines[-1].append(piece)
        filled += width
    return lines


def _long(figure: Figure, text: str, size: float) -> float:
    """Return how many inches a text is long."""
    probe = figure.text(0, 0, text.replace(" ", "\N{NO-BREAK SPACE}"), size=size)
    width = probe.get_window_extent().width / figure.dpi
    probe.remove()
    return width


def settings(records: Iterable[Mapping[str, Any]], chosen: Mapping[str, xr.DataArray] | None = None) -> list[str]:
    """Return what is the same in all of a figure, "symbol = value" each.

    These are the fields of the point that no axis moves, without dials that are off, and the options in words that are
    not the default.

    Args:
        records: provenance of its sweeps; those that predict are left out beside others.
        chosen: scalar coordinates, such as of an axis of which one value was selected.
    """
    records = _simulated(records)
    chosen = chosen or {}
    points = [point for record in records for point in _points(record)]
    moved = {name for record in records for name in _moved(record)}
    point, static = (_ours(records[0].get(name)) for name in ("point_type", "static_type"))
    usual = getattr(point, "_field_defaults", {})
    found = {
        name: value
        for name, value in (points[0] if points else {}).items()
        if name not in moved and all(p.get(name) == value for p in points) and (value or usual.get(name) != 0)
    }
    found |= {name: values.item() for name, values in chosen.items()}
    symbols = {name: static.attributes(static, name).get("symbol", name) for name in found if static}
    symbols |= {name: symbol(values) for name, values in chosen.items()}
    return [f"{symbols.get(name, name)} = {_text(value)}" for name, value in found.items()] + _options(records, static)


def _simulated(records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    records = list(records)
    return [one for one in records if not one["function"].endswith(".predicted")] or records


def _points(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the base point, or the points of a plain list; none where the list was left to its script."""
    axes = record["axes"]
    return axes if isinstance(axes, list) else [] if isinstance(axes, str) else [record["point"]]


def _moved(record: Mapping[str, Any]) -> list[str]:
    """Return the fields on the axes."""
    axes = record["axes"]
    if isinstance(axes, str):
        return list(record["point"])
    return [] if isinstance(axes, list) else [name for names in axes for name in names.split(",")]


def _options(records: Sequence[Mapping[str, Any]], static: Any) -> list[str]:
    """Return the options in words, and those that are on, that all sweeps share and that are not the default."""
    usual = {one.name: one.default for one in dataclasses.fields(static)} if static else {}
    first, *others = (record.get("static") or {} for record in records)
    return [
        name if value is True else f"{name} = {value}"
        for name, value in first.items()
        if (isinstance(value, str) or value is True) and value != usual.get(name)
        if name not in _HOW and all(other.get(name) == value for other in others)
    ]


def _ours(name: str | None) -> Any:
    """Return a type of this package by its name, None for any other: nothing of others is imported for a figure."""
    if name is None or not name.startswith("pt_jax."):
        return None
    try:
        return pkgutil.resolve_name(name)
    except (ImportError, AttributeError):  # of another version
        return None


def common(*cells: xr.Dataset) -> list[str]:
    """Return the settings of summaries of one sweep and their seeds; nothing where they do not say where they are from.

    A cell that is not computed counts for nothing.
    """
    if "provenance" not in cells[0].attrs:
        return []
    scalars = {str(name): values for name, values in cells[0].coords.items() if values.ndim == 0}
    counts = [int(count) for one in cells for count in one["seeds"].values.flat if count]
    return settings([json.loads(cells[0].attrs["provenance"])], scalars) + (
        [_seeds(min(counts), max(counts))] if counts else []
    )


def _seeds(low: int, high: int) -> str:
    if low < high:
        return f"{low:,} to {high:,} seeds a cell"
    return f"{high:,} seed{'s' * (high != 1)} a cell"


def legend(figure: Figure, handles: Sequence[Any]) -> None:
    """Put a legend below all axes, in as many columns as fit."""
    for columns in range(len(handles), 0, -1):
        made = figure.legend(
            handles=handles,
            loc="lower center",
            ncols=columns,
            bbox_to_anchor=(0.5, 0),
            **SMALL,
        )
        made.set_gid(_LEGEND)
        if made.get_window_extent().width <= figure.bbox.width or columns == 1:
            break
        made.remove()
    _make_room(figure)


def note(figure: Figure, pieces: Sequence[str]) -> None:
    """Write what is fixed at the bottom of a figure with constrained layout."""
    if pieces and isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        listed = [f"{piece}," for piece in pieces[:-1]] + [pieces[-1]]
        text = fold(figure, listed, figure.get_figwidth() * _WIDE, _TINY)
        figure.text(0.5, 0, text, size=_TINY, color="0.35", ha="center", va="bottom", linespacing=1.3, gid=_SETTINGS)
        _make_room(figure)


def explain(figure: Figure, provenance: Mapping[str, Any]) -> None:
    """Wrap the title of a figure, and write below it what is fixed, unless that is there.

    Args:
        figure: with constrained layout; any other is left as it is.
        provenance: of its sweep, or of several by name.
    """
    texts = [text for text in figure.texts if text.get_gid() != _SETTINGS]
    for text in texts:
        text.set_text(fold(figure, text.get_text(), figure.get_figwidth() * _WIDE, float(text.get_fontsize())))
    parts = [provenance, *provenance.values()]
    records = [one for one in parts if isinstance(one, Mapping) and "function" in one]
    if len(texts) == len(figure.texts) and records:
        count = max(len(record["seeds"]) for record in _simulated(records))
        note(figure, [*settings(records), _seeds(count, count)])


def _make_room(figure: Figure) -> None:
    """Put settings and legend above each other at the bottom, and the axes above both."""
    engine = figure.get_layout_engine()
    if not isinstance(engine, ConstrainedLayoutEngine):
        return
    ours = {one.get_gid(): one for one in (*figure.texts, *figure.legends)}
    parts = [ours[gid] for gid in (_SETTINGS, _LEGEND) if gid in ours]
    heights = [part.get_window_extent().height / figure.dpi + _GAP for part in parts]
    before = engine.get()["rect"][1] * figure.get_figheight()
    whole = figure.get_figheight() - before + _GAP + sum(heights)
    figure.set_figheight(whole)
    below = _GAP
    for part, height in zip(parts, heights, strict=True):
        if isinstance(part, Legend):
            part.set_bbox_to_anchor((0.5, below / whole), figure.transFigure)
        elif isinstance(part, Text):
            part.set_y(below / whole)
        below += height
    engine.set(rect=(0, below / whole, 1, 1 - below / whole))
