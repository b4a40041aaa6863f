"""The first layer in R^d: the reference of the span engine, and what that cannot do.

Any optimizer, and single inherited weights. Fed the same vectors, the two agree to rounding.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.scipy.sparse.linalg import cg

from pt_jax.signal_noise.network import Basis, Inner
from pt_jax.signal_noise.point import Static


class Start(NamedTuple):
    """What does not move: `weights` w(0), (k, 2m, p), the training set's vectors, number of coordinates but a bias."""

    weights: Array
    basis: Basis
    plain: int


def begin(weights: Array, basis: Basis, static: Static) -> tuple[Start, Array]:
    """Return what does not move and what does, as `span.begin`: here the weights themselves."""
    return Start(weights, basis, weights.shape[-1] - static.bias), weights


def inner(start: Start, w: Array, rows: Array | None = None) -> Inner:
    """Return the inner products, as `span.inner`."""
    return Inner(*(jnp.einsum("np,kfp->nkf", vectors, w) for vectors in _seen(start, rows)))


def gradient(start: Start, by: Inner, rows: Array | None = None) -> Array:
    """Return dL/dw, as `span.gradient`."""
    signal, noise = (jnp.einsum("nkf,np->kfp", x, v) for x, v in zip(by, _seen(start, rows), strict=True))
    return signal + noise


def weights(start: Start, w: Array) -> Array:
    """Return w, (k, 2m, p)."""
    del start
    return w


def squared(start: Start, w: Array) -> Array:
    """Return |v|^2 over all filters, as `span.squared`."""
    del start
    return jnp.sum(w**2, axis=(1, 2))


def learned(start: Start, w: Array, decays: Array | bool) -> Inner:
    """Return the coefficients of the signals and of the noise in the least-squares fit of w - w(0) by them.

    By conjugate gradients. They are those of the span engine where the optimizer is linear and d exceeds n, to the
    rounding of w: what is memorised of noise that is 1e7 times weaker than the signal is lost in float32. Where weight
    decay takes a share off w(0), w(0) is fitted as well: all else is then taken orthogonal to it.
    """
    basis = jnp.concatenate(start.basis)[:, : start.plain]
    norm = jnp.linalg.norm(basis, axis=1)
    norm = jnp.where(norm > 0, norm, jnp.inf)
    basis = basis / norm[:, None]  # what is weak is fitted as well as what is strong
    gram, change = basis @ basis.T, (w - start.weights)[..., : start.plain]
    size = jnp.maximum(jnp.max(jnp.abs(change)), jnp.finfo(change.dtype).tiny)  # squares of it may not be numbers
    right, along = jnp.einsum("bp,kfp->bkf", basis, change / size), jnp.zeros(())
    if decays is not False:
        first = start.weights[..., : start.plain]
        first = first / jnp.maximum(jnp.linalg.norm(first, axis=-1, keepdims=True), jnp.finfo(first.dtype).tiny)
        along = jnp.where(decays, jnp.einsum("bp,kfp->bkf", basis, first), 0.0)
        right = right - along * jnp.sum(first * change / size, axis=-1)

    def fitted(right: Array, along: Array) -> Array:
        return cg(lambda c: gram @ c - along * jnp.sum(along * c, axis=0), right, maxiter=4 * len(gram))[0]

    # A network at a time: each ends where it has converged, whatever it is trained beside.
    fit = jax.vmap(fitted, 1, 1)(right, jnp.broadcast_to(along, right.shape))
    coefficients = fit * size / norm[:, None, None]
    signals = len(start.basis.signal)
    return Inner(coefficients[:signals], coefficients[signals:])


def optimizer(first: optax.GradientTransformation, upper: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return an optimizer of (weights, parameters above), as `span.optimizer`: each network by itself, as a whole.

    Where both are one, it sees all parameters of a network together: their norm, where it takes one.
    """
    whole = first if first is upper else optax.partition({"first": first, "upper": upper}, _labels)
    return optax.GradientTransformation(jax.vmap(whole.init), jax.vmap(whole.update))


def factors(ratio: Array) -> Array:
    """Return the factors on the updates of what moves: (k, 2m, 1), or (k, 2m, p) where single weights are inherited."""
    return ratio


def _seen(start: Start, rows: Array | None) -> Basis:
    return start.basis if rows is None else start.basis._replace(noise=start.basis.noise[rows])


def _labels(params: Any) -> Any:
    return "first", jax.tree.map(lambda _: "upper", params[1])
