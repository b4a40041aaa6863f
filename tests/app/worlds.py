"""A world of one's own with a gain, for the commands that read folders."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import pt_jax


class Place(NamedTuple):
    """What a result is a function of."""

    x: Any = 0.0
    y: Any = 0.0
    z: Any = 3.0


class Result(NamedTuple):
    """The gain is x - 1 and noise; where y is above 1, every other seed or so diverges."""

    gain: Any
    error: Any
    error_scratch: Any
    diverged: Any
    curve: Any


def world(key, point, static, data):
    """Return a result of few operations."""
    del static, data
    noise = 0.1 * jax.random.normal(key)
    gain = point.x - 1 + noise
    return Result(gain, 3 - gain, 3 + noise * 0, (point.y > 1) & (noise > 0), jnp.stack([gain, 2 * gain]))


def sweep(axes, seeds=8, **options):
    """Return a sweep of `world`."""
    return pt_jax.Sweep(world, Place(), axes, seeds, **options)
