"""What a sweep accepts: each of its parts, checked and returned in the one form that the engine knows.

All of it raises ValueError before any work, with what was given and what to use instead.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pt_jax.sweep.devices import check_memory

OWN_NAMES = ("seed", "done", "check")  # what every dataset has beside its axes and results


@dataclasses.dataclass(frozen=True, eq=False)
class Axis:
    """One dimension of the grid: `fields` of the point that move together, `values` (k, fields)."""

    name: str
    fields: tuple[str, ...]
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)


def axis(names: Any, values: Any) -> Axis:
    """Return the axis of some fields, "a" or "a,b", and their values, (k,) or (k, fields)."""
    if not isinstance(names, str):
        raise ValueError(f"The axis {names!r} is not accepted: use the name of a field.")
    fields = tuple(name.strip() for name in names.split(","))
    if np.ma.is_masked(values):
        raise ValueError(f"The axis {names} has masked values: leave them out.")
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"The axis {names} has values of different lengths: use (k,) or (k, {len(fields)}).") from None
    if array.size == 0:
        raise ValueError(f"The axis {names} has no values: give at least one.")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"The axis {names} has values {values!r}: use numbers.")
    array = array.astype(float) + 0.0  # -0 is 0
    if array.ndim == 1:
        array = np.repeat(array[:, None], len(fields), axis=1)
    if array.ndim != 2 or array.shape[1] != len(fields):
        raise ValueError(f"The axis {names} has values of shape {array.shape}: use (k,) or (k, {len(fields)}).")
    if len(np.unique(told_apart(array), axis=0)) < len(array):
        within = "their first 11 digits" if jnp.result_type(float) == np.float64 else "float32"
        raise ValueError(f"The axis {names} repeats a value: all must differ in {within}.")
    return Axis(fields[0], fields, array)


def told_apart(values: np.ndarray) -> np.ndarray:
    """Return values so that two are equal where a sweep takes them for one: in float32, or to some 11 digits of double.

    Not to all digits: an evenly spaced finer axis misses old values by a rounding.
    """
    if jnp.result_type(float) != np.float64:
        return values.astype(np.float32)
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.round(fraction * 2.0**36), exponent - 36)


def check_finite(axis: Axis) -> None:
    """Refuse values that the engine's numbers cannot hold."""
    outside = axis.values[~_held(axis.values)]
    if outside.size:
        raise ValueError(f"The axis {','.join(axis.fields)} has the value {outside[0]}: use finite numbers{_most()}.")


def point(given: Any) -> Any:
    """Return a base point of floats; whole numbers would be int32."""
    if not (isinstance(given, tuple) and hasattr(given, "_fields")):
        raise ValueError(f"point = {given!r} is not accepted: use a NamedTuple of numbers.")
    for name, leaf in zip(given._fields, given, strict=True):
        shape = np.shape(leaf)
        if shape != ():
            raise ValueError(f"{name} has shape {shape} in the base point: give its values as an axis.")
        try:
            value = float(leaf)
        except (TypeError, ValueError, OverflowError):
            value = None
        if value is None or isinstance(leaf, str | bytes):
            raise ValueError(f"{name} = {leaf!r} is not accepted in the base point: use a number.")
        if np.isfinite(value) and not _held(value):
            raise ValueError(f"{name} = {value} is not accepted in the base point: use a number{_most()}.")
    kind: Any = type(given)
    return kind(*(float(x) + 0.0 for x in given))  # -0 is 0


def _held(values: Any) -> np.ndarray:
    return np.abs(values) <= float(jnp.finfo(jnp.result_type(float)).max)


def _most() -> str:
    return f" of at most {float(jnp.finfo(jnp.result_type(float)).max):.1e}"


def static(function: Any, given: Any) -> Any:
    """Return the third argument of a function of four: the default of the function where none is given."""
    name = getattr(function, "__name__", repr(function))
    refused = ValueError(f"{name} is not accepted: use a function of (key, point, static, data).")
    if not callable(function):
        raise refused
    try:
        signature = inspect.signature(function)
    except ValueError:
        return given  # it is written in C and says nothing about its arguments
    try:
        signature.bind(*range(4))
    except TypeError:
        raise refused from None
    if given is None:
        third = [p.default for p in signature.parameters.values()][2:3]
        given = third[0] if third and third[0] is not inspect.Parameter.empty else None
    try:
        hash(given)
    except TypeError:
        raise ValueError(f"static = {given!r} is not accepted: use a hashable value.") from None
    return given


def seeds(given: Any, cells: int) -> Sequence[int]:
    """Return the seeds one by one, of a sweep with so many cells."""
    many = np.ndim(given) == 1
    if not all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in (given if many else [given])):
        raise ValueError(f"seeds = {given!r} is not accepted: use a whole number, or a list of whole numbers.")
    count = len(given) if many else int(given)
    # Beside the results: which trajectories are wanted and done, and lists and sets of the seeds.
    check_memory(f"{cells:,} cells with {count:,} seeds", (2 * cells + 250) * max(count, 0))
    values = tuple(int(s) for s in given) if many else tuple(range(count))
    if len(values) < 1 or len(set(values)) < len(values) or min(values) < 0 or max(values) >= 2**31:
        raise ValueError(
            f"seeds = {given!r} is not accepted: use at least 1, or different seeds of at least 0, below 2^31."
        )
    return values


