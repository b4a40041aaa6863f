"""What an explorer page holds: a description of axes and results, and the statistics of their cells as bytes.

Everything is computed here, by `pt_jax.stats.summary`; the page computes no statistics.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.colors import to_hex

from pt_jax.report import panel, settings, words
from pt_jax.report.explorer import rerun
from pt_jax.report.explorer.linked import linked

STATES = ("not computed", "diverged", "unclear", "clear")  # of a cell, by their number in the page
_PAIR = ("error", "error_scratch")  # drawn together, in the colours of one range
_MOST = 2_000_000  # cells of all results together: a page of about 35 MB
_COLOURS = 11
_EXACT = 2**53  # up to here a browser has all whole numbers


def content(
    ds: xr.Dataset,
    values: Sequence[str] | None = None,
    lines: Mapping[str, xr.DataArray] | None = None,
    beside: Mapping[str, xr.Dataset] | None = None,
) -> tuple[dict[str, Any], bytes]:
    """Return what a page says about a dataset, ready for JSON, and its arrays one after the other.

    Of each cell there are the mean and half the width of its interval (float32, or float64 where a number is beyond its
    range; NaN where there is none), the number of its seeds (uint32) and its state (uint8, a place in `STATES`). The
    description has where each array starts, and `floats`, the kind of the first two.

    Args: as of `pt_jax.explore`.

    Raises:
        ValueError: as in `pt_jax.explore`.
    """
    values = [values] if isinstance(values, str) else values
    if beside is not None and (isinstance(beside, xr.Dataset) or not isinstance(beside, Mapping)):
        raise ValueError("beside is not accepted: use datasets by name, as {'old': other}.")
    cells = _summaries(ds, values)
    axes = {str(dim): one[dim] for one in cells.values() for dim in one["mean"].dims}
    if not axes:
        raise ValueError("There is no axis to draw over: this dataset has one cell, which pt-jax show prints.")
    said = [words.plain(text) for text in settings.common(*cells.values())]
    for label, other in (beside or {}).items():
        try:
            own = _summaries(other, [name for name in values or () if name in _known(other)] or values)
            theirs = {f"{name} in {label}": linked(label, one, axes) for name, one in own.items()}
            _check_levels([*cells.values(), *theirs.values()])
        except ValueError as error:
            raise ValueError(f"{label} cannot be shown beside: {error}") from None
        also = [words.plain(text) for text in settings.common(*theirs.values())]
        said += [f"{label}: {text}" for text in also if text not in said]
        axes = {str(dim): one[dim] for one in theirs.values() for dim in one["mean"].dims} | axes
        cells |= theirs
    _check_size(cells, sum(one["mean"].size for one in cells.values()))
    room = bytearray()
    results = [_result(name, one, room) for name, one in cells.items()]
    _colour_alike(results)
    about = {
        "title": ("Prediction: " if ds.attrs.get("predicted") else "Explorer: ") + ", ".join(axes),
        "settings": said,
        "predicted": bool(ds.attrs.get("predicted")),
        "level": panel.percent(next(iter(cells.values()))),
        "states": STATES,
        "pair": [one["name"] for one in results if one["name"] in _PAIR],
        "axes": {name: _axis(name, values) for name, values in axes.items()},
        "results": results,
        "lines": [_line(name, values, cells, room) for name, values in (lines or {}).items()],
        "rerun": rerun.templates(ds),
    }
    return about, bytes(room)


def _summaries(ds: xr.Dataset, values: Sequence[str] | None) -> dict[str, xr.Dataset]:
    """Return the summaries of the results that are shown, by name."""
    return {name: _in_order(panel.summarised(ds, name)) for name in _results(ds, values)}


def _check_levels(cells: Sequence[xr.Dataset]) -> None:
    """Raise ValueError where the intervals of summaries have several levels: the page says one."""
    levels = sorted({panel.percent(one) for one in cells})
    if len(levels) > 1:
        raise ValueError(f"there are {' and '.join(levels)} intervals; use one level.")


def _check_size(names: Collection[str], count: int) -> None:
    """Raise ValueError where the results have too many cells."""
    if count > _MOST:
        raise ValueError(
            f"{len(names)} results with {count:,} cells together are not accepted: name some, with {_MOST:,} at most."
        )


def _colour_alike(results: Sequence[dict[str, Any]]) -> None:
    """Give one range of colours to results of one kind: to both errors, and to those of one name in all datasets."""
    for kind in {_kind(one) for one in results}:
        alike = [one for one in results if _kind(one) == kind]
        ends = [end for one in alike for end in one["limits"]]
        for one in alike:
            one["limits"] = [min(ends), max(ends)]


def _kind(result: Mapping[str, Any]) -> str:
    name = result["name"].partition(" in ")[0]
    return _PAIR[0] if name in _PAIR else name


def _put(room: bytearray, values: np.ndarray, kind: str) -> int:
    """Add an array of little-endian numbers of a kind, at a multiple of eight, and return where it starts."""
    start = len(room)
    room += values.astype(f"<{kind}").tobytes()
    room += bytes(-len(room) % 8)
    return start


def _floats(*arrays: np.ndarray) -> str:
    """Return the kind that holds these numbers: float32, or float64 where one is beyond the range of that."""
    sizes = np.abs(np.concatenate([one.ravel() for one in arrays]))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    least, most = np.finfo("f4").tiny, np.finfo("f4").max
    return "f4" if ((least <= sizes) & (sizes <= most)).all() else "f8"


def _known(ds: Any) -> list[str]:
    """Return the names of the results in a dataset; a summary may have one."""
    if not isinstance(ds, xr.Dataset):
        raise ValueError(f"{type(ds).__name__} is not accepted: use a dataset, the result of a sweep or its summary.")
    if "clear" in ds:
        return [str(name) for name in ds["result"].values] if panel.several(ds) else [ds.attrs["value"]]
    if not ds.sizes.get("seed"):
        raise ValueError("This dataset has no dimension 'seed' or no seeds: use the result of a sweep, or its summary.")
    return [str(name) for name in ds.data_vars if name not in ("done", "diverged") and "seed" in ds[name].dims]


def _results(ds: xr.Dataset, values: Sequence[str] | None) -> list[str]:
    """Return the names of the results that are shown, the gain first."""
    known = _known(ds)
    for name in values or ():
        if name not in known:
            raise ValueError(f"{name!r} is not a result of this dataset: use some of {', '.join(known)}.")
    chosen = sorted(dict.fromkeys(values or known), key=lambda name: name != "gain")
    if not chosen:
        raise ValueError("This dataset has no result to show.")
    if "clear" not in ds:
        _check_size(chosen, sum(ds[name].size // ds.sizes["seed"] for name in chosen))
    return chosen


def _in_order(cells: xr.Dataset) -> xr.Dataset:
    """Return the cells in increasing order along axes of numbers, which are finite; labels keep theirs."""
    numbers = [str(dim) for dim in cells["mean"].dims if dim in cells.coords and _is_number(cells[dim])]
    if empty := [name for name, size in cells["mean"].sizes.items() if size == 0]:
        raise ValueError(f"This dataset has no cells along {empty[0]}: select at least one value.")
    for name in numbers:
        lost = cells[name].values[~np.isfinite(cells[name].values)]
        if lost.size:
            raise ValueError(f"{name} = {lost[0]} is not accepted on an axis: select the cells with finite values.")
    return cells.sortby(numbers)


def _is_number(values: xr.DataArray) -> bool:
    return values.dtype.kind in "iuf"


def _axis(name: str, values: xr.DataArray) -> dict[str, Any]:
    """Return an axis: its values in words, where they lie on it, and the fields that vary along it."""
    number = _is_number(values)
    at = values.values if number else np.arange(values.size)
    beside = [str(key) for key, one in values.coords.items() if one.dims == (name,) and key != name]
    return {
        "label": words.plain(words.label(values)),
        "texts": words.each(values.values.tolist()) if number else [str(value) for value in values.values],
        "number": number,
        "log": panel.logarithmic(at),
        "at": at.tolist(),
        "edges": panel.edges(at).tolist(),
        "fields": {key: _json(values[key]) for key in ([name] if name in values.coords else []) + beside},
    }


def _json(values: xr.DataArray) -> list[Any]:
    """Return values as JSON and a browser have them: null for what is not finite, a text for what they have not."""

    def known(one: Any) -> Any:
        if isinstance(one, float):
            return one if math.isfinite(one) else None
        return one if isinstance(one, str | None) or (isinstance(one, int) and abs(one) <= _EXACT) else str(one)

    return [known(one) for one in values.values.tolist()]


def _result(name: str, cells: xr.Dataset, room: bytearray) -> dict[str, Any]:
    """Return a result, its colours and where its arrays are, which it puts into the room."""
    look = panel.look(cells)
    low, high = look["norm"].vmin, look["norm"].vmax
    low, high = (low, high) if low < high else (low - 1, low + 1) if low == high else (-1.0, 1.0)  # NaN: no mean
    map_ = colormaps[look["cmap"]]
    mean = cells["mean"].values
    half = cells["high"].values - mean
    floats = _floats(mean, half)
    return {
        "name": name,
        "label": words.plain(words.meaning(cells.attrs)),
        "axes": [str(dim) for dim in cells["mean"].dims],
        "signed": panel.signed(look),
        "limits": [float(low), float(high)],
        "colours": [to_hex(map_(i / (_COLOURS - 1))) for i in range(_COLOURS)],
        "floats": floats,
        "mean": _put(room, mean, floats),
        "half": _put(room, half, floats),
        "seeds": _put(room, cells["seeds"].values, "u4"),
        "state": _put(room, _states(cells), "u1"),
    }


def _states(cells: xr.Dataset) -> np.ndarray:
    """Return the state of each cell, a place in `STATES`; what is predicted is clear."""
    masks = [panel.missing(cells), cells["diverged"], panel.unclear(cells)]
    if cells.attrs.get("predicted"):
        masks[-1] &= False
    return np.select([mask.values for mask in masks], range(len(masks)), len(masks))


def _line(name: str, values: xr.DataArray, cells: Mapping[str, xr.Dataset], room: bytearray) -> dict[str, Any]:
    """Return what the zero line of is drawn over maps of the gain, on the same cells."""
    gain = cells.get("gain")
    if gain is None or set(values.dims) != set(gain["mean"].dims):
        raise ValueError(f"The line {name!r} needs a gain with the same axes: {', '.join(map(str, values.dims))}.")
    on = values.reindex_like(gain["mean"]).transpose(*gain["mean"].dims)
    floats = _floats(on.values)
    axes = [str(dim) for dim in on.dims]
    return {"name": name, "axes": axes, "floats": floats, "mean": _put(room, on.values, floats)}
