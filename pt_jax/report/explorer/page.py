"""An explorer of the maps of a dataset: one HTML file that is opened by a double click and asks no network.

plotly draws it. Of the libraries that come with their script on PyPI, bokeh's is smaller (0.45 MB compressed with its
widgets; plotly's 1.47 MB), but it finds no contour in the browser: the zero line of every slice over every two axes
would have to be in the page. plotly draws contours, hatches and SVG. Neither can be read aloud or used by keyboard: so
the page has a description of each figure, and a slider for each axis.
"""

import base64
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import xarray as xr

from pt_jax.report.explorer import data
from pt_jax.report.plot import whole

_SCRIPTS = ("numbers.js", "figures.js", "controls.js", "page.js")


def explore(
    ds: xr.Dataset,
    path: str | Path,
    values: Sequence[str] | None = None,
    lines: Mapping[str, xr.DataArray] | None = None,
    beside: Mapping[str, xr.Dataset] | None = None,
) -> Path:
    """Write a page on which the maps of a dataset are explored in a browser: one file, without a network.

    It shows any result over any two axes, with sliders for all; with one axis, curves. Colours, hatches and zero lines
    are those of `pt_jax.plot`. The numbers are the means, intervals and clear cells of `pt_jax.stats.summary`.

    Args:
        ds: result of a sweep, with the dimension `seed`; or the `summary` of a single result.
        path: of the file, `explore.html`; `~` is expanded, its folder must exist.
        values: names of the results; all by default.
        lines: by name what else to draw the zero line of over maps of the gain, without seeds, on the same dimensions.
        beside: by name other datasets, whose results can be shown beside those of the first: `{"wide": other}` adds
            "gain in wide". They are linked along axes of one name, at the nearest values.

    Returns:
        The path of the file.

    Raises:
        ValueError: the dataset has no seeds, no axis or no such result, a line has other axes, another dataset has none
            of the axes, the results have more than 2,000,000 cells, or the path is not that of a file in a folder.
        ImportError: plotly is not installed.
    """
    try:
        file = Path(path).expanduser()
        good = file.is_file() or (file.parent.is_dir() and not file.exists())
    except (TypeError, RuntimeError, ValueError, OSError):  # no path, no such user, a null byte, a name too long
        good = False
    if not good:
        raise ValueError(f"path = {path} is not accepted: use the path of a file in a folder that is there.")
    text = page(ds, values, lines, beside)
    with whole(file) as part:
        part.write_text(text, encoding="utf-8")
    return file


def page(
    ds: xr.Dataset,
    values: Sequence[str] | None = None,
    lines: Mapping[str, xr.DataArray] | None = None,
    beside: Mapping[str, xr.Dataset] | None = None,
    served: Mapping[str, Any] | None = None,
) -> str:
    """Return the text of the page; arguments and errors are those of `explore`.

    In `served` is what the server of the page adds: `theory`, which says what other maps the page may ask it for;
    `note`, how far the numbers are; `back`, the address of the prediction of this map.
    """
    about, numbers = data.content(ds, values, lines, beside)
    about |= served or {}
    asks = "theory" in about
    scripts = (*_SCRIPTS[:-1], "theory.js", _SCRIPTS[-1]) if asks else _SCRIPTS
    parts = {
        "asks": " connect-src 'self';" if asks else "",
        "style": _file("page.css"),
        "about": json.dumps(about, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "numbers": _packed(numbers),
        "library": _packed(_library().encode()),
        "script": "\n".join(map(_file, scripts)),
    }
    # In one pass: a text of the dataset may look like a marker.
    return re.sub(r"\[\[(\w+)\]\]", lambda marker: parts[marker[1]], _file("page.html"))


def content(ds: xr.Dataset) -> tuple[dict[str, Any], str]:
    """Return what a page that shows another dataset takes its place with: the description, and the packed numbers."""
    about, numbers = data.content(ds)
    return about, _packed(numbers)


def _library() -> str:
    """Return the script of plotly."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ImportError("The explorer needs plotly: pip install 'pt_jax[explore]'.") from None
    return get_plotlyjs()


def _packed(raw: bytes) -> str:
    """Return bytes as a browser unpacks them: zlib, then base64."""
    return base64.b64encode(zlib.compress(raw, 9)).decode()


def _file(name: str) -> str:
    return resources.files("pt_jax.report.explorer").joinpath(name).read_text(encoding="utf-8")
