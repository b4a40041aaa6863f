"""The loss on the straight line between two networks.

    theta_t = (1 - t) theta_a + t theta_b,    excess(t) = L(theta_t) - ((1 - t) L_a + t L_b)
    barrier = max over 0 <= t <= 1 of excess(t)
    above the mean of the ends = max over 0 <= t <= 1 of L(theta_t) - (L_a + L_b) / 2

The barrier is as in arXiv 2008.11687 and arXiv 2110.06296, the height above the mean of the ends as in arXiv
1912.05671. They are equal where the losses at the ends are; else the second is at least |L_a - L_b| / 2, also without a
barrier. Between two networks fine-tuned from the same pretraining none is expected; between two trained from scratch,
one, even from the same initial weights.

Source: 'What is being transferred in transfer learning?', arXiv 2008.11687; 'Linear Mode Connectivity and the Lottery
Ticket Hypothesis', arXiv 1912.05671; 'The Role of Permutation Invariance in Linear Mode Connectivity of Neural
Networks', arXiv 2110.06296.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import real
from pt_jax.diagnostics.parameters import Params, check

Loss = Callable[[Params], Array]


class Barrier(NamedTuple):
    """The loss above the straight line between the values at the ends, in the unit of the loss.

    Attributes:
        height: the barrier, at least 0: both ends are among the points; the shape of the loss.
        excess: L(theta_t) - ((1 - t) L_a + t L_b) at each t, also outside [0, 1], (T, ...).
        above_mean: the largest loss on the path over the mean of the losses at the ends; the shape of the loss.
    """

    height: Array
    excess: Array
    above_mean: Array


def between(a: Params, b: Params, t: ArrayLike) -> Params:
    """Return (1 - t) a + t b of pytrees that `parameters.check` made; exactly a at t = 0 and b at t = 1."""
    return jax.tree.map(lambda x, y: jnp.asarray((1 - t) * x + t * y, x.dtype), a, b)


def evaluated(loss: Loss, params: Params) -> Array:
    """Return the loss in float32 or better.

    Raises:
        ValueError: it is no function, or what it returns is not real.
    """
    if not callable(loss):
        raise ValueError(f"loss = {loss!r} is not accepted: use a function from parameters to a number or an array.")
    return real("loss", loss(params))


def interpolate(loss: Loss, a: Params, b: Params, t: ArrayLike) -> Array:
    """Return the loss at each t on the line from a to b.

    Args:
        loss: from parameters to a scalar, or to an array, such as test loss and test error stacked. It sees parameters
            in float32 or better, in the structure of a.
        a: parameters at t = 0.
        b: parameters at t = 1, of the same structure.
        t: positions, dimensionless, (T,); outside [0, 1] the line is extrapolated.

    Returns:
        Losses, (T, ...). One network is evaluated at a time.

    Raises:
        ValueError: pytrees of different structure or shapes, or t that is not a vector.
    """
    a, b = check(a=a, b=b)
    return jax.lax.map(lambda s: evaluated(loss, between(a, b, s)), _vector(t))


def barrier(loss: Loss, a: Params, b: Params, t: ArrayLike) -> Barrier:
    """Return how far the loss rises above the straight line between its values at the ends.

    Args:
        loss: as for `interpolate`.
        a: parameters at t = 0.
        b: parameters at t = 1.
        t: positions, (T,); 20 to 50 in [0, 1] are usual. Those outside [0, 1] have an excess and no say in the height.

    Returns:
        The height in both definitions and the excess at each t; NaN where a loss is.

    Raises:
        ValueError: as for `interpolate`.
    """
    with_ends = jnp.concatenate([jnp.array([0.0, 1.0]), _vector(t)])
    losses = interpolate(loss, a, b, with_ends)
    s = with_ends.reshape(-1, *[1] * (losses.ndim - 1))
    excess = losses - ((1 - s) * losses[0] + s * losses[1])
    height, highest = (jnp.max(jnp.where((s >= 0) & (s <= 1), x, -jnp.inf), axis=0) for x in (excess, losses))
    return Barrier(height, excess[2:], highest - (losses[0] + losses[1]) / 2)


def _vector(t: ArrayLike) -> Array:
    t = real("t", t)
    if t.ndim != 1 or t.size == 0:
        raise ValueError(f"t has shape {t.shape}; expected a vector of at least one position.")
    return t
