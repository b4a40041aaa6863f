"""What a trajectory needs, and how many a second a machine can do: a roofline for each product and each pass.

    seconds = sum over products and passes of  times x max(FLOP / rate of products, bytes / (reached x bandwidth))

Both are read off the list of operations that a sweep compiles, for one trajectory: with many lanes each operation is
done for all of them at once. Arrays lie in memory where a product, a sum or a step of a loop has made them; what is
between is fused into the operations that need it, which read again what it is made from. Of a pass only bytes are
counted, as its operations are nowhere the limit. At the first setting a training step of one network has 62 kB, of two
120 kB; the program for an H100 had 64 and 122.

XLA's own count, `compiled.cost_analysis()`, is no base: it takes the body of a loop once, whatever its length. At the
first setting it has 14.7 MFLOP and 8.8 MB a trajectory in place of 84 and 54; the model, with each body once, 7.1 MB.

What is left out: the time to start an operation, which counts where lanes are few (an H100 has 0.4 of the rate at 256,
0.9 at 1,024) or arrays tiny (m = 5 on a CPU is half as fast as predicted), and small products, slower than large ones.
On a CPU the lanes lie in the fast cache, so that the bandwidth is the one there. The kernel of `fused.py`, by which an
NVIDIA GPU trains the default network, is no part of it: with it an H100 makes 2.7 times what is predicted.
"""

import math
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.interpreters import partial_eval

from pt_jax.sweep.program import Program


class Machine(NamedTuple):
    """Rates of a machine.

    Attributes:
        flops: operations a second of products in float32.
        bandwidth: bytes a second, of the memory in which the lanes lie.
        memory: bytes.
        reached: share of the bandwidth that passes reach, the one number that is fitted: one for each kind of machine.
    """

    flops: float
    bandwidth: float
    memory: float
    reached: float


CPU = 0.25  # of a plain loop over 1 MB; fitted to the six settings of `roofline.py` on an AMD EPYC
GPU = 0.9  # fitted to the first setting on an H100, float32; a copy there reaches as much
# Data sheets of NVIDIA (H100 SXM, H200 SXM, A100 80GB SXM) and AMD (Instinct MI300X), Google Cloud's page on TPU v5e.
# Products in float32 are those outside of tensor cores; on a TPU each is six in bfloat16 (197 TFLOP/s). Measured was
# the H100 alone.
MACHINES = {
    "h100": Machine(67e12, 3.35e12, 80e9, GPU),
    "h200": Machine(67e12, 4.8e12, 141e9, GPU),
    "a100": Machine(19.5e12, 2.04e12, 80e9, GPU),
    "mi300x": Machine(163.4e12, 5.3e12, 192e9, GPU),
    "v5e": Machine(197e12 / 6, 0.819e12, 16e9, GPU),
}


class Pass(NamedTuple):
    """A product, or a pass over arrays (no FLOP), and how often it is made."""

    flop: float
    bytes: float
    times: int


def predict(needs: list[Pass], machine: Machine) -> tuple[float, float]:
    """Return the seconds of a trajectory, and the share of them in which bytes are the limit."""
    by_flop = [x.times * x.flop / machine.flops for x in needs]
    by_bytes = [x.times * x.bytes / (machine.reached * machine.bandwidth) for x in needs]
    seconds = sum(map(max, by_flop, by_bytes))
    return seconds, sum(b for f, b in zip(by_flop, by_bytes, strict=True) if b > f) / seconds


def passes(program: Program) -> list[Pass]:
    """Return all products and passes of one trajectory.

    Raises:
        ValueError: the length of a loop is known only when it runs.
    """
    closed = program.jaxpr
    jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), True)  # what results need
    walk = _Walk()
    given = [walk.in_memory(v) for v in jaxpr.invars]
    for variable, value in zip(jaxpr.outvars, walk.through(jaxpr, given, 1), strict=True):
        walk.written(variable, value, 1)
    return walk.passes


class _Value(NamedTuple):
    """An array: what it is computed from, (number, bytes) of arrays in memory, and whether it is one of those."""

    sources: frozenset[tuple[int, int]] = frozenset()
    is_stored: bool = True


