"""What a figure says beside its data: labels, title, legend and a note, none cut and none over another.

Legend and note stand below the axes, where they hide nothing. Room is made for them at the bottom of a figure with
constrained layout, which grows by as much.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.text import Text

SMALL: dict[str, Any] = {"fontsize": 7.5, "frameon": False, "borderpad": 0, "borderaxespad": 0.2, "handleheight": 1.2}
_TINY = 6.5  # font size of the note
_WIDE = 0.96  # of the width of a figure, for its title and note
_GAP = 0.04  # inches between what stands below each other
_WHOLE = 1e9  # up to here whole numbers are written out
_LEGEND, _NOTE = "legend", "note"
_LETTERS = {"angle": "\N{ANGLE}", "lambda": "\N{GREEK SMALL LETTER LAMDA}"}
_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
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


def plain(text: str) -> str:
    """Return a text with its formulas in Unicode, for where LaTeX is not typeset."""
    return re.sub(r"\$([^$]*)\$", lambda found: _unicode(found[1]), text)


def _unicode(formula: str) -> str:
    """Return a formula of names, Greek letters and subscripts without its backslashes and braces."""
    letters = re.sub(r"\\([a-z]+)", lambda found: _LETTERS.get(found[1]) or _greek(found[1]), formula)
    lowered = re.sub(r"_(\d)", lambda found: found[1].translate(_LOW), letters)
    return re.sub(r"[\\{}]", "", lowered)


def _greek(name: str) -> str:
    try:
        return unicodedata.lookup(f"GREEK SMALL LETTER {name}")
    except KeyError:
        return name


def meaning(attrs: Mapping[str, Any]) -> str:
    """Return what is drawn, from the attributes of a summary."""
    return attrs.get("long_name", str(attrs.get("value", "")))


def each(values: Sequence[Any]) -> list[str]:
    """Return values as text, numbers with six digits, or so many that no two read alike."""
    for digits in range(6, 18):
        texts = [text(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return [str(value) for value in values]  # whole numbers that no float holds


def text(value: Any, digits: int = 6) -> str:
    """Return a value as text, whole numbers in full."""
    if isinstance(value, str):
        return value
    return f"{value + 0:.0f}" if value % 1 == 0 and abs(value) < _WHOLE else f"{value:.{digits}g}"  # + 0: no -0


def inches(ax: Axes) -> tuple[float, float]:
    """Return width and height of an axes, about what constrained layout will make of them."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def fold(figure: Figure, text: str | Sequence[str], inches: float, size: float = 10) -> str:
    """Return a text, or its pieces, on as few lines as are no wider than so many inches, all about as long."""
    pieces = _WORD.findall(text) if isinstance(text, str) else text
    if not pieces:
        return ""
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


def title(figure: Figure) -> None:
    """Fold the title of a figure to its width."""
    for text in figure.texts:
        if text.get_text() == figure.get_suptitle():
            text.set_text(fold(figure, text.get_text(), figure.get_figwidth() * _WIDE, float(text.get_fontsize())))


def has_note(figure: Figure) -> bool:
    """Return whether a figure has its note."""
    return any(text.get_gid() == _NOTE for text in figure.texts)


def note(figure: Figure, pieces: Sequence[str]) -> None:
    """Write pieces of text in a line, or several, at the bottom of a figure with constrained layout."""
    if pieces and isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        listed = [f"{piece}," for piece in pieces[:-1]] + [pieces[-1]]
        lines = fold(figure, listed, figure.get_figwidth() * _WIDE, _TINY)
        figure.text(0.5, 0, lines, size=_TINY, color="0.35", ha="center", va="bottom", linespacing=1.3, gid=_NOTE)
        _make_room(figure)


def _make_room(figure: Figure) -> None:
    """Put note and legend above each other at the bottom, and the axes above both."""
    engine = figure.get_layout_engine()
    if not isinstance(engine, ConstrainedLayoutEngine):
        return
    ours = {one.get_gid(): one for one in (*figure.texts, *figure.legends)}
    parts = [ours[gid] for gid in (_NOTE, _LEGEND) if gid in ours]
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
