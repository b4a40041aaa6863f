"""Losses of a label and an output, each sample by itself.

one output, y = -+1:      logistic  log(1 + exp(-y f))      squared  (f - y)^2 / 2      hinge  max(0, 1 - y f)
K outputs, y = 0..K-1:    logistic  -log softmax_y(f)       squared  |f - e_y|^2 / 2
"""

import jax
import jax.numpy as jnp
from jax import Array


@jax.custom_jvp
def logistic(y: Array, f: Array) -> Array:
    """Return the logistic loss softplus(-y f)."""
    return jax.nn.softplus(-y * f)


@logistic.defjvp
def _(at: tuple[Array, Array], along: tuple[Array, Array]) -> tuple[Array, Array]:
    # One sigmoid, where the derivative of softplus has several functions: a tenth of a training step.
    y, f = at
    return logistic(y, f), -jax.nn.sigmoid(-y * f) * (y * along[1] + f * along[0])


def squared(y: Array, f: Array) -> Array:
    """Return the squared loss (f - y)^2 / 2."""
    return (f - y) ** 2 / 2


def hinge(y: Array, f: Array) -> Array:
    """Return the hinge loss max(0, 1 - y f)."""
    return jnp.maximum(0.0, 1.0 - y * f)


def cross_entropy(y: Array, f: Array) -> Array:
    """Return -log softmax(f) of the label, (n,), from outputs (n, K)."""
    return -jnp.sum(jax.nn.one_hot(y, f.shape[-1]) * jax.nn.log_softmax(f), axis=-1)


def squared_classes(y: Array, f: Array) -> Array:
    """Return |f - e_y|^2 / 2, (n,), from outputs (n, K)."""
    return jnp.sum((f - jax.nn.one_hot(y, f.shape[-1])) ** 2, axis=-1) / 2


def mistakes(y: Array, f: Array) -> Array:
    """Return 1 where the label is missed, and 1/2 where one output is 0: from outputs (n,) or (n, K), (n,)."""
    if f.ndim == 1:
        return (1.0 - jnp.sign(y * f)) / 2.0
    return (jnp.argmax(f, axis=-1) != y).astype(f.dtype)


ONE = {"logistic": logistic, "squared": squared, "hinge": hinge}
CLASSES = {"logistic": cross_entropy, "squared": squared_classes}