_VIEWS = ("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "slice", "copy")
_SUMS = ("reduce_", "arg", "cum", "sort", "scatter", "gather", "random_bits", "conv_general_dilated")


class _Walk:
    """The operations of a program in their order, and the passes that they come to."""

    def __init__(self):
        self.passes: list[Pass] = []
        self.arrays = 0

    def in_memory(self, variable: Any) -> _Value:
        """Return an array that lies in memory; a single number takes no time to read."""
        self.arrays += 1
        return _Value(frozenset([(self.arrays, _bytes(variable))]) if variable.aval.shape else frozenset())

    def written(self, variable: Any, value: _Value, times: int, flop: float = 0.0) -> _Value:
        """Return a value in memory; what was not is written."""
        if value.is_stored:
            return value
        self.passes.append(Pass(flop, sum(size for _, size in value.sources) + _bytes(variable), times))
        return self.in_memory(variable)

    def through(self, jaxpr: Jaxpr, given: list[_Value], times: int) -> list[_Value]:
        """Walk through a program that is run some times; return its results."""
        known = dict(zip(jaxpr.invars, given, strict=True)) | {v: self.in_memory(v) for v in jaxpr.constvars}

        def value_of(variable: Any) -> _Value:
            return _Value() if isinstance(variable, Literal) else known[variable]

        for equation in jaxpr.eqns:
            found = self.operation(equation, [value_of(v) for v in equation.invars], times)
            known.update(zip(equation.outvars, found, strict=True))
        return [value_of(v) for v in jaxpr.outvars]

    def operation(self, equation: Any, given: list[_Value], times: int) -> list[_Value]:
        """Return the results of an operation."""
        name, results = equation.primitive.name, equation.outvars
        if name == "while":
            raise ValueError("The length of a loop is known only when it runs: its cost cannot be predicted.")
        if name == "scan":
            return self.scan(equation, given, times)
        for part in equation.params.values():
            if isinstance(part, Jaxpr | ClosedJaxpr):
                return self.through(part.jaxpr if isinstance(part, ClosedJaxpr) else part, given, times)
        if name in _VIEWS:
            return given[:1]
        terms, is_product = _terms(equation) if name == "dot_general" else (1, False)
        if is_product:  # each wants a layout of its own
            given = [self.written(v, x, times) for v, x in zip(equation.invars, given, strict=True)]
        found = [_Value(frozenset().union(*(x.sources for x in given)), False) for _ in results]
        if terms > 1 or name.startswith(_SUMS):
            flop = 2.0 * terms * math.prod(results[0].aval.shape) if is_product else 0.0
            return [self.written(v, x, times, flop) for v, x in zip(results, found, strict=True)]
        return found

    def scan(self, equation: Any, given: list[_Value], times: int) -> list[_Value]:
        """Walk through the body of a loop: what a step carries on is read and written in each."""
        body, constants = equation.params["jaxpr"].jaxpr, equation.params["num_consts"]
        held = [self.written(v, x, times) for v, x in zip(equation.invars, given, strict=True)]
        begin = held[:constants] + [self.in_memory(v) for v in body.invars[constants:]]
        often = times * equation.params["length"]
        for variable, value in zip(body.outvars, self.through(body, begin, often), strict=True):
            self.written(variable, value, often)
        return [self.in_memory(v) for v in equation.outvars]


def _bytes(variable: Any) -> int:
    return math.prod(variable.aval.shape) * variable.aval.dtype.itemsize


def _terms(equation: Any) -> tuple[int, bool]:
    """Return over how many terms a product sums, and whether it is one of matrices: with a vector it is a pass."""
    summed, batch = equation.params["dimension_numbers"]
    shapes = [v.aval.shape for v in equation.invars]
    kept = [
        math.prod(length for i, length in enumerate(shape) if i not in (*along, *same))
        for shape, along, same in zip(shapes, summed, batch, strict=True)
    ]
    terms = math.prod(shapes[0][i] for i in summed[0])
    return terms, terms > 1 and min(kept) > 1
