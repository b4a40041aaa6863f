"""What the options of `Static` may be: all that can be said without jax. What functions do is tried in `functions`."""

from collections.abc import Collection
from typing import Any

import numpy as np

from pt_jax.inputs.field import check, shown
from pt_jax.signal_noise.fields import DATA_FIELDS, FIELDS, OPTIONS, RULE_FIELDS

MODELS = ("cnn", "cnn_trained", "mlp", "attention")
DATA = ("two_patches", "three_patches", "multi_patch", "one_patch", "amplitudes", "xor", "classes")
_MOST_FILTERS = 10_000  # the Sobol sequence of the test error has at most 21,201 dimensions
_LEAST = {"n_test": 2, "patches": 2, "classes": 2, "batch": 1, "batch2": 0}
_OR_NONE = ("batch", "batch2", "data2", "optimizer2", "upper_optimizer")


def checked(static: Any) -> dict[str, Any]:
    """Return the fields of a Static in the form in which it keeps them.

    Raises:
        ValueError: an option is not accepted, or needs the dense engine.
    """
    held: dict[str, Any] = {}
    for name in (*static.maxima, "n_directions", *_LEAST):
        value = getattr(static, name)
        if value is None and name in _OR_NONE:
            continue
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise ValueError(f"{name} = {value!r} is not accepted in Static: use a whole number (an int).")
        held[name] = int(value)
    for name in static.maxima:
        check(name, held[name], FIELDS[name])
    for name, option in OPTIONS.items():
        option.check(name, getattr(static, name))
    model, data2 = static.model, None if static.data2 == static.data else static.data2
    if hasattr(model, "clone") and not isinstance(model, type):
        from pt_jax.inputs.modules import hashable  # it imports flax, as the user has

        model = hashable(model)
    _check_own(static, model)
    if static.engine == "span" and static.inherit == "weights":
        raise ValueError("inherit = 'weights' needs engine = 'dense': the span engine has 'filters'.")
    if not isinstance(static.rules, tuple) or not set(static.rules) <= set(RULE_FIELDS):
        raise ValueError(f"rules = {shown(static.rules)} is not accepted: use a tuple of {', '.join(RULE_FIELDS)}.")
    for name in ("bias", "nesterov", "paired", "fixed"):
        if not isinstance(getattr(static, name), bool):
            raise ValueError(f"{name} = {getattr(static, name)!r} is not accepted: use True or False.")
    if held["n_directions"] < 1 or held["n_directions"] & (held["n_directions"] - 1):
        raise ValueError(f"n_directions = {static.n_directions} is not accepted: use a power of 2.")
    if held["m"] > _MOST_FILTERS:
        raise ValueError(f"m = {static.m} is not accepted in Static: use at most {_MOST_FILTERS}.")
    for name, least in _LEAST.items():
        if name in held and held[name] < least:
            none = ", or None" if name in _OR_NONE else ""
            raise ValueError(f"{name} = {held[name]} is not accepted: use a whole number of at least {least}{none}.")
    record = _whole_numbers("record", static.record, 0, "increasing steps, from 0 on")
    hidden = _whole_numbers("hidden", static.hidden, 1, "widths, of at least 1")
    if not hidden:
        raise ValueError("hidden = () is not accepted: use a tuple of widths, of at least 1.")
    rules = tuple(name for name in RULE_FIELDS if name in static.rules)
    return held | {"record": record, "hidden": hidden, "rules": rules, "model": model, "data2": data2}


def carries(data: Any, static: Any) -> tuple[bool, ...]:
    """Return whether a patch of these data carries noise, for each patch."""
    found = _noisy(data, static)
    return (True,) * len(found) if static.noisy == "all" else found


def check_read(point: Any, static: Any, skip: Collection[str] = ()) -> None:
    """Raise ValueError where d or m is too small for the data, or a field moves that nothing in them reads."""
    data = (static.data, static.data2)
    axes = max(3 * static.classes if x == "classes" else getattr(x, "axes", 3) for x in data)
    for d in ([] if "d" in skip else [np.asarray(point.d).min()]) + ([static.d] if static.full else []):
        if d <= axes:
            raise ValueError(f"d = {shown(d)} is not accepted: use at least {axes + 1}, these data have {axes} axes.")
    most = max(static.classes if x == "classes" else getattr(x, "classes", None) or 0 for x in data)
    if static.model == "cnn" and "m" not in skip and 2 * (m := np.asarray(point.m).min()) < most:
        raise ValueError(f"m = {shown(m)} is not accepted: use at least {-(-most // 2)}, a filter for each class.")
    for name, (option, wanted) in DATA_FIELDS.items():
        if option == "data" and name[-1] == "2" and static.data2 is not None:
            option = "data2"
        given = [getattr(static, option)] + ([static.data2] if option == "data" and name[-1] not in "12" else [])
        if name in skip or any(x == wanted or not isinstance(x, str | None) for x in given):
            continue
        values = np.asarray(getattr(point, name))
        if np.any(values != FIELDS[name].default):
            raise ValueError(
                f"{name} = {shown(values.reshape(-1)[-1])} has no effect with {option} = {getattr(static, option)!r}: "
                f"use {option} = {wanted!r}."
            )


