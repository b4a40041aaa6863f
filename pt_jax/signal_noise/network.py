"""The two-layer CNN, on patches x^(1) = y mu (signal) and x^(2) = xi (noise).

    f(x) = F_+(x) - F_-(x),    F_j(x) = (1/m) sum_{r=1..m} sum_{p=1,2} act(<w_{j,r}, x^(p)> + b_{j,r})

Filters are stored in the order +, -, +, -, so that the 2m filters in use are a prefix of the padded arrays.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Activation = Callable[[Array], Array]


class Net(NamedTuple):
    """The trained parameters.

    Attributes:
        weights: filters w_{j,r}, (2m, p).
        bias: b_{j,r}, (2m,); 0 where the network has no biases.
    """

    weights: Array
    bias: Array


def readout(m: Array, padded: int) -> Array:
    """Return the fixed second layer j/m: +1/m, -1/m, +1/m, ... and 0 on the padding, (2 padded,)."""
    row = np.arange(2 * padded)
    return jnp.where(row < 2 * m, (1.0 - 2.0 * (row % 2)) / m, 0.0)


def noise_output(noise: Array, bias: Array, readout: Array, activation: Activation) -> Array:
    """Return what the noise patch adds to f, (n,), from the inner products <xi_i, w>, (n, 2m)."""
    return activation(noise + bias) @ readout


def signal_output(signal: Array, bias: Array, readout: Array, activation: Activation) -> tuple[Array, Array]:
    """Return what the signal patch adds to f where y = +1 and where y = -1, from the inner products <mu, w>, (2m,)."""
    return activation(signal + bias) @ readout, activation(bias - signal) @ readout


def output(noise: Array, signal: Array, label: Array, bias: Array, readout: Array, activation: Activation) -> Array:
    """Return f on the training samples, (n,)."""
    plus, minus = signal_output(signal, bias, readout, activation)
    return jnp.where(label > 0, plus, minus) + noise_output(noise, bias, readout, activation)


def logistic(y: Array, f: Array) -> Array:
    """Return the logistic loss softplus(-y f)."""
    return jax.nn.softplus(-y * f)


def squared(y: Array, f: Array) -> Array:
    """Return the squared loss (f - y)^2 / 2."""
    return (f - y) ** 2 / 2
