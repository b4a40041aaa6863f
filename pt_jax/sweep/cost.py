"""What a program needs, read off its list of operations before it is compiled: memory at least, and relative work."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from pt_jax.sweep.program import Program

# XLA may fuse any other operation into the next one; these have all operands and results in memory.
_WRITTEN = ("dot_general", "conv_general_dilated", "triangular_solve", "cholesky", "sort", "while", "scan")
UNKNOWN = 100.0  # times that the body of a loop is taken to run where its length is known only when it runs


class Cost(NamedTuple):
    """What one trajectory of a program needs.

    Attributes:
        memory: bytes at least: those of the largest operation that is not fused.
        work: arithmetic operations, to compare programs with each other.
        size: of the program, in operations of JAX: what compiling takes grows with it.
    """

    memory: int
    work: float
    size: int


@lru_cache(maxsize=64)  # asked for again with each block of a sweep
def of(program: Program, steps: float = UNKNOWN) -> Cost:
    """Return what a program needs for its results.

    The body of a loop counts `steps` times where its length is known only when it runs, as that of a training; that of
    a loop in it `UNKNOWN` times.
    """
    live = list(_equations(program.jaxpr.jaxpr, [True] * len(program.kinds), steps))
    written = [_bytes(equation) for equation, _ in live if _is_written(equation)]
    return Cost(max(written, default=0), sum(times * _operations(equation) for equation, times in live), len(live))


def _equations(jaxpr: Jaxpr, wanted: list[bool], steps: float, times: float = 1) -> Iterator[tuple[Any, float]]:
    """Yield the operations that a wanted result needs, also those within others, and how often each is run."""
    live = {variable for variable, kept in zip(jaxpr.outvars, wanted, strict=True) if kept and _is_variable(variable)}
    for equation in reversed(jaxpr.eqns):
        kept = [variable in live for variable in equation.outvars]
        if not (any(kept) or equation.effects):
            continue
        live.update(filter(_is_variable, equation.invars))
        yield equation, times
        loops = equation.primitive.name == "while"
        once, within = (steps, UNKNOWN) if loops else (1, steps)
        often = times * equation.params.get("length", once)  # of a scan
        for part in _parts(equation):
            whole = len(part.outvars) != len(kept) or equation.primitive.name in ("while", "scan")
            yield from _equations(part, [True] * len(part.outvars) if whole else kept, within, often)


def _parts(equation: Any) -> list[Jaxpr]:
    """Return the programs within an operation; of the branches of a condition, the last."""
    if equation.primitive.name == "cond":
        return [equation.params["branches"][-1].jaxpr]
    found = [value for value in equation.params.values() if isinstance(value, Jaxpr | ClosedJaxpr)]
    return [value.jaxpr if isinstance(value, ClosedJaxpr) else value for value in found]


def _is_variable(given: Any) -> bool:
    return not isinstance(given, Literal)


def _is_written(equation: Any) -> bool:
    # A product without a sum, an outer one, is fused as any other.
    return equation.primitive.name in _WRITTEN and not (
        equation.primitive.name == "dot_general" and _summed(equation) == 1
    )


def _summed(equation: Any) -> int:
    """Return over how many terms each number of a matrix product is summed."""
    (along, _), _ = equation.params["dimension_numbers"]
    return math.prod(equation.invars[0].aval.shape[i] for i in along)


def _operations(equation: Any) -> int:
    made = max((math.prod(variable.aval.shape) for variable in equation.outvars), default=0)
    if equation.primitive.name == "dot_general":
        return 2 * made * _summed(equation)
    if equation.primitive.name == "conv_general_dilated":
        kernel, numbers = equation.invars[1].aval.shape, equation.params["dimension_numbers"]
        return 2 * made * math.prod(kernel) // kernel[numbers.rhs_spec[0]]
    return 0 if _parts(equation) else made


def _bytes(equation: Any) -> int:
    held = {v for v in (*equation.invars, *equation.outvars) if _is_variable(v)}
    if equation.primitive.name in ("while", "scan"):  # what is carried may be written in its place
        held = set(equation.outvars)
    return sum(math.prod(v.aval.shape) * v.aval.dtype.itemsize for v in held)
