"""Records of sweeps: read from a file that anybody may have written, checked, and made into sweeps again.

A record is what `provenance.describe` writes down, or a part of it written by hand; only `axes` must be there. It may
name only what pt_jax has in that role, or what is in a module that the user allows. Nothing else is imported, and
nothing is called but the named point and static, with plain values.
"""

import dataclasses
import importlib
import inspect
import json
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from reprlib import Repr
from typing import Any

from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.provenance import describe, machine

_MOST_BYTES = 2**23  # of a file: a million seeds, one by one
_MOST_DOTS = 100  # in a name of a TOML, which takes a time that grows with their square
_MOST_SEEDS = 2**24
_PART = re.compile(r"\w[\w .,=+-]{0,99}")  # a name of one folder, and never of another one
_ADDED = ("start", "end", "seconds", "finding", "value", "at")  # to the description, by who writes the file
_ROLES = {
    "function": "a function of (key, point, static, data)",
    "point_type": "a NamedTuple of numbers",
    "static_type": "a dataclass of options",
}
_DEFAULTS = {
    "function": "pt_jax.signal_noise.trajectory.simulate",
    "point_type": "pt_jax.signal_noise.point.Point",
    "static_type": "pt_jax.signal_noise.point.Static",
}
_SHORT = Repr()
_SHORT.maxstring = 100


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the records of a JSON or TOML by the name of the part, "" where there is only one.

    At most 8 MiB are read; parsing takes less than 1 GB.

    Raises:
        ValueError: it is not a record, or the name of a part is not the name of a folder.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(_MOST_BYTES + 1)
    try:
        if len(raw) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        found = _toml(raw.decode()) if path.suffix == ".toml" else json.loads(raw, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError(f"{path} is not accepted: it is nested too deeply.") from None
    except ValueError as error:
        raise ValueError(f"{path} is not accepted: {error}; use the JSON beside a figure, or a TOML.") from None
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{path} is not accepted: it holds no fields.")
    if "axes" in found or not all(isinstance(part, dict) for part in found.values()):
        return {"": found}
    for name in found:
        if not _PART.fullmatch(name):
            raise ValueError(f"The part {_SHORT.repr(name)} is not accepted: use letters, digits, spaces and .,=+-_")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of a JSON, in which a name may stand once, as in TOML."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"it names {_SHORT.repr(name)} twice")
        found[name] = value
    return found


def _toml(text: str) -> dict[str, Any]:
    if max(part.count(".") for part in re.split(r"[,\n\[\]=]", text)) > _MOST_DOTS:
        raise ValueError(f"a name has more than {_MOST_DOTS} parts")
    return tomllib.loads(text)


def restore(record: Mapping[str, Any], allow: Collection[str] = (), derived: Mapping[str, Any] | None = None) -> Sweep:
    """Return the sweep that `describe` wrote down, or that was written by hand.

    Args:
        record: its description.
        allow: modules, beside pt_jax, from which it may name function, point and static.
        derived: quantities for display that it may name, as in a `Sweep`.

    Raises:
        ValueError: a field is unknown or not of its kind, a name is not allowed, or the sweep cannot be had from its
            description.
    """
    if record.get("data") is not None:
        raise ValueError("data is not accepted: it is not in the description; run the function from Python.")
    given = {name: _checked(name, record[name]) for name in _KINDS if name in record}
    point_type = _find("point_type", given, allow)
    static: Any = None
    if given.get("static_type") or "point_type" not in given:
        static = _call("static", _find("static_type", given, allow), given.get("static") or {})
    elif (given.get("static") or {}).get("value") is not None:
        raise ValueError(f"static = {_SHORT.repr(given['static'])} is not accepted: run the function from Python.")
    axes = given.get("axes")
    if axes is None:
        raise ValueError("axes = None is not accepted: use name: values.")
    how = {name: given[name] for name in ("seeds", "outputs", "lanes", "dims", "labels") if name in given}
    known = derived or {}
    for name in given.get("derived", ()):
        if name not in known:
            raise ValueError(f"derived = {_SHORT.repr(name)} is not accepted: use some of {', '.join(known)}, or none.")
    try:
        sweep = Sweep(
            _find("function", given, allow),
            _call("point", point_type, given.get("point", {})),
            [_call("axes", point_type, each) for each in axes] if isinstance(axes, list) else axes,
            static=static,
            derived={name: known[name] for name in given.get("derived", ())},
            **how,
        )
        written = {*describe(sweep), *machine(), *_ADDED}
    except ValueError:
        raise
    except Exception as error:  # of a check, or of a function of another world, that did not expect such values
        raise ValueError(f"This sweep is not accepted: {_first_line(error)}.") from None
    for name in record:
        if name not in written:
            raise ValueError(f"{_named(name, record[name])} is not accepted: use {', '.join(_KINDS)}.")
    return sweep


def traced(sweep: Sweep) -> list[str]:
    """Return the names of the results of a sweep from a file, after tracing its function.

    Raises:
        ValueError: the function cannot be traced at this point and static.
    """
    try:
        sweep.coordinates()
        results = sweep.results(sweep.static)
        for name, kind in results.items():
            sweep.own_dims(name, len(kind.shape))
        return list(results)
    except ValueError:
        raise
    except Exception as error:  # whatever a function of another world says to these arguments
        raise ValueError(f"This sweep is not accepted, its function cannot be run: {_first_line(error)}.") from None


def _find(role: str, given: Mapping[str, Any], allow: Collection[str]) -> Any:
    """Return what stands under a name, where it has that role in pt_jax or in a module that is allowed."""
    name = given.get(role) or _DEFAULTS[role]
    module, _, attribute = name.rpartition(".")
    if not _within(module, allow) or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(
            f"{_named(role, name)} is not accepted: use what pt_jax has, or allow its module with --allow MODULE."
        )
    try:
        thing = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, RecursionError, SyntaxError):
        raise ValueError(f"{_named(role, name)} is not accepted: it cannot be imported.") from None
    # What a module has only imported is not its own: pt_jax.app.cli.sys is no part of pt_jax.
    home = getattr(thing, "__module__", None)
    if not isinstance(home, str) or not _within(home, allow) or not _has(role, thing, _within(home, ())):
        raise ValueError(f"{_named(role, name)} is not accepted: use {_ROLES[role]}.")
    return thing


