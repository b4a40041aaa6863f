"""One trajectory: pretrain on task 1, inherit a part, train on task 2, and compare with scratch on the same data.

`gain` = error from scratch - error with transfer, same data, same fresh initial weights: below 0 is negative transfer.
Where many transfer runs share one scratch run these are separate calls, so that `jax.vmap` over alpha shares it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.inputs.arguments import check_one, typed_key
from pt_jax.signal_noise import fresh, inherit, risk
from pt_jax.signal_noise.checks import accepted, covered
from pt_jax.signal_noise.curves import Curves, largest, signed
from pt_jax.signal_noise.data import Stream, Task, World, dense_world, span_world
from pt_jax.signal_noise.descent import Descent
from pt_jax.signal_noise.fields import RULES
from pt_jax.signal_noise.functions import resolve
from pt_jax.signal_noise.models import by_unit, spread
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.training import Trained, train


class TrajectoryCurves(NamedTuple):
    """The curves of the runs, see `Curves`; None for a run that there is not."""

    upstream: Curves | None
    transfer: Curves | None
    scratch: Curves | None


class Outcome(NamedTuple):
    """What one trajectory ends with: scalars.

    Errors are probabilities of misclassifying a clean label; an output of 0 counts one half. Names without suffix are
    of the network trained on task 2 after inheritance, `_scratch` of its twin from fresh weights, `_upstream` of the
    network trained on task 1.

    Attributes:
        error: test error on task 2 with transfer.
        error_scratch: test error on task 2 from scratch.
        gain: error_scratch - error.
        error_upstream: test error on task 1.
        error_upstream_after: test error on task 1 of the network with transfer: what is kept of task 1.
        error_se: standard error of `error` that comes from the test samples of a trajectory alone. For the default
            network it is that of plain sampling of directions, an upper bound; NaN where there is but one.
        gain_se: the same of `gain`.
        loss, loss_scratch, loss_upstream: training loss at the end, on the labels seen.
        steps, steps_scratch, steps_upstream: training steps made: fewer where training stops at a loss or an error.
        diverged: a final training loss is not finite or has grown since step 0, or a result is NaN.
        signal_u: largest `j <w, e>` over filters, e the unit vector along u.
        signal_v1: the same along v_1.
        signal_v2: the same along v_2.
        rho: largest noise memorised, max C_i |xi_i|^2 over filters and the samples of the network's own task.
        rho_inherited: the same for task-1 noise in the inherited filters, 0 where none is inherited.
        curves: see `Curves`, where `Static.record` names steps, else None.
    """

    error: Array
    error_scratch: Array
    gain: Array
    error_upstream: Array
    error_upstream_after: Array
    error_se: Array
    gain_se: Array
    loss: Array
    loss_scratch: Array
    loss_upstream: Array
    steps: Array
    steps_scratch: Array
    steps_upstream: Array
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


class Scratch(NamedTuple):
    """What a network trained from fresh weights on task 2 ends with: scalars as in `Outcome`."""

    error_scratch: Array
    loss_scratch: Array
    steps_scratch: Array
    diverged: Array
    signal_u_scratch: Array
    signal_v1_scratch: Array
    signal_v2_scratch: Array
    rho_scratch: Array
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
        The outcome; a trajectory that failed says `diverged`, it never raises. Its derivatives are those of this
        trajectory: 0 along what counts or draws lots, as n1, steps1, alpha and flip1.

    Raises:
        ValueError: a concrete value is out of range or above its maximum, a leaf is not a scalar, the static names a
            function that does not fit, or the key is not a typed key.
    """
    del data
    return _simulate(key, _accepted(key, point, static), static)


def scratch(key: Array, point: Point, static: Static = _DEFAULT, data: None = None) -> Scratch:
    """Train on task 2 from fresh weights: the scratch run of `simulate` alone, on the same draws.

    Arguments and errors are those of `simulate`; fields that only transfer depends on change nothing. Returns what
    `simulate` has in the fields of the same names.
    """
    del data
    return _scratch(key, _accepted(key, point, static), static)