def lanes(given: Any) -> int | None:
    """Return the number of lanes, or None."""
    if given is None:
        return None
    if not isinstance(given, int | np.integer) or isinstance(given, bool) or given < 1:
        raise ValueError(f"lanes = {given!r} is not accepted: use a whole number of at least 1, or None.")
    return int(given)


def outputs(given: Any) -> tuple[str, ...] | None:
    """Return the names of the results that are kept, or None."""
    if given is None:
        return None
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"outputs = {given!r} is not accepted: use names of results, or None for all.")
    return tuple(dict.fromkeys(names))


def data(given: Any) -> Any:
    """Return the pytree of data, whose leaves must be arrays or numbers."""
    for leaf in jax.tree.leaves(given):
        kind = getattr(leaf, "dtype", None)
        if not isinstance(leaf, int | float) and (not isinstance(kind, np.dtype) or kind.kind in "OSUMm" or kind.names):
            raise ValueError(f"data holds {type(leaf).__name__}: use arrays and numbers.")
        if kind != jnp.result_type(leaf) and not _is_held(leaf):
            raise ValueError(f"data holds numbers beyond {jnp.result_type(float)} and its whole numbers: scale them.")
    return given


def _is_held(leaf: Any) -> bool:
    """Whether the engine's own type holds the numbers of a leaf that has another one."""
    with np.errstate(over="ignore"):
        held = np.asarray(leaf).astype(jnp.result_type(leaf))
    same = np.isfinite(held) == np.isfinite(leaf) if held.dtype.kind == "f" else held == leaf
    return bool(np.all(same))


def described(dims: Any, labels: Any, derived: Any) -> dict[str, Any]:
    """Return dims, labels and derived quantities of a sweep by name."""
    for role, given in {"dims": dims, "labels": labels, "derived": derived}.items():
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            raise ValueError(f"{role} = {given!r} is not accepted: use a dictionary, name: value.")
    for name, own in dims.items():
        if isinstance(own, str) or not all(isinstance(dim, str) and dim for dim in _items(own)):
            raise ValueError(f"dims of {name} = {own!r} is not accepted: use names, ({name}_0, ...).")
    for name, values in labels.items():
        kinds = {np.asarray(value).dtype.kind for value in _items(values)} if not isinstance(values, str) else {"O"}
        if not (kinds <= set("biuf") or kinds == {"U"}) or np.ndim(values) != 1:
            raise ValueError(f"labels of {name} = {values!r} is not accepted: use a list of numbers, or of texts.")
    for name, made in derived.items():
        if not (
            isinstance(made, tuple | list) and len(made) == 3 and callable(made[1]) and isinstance(made[2], Mapping)
        ):
            raise ValueError(f"derived {name} = {made!r} is not accepted: use (fields, function, attributes).")
    return {"dims": dims, "labels": labels, "derived": derived}


def _items(given: Any) -> list[Any]:
    many: Any = given if isinstance(given, Iterable) else None
    return [None] if many is None or np.ndim(many) > 1 else list(many)


def check_names(axes: Sequence[Axis], own: Mapping[str, Mapping[str, int]], derived: Any, labels: Any) -> None:
    """Refuse names that one dataset cannot hold beside each other.

    Args:
        axes: of the grid.
        own: for each result by name, its own dimensions with their lengths.
        derived: names of derived quantities.
        labels: values of the labels of dimensions by name.
    """
    lengths: dict[str, int] = {}
    for name, dims in own.items():
        for dim, length in dims.items():
            if lengths.setdefault(dim, length) != length:
                raise ValueError(f"{name} has {length} values along {dim} and another result has {lengths[dim]}.")
    taken: dict[str, str] = dict.fromkeys(OWN_NAMES, "a part of every dataset")
    for role, names in {
        "an axis": {name for axis in axes for name in (axis.name, *axis.fields)},
        "a dimension of a result": lengths,
        "a result": own,
        "a derived quantity": derived,
        "a label": set(labels) - set(lengths),
    }.items():
        for name in names:
            if name in taken:
                raise ValueError(f"{name!r} is {role} and also {taken[name]}: rename one of the two.")
            taken[name] = role
    for dim, values in labels.items():
        if len(values) != lengths.get(dim, len(values)):
            raise ValueError(f"labels has {len(values)} values of {dim}: it has a length of {lengths[dim]}.")


def check_shard(given: Any) -> tuple[int, int]:
    """Return the shard (i, n)."""
    try:
        i, n = given
        if isinstance(given, str) or any(isinstance(x, bool) or int(x) != x for x in (i, n)) or not 0 <= i < n:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        text = "/".join(map(str, given)) if isinstance(given, tuple | list) else repr(given)
        raise ValueError(f"shard = {text} is not accepted: use (i, n) with whole numbers 0 <= i < n.") from None
    return int(i), int(n)


def name_of(thing: Callable | type) -> str:
    """Return the full name of a function or class, also of a partial or an instance that can be called."""
    thing = getattr(thing, "func", thing)
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def fields_of(static: Any) -> dict[str, Any]:
    """Return the fields of a static by name; of one that has none, itself as `value`."""
    if dataclasses.is_dataclass(static):
        return {field.name: getattr(static, field.name) for field in dataclasses.fields(static)}
    return static._asdict() if hasattr(static, "_asdict") else {"value": static}


def is_plain(value: Any) -> bool:
    """Whether JSON holds a value as it is, but that its tuples are lists."""
    if isinstance(value, tuple | list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
