"""The first layer in coefficients: exact, and its cost does not depend on d.

Training never leaves the span of the initial weights and of the vectors it has seen, signals and noise. For a filter

    w = s w(0) + sum_j C_j x_j,    s = 1, C = 0 at the start

so it is enough to carry s and C. What a network sees of its weights are inner products, and a gradient is a combination
of the same vectors:

    <w, x_i> = s <w(0), x_i> + sum_j <x_i, x_j> C_j,    dL/dw = sum_i dL/d<w, x_i> x_i

with dL/d<w, x_i> by autodiff, whatever stands above. An optimizer that is linear in gradients and weights does to
(s, C) what it does to w; weight decay alone moves s. A step costs O(m n^2) for n noise vectors; the inner products of
signals and noise are 0 where noise is projected. Arrays are (vectors, networks, filters), so that networks that train
on one task share one product: a CPU multiplies a matrix of 80 columns a quarter faster than two of 40.

Up to a norm, C is the signal-noise decomposition of the theory: gamma = j C_mu |mu|^2, rho_i = C_i |xi_i|^2.
Source: Cao, Chen, Belkin, Gu, 2022 (arXiv 2202.06526) and Kou et al., 2023 (arXiv 2303.04145) for the decomposition.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from pt_jax.signal_noise.network import Basis, Inner
from pt_jax.signal_noise.point import Static


class Coefficients(NamedTuple):
    """What moves: `share` s (k, 2m), `signal` C of the signals (S, k, 2m), `noise` C (n, k, 2m), for k networks."""

    share: Array
    signal: Array
    noise: Array


class Start(NamedTuple):
    """What does not move.

    Attributes:
        weights: w(0), (k, 2m, p).
        inner: its inner products.
        basis: the vectors of the training set.
        gram: inner products of the noise with itself, K, and in further rows with the signals unless they are 0.
        signals: those of the signals, (S, S).
    """

    weights: Array
    inner: Inner
    basis: Basis
    gram: Array
    signals: Array


def begin(weights: Array, basis: Basis, static: Static) -> tuple[Start, Coefficients]:
    """Return what does not move and what does, for k first layers (k, 2m, p) on one training set."""
    named = all(isinstance(x, str | None) for x in (static.data, static.data2))  # somebody's own may lie as they want
    apart = static.noise != "isotropic" and named and not static.bias
    rows = basis.noise if apart else jnp.concatenate([basis.noise, basis.signal])  # one product for both
    start = Inner(*(jnp.einsum("np,kfp->nkf", vectors, weights) for vectors in basis))
    nothing = jax.tree.map(jnp.zeros_like, start)
    fixed = Start(weights, start, basis, rows @ basis.noise.T, basis.signal @ basis.signal.T)
    return fixed, Coefficients(jnp.ones(weights.shape[:2]), *nothing)


def inner(start: Start, c: Coefficients, rows: Array | None = None) -> Inner:
    """Return the inner products with the signals and with all noise vectors, or those in `rows`."""
    n = start.gram.shape[1]
    cross = start.gram[n:]
    if rows is None:
        gram, noise = start.gram, start.inner.noise
    else:
        gram, cross = start.gram[jnp.concatenate([rows, jnp.arange(n, len(start.gram))])], cross[:, rows]
        noise = start.inner.noise[rows]
    product = jnp.einsum("ni,ikf->nkf", gram, c.noise)
    noise = noise * c.share + product[: len(noise)]
    signal = start.inner.signal * c.share
    for s in range(len(signal)):  # few: written out, they are added in one pass
        signal = signal + start.signals[:, s, None, None] * c.signal[s]
    for s in range(len(cross)):
        noise = noise + cross[s, :, None, None] * c.signal[s]
    return Inner(signal + product[-len(signal) :] if len(cross) else signal, noise)


def gradient(start: Start, by: Inner, rows: Array | None = None) -> Coefficients:
    """Return dL/dw from the derivatives by the inner products, in the coordinates of the weights."""
    noise = by.noise if rows is None else jnp.zeros_like(start.inner.noise).at[rows].add(by.noise)
    return Coefficients(jnp.zeros_like(by.signal[0]), by.signal, noise)


def weights(start: Start, c: Coefficients) -> Array:
    """Return w, (k, 2m, p)."""
    learned = [jnp.einsum("ikf,ip->kfp", x, vectors) for x, vectors in zip(c[1:], start.basis, strict=True)]
    return start.weights * c.share[..., None] + learned[0] + learned[1]


def squared(start: Start, c: Coefficients) -> Array:
    """Return |v|^2 over all filters, (k,), of vectors in which w(0) has no share, as a gradient."""
    signal, noise = (jnp.sum(x * along, axis=(0, 2)) for x, along in zip(c[1:], inner(start, c), strict=True))
    return signal + noise


def learned(start: Start, c: Coefficients, decays: Array | bool) -> Inner:
    """Return the coefficients of the signals and of the noise; what weight decay does to w(0) is held apart."""
    del start, decays
    return Inner(c.signal, c.noise)


def optimizer(first: optax.GradientTransformation, upper: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return an optimizer of (coefficients, parameters above with a first axis of k).

    That of the coefficients is linear, so that no network sees the others; above each network has its own.
    """

    def init(params: Any) -> Any:
        return first.init(params[0]), jax.vmap(upper.init)(params[1]) if jax.tree.leaves(params[1]) else ()

    def update(slope: Any, memory: Any, params: Any) -> Any:
        moved, held = first.update(slope[0], memory[0], params[0])
        if not jax.tree.leaves(params[1]):
            return (moved, params[1]), (held, ())
        above, held_above = jax.vmap(upper.update)(slope[1], memory[1], params[1])
        return (moved, above), (held, held_above)

    return optax.GradientTransformation(init, update)


def factors(ratio: Array) -> Coefficients:
    """Return the factor on the updates of what moves, from that on the weights of each filter, (k, 2m, 1)."""
    return Coefficients(ratio[..., 0], ratio[..., 0], ratio[..., 0])
