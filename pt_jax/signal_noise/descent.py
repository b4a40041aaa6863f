"""How a network is trained: the optimizer of a step, and minibatches.

g = dL/dw + weight_decay w,    v <- momentum v + g,    w <- w - factor * lr(t) v        (or any optimizer of optax)
lr(t) = lr,  lr (1 + cos(pi t / T)) / 2,  lr (1 - t / T)
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from pt_jax.signal_noise import functions
from pt_jax.signal_noise.network import Net
from pt_jax.signal_noise.point import Static

SCHEDULES = {  # the learning rate over that of the start, after a share t of all steps
    "constant": jnp.ones_like,
    "cosine": lambda t: (1.0 + jnp.cos(jnp.pi * t)) / 2.0,
    "linear": lambda t: 1.0 - t,
}


class Descent(NamedTuple):
    """How a network is trained.

    Attributes:
        lr: learning rate.
        ratio: each parameter's factor on it, a Net.
        steps: number of steps.
        rules: what is added to plain descent, by the names in `RULES`; what is not there is not computed.
    """

    lr: Array
    ratio: Net
    steps: Array
    rules: Mapping[str, Array] = MappingProxyType({})


def optimizers(
    descent: Descent, t: Array, number: int, static: Static
) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """Return the optimizers of step t on task 1 or 2, of the first layer and of what is above: one where alike."""
    lr = descent.lr * SCHEDULES[static.schedule](t / jnp.maximum(descent.steps, 1))
    rules, before = descent.rules, []
    if "weight_decay" in rules:
        before.append(optax.add_decayed_weights(rules["weight_decay"]))
    if "momentum" in rules:
        before.append(optax.trace(rules["momentum"], static.nesterov))

    def made(option: str) -> optax.GradientTransformation:
        own = functions.resolve(option, static)(lr)
        return optax.chain(*before, own) if before else own

    first = made(_first_layer(number))
    return first, first if static.upper_optimizer is None else made("upper_optimizer")


def decays(descent: Descent, number: int, static: Static) -> Array | bool:
    """Return whether weights of the first layer decay on task 1 or 2, by the rule or by the optimizer itself."""
    # The span engine holds apart what decays, and need not know.
    alone = static.engine == "dense" and functions.decays(functions.resolve(_first_layer(number), static))
    return alone or descent.rules.get("weight_decay", 0.0) > 0


def batch_of(number: int, static: Static) -> int | None:
    """Return the size of a minibatch of task 1 or 2, None for all samples."""
    return static.batch if number == 1 or static.batch2 is None else static.batch2 or None


def minibatch(key: Array, weight: Array, size: int) -> Array:
    """Draw the rows of samples in use, with replacement."""
    return jax.random.randint(key, (size,), 0, jnp.sum(weight > 0))


def _first_layer(number: int) -> str:
    """Return the option that names the optimizer of the first layer on task 1 or 2."""
    return "optimizer" if number == 1 else "optimizer2"
