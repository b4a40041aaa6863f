"""Inheritance on real networks: which upstream parameters replace the fresh ones, and which are trained then.

Masks are pytrees over the network's parameters that broadcast to their shapes. The head is never inherited.

- filters: in every tensor, the first floor(alpha O + 1/2) of its O output channels (the last axis), with their biases.
  The first ones: so a channel that is inherited reads the inherited channels below it.
- weights: every parameter with probability alpha, whole or not at all; a larger alpha takes a superset.
- bottom, top: of L layers, the floor(alpha L + 1/2) lowest or highest, whole.

Source: arXiv 2509.22056 (a proportion alpha of the upstream weights); its reviewers asked for whole layers.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.inputs.field import part_of
from pt_jax.vision.fields import HEAD
from pt_jax.vision.point import Point, Static

Params = Mapping[str, Any]  # layer name -> pytree of tensors


def choice(key: Array, alpha: Array, params: Params, static: Static) -> Params:
    """Return which parameters are inherited, True where they are.

    Args:
        key: a typed key; only `weights` draws.
        alpha: fraction inherited, in [0, 1].
        params: of the target network.
        static: `inherit`, and `layers`, those that may be inherited.
    """
    open_ = [name for name in static.layer_names if name in (static.layers or static.layer_names)]
    count = part_of(alpha, len(open_), jnp)

    def of_tensor(key: Array, name: str, tensor: Array) -> Array:
        if name not in open_:
            return jnp.zeros((), bool)
        if static.inherit == "filters":
            return jnp.arange(tensor.shape[-1]) < part_of(alpha, tensor.shape[-1], jnp)
        if static.inherit == "weights":
            return jax.random.uniform(key, tensor.shape, jnp.float32) < alpha
        i = open_.index(name)
        return i < count if static.inherit == "bottom" else i >= len(open_) - count

    return _over_tensors(key, params, of_tensor)


def factors(point: Point, taken: Params, static: Static) -> Params:
    """Return each parameter's factor on the learning rate: 0 where the method does not train it.

    Inherited ones train at `lr_ratio`. `full` trains all, `probe` the head, `layer` and `skip` one layer and the head.
    """
    chosen = static.layer_names.index

    def of_layer(name: str) -> Array | float:
        if static.method == "full" or name == HEAD:
            return 1.0
        return 0.0 if static.method == "probe" else jnp.where(point.layer == chosen(name), 1.0, 0.0)

    ratio = jax.tree.map(lambda inherited: jnp.where(inherited, point.lr_ratio, 1.0), taken)
    layers = {name: of_layer(name) for name in taken}
    return {name: jax.tree.map(lambda x, of=layers[name]: of * x, tree) for name, tree in ratio.items()}


def inherited(taken: Params, params: Params) -> Array:
    """Return the fraction of the parameters below the head that is inherited."""
    body = [name for name in params if name != HEAD]
    total = sum(x.size for name in body for x in jax.tree.leaves(params[name]))
    return _count([taken[name] for name in body], [params[name] for name in body]) / max(total, 1)


def tuned(factor: Params, params: Params, classes: Array) -> Array:
    """Return how many parameters are trained: those with a factor above 0, in the head those of the classes in use."""
    trained = {name: jax.tree.map(lambda f: f > 0, tree) for name, tree in factor.items()}
    trained[HEAD] = jax.tree.map(lambda t, x: t & (jnp.arange(x.shape[-1]) < classes), trained[HEAD], params[HEAD])
    return _count(trained, dict(params))


def _count(mask: Any, params: Any) -> Array:
    counts = jax.tree.map(lambda m, x: jnp.sum(jnp.broadcast_to(m, x.shape)), mask, params)
    return jnp.sum(jnp.array(jax.tree.leaves(counts), int))


def _over_tensors(key: Array, params: Params, function: Any) -> Params:
    """Return function(key, layer, tensor) of every tensor; each has a key of its own."""
    paths, structure = jax.tree.flatten_with_path(dict(params))
    made = [function(jax.random.fold_in(key, i), path[0].key, x) for i, (path, x) in enumerate(paths)]
    return jax.tree.unflatten(structure, made)
