"""A flax.linen module of the user's own as a network: what its layers, its head and its features are.

    layers: the submodules of the module that have parameters, in the order in which it first calls them
    head: the one that it calls last, such as an `nn.Dense`; every tensor of it has one entry a class on its last axis
    features: what goes into the head, flattened to (n, D)
    logits: what the module puts out, (n, classes)

What a layer puts out is what its last call returns, the first array of it. All of this is found by tracing the module,
without computing anything.
"""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.vision.fields import HEAD
from pt_jax.vision.output import Output, with_skip

_SAMPLES = 3  # in the images that a module is traced with: any number that is hardly an axis of anything else
_SEEN = "pt_jax_seen"  # a collection of flax
MAKE = "a function (static, classes, projection) -> module"


@dataclasses.dataclass(frozen=True)
class Own:
    """A module with the interface of `models.Network`.

    Attributes:
        module: what is trained.
        classes: K, outputs of the head.
        names: of the layers below the head, from the images upwards.
        last: the module's own name of the head.
    """

    module: nn.Module
    classes: int
    names: tuple[str, ...]
    last: str
    convolves = False  # not known: its samples are trained together

    def init(self, key: Array, images: Array) -> dict[str, Any]:
        """Return random parameters by layer, the head under `HEAD`."""
        drawn = self.module.init(key, images)["params"]
        return {"params": {name: drawn[name] for name in self.names} | {HEAD: drawn[self.last]}}

    def outputs(self, params: Any, images: Array, skip: Array | None = None) -> Output:
        """Return the outputs with these parameters; arguments as for `models.Network`."""
        own = {name: params[name] for name in self.names} | {self.last: params[HEAD]}
        logits, layers, features = self._seen(own, images)
        if skip is not None:
            features = with_skip(features, layers, skip)
            logits, *_ = self._seen(own, images, features)  # a compiler drops what is below the head: it is not used
        features = features.reshape(len(features), -1)
        return jax.tree.map(_accurate, Output(logits, features, layers))

    def _seen(self, own: dict, images: Array, given: Array | None = None) -> tuple[Any, tuple[Array, ...], Array]:
        """Return logits, what the layers put out, and what goes into the head, or what is given in its place."""

        def call(module: nn.Module, function: Callable, args: tuple, kwargs: dict) -> Any:
            inputs, structure = jax.tree.flatten((args, kwargs))
            if module.name == self.last and given is not None:
                args, kwargs = jax.tree.unflatten(structure, [given, *inputs[1:]])
            returned = function(*args, **kwargs)
            # Not into a list of this function: what is inside of nn.remat or nn.jit must come out by way of flax.
            for kind, x in (("input", inputs[:1]), ("output", jax.tree.leaves(returned)[:1])):
                module.sow(_SEEN, _SEEN + kind, x, reduce_fn=lambda old, new: new, init_fn=lambda: None)
            return returned

        with nn.intercept_methods(_of_submodules(call)):
            logits, state = self.module.apply({"params": own}, images, mutable=[_SEEN])
        if hidden := [name for name in own if name not in state.get(_SEEN, {})]:
            raise ValueError(f"what {hidden[0]} puts out cannot be seen: use it inside of another submodule")
        layers = tuple(state[_SEEN][name][f"{_SEEN}output"][0] for name in self.names)
        return logits, layers, state[_SEEN][self.last][f"{_SEEN}input"][0]


def network(module: nn.Module, classes: int, shape: tuple[int, ...]) -> Own:
    """Return a module as a network for images of a shape.

    Raises:
        ValueError: its parameters are not those of a chain of submodules.
    """
    *names, last = _parts(module, shape)
    return Own(module, classes, tuple(names), last)


