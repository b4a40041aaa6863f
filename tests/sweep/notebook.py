"""Functions and classes as somebody writes them in a notebook, and their sweeps."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from pt_jax.sweep.grid import Sweep

SOURCE = """
import jax
import numpy as np
from typing import NamedTuple
from pt_jax import Sweep

SCALE = 3.0
TABLE = np.arange(5.0)


class Place(NamedTuple):
    x: float = 0.0


class Result(NamedTuple):
    gain: jax.Array


def helper(key, x):
    return 2.0 * x + jax.random.normal(key)


@jax.jit
def jitted(x):
    return SCALE * x


def world(key, point, static, data, weight=1.5):
    middle = helper(key, point.x)
    return Result(weight * (middle + jitted(point.x)) + TABLE.sum())


sweep = Sweep(world, Place(), {"x": [1.0, 2.0]}, seeds=2)
"""


def module(text, name="notebook"):
    """Run a text as a module of its own."""
    space = {"__name__": name}
    exec(compile(text, f"{name}.py", "exec"), space)
    return space


def sweep_of(old="", new=""):
    """Return the sweep of the source after an edit."""
    assert old in SOURCE
    return module(SOURCE.replace(old, new))["sweep"]


class Place(NamedTuple):
    x: float = 0.0


class Result(NamedTuple):
    gain: jax.Array


def draw(key, point, static, data):
    return Result(point.x + jax.random.normal(key))


def scaled(scale, key, point, static, data):
    return Result(scale * draw(key, point, static, data).gain)


@dataclasses.dataclass
class World:
    """A world with an attribute, and a method that reads it."""

    scale: float

    def run(self, key, point, static, data):
        return scaled(self.scale, key, point, static, data)


def closure(scale):
    def inner(key, point, static, data):
        return scaled(scale, key, point, static, data)

    return inner


class Functions(NamedTuple):
    """A static that holds an optimizer, an activation, a loss and a network."""

    optimizer: Callable = optax.sgd
    activation: Callable = jax.nn.relu
    loss: Callable = optax.l2_loss
    network: nn.Module = nn.Dense(1)


def trained(key, point, static, data):
    x = jax.random.normal(key, (3, 2))
    params = static.network.init(key, x)
    rule = static.optimizer(0.1)
    slope = jax.grad(lambda p: jnp.sum(static.loss(static.activation(static.network.apply(p, x)) - point.x)))(params)
    updates, _ = rule.update(slope, rule.init(params), params)
    return Result(sum(map(jnp.sum, jax.tree.leaves(optax.apply_updates(params, updates)))))


def simple(function, **options):
    return Sweep(function, Place(), {"x": [1.0, 2.0]}, 2, **options)


def tall(x):
    return nn.relu(x) ** 2


def table(last):
    return {"offset": np.float32(0.0), "table": np.array([1.0, last], np.float32)}