def _within(module: str, allow: Collection[str]) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in ("pt_jax", *allow))


def _has(role: str, thing: Any, own: bool) -> bool:
    """Return whether a thing has a role; of the package's own things, only what is offered for it."""
    if role == "point_type":
        return isinstance(thing, type) and issubclass(thing, tuple) and hasattr(thing, "_fields")
    if role == "static_type":
        return isinstance(thing, type) and dataclasses.is_dataclass(thing) and (hasattr(thing, "validate") or not own)
    try:
        signature = inspect.signature(thing)
        signature.bind(*range(4))
    except (TypeError, ValueError):
        return False
    names = list(signature.parameters)[:4]
    return not isinstance(thing, type) and (names == ["key", "point", "static", "data"] or not own)


def _call(role: str, kind: Any, fields: Mapping[str, Any]) -> Any:
    """Return a record made of its fields; lists become tuples, so that it stays hashable."""
    try:
        return kind(**{name: _tuple(value) for name, value in fields.items()})
    except ValueError:
        raise
    except Exception:  # of a check that did not expect such a value
        raise ValueError(f"{_named(role, dict(fields))} is not accepted: use fields of {kind.__name__}.") from None


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def _checked(name: str, value: Any) -> Any:
    """Return the value of a field, where it is of its kind."""
    holds, words = _KINDS[name]
    try:
        if holds(value):
            return value
    except RecursionError:
        pass
    raise ValueError(f"{_named(name, value)} is not accepted: use {words}.")


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value)
    )


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_plain(value: Any) -> bool:
    """Whether a value may be an option; <name> stands for a function that was not written down."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool) or _is_number(value) or _is_text(value)


def _is_label(value: Any) -> bool:
    return not isinstance(value, list) and _is_plain(value)


def _is_text(value: Any) -> bool:
    """Whether a value is a text that any file and terminal can hold."""
    return isinstance(value, str) and value.isprintable() and not value.startswith("<")


def _is_list(value: Any, holds: Any) -> bool:
    return isinstance(value, list) and all(map(holds, value))


def _is_map(value: Any, holds: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value)) and all(map(holds, value.values()))


def _are_values(value: Any) -> bool:
    return _is_list(value, lambda each: _is_number(each) or _is_list(each, _is_number))


def _are_axes(value: Any) -> bool:
    return _is_map(value, _are_values) or _is_list(value, lambda point: _is_map(point, _is_number))


def _are_seeds(value: Any) -> bool:
    whole = _is_whole(value, 1, _MOST_SEEDS)
    return whole or (_is_list(value, lambda seed: _is_whole(seed, 0, 2**31 - 1)) and len(value) <= _MOST_SEEDS)


# What describes a sweep: which values are of the kind, and in words.
_KINDS: dict[str, tuple[Any, str]] = {
    "function": (_is_text, _ROLES["function"]),
    "point_type": (_is_text, _ROLES["point_type"]),
    "point": (lambda x: _is_map(x, _is_number), "name: number"),
    "static_type": (lambda x: x is None or _is_text(x), _ROLES["static_type"]),
    "static": (lambda x: x is None or _is_map(x, _is_plain), "name: plain value; a function cannot be read back"),
    "axes": (_are_axes, "name: values, all finite numbers, or a list of points"),
    "seeds": (_are_seeds, f"a whole number of at most {_MOST_SEEDS:,}, or a list of seeds"),
    "outputs": (lambda x: x is None or _is_list(x, _is_text), "a list of names"),
    "lanes": (lambda x: x is None or _is_whole(x, 1, 2**24), "a whole number of at least 1"),
    "dims": (lambda x: _is_map(x, lambda own: _is_list(own, _is_text)), "name: list of names"),
    "labels": (lambda x: _is_map(x, lambda own: _is_list(own, _is_label)), "name: list of numbers or texts"),
    "derived": (lambda x: _is_list(x, _is_text), "a list of names"),
}


def _named(name: str, value: Any) -> str:
    """Return name and value in a few words that no terminal takes for commands."""
    return f"{name if name.isidentifier() else _SHORT.repr(name)} = {_SHORT.repr(value)}"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]
