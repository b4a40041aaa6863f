"""What a sweep computes: its function, traced into JAX's own list of operations, and the hash that identifies it.

A program is traced once for each size class of a run. It is both what is run and what is hashed, so that two
programs with one hash give the same numbers. A helper, a global, an attribute, an optimizer or a constant counts where
it changes an operation or a number in it; comments, names and places of files do not.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal, jaxpr_as_fun

from pt_jax.sweep.accepted import fields_of, is_plain

_IGNORED = {"name", "debug_info", "jvp_jaxpr_fun"}  # parameters of operations that change no number
_TRACING = threading.RLock()
_runs = 0  # how often `forget` was called: what is traced under one number is not traced again


@dataclass(frozen=True, eq=False)
class Program:
    """The function of a sweep for one static, traced; equal to another where it computes the same.

    Attributes:
        jaxpr: of (key, leaves of the point, leaves of the data) -> results kept.
        kinds: name, shape and dtype of the results kept.
        settings: options of jax under which it was traced and is compiled.
    """

    jaxpr: Any
    kinds: dict[str, jax.ShapeDtypeStruct]
    settings: str = ""

    def __call__(self, key: jax.Array, leaves: Sequence[Any]) -> dict[str, jax.Array]:
        """Compute one trajectory from its key and the leaves of (point, data)."""
        return dict(zip(self.kinds, jaxpr_as_fun(self.jaxpr)(key, *leaves), strict=True))

    @property
    def leaves(self) -> list[jax.ShapeDtypeStruct]:
        """Shape and dtype of the leaves of (point, data)."""
        return [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in self.jaxpr.in_avals[1:]]

    @cached_property
    def digest(self) -> str:
        """What is computed, as a hash that is the same in every process."""
        told = [list(self.kinds), self.jaxpr]
        rules = [params["rule"] for params in self._operations.get("custom_vmap_call", ())]
        # A rule of somebody's own, which is used when lanes are made; not that of jax's own sequential_vmap.
        if not all(getattr(rule, "__qualname__", "").startswith("sequential_vmap.") for rule in rules):
            pairs = [jax.ShapeDtypeStruct((2, *aval.shape), aval.dtype) for aval in self.jaxpr.in_avals]
            told.append(jax.make_jaxpr(jax.vmap(jaxpr_as_fun(self.jaxpr)))(*pairs))
        return hash_of(told)

    @property
    def calls_back(self) -> bool:
        """Whether a number comes from a function in Python that is called while the program runs."""
        return any("callback" in name and not name.startswith("debug") for name in self._operations)

    @cached_property
    def _operations(self) -> dict[str, list[dict[str, Any]]]:
        """Parameters of all operations by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for equation in _equations(self.jaxpr):
            found.setdefault(equation.primitive.name, []).append(equation.params)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[Any, ...]:
        # What is called back, or printed, is no part of the digest.
        told = [params for name in self._operations if _is_told(name) for params in self._operations[name]]
        called = tuple((id(params.get("callback")), str(params.get("fmt"))) for params in told)
        return self.digest, self.settings, called


def trace(function: Callable, static: Any, point: Any, data: Any, outputs: tuple[str, ...] | None) -> Program:
    """Return the program of a function of (key, point, static, data).

    A function that says of itself, by an attribute, `function.closed = function`, reads nothing but its arguments. With
    a static of plain values it is traced once in a process; any other is traced again for each run.

    Args:
        function: what is traced.
        static: any value.
        point: a NamedTuple of scalars; its values do not count.
        data: a pytree of arrays; their values do not count.
        outputs: names of the results that are kept, None for all; `diverged` is always kept.

    Raises:
        ValueError: an output is not among the results, or a result that is kept is none that a dataset can hold.
    """
    leaves, tree = jax.tree.flatten(data)
    shapes = tuple(jax.ShapeDtypeStruct(np.shape(x), jnp.result_type(x)) for x in leaves)
    closed = getattr(function, "closed", None) is function and all(map(is_plain, fields_of(static).values()))
    known: Any = function, static, type(point), tree, shapes, outputs
    return _once(*known, repr(settings())) if closed else _trace(*known)


def settings() -> dict[str, Any]:
    """Return the options of jax that a program and its numbers depend on."""
    options: Any = jax.config
    return {
        "backend": jax.default_backend(),
        "float": str(jnp.result_type(float)),
        "promotion": str(options.jax_numpy_dtype_promotion),
        "matmul_precision": product_precision(),
        "prng": [
            options.jax_default_prng_impl,
            options.jax_threefry_partitionable,
            options.jax_random_seed_offset,
        ],
    }


def product_precision() -> str | None:
    """Return the precision of matrix products: float32 unless another is asked for.

    Left to themselves, an NVIDIA GPU multiplies in TF32, with an error of 3e-4, and a TPU in bfloat16.
    """
    options: Any = jax.config
    return options.jax_default_matmul_precision or (None if jax.default_backend() == "cpu" else "float32")


