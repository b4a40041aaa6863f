"""The lines that compute one cell again, with the names of fields in braces where the cell has its values."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import xarray as xr

from pt_jax.report import settings

_SIMULATE = "pt_jax.signal_noise.trajectory.simulate"  # what `pt-jax map` runs
_TOP = {"simulate", "scratch", "Point", "Static"}  # names that pt_jax itself has


def templates(ds: xr.Dataset) -> dict[str, str]:
    """Return the lines of Python, and the command where there is one, by what they are.

    `{u}` stands for the field u of a cell, `{result}` for the name of a result. Nothing where the dataset does not say
    where it comes from.
    """
    record = settings.origin(ds)
    if not record.get("point_type"):
        return {}
    cut = {name: ds[name].item() for name in record["point"] if name in ds.coords and ds[name].ndim == 0}
    record |= {"point": record["point"] | cut, "moved": [name for name in _moved(record["axes"]) if name not in cut]}
    found = {"python": _python(record)}
    static = _options(record, record["static"] or {})
    plain = not any(isinstance(value, str) and value.startswith("<") for value in static.values())
    if record["function"] == _SIMULATE and plain and _seeds(record).isdigit():
        found["command"] = _command(record, static)
    return found


def _command(record: Mapping[str, Any], static: Mapping[str, Any]) -> str:
    """Return the command for one cell: a map with a single value on its axis."""
    (name, value), *rest = _fields(record).items()
    parts = [f"pt-jax map --x {name}={value}"]
    parts += [f"--{field.replace('_', '-')} {value}" for field, value in rest]
    for option, value in static.items():
        flag = f"--{option.replace('_', '-')}"
        listed = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        parts.append(flag if value is True else f"{flag} {listed}")
    return " ".join([*parts, f"--seeds {_seeds(record)} --value {{result}} --out results/cell"])


def _python(record: Mapping[str, Any]) -> str:
    """Return the lines of Python for one cell: a sweep over a single point."""
    function, point, static = (record[name] for name in ("function", "point_type", "static_type"))
    ours = {name: _name(name) for name in (function, point, static) if name}
    at = ", ".join(f"{field}={value}" for field, value in _fields(record).items())
    given = [ours[function], f"{ours[point]}()", f"[{ours[point]}({at})]"]
    given += [f"seeds={_seeds(record)}", 'outputs=["{result}"]']
    options = ", ".join(f"{name}={value!r}" for name, value in _options(record, record["static"] or {}).items())
    if static and options:
        given.append(f"static={ours[static]}({options})")
    given += [f"{name}={record[name]}" for name in ("dims", "labels") if record.get(name)]
    given += ["data=data"] if record.get("data") else []
    lines = ["import pt_jax", *sorted({line for name in ours if (line := _import(name))})]
    lines += ["# data: the data of the sweep"] if record.get("data") else []
    lines += ["", "sweep = pt_jax.Sweep(", *(f"    {part}," for part in given), ")"]
    return "\n".join([*lines, "ds = pt_jax.run(sweep)", 'print(pt_jax.stats.summary(ds, "{result}"))'])


def _fields(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of the point of a cell: a place for what an axis moves, else the value if not the default."""
    moved = record["moved"]
    usual = getattr(settings.known(record["point_type"]), "_field_defaults", {})
    fixed = {
        name: repr(x).removesuffix(".0")
        for name, x in record["point"].items()
        if name not in moved and usual.get(name) != x
    }
    return {name: f"{{{name}}}" for name in moved} | fixed


def _moved(axes: Mapping[str, Any] | list[Mapping[str, Any]]) -> list[str]:
    """Return the fields on the axes of a record."""
    return list(axes[0]) if isinstance(axes, list) else [name for names in axes for name in names.split(",")]


def _options(record: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are not the default, without the maxima that a sweep chooses from its points."""
    static = settings.known(record["static_type"])
    usual = {one.name: one.default for one in dataclasses.fields(static)} if dataclasses.is_dataclass(static) else {}
    usual = {name: list(value) if isinstance(value, tuple) else value for name, value in usual.items()}
    chosen = {*getattr(static, "maxima", ()), "rules", "paired", "fixed"} if static else set()
    return {name: x for name, x in given.items() if name not in chosen and (name not in usual or usual[name] != x)}


def _seeds(record: Mapping[str, Any]) -> str:
    seeds = record["seeds"]
    return str(len(seeds)) if seeds == list(range(len(seeds))) else str(seeds)


def _name(full: str) -> str:
    """Return the name under which the lines use a function or a type."""
    _, _, name = full.rpartition(".")
    return f"pt_jax.{name}" if _is_top(full) else name


def _is_top(full: str) -> bool:
    return full.startswith("pt_jax.signal_noise.") and full.rpartition(".")[2] in _TOP


def _import(full: str) -> str:
    """Return the line that imports a function or a type, "" where pt_jax has it."""
    module, _, name = full.rpartition(".")
    if module == "__main__" or "<locals>" in module:
        return f"# {name}: from your script"
    return "" if _is_top(full) else f"from {module} import {name}"
