"""Training by gradient descent: one loop, whatever the first layer is written in.

    f = output(<w, x>),  L = sum_i weight_i loss(seen_i, f_i)      <w, x> from `span` (coefficients) or `dense` (R^d)
    dL/d<w, x> by autodiff, of which `span` or `dense` make dL/dw
    w += factor * update                                           by any optimizer, on all samples or a minibatch

The loop knows network, loss, optimizer and minibatch; it does not know in which of the two it trains. A bias is one
more coordinate of w, and every patch is 1 there.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from pt_jax.signal_noise import dense, span
from pt_jax.signal_noise.data import Task
from pt_jax.signal_noise.functions import resolve
from pt_jax.signal_noise.network import Basis, Inner, Net, output
from pt_jax.signal_noise.point import Static
from pt_jax.signal_noise.risk import positive_root

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


class Curves(NamedTuple):
    """A run over training, at the steps of `Static.record`: each leaf (step,); steps past the end repeat the last.

    Attributes:
        loss: training loss.
        gamma: largest signal learned in this run, max j C_mu |mu|^2 over filters.
        rho: largest noise memorised in this run, max C_i |xi_i|^2 over filters and samples.
        signal_u: largest j <w, e_u> over filters, inherited and initial parts included.
    """

    loss: Array
    gamma: Array
    rho: Array
    signal_u: Array


class Trained(NamedTuple):
    """The end of a run.

    Attributes:
        net: trained parameters.
        gamma: signal learned in this run, j C_mu |mu|^2 of each filter, (2m,).
        rho: noise memorised in this run, C_i |xi_i|^2, (n, 2m).
        loss_start, loss: training loss at step 0 and at the end.
        diverged: the loss or a weight is not finite, or the loss is above its value at step 0; with minibatches or
            rules, above that and that of the output 0, in the mean over label noise.
        curves: None unless `Static.record` names steps.
    """

    net: Net
    gamma: Array
    rho: Array
    loss_start: Array
    loss: Array
    diverged: Array
    curves: Curves | None


def train(key: Array, nets: Net, task: Task, descent: Descent, readout: Array, length: int, static: Static) -> Trained:
    """Train k networks on one task, on the same minibatches.

    Args:
        key: draws the minibatches.
        nets: initial parameters, each leaf with a first axis of k.
        task: the training set.
        descent: learning rate, number of steps, and factors with a first axis of k.
        readout: second layer, (2m,).
        length: maximum of the number of steps.
        static: engine and options.

    Returns:
        The trained networks and what they have learned, each leaf with a first axis of k.
    """
    layer = span if static.engine == "span" else dense
    activation, loss_function = resolve("activation", static), resolve("loss", static)
    rules = descent.rules
    weights, ratio = jnp.where(readout[:, None] != 0, nets.weights, 0.0), descent.ratio.weights  # padding has no norm
    basis = Basis(task.mu[None], jnp.where(task.weight[:, None] > 0, task.noise, 0.0))
    if static.bias:
        weights = jnp.concatenate([weights, nets.bias[..., None]], axis=-1)
        if ratio.shape[-1] > 1:
            ratio = jnp.concatenate([ratio, descent.ratio.bias[..., None]], axis=-1)
        noise = jnp.concatenate([basis.noise, (task.weight > 0)[:, None].astype(basis.noise.dtype)], axis=1)
        basis = Basis(jnp.stack([jnp.pad(task.mu, (0, 1)), jnp.zeros(noise.shape[1]).at[-1].set(1.0)]), noise)
    start, begin = layer.begin(weights, basis, static)
    factor = layer.factors(ratio)

    def optimizer(t: Array) -> optax.GradientTransformation:
        lr = descent.lr * SCHEDULES[static.schedule](t / jnp.maximum(descent.steps, 1))
        parts = [resolve("optimizer", static)(lr)]
        if "momentum" in rules:
            parts.insert(0, optax.trace(rules["momentum"], static.nesterov))
        if "weight_decay" in rules:
            parts.insert(0, optax.add_decayed_weights(rules["weight_decay"]))
        return optax.chain(*parts) if len(parts) > 1 else parts[0]

    def outputs(inner: Inner, label: Array) -> Array:
        return output(inner, label, readout, activation)

    def losses(f: Array, seen: Array) -> Array:
        return loss_function(jnp.broadcast_to(seen[:, None], f.shape), f)

    def whole(params: Any) -> tuple[Array, Array]:
        """Return f on all samples, (n, k), and the training loss, (k,)."""
        f = outputs(layer.inner(start, params), task.label)
        return f, task.weight @ losses(f, task.seen)

    def grown(last: tuple[Array, Array], first: tuple[Array, Array]) -> Array:
        """Hold what training lowers against its value at step 0, above which decay or random steps may end."""

        def lowered(f: Array, loss: Array) -> Array:
            if "label_noise" not in rules:
                return loss
            noise = rules["label_noise"]
            flipped = task.weight @ losses(f, -task.seen)
            return jnp.where(noise > 0, (1.0 - noise) * loss + noise * flipped, loss)

        most = lowered(*first)
        if rules or static.batch is not None:
            nothing = jnp.zeros_like(first[0])
            most = jnp.maximum(most, lowered(nothing, task.weight @ losses(nothing, task.seen)))
        above_rounding = 1 + 1e-5
        return ~(lowered(*last) <= most * above_rounding)  # also where one is no number

    def gradient(params: Any, seen: Array, rows: Array | None) -> Any:
        label, weight = task.label, task.weight
        if rows is not None:
            label, seen, weight = label[rows], seen[rows], jnp.full(rows.shape, 1.0 / len(rows))
        f, back = jax.vjp(lambda inner: outputs(inner, label), layer.inner(start, params, rows))
        slope = jax.grad(lambda f: jnp.sum(weight @ losses(f, seen)))(f)
        (by,) = back(slope)
        return layer.gradient(start, by, rows)

    def step(state: tuple[Any, Any], t: Array) -> tuple[tuple[Any, Any], Any]:
        params, memory = state
        (for_rows, for_labels), seen = jax.random.split(jax.random.fold_in(key, t)), task.seen
        rows = None if static.batch is None else _minibatch(for_rows, task, static.batch)
        if "label_noise" in rules:
            anew = jax.random.uniform(for_labels, seen.shape) < rules["label_noise"]
            seen = jnp.where(anew, -seen, seen)
        slope = gradient(params, seen, rows)
        if "sam" in rules:  # ahead along what is trained, at a distance of the radius
            trained = jax.tree.map(lambda g, r: jnp.where(r != 0, g, 0.0), slope, factor)
            radius = rules["sam"] / positive_root(layer.squared(start, trained), otherwise=jnp.inf)
            radius = layer.factors(radius[:, None, None])
            ahead = jax.tree.map(lambda w, g, r: w + r * g, params, trained, radius)
            slope = gradient(ahead, seen, rows)
        updates, memory = layer.apart(optimizer(t).update)(slope, memory, params)
        active = t < descent.steps
        moved = jax.tree.map(lambda w, r, change: jnp.where(active, w + r * change, w), params, factor, updates)
        return (moved, memory), record(params) if static.record else None

    def gamma_rho(params: Any) -> tuple[Array, Array]:
        learned = layer.learned(start, params)
        gamma = jnp.sign(readout) * learned.signal[0] * (task.mu @ task.mu)
        return gamma, jnp.moveaxis(learned.noise * jnp.sum(task.noise**2, axis=1)[:, None, None], 1, 0)

    def record(params: Any) -> Curves:
        along_u = jnp.sign(readout) * layer.weights(start, params)[..., 0]
        parts = (*gamma_rho(params), along_u)
        return Curves(whole(params)[1], *(jax.vmap(largest, (0, None, None))(x, readout, task) for x in parts))

    (end, _), during = jax.lax.scan(
        step, (begin, layer.apart(optimizer(jnp.zeros(())).init)(begin)), jnp.arange(length)
    )
    curves = None
    if static.record:
        curves = jax.vmap(lambda x, last: at_recorded_steps(x, last, static), (1, 0))(during, record(end))
    found = layer.weights(start, end)
    net = Net(found[..., :-1], found[..., -1]) if static.bias else Net(found, nets.bias)
    first, last = whole(begin), whole(end)
    diverged = grown(last, first) | ~jnp.all(jnp.isfinite(found), axis=(1, 2))
    return Trained(net, *gamma_rho(end), first[1], last[1], diverged, curves)


def _minibatch(key: Array, task: Task, size: int) -> Array:
    """Draw the rows of samples in use, with replacement."""
    return jax.random.randint(key, (size,), 0, jnp.sum(task.weight > 0))


def largest(values: Array, readout: Array, task: Task) -> Array:
    """Return the maximum over the filters in use of values (2m,), or over samples in use as well of (n, 2m)."""
    in_use = readout != 0 if values.ndim == 1 else (readout != 0) & (task.weight > 0)[:, None]
    return jnp.max(jnp.where(in_use, values, -jnp.inf))


def at_recorded_steps(during: Curves, end: Curves, static: Static) -> Curves:
    """Pick the recorded steps from the curves of all steps, (length,), and the values at the end, ()."""
    return Curves(
        *(jnp.append(x, last)[np.minimum(static.record, len(x))] for x, last in zip(during, end, strict=True))
    )
