"""Training: one loop, whatever the network, the data, and what the first layer is written in.

    f = outputs(H),  L = sum_i weight_i loss(seen_i, f_i)      H from `span` (coefficients) or `dense` (R^d)
    dL/dH and dL/dupper by autodiff; of the first `span` or `dense` make dL/dw
    w += factor * update                                       by any optimizer, on all samples or a minibatch

The loop does not know in which of the two it trains. A bias is one more coordinate of w: noise vectors have 1 there,
and so has a signal of its own, for the patches without noise.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.signal_noise import dense, fused, span
from pt_jax.signal_noise.curves import Curves, Test, at_recorded_steps, largest, signed
from pt_jax.signal_noise.data import Task
from pt_jax.signal_noise.descent import Descent, batch_of, decays, minibatch, optimizers
from pt_jax.signal_noise.generators import data_of
from pt_jax.signal_noise.models import by_unit, outputs, spread, with_bias
from pt_jax.signal_noise.network import Basis, Inner, Net, positive_root
from pt_jax.signal_noise.objective import Objective
from pt_jax.signal_noise.point import Static


class Trained(NamedTuple):
    """The end of a run.

    Attributes:
        net: trained parameters.
        gamma: signal learned in this run, j C_mu |mu|^2 of each filter, (2m,); of several signals the largest.
        rho: noise memorised in this run, C_i |xi_i|^2, (n Q, 2m).
        loss_start, loss: training loss at step 0 and at the end.
        steps: steps made.
        diverged: the loss or a weight is not finite, or the loss is above its value at step 0; with minibatches or
            rules, above that and that of the output 0, in the mean over label noise.
        curves: None unless `Static.record` names steps.
    """

    net: Net
    gamma: Array
    rho: Array
    loss_start: Array
    loss: Array
    steps: Array
    diverged: Array
    curves: Curves | None


class _Run(NamedTuple):
    """What does not move while k networks train on one task; what moves, `params`, is (first layer, upper layers).

    Attributes:
        layer: the module that the first layer is written in, span or dense.
        start: what does not move in the first layer.
        factor: of the learning rate, of each of params.
        bias: fixed biases of the first layer, (k, 2m); unused where they are trained.
        coefficients: of the signals in each patch of each sample.
        decays: whether weights decay.
        in_use: of each parameter above, False where it belongs to a unit that is padding.
        task, objective, readout, static: as for `train`.
    """

    layer: Any
    start: Any
    factor: tuple[Any, Any]
    bias: Array
    coefficients: Array
    decays: Array | bool
    in_use: Any
    task: Task
    objective: Objective
    readout: Array
    static: Static

    def forward(self, inner: Inner, upper: Any, rows: Array | None = None) -> Array:
        """Return f, (n, k) or (n, k, K), from the inner products of the first layer."""
        label, parts = (x if rows is None else x[rows] for x in (self.task.label, self.coefficients))
        return outputs(inner, upper, label, parts, self.readout, self.static)

    def whole(self, params: Any) -> tuple[Array, Array]:
        """Return f on all samples, and the training loss, (k,)."""
        f = self.forward(self.layer.inner(self.start, params[0]), params[1])
        return f, self.objective.loss(f, self.task.seen)

    def gradient(self, params: Any, seen: Array, rows: Array | None) -> Any:
        """Return dL/dparams on all samples, or on those in `rows`."""
        per = 1 if rows is None else len(self.task.noise) // len(self.task.label)  # vectors of noise a sample
        vectors = None if rows is None else (rows[:, None] * per + jnp.arange(per)).reshape(-1)
        inner = self.layer.inner(self.start, params[0], vectors)
        f, back = jax.vjp(partial(self.forward, rows=rows), inner, params[1])
        by, upper = back(jax.grad(lambda f: jnp.sum(self.objective.loss(f, seen, rows)))(f))
        # An optimizer that takes a norm must not see what belongs to padding.
        upper = jax.tree.map(lambda g, on: jnp.where(on, g, 0.0), upper, self.in_use)
        return self.layer.gradient(self.start, by, vectors), upper

    def ahead(self, params: Any, slope: Any, radius: Array) -> Any:
        """Return the parameters at a distance, uphill along what is trained (sharpness-aware minimisation)."""
        trained = jax.tree.map(lambda g, r: jnp.where(r != 0, g, 0.0), slope, self.factor)
        above = (jnp.sum(g**2, axis=range(1, g.ndim)) for g in jax.tree.leaves(trained[1]))
        squared = sum(above, self.layer.squared(self.start, trained[0]))
        step = self.over(radius / positive_root(squared, otherwise=jnp.inf), params)
        return jax.tree.map(lambda w, g, r: w + r * g, params, trained, step)

    def over(self, x: Array, params: Any) -> Any:
        """Return a number a network, (k,), in shapes that broadcast to those of params; of one number itself."""
        if not x.ndim:
            return jax.tree.map(lambda _: x, params)
        first = self.layer.factors(x[:, None, None])
        return first, jax.tree.map(lambda w: x.reshape(-1, *[1] * (w.ndim - 1)), params[1])

    def net(self, params: Any) -> Net:
        """Return the networks."""
        w = self.layer.weights(self.start, params[0])
        return Net(w[..., :-1], w[..., -1], params[1]) if self.static.bias else Net(w, self.bias, params[1])

    def gamma_rho(self, params: Any) -> tuple[Array, Array]:
        """Return what was learned of the signals, (k, 2m), and memorised of the noise, (k, n Q, 2m); see `Trained`."""
        learned, task = self.layer.learned(self.start, params[0], self.decays), self.task
        along = jnp.sum(task.signals**2, axis=1)[:, None, None] * learned.signal[: len(task.signals)]
        rho = learned.noise * jnp.sum(task.noise**2, axis=1)[:, None, None]
        return jnp.max(signed(along, self.readout, task, self.static), axis=0), jnp.moveaxis(rho, 1, 0)

    def curves(self, params: Any, test: Test | None) -> Curves:
        """Return what is recorded of a step, each leaf (k,)."""
        net = self.net(params)
        along_u = signed(net.weights[..., 0], self.readout, self.task, self.static)
        gamma, rho, signal_u = (
            jax.vmap(largest, (0, None, None))(x, self.readout, self.task) for x in (*self.gamma_rho(params), along_u)
        )
        error = jnp.full(len(net.weights), jnp.nan) if test is None else jax.vmap(test)(net)
        return Curves(self.whole(params)[1], gamma, rho, signal_u, error)


def train(
    key: Array,
    nets: Net,
    task: Task,
    descent: Descent,
    readout: Array,
    length: int,
    static: Static,
    number: int = 1,
    test: Test | None = None,
) -> Trained:
    """Train k networks on one task, on the same minibatches.

    Args:
        key: draws the minibatches.
        nets: initial parameters, each leaf with a first axis of k.
        task: the training set.
        descent: learning rate, number of steps, and factors with a first axis of k.
        readout: j/m for the units in use, 0 on the padding, (2m,).
        length: maximum of the number of steps.
        static: engine and options.
        number: of the task, 1 or 2: options may differ.
        test: test error of one network, for the curves.

    Returns:
        The trained networks and what they have learned, each leaf with a first axis of k.
    """
    layer = span if static.engine == "span" else dense
    rules, size = descent.rules, batch_of(number, static)
    stops = [rule for rule in ("stop_loss", "stop_error") if rule in rules]  # in one order: it is part of the program
    nets = nets._replace(weights=jnp.where(readout[:, None] != 0, nets.weights, 0.0))  # padding has no norm
    task = task._replace(noise=jnp.where(task.in_use[:, None], task.noise, 0.0))
    (weights, ratio), basis, coefficients = _first_layer(nets, descent.ratio, task, static)
    start, first = layer.begin(weights, basis, static)
    factor = layer.factors(ratio), descent.ratio.upper
    objective = Objective(task, data_of(static, number).classes, static)
    in_use = spread(readout != 0, by_unit(static), jax.tree.map(lambda x: x[0], nets.upper), otherwise=True)
    away = decays(descent, number, static)
    run = _Run(layer, start, factor, nets.bias, coefficients, away, in_use, task, objective, readout, static)
    record = partial(run.curves, test=test)

    def step(state: tuple[Any, Any, Array], t: Array) -> tuple[tuple[Any, Any, Array], Any]:
        params, memory, made = state
        for_rows, for_labels = jax.random.split(jax.random.fold_in(key, t))
        rows = None if size is None else minibatch(for_rows, task.weight, size)
        seen = objective.noisy(for_labels, rules["label_noise"]) if "label_noise" in rules else task.seen
        slope = run.gradient(params, seen, rows)
        if "sam" in rules:
            slope = run.gradient(run.ahead(params, slope, rules["sam"]), seen, rows)
        updates, memory = layer.optimizer(*optimizers(descent, t, number, static)).update(slope, memory, params)
        active = t < descent.steps
        if stops:
            f, loss = run.whole(params)
            # 3 of 30 are 0.1, however both are rounded.
            reached = {"stop_loss": loss, "stop_error": objective.mistakes(f) * (1 - 1e-6)}
            active &= made == t  # it was not reached before
            for rule in stops:
                active &= ~((rules[rule] > 0) & (reached[rule] <= rules[rule]))
            made += active
        during = _at_recorded(t, params, record, static) if static.record else None
        on = run.over(active, params)
        moved = jax.tree.map(lambda w, r, change, on: jnp.where(on, w + r * change, w), params, factor, updates, on)
        return (moved, memory, made), during

    begin, during = (first, nets.upper), None
    made = jnp.zeros(len(weights), jnp.int32)
    if fused.fits(start, rules, size, static):
        end = fused.descend(start, factor[0], task, descent, readout, length), nets.upper
    else:
        memory = layer.optimizer(*optimizers(descent, jnp.zeros(()), number, static)).init(begin)
        (end, _, made), during = jax.lax.scan(step, (begin, memory, made), jnp.arange(length))
    curves = None
    if static.record:
        curves = jax.vmap(lambda x, last: at_recorded_steps(x, last, static), (1, 0))(during, record(end))
    if not stops:
        made = jnp.broadcast_to(jnp.minimum(descent.steps, length), made.shape)
    net, at_start, at_end = run.net(end), run.whole(begin), run.whole(end)
    finite = [jnp.isfinite(x).reshape(len(weights), -1).all(1) for x in jax.tree.leaves(net)]
    # Decay or random steps may end above step 0.
    other = size is not None or (len(rules) > 0 and jnp.any(jnp.stack(list(rules.values())) > 0))
    diverged = objective.grown(at_end, at_start, rules.get("label_noise"), other) | ~jnp.stack(finite).all(0)
    return Trained(net, *run.gamma_rho(end), at_start[1], at_end[1], made.astype(float), diverged, curves)


def _first_layer(nets: Net, ratio: Net, task: Task, static: Static) -> tuple[tuple[Array, Array], Basis, Array]:
    """Return weights and the factors on their rate, the basis and the coefficients of samples, with a bias in them."""
    basis = Basis(task.signals, task.noise)
    if not static.bias:
        return (nets.weights, ratio.weights), basis, task.coefficients
    weights = jnp.concatenate([nets.weights, nets.bias[..., None]], axis=-1)
    factor = ratio.weights
    if factor.shape[-1] > 1:
        factor = jnp.concatenate([factor, ratio.bias[..., None]], axis=-1)
    signal = jnp.pad(basis.signal, ((0, 1), (0, 1))).at[-1, -1].set(1.0)
    noise = jnp.concatenate([basis.noise, task.in_use[:, None].astype(basis.noise.dtype)], axis=1)
    return (weights, factor), Basis(signal, noise), with_bias(task.coefficients, static)


def _at_recorded(t: Array, params: Any, record: Any, static: Static) -> Curves:
    """Return what is recorded, at a step to be recorded: a test error costs as much as many steps; else zeros."""
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(record, params))
    return jax.lax.cond(jnp.any(t == jnp.asarray(static.record)), record, lambda _: nothing, params)