for _function in (simulate, scratch):
    setattr(_function, "closed", _function)  # noqa: B010 - see `sweep.program.trace`: it reads nothing but its arguments


def _accepted(key: Array, point: Point, static: Static) -> Point:
    """Return the point as arrays, or raise the sentence that says what is wrong."""
    typed_key(key)
    point = accepted(point, static)
    check_one(point)
    return covered(point, static)


@partial(jax.jit, static_argnames="static")
def _simulate(key: Array, point: Point, static: Static) -> Outcome:
    world, second_layer = _draw(static)(key, point, static), readout(point.m, static.m)
    wrong, held = _measures(key, point, static)
    alike = _alike(world.fresh, second_layer, static)
    (upstream,) = _train(key, 1, [(world.upstream, alike)], world.task1, point, static, wrong)

    task1 = world.task1
    signal = jnp.max(signed(task1.signals @ upstream.net.weights.T, second_layer, task1, static), axis=0)
    noise = jnp.max(jnp.where(task1.in_use[:, None], upstream.rho, -jnp.inf), axis=0)
    taken = inherit.choice(
        jax.random.fold_in(key, Stream.INHERIT), point.alpha, point.m, upstream.net, signal, noise, static
    )
    start = jax.tree.map(jnp.where, taken, upstream.net, world.fresh)
    ratio = jax.tree.map(lambda inherited, one: one * jnp.where(inherited, point.lr_ratio, 1.0), taken, alike)

    both = [(start, ratio), (world.fresh, jax.tree.map(lambda one, r: jnp.broadcast_to(one, r.shape), alike, ratio))]
    together = [both] if static.paired else [[one] for one in both]
    transfer, scratch = (x for nets in together for x in _train(key, 2, nets, world.task2, point, static, wrong))

    runs = (upstream, transfer, scratch)
    missed, missed_scratch = wrong(transfer.net, world.task2, 2), wrong(scratch.net, world.task2, 2)
    error, error_scratch = jnp.mean(missed), jnp.mean(missed_scratch)
    whole = taken.bias if static.inherit == "filters" else jnp.any(taken.weights, axis=1)
    outcome = Outcome(
        error=error,
        error_scratch=error_scratch,
        gain=error_scratch - error,
        error_upstream=jnp.mean(wrong(upstream.net, task1, 1)),
        error_upstream_after=jnp.mean(wrong(transfer.net, task1, 1)),
        error_se=_standard_error(missed),
        gain_se=_standard_error(missed_scratch - missed),
        loss=transfer.loss,
        loss_scratch=scratch.loss,
        loss_upstream=upstream.loss,
        steps=transfer.steps,
        steps_scratch=scratch.steps,
        steps_upstream=upstream.steps,
        diverged=upstream.diverged | transfer.diverged | scratch.diverged,
        **held(transfer, world, world.task2),
        rho_inherited=jnp.max(jnp.where(whole & (second_layer != 0), noise, -jnp.inf), initial=0.0),
        **held(scratch, world, world.task2, "_scratch"),
        **held(upstream, world, task1, "_upstream"),
        curves=TrajectoryCurves(*(x.curves for x in runs)) if static.record else None,
    )
    return outcome._replace(diverged=outcome.diverged | _not_numbers(outcome, static))


@partial(jax.jit, static_argnames="static")
def _scratch(key: Array, point: Point, static: Static) -> Scratch:
    world, second_layer = _draw(static)(key, point, static, alone=True), readout(point.m, static.m)
    wrong, held = _measures(key, point, static)
    alone = [(world.fresh, _alike(world.fresh, second_layer, static))]
    (trained,) = _train(key, 2, alone, world.task2, point, static, wrong)
    outcome = Scratch(
        error_scratch=jnp.mean(wrong(trained.net, world.task2, 2)),
        loss_scratch=trained.loss,
        steps_scratch=trained.steps,
        diverged=trained.diverged,
        **held(trained, world, world.task2, "_scratch"),
        curves=TrajectoryCurves(None, None, trained.curves) if static.record else None,
    )
    return outcome._replace(diverged=outcome.diverged | _not_numbers(outcome, static))