@cache
def parameters(made: Any, classes: int, shape: tuple[int, ...], skip: bool = False) -> dict[str, Any]:
    """Return shape and dtype of the parameters of a network, if it is one for images of a shape and so many classes.

    With `skip`, its features must take a skip connection.

    Raises:
        ValueError: it is not.
    """
    images = jnp.zeros((_SAMPLES, *shape))
    params = jax.eval_shape(made.init, jax.random.key(0), images)["params"]
    found = jax.eval_shape(made.outputs, params, images, jnp.ones(len(made.names)) if skip else None)
    if not hasattr(found.logits, "shape"):
        raise ValueError("it puts out several arrays: use a module that puts out one, (n, classes)")
    if found.logits.shape != (_SAMPLES, classes):
        raise ValueError(f"it puts out {_shape(found.logits)}, but there are {classes} classes: use {MAKE}")
    if set(params) != {*made.names, HEAD}:
        raise ValueError(f"it has parameters of {', '.join(params)}, but its names are {', '.join(made.names)}")
    for name, layer in zip(made.names, found.layers, strict=True):
        if layer.shape[:1] != (_SAMPLES,):
            raise ValueError(f"{name} puts out {_shape(layer)}: use layers that put out (n, ...)")
    if found.features.ndim != 2 or any(x.shape[-1:] != (classes,) for x in jax.tree.leaves(params[HEAD])):
        raise ValueError(f"the last submodule called must be the head: use nn.Dense({classes}) as the last")
    if not found.features.shape[1]:
        raise ValueError("nothing goes into its head: use fewer poolings, or larger images")
    if not all(jnp.issubdtype(x.dtype, jnp.floating) for x in jax.tree.leaves(params)):
        raise ValueError("it has parameters that are not real: use real ones")
    return params


def forget() -> None:
    """Let modules be traced again: what one reads from outside, a global or an attribute, may have changed."""
    _parts.cache_clear()
    parameters.cache_clear()


@cache
def _parts(module: nn.Module, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the submodules with parameters in the order of their first calls, that of the head last."""
    called: list[str] = []

    def call(submodule: nn.Module, function: Callable, args: tuple, kwargs: dict) -> Any:
        called.append(str(submodule.name))
        return function(*args, **kwargs)

    def drawn(key: Array) -> Any:  # a function of its own: what has been traced before would not be called again
        with nn.intercept_methods(_of_submodules(call)):
            return module.init(key, jnp.zeros((_SAMPLES, *shape)))

    variables = jax.eval_shape(drawn, jax.random.key(0))
    for kind in set(variables) - {"params"}:
        raise ValueError(f"it keeps {kind}: use layers without, such as nn.LayerNorm in place of nn.BatchNorm")
    params = variables.get("params", {})
    if alone := [name for name, x in params.items() if not isinstance(x, dict)] + sorted(set(params) - set(called)):
        raise ValueError(f"{alone[0]} is in no submodule that it calls: use a submodule for it")
    order = [name for name in called if name in params]
    if not order:
        raise ValueError("it has no submodules with parameters: use layers, and nn.Dense as the last")
    names = tuple(name for name in dict.fromkeys(order) if name != order[-1])
    if HEAD in names:
        raise ValueError(f"its layer {HEAD} is not the last that is called: use another name for it")
    return (*names, order[-1])


def _of_submodules(call: Callable) -> Callable:
    """Return an interceptor of flax; calls of a module's own submodules go to call(submodule, function, ...)."""
    busy: list[Any] = []  # one submodule's calls of itself, and of what is in it, are its own affair

    def intercept(function: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        path = context.module.path
        if len(path) != 1 or busy or context.method_name == "setup":
            return function(*args, **kwargs)
        busy.append(path)
        try:
            return call(context.module, function, args, kwargs)
        finally:
            busy.pop()

    return intercept


def _accurate(x: Array) -> Array:
    return x.astype(jnp.result_type(x, jnp.float32))


def _shape(x: Any) -> str:
    return f"({', '.join(('n', *map(str, x.shape[1:])))})" if x.shape[:1] == (_SAMPLES,) else str(x.shape)
