"""How much a module's trained parameters matter: put them back to their initial values, or part of the way.

    theta_alpha = (1 - alpha) theta_0 + alpha theta_F in the module,  theta_F elsewhere
    reset:        L(theta_alpha) - L(theta_F)
    criticality:  least alpha^2 |theta_F - theta_0|_F^2 / sigma^2 over 0 <= alpha <= 1, 0 < sigma <= 1
                  such that E L(theta_alpha + noise in the module) <= eps,    noise ~ N(0, sigma^2)

A module that can be put back without loss has criticality 0. Fine-tuned networks are expected to be robust, and
criticality to rise with depth.

Source: 'What is being transferred in transfer learning?', arXiv 2008.11687.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import array, real, scalar, whole
from pt_jax.diagnostics.landscape import Loss, between, evaluated
from pt_jax.diagnostics.parameters import Params, check, inside, modules
from pt_jax.inputs.arguments import typed_key

Part = Array  # which tensors belong to a module, (tensors,), or to each of several, (M, tensors)


class Criticality(NamedTuple):
    """Criticality on a grid of A values of alpha and S of sigma; of several modules, with these first.

    Attributes:
        value: the criticality, dimensionless; infinite where no point of the grid has a mean loss of at most eps.
        low: the value with the mean loss 2 standard errors lower: how sure it is.
        high: the value with the mean loss 2 standard errors higher.
        alpha: where the value is reached along alpha; NaN where it is infinite.
        sigma: the same along sigma.
        loss: mean loss over the draws of noise, (A, S).
        se: its standard error, (A, S). All points share their draws.
    """

    value: Array
    low: Array
    high: Array
    alpha: Array
    sigma: Array
    loss: Array
    se: Array


def reset(loss: Loss, initial: Params, final: Params, module: str | Sequence[str], alpha: ArrayLike = 0.0) -> Array:
    """Return how much the loss rises when a module is put back to its initial value.

    Args:
        loss: from parameters to a scalar or an array. It sees parameters in float32 or better, in the structure of
            `final`.
        initial: theta_0.
        final: theta_F, of the same names and shapes.
        module: its name as in `parameters.modules`, `Block_0/Conv_1`, or that of a module around several, `Block_0`.
            Or a list of M names: one after the other, in one program.
        alpha: how much of the training is kept, dimensionless, in [0, 1]: 0 is the initial value. One number, or (A,).

    Returns:
        The rise, in the unit of the loss, (...) or (A, ...), of several modules (M, ...) or (M, A, ...); 0 for a module
        that does not matter.

    Raises:
        ValueError: no such module, pytrees of different structure or shapes, or an alpha of two dimensions or outside
            its range.
    """
    final, initial = check(final=final, initial=initial)
    part = _part(final, module)
    alpha, unmoved = _in_range("alpha", alpha, zero=True), evaluated(loss, final)
    if alpha.ndim > 1:
        raise ValueError(f"alpha has shape {alpha.shape}; expected one number or a vector.")

    def of(part: Part) -> Array:
        def rise(a: Array) -> Array:
            return evaluated(loss, _put(final, part, between(initial, final, a))) - unmoved

        return jax.lax.map(rise, alpha) if alpha.ndim else rise(alpha)

    return _each(part, of)


def measure(
    key: Array,
    loss: Loss,
    initial: Params,
    final: Params,
    module: str | Sequence[str],
    alpha: ArrayLike,
    sigma: ArrayLike,
    eps: ArrayLike,
    draws: int = 16,
) -> Criticality:
    """Return the criticality of a module, with the expectation over the noise by Monte Carlo.

    Args:
        key: a typed key, of the noise.
        loss: from parameters to a scalar, as for `reset`.
        initial: theta_0.
        final: theta_F, of the same names and shapes.
        module: its name, or a list of names, as for `reset`; all see the same noise.
        alpha: grid, dimensionless, in [0, 1], (A,); with 0, a module that does not matter has criticality 0.
        sigma: grid, in the unit of the parameters, above 0 and at most 1, (S,).
        eps: the largest mean loss allowed, in the unit of the loss.
        draws: of noise a grid point, at least 2.

    Returns:
        The criticality and the mean losses it follows from. For each module A S draws networks are evaluated, one at a
        time.

    Raises:
        ValueError: as for `reset`, or a grid outside its range, fewer than 2 draws, a key that is not typed, or a loss
            that is no scalar.
    """
    final, initial = check(final=final, initial=initial)
    part = _part(final, module)
    alpha, sigma, eps = _axis("alpha", alpha, zero=True), _axis("sigma", sigma, zero=False), scalar("eps", eps)
    draws = whole("draws", draws)
    if draws < 2:
        raise ValueError(f"draws is {draws}; expected at least 2, for the standard error.")

    keys, over = jax.random.split(typed_key(key), draws), jax.lax.map

    def of(part: Part) -> Criticality:
        def noisy(a, s, key):
            moved = _add_noise(key, between(initial, final, a), s)
            return scalar("loss", evaluated(loss, _put(final, part, moved)))

        losses = over(lambda a: over(lambda s: over(lambda key: noisy(a, s, key), keys), sigma), alpha)
        se = losses.std(2, ddof=1) / jnp.sqrt(draws)
        return _least(alpha, sigma, _squares(initial, final, part), losses.mean(2), se, eps)

    return _each(part, of)


def _add_noise(key: Array, params: Params, sigma: Array) -> Params:
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noisy = [x + (sigma * jax.random.normal(k, x.shape)).astype(x.dtype) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, noisy)


def _least(alpha: Array, sigma: Array, squares: Array, loss: Array, se: Array, eps: ArrayLike) -> Criticality:
    ratio = alpha[:, None] / sigma
    # In this order: the square of a small sigma may be 0. What does not move is 0 even where a factor is infinite.
    candidates = jnp.where((ratio == 0) | (squares == 0), 0.0, ratio * squares * ratio)

    def least(loss):
        return jnp.where(loss <= eps, candidates, jnp.inf)

    best = jnp.argmin(least(loss))
    value = jnp.min(least(loss))
    found = jnp.isfinite(value)
    return Criticality(
        value=value,
        low=jnp.min(least(loss - 2 * se)),
        high=jnp.min(least(loss + 2 * se)),
        alpha=jnp.where(found, alpha[best // len(sigma)], jnp.nan),
        sigma=jnp.where(found, sigma[best % len(sigma)], jnp.nan),
        loss=loss,
        se=se,
    )


def _squares(initial: Params, final: Params, part: Part) -> Array:
    """Return |theta_F - theta_0|_F^2 of the module."""
    pairs = zip(part, jax.tree.leaves(initial), jax.tree.leaves(final), strict=True)
    return sum((jnp.where(chosen, jnp.sum((y - x) ** 2), 0) for chosen, x, y in pairs), jnp.zeros(()))


def _put(final: Params, part: Part, other: Params) -> Params:
    """Return `final` with the module's tensors from `other`."""
    pairs = zip(part, jax.tree.leaves(final), jax.tree.leaves(other), strict=True)
    return jax.tree.unflatten(jax.tree.structure(final), [jnp.where(chosen, y, x) for chosen, x, y in pairs])


