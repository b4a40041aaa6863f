"""Leaky ReLU networks trained until no training label is missed; for `published_karhadkar.py`.

    w_r = w_r(0) + sum_i c_ir x_i,    c_ir += lr weight_i y_i [y_i f(x_i) < 1] df/d<w_r, x_i>,    x_i = y mu + xi_i

It is the hinge loss in the coefficients of the span engine, in a loop that ends when the last label is fitted: it costs
what the steps cost. Networks are pairs (init, apply) of `Static.model`, without parameters above the first layer.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pt_jax.signal_noise import fresh
from pt_jax.signal_noise.data import Stream, span_world
from pt_jax.signal_noise.network import Net, readout

SLOPE = 0.1  # of leaky ReLU below 0


class Trained(NamedTuple):
    """Test error, steps, and whether a training label is still missed."""

    error: jax.Array
    steps: jax.Array
    diverged: jax.Array


def nothing(key: jax.Array, units: int) -> tuple[()]:
    return ()


def all_minus(_: Any, h: jax.Array) -> jax.Array:
    """The network of the published table."""
    return -jnp.sum(jax.nn.leaky_relu(h, SLOPE), axis=(1, 2))


def alternating(_: Any, h: jax.Array) -> jax.Array:
    """The network of the paper."""
    return jnp.sum(jax.nn.leaky_relu(h, SLOPE).reshape(len(h), -1, 2) @ jnp.array([1.0, -1.0]), axis=1)


def until_fitted(key: jax.Array, point: Any, static: Any, data: None = None) -> Trained:
    """Train in coefficients, w = w(0) + sum_i c_i x_i, until no training label is missed.

    Dimensions have draws of their own, so that the trainings of all n with one d/n are independent.
    """
    key = jax.random.fold_in(key, jnp.int32(point.d))
    world = span_world(key, point, static, alone=True)
    task, weights = world.task2, world.fresh.weights
    x = task.coefficients[:, 0] @ task.signals + task.noise
    gram, start = x @ x.T, x @ weights.T

    def network(h: jax.Array) -> jax.Array:
        return static.model[1]((), h[:, None])

    def missed(f: jax.Array) -> jax.Array:
        return jnp.any((task.weight > 0) & ~(task.seen * f > 0))

    def step(state: Any) -> Any:
        t, c, h, _ = state
        f, back = jax.vjp(network, h)
        c += point.lr2 * back(jnp.where(task.seen * f < 1, task.seen * task.weight, 0.0))[0]
        h = start + gram @ c
        return t + 1, c, h, network(h)

    first = jnp.array(0), jnp.zeros_like(start), start, network(start)
    steps, c, _, f = jax.lax.while_loop(lambda state: (state[0] < point.steps2) & missed(state[3]), step, first)
    samples = fresh.samples(jax.random.fold_in(key, Stream.TEST), point, 2, static)
    net, units = Net(weights + c.T @ x, world.fresh.bias), readout(point.m, static.m)
    wrong = fresh.wrong(samples, net, task, units, static)
    return Trained(jnp.mean(wrong), steps.astype(float), missed(f))
