"""What is fixed in all of a figure: the settings that its sweeps have in common, and the number of seeds."""

import dataclasses
import json
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from pt_jax.report import words

_HOW = ("fixed", "conv")  # options of how, not what, is computed
_PARTS = {"function": str, "point": dict, "axes": dict | list | str, "seeds": list}
_PARTS |= {"point_type": str | None, "static_type": str | None, "static": dict | None}


def explain(figure: Figure, provenance: Mapping[str, Any]) -> None:
    """Fold the title of a figure, and write below it what is fixed, unless it has a note.

    Args:
        figure: with constrained layout; without, it gets no note.
        provenance: of its sweep, or of several by name.
    """
    words.title(figure)
    parts = [provenance, *provenance.values()]
    records = [one for one in parts if isinstance(one, Mapping) and "function" in one]
    if records and not words.has_note(figure):
        count = max(len(record["seeds"]) for record in _simulated(records))
        words.note(figure, [*settings(records), _seeds(count, count)])


def origin(ds: xr.Dataset) -> dict[str, Any]:
    """Return the provenance of a dataset; nothing where it has none, or one that no sweep has written.

    Types and options that it does not name are None.
    """
    try:
        found = json.loads(ds.attrs["provenance"])
    except (KeyError, TypeError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(isinstance(found.get(key), kind) for key, kind in _PARTS.items())
    return dict.fromkeys(_PARTS) | found if whole else {}


def common(*cells: xr.Dataset) -> list[str]:
    """Return the settings of summaries of one sweep and their seeds; nothing where they do not say where they are from.

    A cell that is not computed counts for nothing.
    """
    if not (record := origin(cells[0])):
        return []
    chosen = {
        str(name): values
        for name, values in cells[0].coords.items()
        if values.ndim == 0 and name not in record.get("derived", ())
    }
    counts = [int(count) for one in cells for count in one["seeds"].values.flat if count]
    return settings([record], chosen) + ([_seeds(min(counts), max(counts))] if counts else [])


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
    point, static = (known(records[0].get(name)) for name in ("point_type", "static_type"))
    usual = getattr(point, "_field_defaults", {})
    off = {name: value for name, value in usual.items() if value == 0 or name in getattr(static, "rare", ())}
    found = {
        name: value
        for name, value in (points[0] if points else {}).items()
        if name not in moved and all(p.get(name) == value for p in points) and (name not in off or value != off[name])
    }
    found |= {name: values.item() for name, values in chosen.items()}
    symbols = {
        name: static.attributes(static, name).get("symbol", name) for name in found if hasattr(static, "attributes")
    }
    symbols |= {name: words.symbol(values) for name, values in chosen.items()}
    return [f"{symbols.get(name, name)} = {words.text(value)}" for name, value in found.items()] + _options(
        records, static
    )


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
    usual = {one.name: one.default for one in dataclasses.fields(static)} if dataclasses.is_dataclass(static) else {}
    first, *others = (record.get("static") or {} for record in records)
    return [
        name if value is True else f"{name} = {value}"
        for name, value in first.items()
        if (isinstance(value, str) or value is True) and value != usual.get(name)
        if name not in _HOW and all(other.get(name) == value for other in others)
    ]


def known(name: str | None) -> Any:
    """Return a type of this package by its name, None for any other: nothing of others is imported for a figure."""
    if name is None or not name.startswith("pt_jax."):
        return None
    try:
        found = pkgutil.resolve_name(name)
        return found if isinstance(found, type) else None
    except (ImportError, AttributeError, ValueError):  # of another version
        return None


def _seeds(low: int, high: int) -> str:
    if low < high:
        return f"{low:,} to {high:,} seeds a cell"
    return f"{high:,} seed{'s' * (high != 1)} a cell"
