"""What bounds a trajectory on a machine, and how many a second it will do: a roofline for each product and each pass.

    seconds = sum over products and passes of  times x max(FLOP / rate of products, bytes / (reached x bandwidth))

Both are read off the list of operations that a sweep compiles, for one trajectory: where lanes are many, each operation
is done for all of them at once. Arrays are in memory where a product, a sum or a step of a loop has made them; all that
lies between is fused into the operations that need it, which read what it is made from once more. The operations of a
pass are not counted, only its bytes: nowhere here are they the limit.

XLA's own count, `compiled.cost_analysis()`, is no base: it has the body of a loop once, whatever its length. At the first
setting it gives 14.7 MFLOP and 8.8 MB a trajectory; the model has 84 and 54, and 7.1 MB with each body once.

On a CPU the arrays of the lanes stay in the fast cache, so that the bandwidth is the one there.
"""

import math
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var
from jax.interpreters import partial_eval

from pt_jax.sweep.program import Program


class Machine(NamedTuple):
    """Rates of a machine.

    Attributes:
        flops: operations a second of products in float32.
        bandwidth: bytes a second, of the memory in which the lanes lie.
        memory: bytes.
        reached: share of the bandwidth that programs reach. It is the one number that is not measured on its own: it is
            chosen so that the first setting comes out right, one for each kind of machine.
    """

    flops: float
    bandwidth: float
    memory: float
    reached: float


CPU, GPU = 0.3, 0.9  # two cores of an AMD EPYC; an H100, 56,177 trajectories a second with products in float32
# From the vendors' data sheets: H100 SXM, H200 SXM, A100 80GB SXM, AMD Instinct MI300X, Google Cloud TPU v5e. Products
# in float32 outside of the tensor cores. A TPU has none: they are six in bfloat16 (197 TFLOP/s); `reached` is a guess.
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


def predict(passes: list[Pass], machine: Machine) -> tuple[float, float]:
    """Return the seconds of a trajectory, and the share of them in which bytes are the limit."""
    by_flop = [x.times * x.flop / machine.flops for x in passes]
    by_bytes = [x.times * x.bytes / (machine.reached * machine.bandwidth) for x in passes]
    seconds = sum(map(max, by_flop, by_bytes))
    return seconds, sum(b for f, b in zip(by_flop, by_bytes, strict=True) if b > f) / seconds


def passes_of(program: Program) -> list[Pass]:
    """Return all products and passes of one trajectory.

    Raises:
        ValueError: the length of a loop is known only when it runs.
    """
    closed = program.jaxpr
    jaxpr, used = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    del used
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

    def in_memory(self, variable: Var) -> _Value:
        """Return an array that lies in memory; a single number takes no time to read."""
        self.arrays += 1
        return _Value(frozenset([(self.arrays, _bytes(variable))]) if variable.aval.shape else frozenset())

    def written(self, variable: Var, value: _Value, times: int, flop: float = 0.0) -> _Value:
        """Write what is not in memory, or the result of a product."""
        if value.is_stored and not flop:
            return value
        read = sum(size for _, size in value.sources)
        self.passes.append(Pass(flop, read + _bytes(variable), times))
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
                return self.through(getattr(part, "jaxpr", part), given, times)
        fused = _Value(frozenset().union(*(x.sources for x in given)), False)
        if name == "dot_general":
            terms, is_product = _product(equation)
            if is_product:
                stored = [self.written(v, x, times) for v, x in zip(equation.invars, given, strict=True)]
                both = _Value(stored[0].sources | stored[1].sources)
                return [self.written(results[0], both, times, 2.0 * terms * math.prod(results[0].aval.shape))]
            return [self.written(results[0], fused, times) if terms > 1 else fused]
        if name.startswith(_SUMS):
            return [self.written(v, fused, times) for v in results]
        return [given[0]] if name in _VIEWS else [fused] * len(results)

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


def _product(equation: Any) -> tuple[int, bool]:
    """Return over how many terms a product sums, and whether it is one of matrices: with a vector it is a pass."""
    summed, batch = equation.params["dimension_numbers"]
    shapes = [v.aval.shape for v in equation.invars]
    kept = [
        math.prod(length for i, length in enumerate(shape) if i not in (*along, *same))
        for shape, along, same in zip(shapes, summed, batch, strict=True)
    ]
    terms = math.prod(shapes[0][i] for i in summed[0])
    return terms, terms > 1 and min(kept) > 1
