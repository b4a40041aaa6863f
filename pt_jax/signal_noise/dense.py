"""Gradient descent in R^d by autodiff and optax: the reference of the span engine, and what it cannot do.

Any optax optimizer, minibatches, single inherited weights, other activations and losses. Plain full-batch descent on
the logistic loss with relu is the span engine's own recursion: fed the same vectors, the two agree to rounding.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.sparse.linalg import cg

from pt_jax.signal_noise.data import Task
from pt_jax.signal_noise.functions import resolve
from pt_jax.signal_noise.network import Net, output
from pt_jax.signal_noise.point import Static
from pt_jax.signal_noise.training import Curves, Descent, Trained, at_recorded_steps, largest


def train(key: Array, net: Net, task: Task, descent: Descent, readout: Array, length: int, static: Static) -> Trained:
    """Train a network in R^d; arguments and result as in `span.train`, `key` draws the minibatches.

    gamma and rho are the coefficients of the least-squares fit of w - w(0) by mu and the noise vectors (conjugate
    gradients): those of the span engine where full-batch descent is used and d exceeds n, to the rounding of w: what is
    memorised of noise that is 1e7 times weaker than the signal is lost in float32.
    """
    activation, loss_function = resolve("activation", static), resolve("loss", static)
    optimizer = resolve("optimizer", static)(descent.lr)
    ratio = descent.ratio if static.bias else descent.ratio._replace(bias=jnp.zeros(()))

    def loss(net: Net, task: Task) -> Array:
        noise, signal = task.noise @ net.weights.T, net.weights @ task.mu
        return task.weight @ loss_function(task.seen, output(noise, signal, task.label, net.bias, readout, activation))

    def step(state: tuple[Net, Any], t: Array):
        net, memory = state
        seen = task if static.batch is None else _minibatch(jax.random.fold_in(key, t), task, static.batch)
        updates, memory = optimizer.update(jax.grad(loss)(net, seen), memory, net)
        active = t < descent.steps
        moved = jax.tree.map(lambda w, change, factor: jnp.where(active, w + factor * change, w), net, updates, ratio)
        return (moved, memory), record(net) if static.record else None

    def gamma_rho(end: Net) -> tuple[Array, Array]:
        basis = jnp.concatenate([task.mu[None], jnp.where(task.weight[:, None] > 0, task.noise, 0.0)])
        norm = jnp.linalg.norm(basis, axis=1, keepdims=True)
        basis = basis / jnp.where(norm > 0, norm, 1.0)  # what is weak is fitted as well as what is strong
        change = end.weights - net.weights
        size = jnp.maximum(jnp.max(jnp.abs(change)), jnp.finfo(change.dtype).tiny)  # squares of it may not be numbers
        gram = basis @ basis.T
        fit, _ = cg(lambda c: gram @ c, basis @ (change / size).T, maxiter=4 * len(gram))
        scaled = fit * norm * size
        return jnp.sign(readout) * scaled[0], scaled[1:]

    def record(now: Net) -> Curves:
        gamma, rho = gamma_rho(now)
        along_u = jnp.sign(readout) * now.weights[:, 0]
        return Curves(loss(now, task), *(largest(x, readout, task) for x in (gamma, rho, along_u)))

    (end, _), during = jax.lax.scan(step, (net, optimizer.init(net)), jnp.arange(length))
    curves = at_recorded_steps(during, record(end), static) if static.record else None
    return Trained(end, *gamma_rho(end), loss(net, task), loss(end, task), curves)


def train_together(
    key: Array, nets: Net, task: Task, descent: Descent, readout: Array, length: int, static: Static
) -> Trained:
    """Train several networks on the same task and minibatches, as `span.train_together`."""

    def one(net: Net, ratio: Net) -> Trained:
        return train(key, net, task, descent._replace(ratio=ratio), readout, length, static)

    return jax.vmap(one)(nets, descent.ratio)


def _minibatch(key: Array, task: Task, size: int) -> Task:
    """Draw samples in use, with replacement."""
    index = jax.random.randint(key, (size,), 0, jnp.sum(task.weight > 0))
    rows = {name: getattr(task, name)[index] for name in ("noise", "label", "seen")}
    return task._replace(**rows, weight=jnp.full(size, 1.0 / size))
