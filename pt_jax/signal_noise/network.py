"""The network on a set of samples: H of its patches, then what is above.

    H_pr = <w_r, x^(p)> + b_r = sum_s coefficient[p, s] <w_r, signal_s> + [p carries noise] <w_r, xi^(p)> + b_r

By default this is the two-layer CNN on two patches, x^(1) = y mu (signal) and x^(2) = xi (noise):

    f(x) = F_+(x) - F_-(x),    F_j(x) = (1/m) sum_{r=1..m} sum_{p=1,2} act(<w_{j,r}, x^(p)> + b_{j,r})

Filters are stored in the order +, -, +, -, so that the 2m filters in use are a prefix of the padded arrays.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

Activation = Callable[[Array], Array]


class Net(NamedTuple):
    """The trained parameters.

    Attributes:
        weights: filters w_{j,r}, (2m, p).
        bias: b_{j,r}, (2m,); 0 where the network has no biases.
        upper: parameters above the first layer; none for the CNN, whose second layer is fixed.
    """

    weights: Array
    bias: Array
    upper: Any = ()


class Basis(NamedTuple):
    """The vectors that a first layer is trained on: `signal` (S, p) and `noise` (n, p)."""

    signal: Array
    noise: Array


class Inner(NamedTuple):
    """Inner products of the filters of k networks with a Basis: `signal` (S, k, 2m) and `noise` (n, k, 2m)."""

    signal: Array
    noise: Array


def readout(m: Array, padded: int) -> Array:
    """Return the fixed second layer j/m: +1/m, -1/m, +1/m, ... and 0 on the padding, (2 padded,)."""
    row = np.arange(2 * padded)
    return jnp.where(row < 2 * m, (1.0 - 2.0 * (row % 2)) / m, 0.0)


def signal_output(signal: Array, bias: Array | float, first: Array, activation: Activation) -> Array:
    """Return act(H) V of the signal patch where y = +1 and where y = -1, (2, ...), from <mu, w> of shape (..., 2m)."""
    return activation(jnp.stack([bias + signal, bias - signal])) @ first


def patches(inner: Inner, coefficients: Array, noisy: tuple[bool, ...]) -> Array:
    """Return H of a network, (n, P, 2m), from its inner products, (S, 2m) and (n Q, 2m), or of a linear map of H."""
    h = coefficients @ inner.signal
    noise = inner.noise.reshape(len(h), -1, h.shape[-1])
    clean = len(noisy) - noise.shape[1]
    if not any(noisy[:clean]):  # the patches without noise come first: one piece
        return h + jnp.pad(noise, ((0, 0), (clean, 0), (0, 0)))
    order = np.cumsum(noisy) - 1
    return jnp.stack([h[:, p] + noise[:, order[p]] if on else h[:, p] for p, on in enumerate(noisy)], axis=1)


def pooled(inner: Inner, label: Array, first: Array, activation: Activation) -> Array:
    """Return sum_p act(H_p) V of a network on two patches, (n, ...), in half of the time.

    There are but two signal patches, +mu and -mu, whatever the number of samples.

    Args:
        inner: inner products of the units, (S, 2m) and (n, 2m), or of k networks, with the bias in them.
        label: labels, (n,).
        first: V, (2m, ...).
        activation: of the units.
    """
    signal, bias = inner.signal[0], inner.signal[1] if len(inner.signal) > 1 else 0.0
    which = jnp.stack([label > 0, label <= 0], axis=1).astype(first.dtype)  # as a product its derivative is quick, too
    return which @ signal_output(signal, bias, first, activation) + activation(inner.noise) @ first


def positive_root(x: Array, otherwise: float = 0.0) -> Array:
    """Return the square root where x is above 0, elsewhere another number with the derivative 0."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), otherwise)
