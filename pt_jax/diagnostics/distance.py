"""Distance in parameter space, whole and by module.

Two fine-tuned networks that share their pretraining are expected to be much closer than two trained from scratch.

Source: 'What is being transferred in transfer learning?', arXiv 2008.11687.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.diagnostics.parameters import Params, check, modules


class Distance(NamedTuple):
    """L2 distances in the unit of the parameters: `whole`, a scalar, and `modules`, scalars by module name."""

    whole: Array
    modules: dict[str, Array]


def l2(a: Params, b: Params) -> Distance:
    """Return |a - b|_2 over all parameters and over those of each module.

    Args:
        a: a pytree of parameters, all of which count: weights, biases and norms; see `parameters.Params`.
        b: another one of the same names and shapes.

    Returns:
        The distances; the squares of the modules' add up to the square of the whole.

    Raises:
        ValueError: pytrees of different structure or shapes.
    """
    a, b = check(a=a, b=b)
    squares: dict[str, Array] = {}
    for name, x, y in zip(modules(a), jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        squares[name] = squares.get(name, jnp.zeros(())) + jnp.sum((x - y) ** 2)
    whole = jnp.sqrt(jnp.sum(jnp.stack(list(squares.values()))))
    return Distance(whole, {name: jnp.sqrt(square) for name, square in squares.items()})
