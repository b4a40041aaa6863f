"""What a network computes, and the skip connection from its layers to its features."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array


class Output(NamedTuple):
    """What a network computes for n images.

    Attributes:
        logits: (n, K).
        features: h, the input of the head, (n, D).
        layers: what each layer puts out, (n, ..., channels).
    """

    logits: Array
    features: Array
    layers: tuple[Array, ...]


def average(x: Array) -> Array:
    """Return the mean over all axes but samples and channels: (n, ..., C) to (n, C)."""
    return x.mean(tuple(range(1, x.ndim - 1)))


def with_skip(features: Array, layers: Sequence[Array], skip: Array) -> Array:
    """Return the features (n, D) and what each layer puts out times its factor in `skip` (L,), summed.

    For that layers are averaged over positions, and cut or padded to D.
    """
    width = features.shape[1]

    def fitted(x: Array) -> Array:
        return jnp.pad(average(x)[:, :width], ((0, 0), (0, max(0, width - x.shape[-1]))))

    return features + sum(factor * fitted(x) for factor, x in zip(skip, layers, strict=True))
