"""One trajectory: pretrain on task 1, inherit a part, train on task 2, and compare with scratch on the same data.

`gain` = error from scratch - error with transfer, same data, same fresh initial weights: below 0 is negative transfer.
The three training runs are separate calls, so that `jax.vmap` over one field shares those that do not depend on it.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.signal_noise import dense, inherit, risk, span
from pt_jax.signal_noise.data import AXES, Stream, Task, dense_world, span_world
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.point import Point, Static, validate
from pt_jax.signal_noise.training import Curves, Descent, Trained, largest


class TrajectoryCurves(NamedTuple):
    """The curves of the three runs; see `Curves`."""

    upstream: Curves
    transfer: Curves
    scratch: Curves


class Outcome(NamedTuple):
    """What one trajectory ends with: scalars.

    Errors are probabilities of misclassifying a clean label, ties counted one half. Names without suffix are of the
    network trained on task 2 after inheritance, `_scratch` of its twin from fresh weights, `_upstream` of the network
    trained on task 1.

    Attributes:
        error, error_scratch: test error on task 2.
        gain: error_scratch - error.
        error_upstream: test error on task 1.
        loss, loss_scratch, loss_upstream: training loss at the end, on the labels seen.
        diverged: a final training loss is not finite, or above its value at step 0.
        signal_u, signal_v1, signal_v2: largest j <w, e> over filters, e the unit vector along u, v_1 or v_2.
        rho: largest noise memorised, max C_i |xi_i|^2 over filters and the samples of the network's own task.
        rho_inherited: the same for task-1 noise in the inherited filters, 0 where none is inherited.
        curves: loss, gamma and rho during training where `Static.record` names steps, else None.
    """

    error: Array
    error_scratch: Array
    gain: Array
    error_upstream: Array
    loss: Array
    loss_scratch: Array
    loss_upstream: Array
    diverged: Array
    signal_u: Array
    signal_v1: Array
    signal_v2: Array
    rho: Array
    rho_inherited: Array
    signal_u_scratch: Array
    signal_v1_scratch: Array
    signal_v2_scratch: Array
    rho_scratch: Array
    signal_u_upstream: Array
    signal_v1_upstream: Array
    signal_v2_upstream: Array
    rho_upstream: Array
    curves: TrajectoryCurves | None


_DEFAULT = Static()


def simulate(key: Array, point: Point, static: Static = _DEFAULT, data: None = None) -> Outcome:
    """Simulate one trajectory: a pure function of (key, point), for one static value compiled once.

    Args:
        key: a typed key, `jax.random.key(seed)`.
        point: hyper-parameters; leaves are scalars (arrays under `jax.vmap`).
        static: engine, options and maxima of the sizes.
        data: unused; every function that a sweep takes has this argument.

    Returns:
        The outcome; a trajectory that failed says `diverged`, it never raises.

    Raises:
        ValueError: a concrete value is out of range or above its maximum, a leaf is not a scalar, or the key is not
            a typed key.
    """
    del data
    if not (isinstance(key, Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()):
        raise ValueError(f"key = {key!r} is not accepted: use one typed key, jax.random.key(seed).")
    validate(point, static, skip=[name for name, x in point._asdict().items() if isinstance(x, jax.core.Tracer)])
    for name, leaf in point._asdict().items():
        if jnp.shape(leaf) != ():
            raise ValueError(f"{name} has shape {jnp.shape(leaf)}: simulate takes one point; use jax.vmap or a Sweep.")
    return _simulate(key, jax.tree.map(lambda leaf: jnp.asarray(leaf, float), point), static)


@partial(jax.jit, static_argnames="static")
def _simulate(key: Array, point: Point, static: Static) -> Outcome:
    draw, train = (span_world, span.train) if static.engine == "span" else (dense_world, dense.train)
    world, second_layer = draw(key, point, static), readout(point.m, static.m)

    def run(name: Stream, net: Net, task: Task, descent: Descent, length: int) -> Trained:
        return train(jax.random.fold_in(key, name), net, task, descent, second_layer, length, static)

    unit = jax.tree.map(lambda x: jnp.ones(x.shape[0]) if x.ndim == 1 else jnp.ones((x.shape[0], 1)), world.fresh)
    upstream = run(Stream.BATCH1, world.upstream, world.task1, Descent(point.lr1, unit, point.steps1), static.steps1)

    sign = jnp.sign(second_layer)
    signal = sign * (upstream.net.weights @ world.task1.mu)
    noise = jnp.max(jnp.where(world.task1.weight[:, None] > 0, upstream.rho, -jnp.inf), axis=0)
    taken = inherit.choice(
        jax.random.fold_in(key, Stream.INHERIT), point.alpha, point.m, upstream.net, signal, noise, static
    )
    start = jax.tree.map(jnp.where, taken, upstream.net, world.fresh)
    ratio = jax.tree.map(lambda inherited: jnp.where(inherited, point.lr_ratio, 1.0), taken)

    transfer = run(Stream.BATCH2, start, world.task2, Descent(point.lr2, ratio, point.steps2), static.steps2)
    scratch = run(Stream.BATCH2, world.fresh, world.task2, Descent(point.lr2, unit, point.steps2), static.steps2)

    directions = risk.directions(jax.random.fold_in(key, Stream.TEST), static)
    activation = dense.resolve("activation", static)

    def error(net: Net, task: Task) -> Array:
        return risk.error(directions, net, task, second_layer, activation, static)

    def held(trained: Trained, task: Task) -> tuple[Array, ...]:
        axes = sign[:, None] * trained.net.weights[:, :AXES]
        along = (axes[:, 0], axes @ world.task1.own, axes @ world.task2.own)
        return *(largest(x, second_layer, task) for x in along), largest(trained.rho, second_layer, task)

    def named(values: tuple[Array, ...], suffix: str = "") -> dict[str, Any]:
        return {name + suffix: x for name, x in zip(("signal_u", "signal_v1", "signal_v2", "rho"), values, strict=True)}

    runs = (upstream, transfer, scratch)
    failed = [~(jnp.isfinite(x.loss) & (x.loss <= x.loss_start * (1 + 1e-5))) for x in runs]  # 1e-5: above rounding
    curves = TrajectoryCurves(*(x.curves for x in runs)) if static.record else None  # type: ignore[arg-type]
    error_transfer, error_scratch = error(transfer.net, world.task2), error(scratch.net, world.task2)
    whole = taken.bias if static.inherit == "filters" else jnp.any(taken.weights, axis=1)
    return Outcome(
        error=error_transfer,
        error_scratch=error_scratch,
        gain=error_scratch - error_transfer,
        error_upstream=error(upstream.net, world.task1),
        loss=transfer.loss,
        loss_scratch=scratch.loss,
        loss_upstream=upstream.loss,
        diverged=failed[0] | failed[1] | failed[2],
        **named(held(transfer, world.task2)),
        rho_inherited=jnp.max(jnp.where(whole & (sign != 0), noise, -jnp.inf), initial=0.0),
        **named(held(scratch, world.task2), "_scratch"),
        **named(held(upstream, world.task1), "_upstream"),
        curves=curves,
    )
