"""A small world of one's own for the engine's tests: nothing in it knows pt_jax, and its static has no members."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pt_jax.sweep.grid import Sweep


class Dice(NamedTuple):
    """What one throw is a function of."""

    shift: Any = 0.5
    scale: Any = 2.0
    share: Any = 0.25


class Throw(NamedTuple):
    """What one throw ends with; `each` has a dimension of its own."""

    total: Any
    each: Any
    half: Any = None


class Half(NamedTuple):
    """A nested result."""

    first: Any


def throw(key, point, static, data):
    """Throw five dice: whole numbers times quarters, so that float32 is exact in any order of the operations."""
    del static
    eyes = jax.random.randint(key, (5,), 1, 7).astype(float)
    offset = 0.0 if data is None else data["offset"] + jnp.sum(data["table"])
    each = point.scale * eyes
    return Throw(point.shift + point.share * jnp.sum(each) + offset, each, Half(each[0]))


def throw_sweep(axes, seeds=4, **options):
    """Return a sweep of `throw`."""
    return Sweep(throw, Dice(), axes, seeds, **options)


# The same for `pt-jax`, which traces and compiles it sooner than a map.
FILE = """function = "tests.sweep.cases.throw"
point_type = "tests.sweep.cases.Dice"
outputs = ["total"]
seeds = 4
[axes]
shift = "0:1:2"
scale = [1, 2]
"""
RERUN = ("rerun", "--allow", "tests", "--value", "total")

_throw = jax.jit(throw, static_argnums=2)


def by_loop(sweep):
    """Return `total` of every cell and seed of a sweep of `throw` by a plain Python loop, one call each."""
    result = np.empty(sweep.shape, np.float32)
    for index in np.ndindex(*sweep.shape):
        point = sweep.point
        for axis, i in zip(sweep.grid, index, strict=False):
            point = point._replace(**dict(zip(axis.fields, axis.values[i], strict=True)))
        key = jax.random.key(sweep.seed_values[index[-1]])
        result[index] = _throw(key, point, sweep.static, sweep.data).total
    return result