def _trace(
    function: Callable, static: Any, kind: Any, tree: Any, shapes: tuple, outputs: tuple[str, ...] | None
) -> Program:
    names: list[str] = []

    def kept(key: jax.Array, point: Any, data: Any) -> list[jax.Array]:
        found = _kept(function(key, point, static, data), outputs)
        names[:] = found
        return [_accepted(name, value) for name, value in found.items()]

    key, number = jax.eval_shape(lambda: jax.random.key(0)), jax.ShapeDtypeStruct((), jnp.result_type(float))
    point = kind(*[number] * len(kind._fields))
    try:
        with _of_this_run(), jax.default_matmul_precision(product_precision()):
            jaxpr = jax.make_jaxpr(kept)(key, point, jax.tree.unflatten(tree, shapes))
    except jax.errors.JAXTypeError as error:  # an if or a float of what is not known before it is computed
        said = str(error).partition("\n")[0].rstrip(".")
        why = "no argument has a value yet; use jax.numpy.where or jax.lax.cond for if, and no float()"
        raise ValueError(f"The function cannot be traced ({said}): {why}.") from error
    kinds = (jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in jaxpr.out_avals)
    return Program(jaxpr, dict(zip(names, kinds, strict=True)), repr(settings()))


@cache
def _once(*known: Any) -> Program:
    return _trace(*known[:-1])  # the last are the settings


def flatten(result: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a (nested) NamedTuple by name, parts joined by dots; None leaves are left out."""
    leaves: dict[str, Any] = {}
    for name, value in result._asdict().items():
        if hasattr(value, "_asdict"):
            leaves |= flatten(value, f"{prefix}{name}.")
        elif value is not None:
            leaves[prefix + name] = value
    return leaves


def _kept(returned: Any, outputs: tuple[str, ...] | None) -> dict[str, Any]:
    """Return the results that are kept, of all that a function returns."""
    if not hasattr(returned, "_asdict"):
        kind = "single array" if isinstance(returned, jax.Array) else type(returned).__name__
        raise ValueError(f"The function returns a {kind}: use a NamedTuple of arrays.")
    found = flatten(returned)
    for name in outputs or ():
        if name not in found:
            raise ValueError(f"output {name!r} is not among the results: use some of {', '.join(found)}.")
    if outputs is None:
        return found
    return {name: found[name] for name in [*outputs, *({"diverged"} & set(found) - set(outputs))]}


def hash_of(value: Any) -> str:
    """Return a hash of programs, arrays and plain values that is the same in every process."""
    hashed = hashlib.sha256()
    for token in _tokens(value):
        hashed.update(token)
        hashed.update(b";")
    return hashed.hexdigest()[:16]


def _accepted(name: str, value: Any) -> jax.Array:
    """Return a result, or raise ValueError where a dataset cannot hold it."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise ValueError(f"The result {name} is a {type(value).__name__}: use real numbers or booleans.") from None
    if not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating)):
        raise ValueError(f"The result {name} is {array.dtype!r}: use real numbers or booleans.")
    return array


def forget() -> None:
    """Let jax trace again what was traced up to now, also below somebody's own `jax.jit`.

    What a function reads from outside, a global or an attribute, may change between two runs.
    """
    global _runs
    _runs += 1


@contextmanager
def _of_this_run() -> Iterator[None]:
    """Let jax use no trace that it made in an earlier run.

    jax keeps traces apart by its options. This one shortens paths in the debug information of a program and changes
    nothing else.
    """
    option = "jax_hlo_source_file_canonicalization_regex"
    with _TRACING:  # options are those of the whole process
        before = getattr(jax.config, option)
        try:
            jax.config.update(option, f"pt_jax {_runs}")
            yield
        finally:
            jax.config.update(option, before)


def _is_told(name: str) -> bool:
    return name.startswith("debug") or "callback" in name


def _equations(jaxpr: Any) -> Iterator[Any]:
    """Yield the operations of a jaxpr and of all within it."""
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            if _is_program(value):
                yield from _equations(value)


def _is_program(value: Any) -> bool:
    """Whether a value is a jaxpr, with its constants or without: one class of jax, or two, by its version."""
    return hasattr(value, "eqns")


def _tokens(value: Any) -> Iterator[Any]:
    """Yield what a jaxpr, or a parameter in one, says: variables by their number, constants by value."""
    if _is_program(value):
        yield from _operations(getattr(value, "jaxpr", value))
        for constant in getattr(value, "consts", ()):
            yield from _tokens(constant)
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield f"{key}=".encode()
            yield from _tokens(value[key])
    elif isinstance(value, set | frozenset):
        yield from _tokens(sorted(value, key=str))
    elif isinstance(value, tuple | list):
        yield f"{type(value).__name__}{len(value)}".encode()
        for item in value:
            yield from _tokens(item)
    elif isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        yield str(value.dtype).encode()
        yield from _tokens(jax.random.key_data(value))
    elif hasattr(value, "__array__"):
        array = np.asarray(value)
        yield f"{array.dtype}{array.shape}".encode()
        yield np.ascontiguousarray(array).view(np.uint8).data
    elif not callable(value):  # a rule for derivatives or lanes; what it does is in the program where it is used
        yield re.sub("0x[0-9a-f]+", "", repr(value)).encode()


def _operations(jaxpr: Any) -> Iterator[Any]:
    number: dict[Any, int] = {}

    def name(variable: Any) -> str:
        return f"{number.setdefault(variable, len(number))}:{variable.aval.str_short()}"

    yield " ".join(map(name, [*jaxpr.constvars, *jaxpr.invars])).encode()
    for equation in jaxpr.eqns:
        if equation.primitive.name.startswith("debug"):  # it changes no number
            continue
        yield equation.primitive.name.encode()
        for variable in equation.invars:
            yield from _tokens(variable.val) if isinstance(variable, Literal) else [name(variable).encode()]
        yield from _tokens({key: x for key, x in equation.params.items() if key not in _IGNORED})
        yield " ".join(map(name, equation.outvars)).encode()
    for variable in jaxpr.outvars:
        yield from _tokens(variable.val) if isinstance(variable, Literal) else [name(variable).encode()]