def _each(part: Part, of: Callable[[Part], Any]) -> Any:
    """Return what holds of one module, or of several, which are compiled once."""
    return of(part) if part.ndim == 1 else jax.lax.map(of, part)


def _part(final: Params, module: str | Sequence[str]) -> Part:
    """Return which tensors belong to the module, or to each of several."""
    if not isinstance(module, Sequence) or not module:
        raise ValueError(f"module is {module!r}; expected a name, or a list of at least one.")
    names, several = modules(final), [module] if isinstance(module, str) else module
    part = np.array([[inside(name, one) for name in names] for one in several])
    for one, found in zip(several, part, strict=True):
        if not found.any():
            raise ValueError(f"module is {one!r}; expected one of {', '.join(dict.fromkeys(names))}.")
    return jnp.array(part[0] if isinstance(module, str) else part)


def _in_range(name: str, values: ArrayLike, zero: bool) -> Array:
    """Return numbers up to 1, from 0 on or above it."""
    values = array(name, values)
    if not isinstance(values, jax.core.Tracer):
        values = np.asarray(values)  # NumPy, so that constants are checked under jit too
        if not np.all((values >= 0 if zero else values > 0) & (values <= 1)):
            raise ValueError(f"{name} is {values}; expected values {'from 0' if zero else 'above 0 and'} up to 1.")
    return real(name, values)


def _axis(name: str, values: ArrayLike, zero: bool) -> Array:
    values = _in_range(name, values, zero)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}; expected a vector of at least one value.")
    return values
