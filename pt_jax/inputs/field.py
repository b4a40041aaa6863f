"""A hyper-parameter of either world: its default, unit, symbol and meaning, and which values are accepted.

Validation, `--help`, dataset attributes and axis labels are read from tables of these. This file imports no jax.
"""

import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

import numpy as np

_Class = TypeVar("_Class", bound=type)
LARGEST = 2**24  # float32 holds every whole number up to here
_ROUNDED = 1 - 1e-7  # 1e-12 in float32 is just below 1e-12


@dataclass(frozen=True)
class Field:
    """One hyper-parameter: default, unit, how it is written in text and on an axis, and the accepted range."""

    default: float
    unit: str
    symbol: str
    meaning: str
    low: float = 0.0
    high: float = math.inf
    whole: bool = False
    above: bool = False  # `low` itself is excluded
    or_zero: bool = False  # 0 is accepted too, below `low`

    @property
    def accepted(self) -> str:
        """The accepted values in words."""
        kind = ("0 or " if self.or_zero else "") + ("a whole number" if self.whole else "a number")
        if math.isinf(self.high):
            return f"{kind} {'above' if self.above else 'of at least'} {self.low:g}"
        ends = "above {:g} and at most {:.9g}" if self.above else "from {:g} to {:.9g}"
        return f"{kind} {ends.format(self.low, self.high)}"


class Option(NamedTuple):
    """One choice that changes the code: what it means and, where they are few, the accepted values."""

    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Meaning and accepted values."""
        return self.meaning + (f"; one of {', '.join(self.choices)}" if self.choices else "")

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError unless any value is accepted, or this one."""
        if self.choices and not (isinstance(value, str) and value in self.choices):
            raise ValueError(f"{name} = {shown(value)} is not accepted: use {' or '.join(self.choices)}.")


def one_of(name: str, names: Iterable[Any]) -> str:
    """Return what to use in place of a name that is none of these: the nearest of them, or else one of all."""
    texts = list(map(str, names))
    return (get_close_matches(name, texts, n=1) or [f"one of {', '.join(texts)}"])[0]


def listing(table: Mapping[str, Field] | Mapping[str, Option]) -> Callable[[_Class], _Class]:
    """Return a decorator that puts the rows of a table into the docstring of a class, in place of TABLE."""
    rows = []
    for name, row in table.items():
        text = row.words if isinstance(row, Option) else f"{row.meaning}; {row.accepted}"
        unit = "" if isinstance(row, Option) else f" [{row.unit}], default {row.default:g}"
        rows.append(f"{name}: {text}{unit}.")

    def filled(kind: _Class) -> _Class:
        kind.__doc__ = (kind.__doc__ or "").replace("TABLE", "\n        ".join(rows))
        return kind

    return filled


def attributes(name: str, fields: Mapping[str, Field], results: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return units, long name and symbol of a field or of a result, (symbol, meaning), as a dataset stores them."""
    if name in fields:
        field = fields[name]
        return {"units": field.unit, "long_name": field.meaning, "symbol": field.symbol}
    *_, last = name.split(".")  # curves.transfer.loss
    base = last if last in results else last.removesuffix("_scratch").removesuffix("_upstream")
    symbol, meaning = results.get(base, ("", ""))  # a result of the user's own
    run = {"_scratch": ", from scratch", "_upstream": ", upstream"}.get(last.removeprefix(base), "")
    return {"units": "1", "long_name": meaning + run, "symbol": symbol} if meaning else {}


def shown(value: Any) -> str:
    """Return a value as an error message shows it: on one line, shortened where long, numbers with all their digits."""
    if isinstance(value, int | float | np.number):
        return str(value).removesuffix(".0")
    return " ".join(reprlib.repr(value).split())


def is_whole(value: Any, low: float, high: float = np.inf) -> bool:
    """Return whether a value is a whole number from low to high: neither a truth value nor 2.0."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(low <= value <= high)


def numbers(name: str, value: Any, field: Field) -> np.ndarray:
    """Return the value as an array of real numbers, or raise the one sentence that says that it is none."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError):  # a ragged list, a tensor that needs its gradient
        array = np.array(None)
    if array.size == 0 or (array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16"):
        raise ValueError(f"{name} = {shown(value)} is not accepted: {field.meaning} must be {field.accepted}.")
    return array


def check(name: str, value: Any, field: Field) -> np.ndarray:
    """Return the value as an array of doubles, or raise the one sentence that says what is wrong with it."""
    array = numbers(name, value, field)
    exact = array.astype(float)  # the bounds are no numbers in half precision
    low = (exact <= field.low) if field.above else (exact < field.low * _ROUNDED)
    if field.or_zero:
        low &= exact != 0
    bad = ~np.isfinite(exact) | (exact > field.high) | low
    if field.whole:
        bad |= exact != np.floor(exact)
    if bad.any():
        raise ValueError(f"{name} = {shown(array[bad][0])} is not accepted: {field.meaning} must be {field.accepted}.")
    return exact


def part_of(alpha: Any, count: Any, xp: Any = np) -> Any:
    """Return how many of a number of things a fraction of them is, floor(alpha count + 1/2): a half is rounded up.

    A fraction that is no binary number, as 0.53 of 50, is a half all the same: 1e-6 of it are allowed for its rounding.

    Args:
        alpha: the fraction, in [0, 1].
        count: of the things.
        xp: numpy, or jax.numpy for traced numbers.
    """
    return xp.floor(alpha * count * (1 + 1e-6) + 0.5)
