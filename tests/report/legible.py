"""Whether the texts of a figure can be read: all on the canvas, none over another."""

from itertools import combinations

from matplotlib.axis import Axis
from matplotlib.text import Text


def troubles(figure):
    """What is wrong with the texts of a figure as it would be saved, a line each."""
    figure.draw_without_rendering()  # lays it out
    canvas, unseen, boxes = figure.bbox.padded(1), hidden(figure), {}
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and text not in unseen:
            boxes[text] = text.get_window_extent()
    found = [f"cut: {text.get_text()!r}" for text, box in boxes.items() if not inside(box, canvas)]
    # Words on one line have a space between them; a pixel at their edges is white.
    apart = {a: box.padded(*((-1, 3) if a.get_rotation() == 90 else (3, -1))) for a, box in boxes.items()}
    for (a, one), (b, other) in combinations(apart.items(), 2):
        if one.overlaps(other):
            found.append(f"one over the other: {a.get_text()!r}, {b.get_text()!r}")
    return found


def hidden(figure):
    """The texts of axes that are switched off, and of ticks beyond the ends of their axis."""
    found = {
        text for ax in figure.axes if not ax.axison for axis in (ax.xaxis, ax.yaxis) for text in axis.findobj(Text)
    }
    for axis in figure.findobj(Axis):
        along = axis.get_transform().transform
        low, high = sorted(along(axis.get_view_interval()))
        margin = 1e-9 * (high - low)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low - margin <= along(tick.get_loc()) <= high + margin:
                found |= set(tick.findobj(Text))
    return found


def inside(box, canvas):
    return canvas.x0 <= box.x0 and canvas.y0 <= box.y0 and box.x1 <= canvas.x1 and box.y1 <= canvas.y1
