"""Parameter pytrees by module: the module that each tensor belongs to, and whether two pytrees fit together.

A module's name is the path to its tensors without their own name: `Block_0/Conv_1` for `Block_0/Conv_1/kernel`, as
flax names it. A tensor at the top, such as the field of a NamedTuple, is a module of its own.
"""

from typing import Any

import jax
import jax.numpy as jnp

Params = Any  # a pytree of arrays: what flax's `init` returned, with or without its outer "params"


def modules(params: Params) -> list[str]:
    """Return the name of the module of every tensor, in the order of `jax.tree.leaves`."""
    names = []
    for path, _ in jax.tree.leaves_with_path(params):
        name = jax.tree_util.keystr(path, simple=True, separator="/").removeprefix("params/")
        names.append(name.rpartition("/")[0] or name)
    return names


def inside(module: str, outer: str) -> bool:
    """Return whether a module is another one or lies in it."""
    return module == outer or module.startswith(outer + "/")


def check(**params: Params) -> None:
    """Check that pytrees, given by the names to be used in messages, have one structure and real tensors of one shape.

    Raises:
        ValueError: they do not, or there is no tensor.
    """
    (first, reference), *others = params.items()
    if not jax.tree.leaves(reference):
        raise ValueError(f"{first} holds no tensor; expected a pytree of parameters.")
    structure: Any = jax.tree.structure(reference)
    for name, other in others:
        if jax.tree.structure(other) != structure:
            raise ValueError(f"{name} has another pytree structure than {first}; expected parameters of one network.")
    for name, other in params.items():
        for (path, a), b in zip(jax.tree.leaves_with_path(reference), jax.tree.leaves(other), strict=True):
            where = f"{name}{jax.tree_util.keystr(path)}"
            if jnp.shape(a) != jnp.shape(b):
                raise ValueError(f"{where} has shape {jnp.shape(b)}, but {jnp.shape(a)} in {first}.")
            if not jnp.issubdtype(jnp.result_type(b), jnp.floating):
                raise ValueError(f"{where} has dtype {jnp.result_type(b)}; expected real parameters.")
