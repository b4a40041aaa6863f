"""Pickles of plain values, read without an unpickler.

A pickle is a program for a stack machine, and its names may be called. Here the program is walked, and what it says is
written down: numbers, text, bytes, lists, tuples and dictionaries become Python's; a name, a call and a state become a
`Record`, which does nothing. No function, class or array that the file names is ever looked up or made. Names that are
not expected, and opcodes that plain values do not need, end the reading.

Memory: at most six times the file and 200 bytes for each step, of which at most 1,000,000 are accepted (CIFAR-100
takes 200,000).

Source: https://docs.python.org/3/library/pickletools.html describes the opcodes.
"""

import pickletools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pt_jax.inputs.reading import printable

STEPS = 1_000_000
STORED = "stored"  # a record of what is not in the pickle but beside it: its argument is where


@dataclass(eq=False, slots=True)
class Record:
    """What a file says of an object: its name, what the name is called with, and the state that it is then given."""

    name: str
    arguments: tuple | None = None
    state: Any = None


class Ordered(dict):
    """A dictionary that a file calls an OrderedDict. It may have attributes, which are left alone."""


def load(content: bytes, known: Mapping[str, str], kind: str, beside: bool = False) -> Any:
    """Return what a pickle holds: Python's plain values and records.

    Args:
        content: the pickle.
        known: what the names that are expected stand for; "ordered" is an OrderedDict, "encode" text as bytes.
        kind: what it should be, for messages: "CIFAR batch".
        beside: whether it may refer to what is stored beside it: a record `STORED`.

    Raises:
        ValueError: the pickle is damaged or too long, or uses a name or an opcode that is not expected. The message
            goes on after the name of the file.
    """
    walk, step = _Walk(len(content), known, kind, beside), 0
    try:
        for step, (opcode, value, _) in enumerate(pickletools.genops(content)):
            if step == STEPS:
                raise _Foreign(f"takes more than {STEPS:,} steps to read, more than any {kind}.")
            walk.step(opcode.name, value)
        return walk.stack.pop()
    except _Foreign:
        raise
    except Exception:  # damaged bytes can fail in any opcode
        raise ValueError(f"is not a whole pickle of a {kind}: it is damaged after {step} steps.") from None


def text(value: Any) -> str:
    """Return text that Python 2 or 3 wrote.

    Raises:
        ValueError: the value is something else. The message goes on after the name of the file.
    """
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise ValueError(f"holds a {type(value).__name__} in place of text.")
    return value


class _Foreign(ValueError):
    """The pickle may be whole, but it is not what is expected."""


_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
_BYTES = ("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8")
_STRINGS = ("SHORT_BINSTRING", "BINSTRING")  # of Python 2: bytes, which pickletools shows as text
_PUSHES = {
    **dict.fromkeys(_VALUES, lambda value: value),
    **dict.fromkeys(_BYTES, bytes),
    **dict.fromkeys(_STRINGS, lambda value: value.encode("latin-1")),
    **{"NONE": lambda _: None, "NEWTRUE": lambda _: True, "NEWFALSE": lambda _: False},
    **{"EMPTY_TUPLE": lambda _: (), "EMPTY_LIST": lambda _: [], "EMPTY_DICT": lambda _: {}},
}
_MARKED = -1
_TAKES = {  # how many values an opcode takes from the stack
    **{"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "TUPLE": _MARKED},
    **{"APPEND": 1, "APPENDS": _MARKED, "SETITEM": 2, "SETITEMS": _MARKED},
    **{"STACK_GLOBAL": 2, "REDUCE": 2, "BUILD": 1},
}


class _Walk:
    """The stack, the marks in it and the memo, as a pickle changes them from step to step."""

    def __init__(self, size: int, known: Mapping[str, str], kind: str, beside: bool) -> None:
        self.stack: list[Any] = []
        self._known, self._kind, self._beside = known, kind, beside
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._left = size  # characters that may still be encoded: else a few bytes could ask for the same text again

    def step(self, opcode: str, value: Any) -> None:
        match opcode:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                self._marks.append(len(self.stack))
            case "MEMOIZE":
                self._memo[len(self._memo)] = self.stack[-1]
            case "BINPUT" | "LONG_BINPUT":
                self._memo[value] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                self.stack.append(self._memo[value])
            case "GLOBAL":
                self.stack.append(self._named(value.replace(" ", ".")))
            case "BINPERSID" if self._beside:
                self.stack.append(Record(STORED, (self.stack.pop(),)))
            case _ if opcode in _PUSHES:
                self.stack.append(_PUSHES[opcode](value))
            case _ if opcode in _TAKES:
                self._combine(opcode, self._take(_TAKES[opcode]))
            case _:
                raise _Foreign(f"is not a whole pickle of a {self._kind}: it uses the opcode {opcode}.")

    def _take(self, count: int) -> list[Any]:
        start = self._marks.pop() if count == _MARKED else len(self.stack) - count
        if not 0 <= start <= len(self.stack):
            raise IndexError
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def _combine(self, opcode: str, taken: list[Any]) -> None:
        match opcode:
            case "APPEND" | "APPENDS":
                self._top(list).extend(taken)
            case "SETITEM" | "SETITEMS":
                keys = taken[::2]
                # A tuple can take any time to hash, and large numbers can be made to have the same hash.
                if not all(isinstance(key, str | bytes) or (isinstance(key, int) and 0 <= key < 2**31) for key in keys):
                    raise TypeError
                self._top(dict).update(zip(keys, taken[1::2], strict=True))
            case "BUILD":
                if type(self.stack[-1]) is not Ordered:
                    self._top(Record).state = taken[0]
            case "STACK_GLOBAL":
                self.stack.append(self._named(".".join(taken)))
            case "REDUCE":
                self.stack.append(self._call(*taken))
            case _:
                self.stack.append(tuple(taken))

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise TypeError
        return self.stack[-1]

    def _call(self, called: Any, arguments: Any) -> Record | bytes | Ordered:
        match called, arguments:
            case Record("encode", None), (str(words), "latin1" | b"latin1"):
                self._left -= len(words)
                if self._left < 0:
                    raise ValueError
                return words.encode("latin-1")
            case Record("ordered", None), ():
                return Ordered()
            case Record(name, None), tuple():
                return Record(name, arguments)
        raise TypeError

    def _named(self, name: str) -> Record:
        if name not in self._known:
            shown = printable(name[:80])
            raise _Foreign(f"names {shown}, which no {self._kind} does: nothing of it was executed.")
        return Record(self._known[name])
