"""The optimizer that a static names: one of optax's, or a function from a learning rate to a transformation."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

_USE = "use the name of one in optax that needs a learning rate alone, or a function from it to an optax transformation"


def make(optimizer: str | Callable, lr: optax.Schedule) -> optax.GradientTransformation:
    """Return the transformation for a learning rate over steps."""
    return (optimizer if callable(optimizer) else getattr(optax, optimizer))(lr)


@cache
def check_name(optimizer: str) -> None:
    """Check that a name is that of an optimizer which needs gradients and parameters alone, by tracing it.

    Raises:
        ValueError: it is not.
    """
    found = getattr(optax, optimizer, None) if isinstance(optimizer, str) else None
    # So are all optimizers of optax: scale_by_schedule, for one, would go uphill.
    if not inspect.isfunction(found) or next(iter(inspect.signature(found).parameters), "") != "learning_rate":
        raise ValueError(f"optimizer = {optimizer!r} is not accepted: {_USE}.")
    check_function(optimizer, {"w": jax.ShapeDtypeStruct((2, 2), np.float32)})


def check_function(optimizer: str | Callable, params: Any) -> None:
    """Check that an optimizer makes updates of parameters, given by shape and dtype, from gradients alone.

    Raises:
        ValueError: it does not.
    """
    leaves, structure = jax.tree.flatten(params)
    _check(optimizer, tuple(leaves), structure)


@cache
def _check(optimizer: str | Callable, leaves: tuple, structure: Any) -> None:
    params = jax.tree.unflatten(structure, leaves)
    try:
        jax.eval_shape(lambda start: _trained(make(optimizer, lambda count: jnp.ones(())), start), params)
    except Exception as error:  # of the user's own code, or of whatever in optax is passed here
        name = getattr(optimizer, "__name__", optimizer)
        found = f"{type(error).__name__}, {str(error).strip().partition(chr(10))[0].rstrip('.')}"
        raise ValueError(f"optimizer = {name!r} is not accepted, it ends in {found}: {_USE}.") from error


def _trained(optimizer: optax.GradientTransformation, start: Any) -> Any:
    def step(_: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        params, memory = state
        updates, memory = optimizer.update(params, memory, params)
        return jax.tree.map(lambda w, u: (w + u).astype(w.dtype), params, updates), memory

    return jax.lax.fori_loop(0, 2, step, (start, optimizer.init(start)))[0]