def _draw(static: Static) -> Callable:
    return dense_world if static.full else span_world


def _alike(net: Net, second_layer: Array, static: Static) -> Net:
    """Return the factors on the learning rate where all is trained alike, 0 for what belongs to units of padding."""
    in_use = (second_layer != 0).astype(second_layer.dtype)
    upper = spread(in_use, by_unit(static), net.upper, otherwise=1.0)
    return Net(jnp.ones((2 * static.m, 1)), jnp.ones(2 * static.m), upper)


def _train(
    key: Array,
    number: int,
    nets: list[tuple[Net, Net]],
    task: Task,
    point: Point,
    static: Static,
    wrong: Callable[[Net, Task, int], Array],
) -> list[Trained]:
    """Train networks together on task 1 or 2; beside each, the factors on its learning rate."""
    lr, steps = (getattr(point, f"{name}{number}") for name in ("lr", "steps"))
    rules = {rule: getattr(point, f"{rule}{number}") for rule in RULES if f"{rule}{number}" in static.rules}
    stacked, ratio = jax.tree.map(lambda *x: jnp.stack(x), *nets)
    key = jax.random.fold_in(key, Stream.BATCH1 if number == 1 else Stream.BATCH2)
    descent, length = Descent(lr, ratio, steps, rules), static.steps1 if number == 1 else static.steps2
    found = train(
        key,
        stacked,
        task,
        descent,
        readout(point.m, static.m),
        length,
        static,
        number,
        lambda net: jnp.mean(wrong(net, task, number)),
    )
    return [jax.tree.map(lambda x, i=i: x[i], found) for i in range(len(nets))]


def _standard_error(missed: Array) -> Array:
    return jnp.std(missed, ddof=1) / jnp.sqrt(float(len(missed)))


def _not_numbers(outcome: Outcome | Scratch, static: Static) -> Array:
    """Return whether any result is NaN.

    With relu an error is a number where weights are finite: errors on task 1 and standard errors are left out there, as
    asking for them would cost 3% where nobody keeps them.
    """
    left_out = {"diverged", "error_se", "gain_se"}
    if static.activation == "relu" and isinstance(static.model, str):
        left_out |= {"error_upstream", "error_upstream_after"}
    results = {name: value for name, value in outcome._asdict().items() if name not in left_out}
    return jnp.any(jnp.stack([jnp.any(jnp.isnan(x)) for x in jax.tree.leaves(results)]))


def _measures(key: Array, point: Point, static: Static) -> tuple[Callable[..., Array], Callable[..., dict[str, Any]]]:
    """Return what test samples a network misses on a task, (M,), and what a network holds by name."""
    key, second_layer = jax.random.fold_in(key, Stream.TEST), readout(point.m, static.m)
    if static.by_directions:
        directions = risk.directions(key, static)
        activation = partial(resolve("activation", static))  # new: jax keeps the trace of the error with an old one
    else:
        samples = {number: fresh.samples(key, point, number, static) for number in (1, 2)}

    def wrong(net: Net, task: Task, number: int) -> Array:
        if static.by_directions:
            above = net.upper if static.model == "cnn_trained" else second_layer
            return risk.wrong(directions, net, task, above, activation, static)
        return fresh.wrong(samples[number], net, task, second_layer, static)

    def held(trained: Trained, world: World, task: Task, suffix: str = "") -> dict[str, Any]:
        axes = trained.net.weights[:, :3].T
        along = {"signal_u": axes[0], "signal_v1": axes[1], "signal_v2": world.task2.own @ axes}
        values = {name: largest(signed(x, second_layer, task, static), second_layer, task) for name, x in along.items()}
        return {name + suffix: x for name, x in (values | {"rho": largest(trained.rho, second_layer, task)}).items()}

    return wrong, held