def check_used(point: Any, static: Any) -> None:
    """Raise ValueError where an option is set that nothing reads at these points, as widths of a model without any."""
    data = {static.data, static.data2}
    momentum = any(np.any(np.asarray(getattr(point, f"momentum{task}"))) for task in "12")
    for name, used, needed in (
        ("hidden", static.model == "mlp", "model = 'mlp'"),
        ("patches", "multi_patch" in data, "data = 'multi_patch'"),
        ("classes", "classes" in data, "data = 'classes'"),
        ("nesterov", momentum, "a momentum above 0"),
        ("activation", isinstance(static.model, str) and static.model != "attention", "a model that reads it"),
        ("choose", static.inherit == "filters", "inherit = 'filters'"),
        ("noisy", not all(all(_noisy(x, static)) for x in data - {None}), "a patch without noise"),
        ("batch2", static.batch is not None or static.batch2, "a batch"),
        ("upper", static.model != "cnn", "a model with trained upper layers"),
        ("upper_optimizer", static.model != "cnn", "a model with trained upper layers"),
        (
            "n_directions",
            static.by_directions,
            "model = 'cnn' or 'cnn_trained', data = 'two_patches' and noisy = 'rest'",
        ),
        ("n_test", not static.by_directions, "another model than 'cnn' and 'cnn_trained', or other data or noise"),
    ):
        given = getattr(static, name)
        if not used and given != getattr(type(static), name):
            raise ValueError(f"{name} = {shown(given)} has no effect without {needed}: use that, or leave it out.")


def _noisy(data: Any, static: Any) -> tuple[bool, ...]:
    """Return whether a patch carries noise by itself, for each."""
    if not isinstance(data, str):
        return tuple(data.noisy)
    if data == "multi_patch":
        return (False, *[True] * (static.patches - 1))
    return {"one_patch": (True,), "three_patches": (False, False, True)}.get(data, (False, True))


def _check_own(static: Any, model: Any) -> None:
    """Refuse what is no name, and nothing of the user's own that can be told from another."""
    for name, names, value, is_own, own in (
        ("model", MODELS, model, _is_model, "a flax.linen module, or hashable functions (init, apply)"),
        ("data", DATA, static.data, _is_data, "a pt_jax.Data of functions and tuples"),
        ("data2", DATA, static.data2, lambda x: x is None or _is_data(x), "a pt_jax.Data of functions and tuples"),
    ):
        if value not in names if isinstance(value, str) else not (is_own(value) and _hashable(value)):
            raise ValueError(f"{name} = {shown(value)} is not accepted: use {', '.join(names)}, or {own}.")
    for name in ("optimizer", "optimizer2", "upper_optimizer", "activation", "loss"):
        value = getattr(static, name)
        fits = isinstance(value, str) or (callable(value) and _hashable(value))
        if not fits and not (value is None and name in _OR_NONE):
            raise ValueError(f"{name} = {shown(value)} is not accepted: use a name or a hashable function.")


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_data(value: Any) -> bool:
    return type(value).__name__ == "Data" and isinstance(value, tuple)


def _is_model(value: Any) -> bool:
    if isinstance(value, type):  # of a module, not one
        return False
    if isinstance(value, tuple):
        return len(value) == 2 and all(map(callable, value))
    return callable(getattr(value, "init", None)) and callable(getattr(value, "apply", None))


def _whole_numbers(name: str, value: Any, low: int, what: str) -> tuple[int, ...]:
    """Return an option as a tuple of whole numbers; those of record increase."""
    array = np.atleast_1d(np.asarray(value if len(np.shape(value)) == 1 else ["?"]))
    bad = array.size and (array.dtype.kind not in "iu" or array.min() < low)
    if bad or (name == "record" and (np.diff(array) <= 0).any()):
        raise ValueError(f"{name} = {value!r} is not accepted: use a tuple of {what}.")
    return tuple(array.tolist())
