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
from pt_jax.signal_noise import inherit, risk
from pt_jax.signal_noise.checks import accepted, covered
from pt_jax.signal_noise.data import AXES, Stream, Task, World, dense_world, span_world
from pt_jax.signal_noise.fields import RULES
from pt_jax.signal_noise.functions import resolve
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.training import Curves, Descent, Trained, largest, train


class TrajectoryCurves(NamedTuple):
    """The curves of the runs, see `Curves`; None for a run that there is not."""

    upstream: Curves | None
    transfer: Curves | None
    scratch: Curves | None


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
        diverged: a final training loss is not finite or has grown, see `training.Trained`, or a result is NaN.
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


class Scratch(NamedTuple):
    """What a network trained from fresh weights on task 2 ends with: scalars as in `Outcome`."""

    error_scratch: Array
    loss_scratch: Array
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

    Arguments and errors are those of `simulate`; fields that only transfer depends on change nothing.
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
    (upstream,) = _train(key, Stream.BATCH1, [(world.upstream, None)], world.task1, point, static)

    sign = jnp.sign(second_layer)
    signal = sign * (upstream.net.weights @ world.task1.mu)
    noise = jnp.max(jnp.where(world.task1.weight[:, None] > 0, upstream.rho, -jnp.inf), axis=0)
    taken = inherit.choice(
        jax.random.fold_in(key, Stream.INHERIT), point.alpha, point.m, upstream.net, signal, noise, static
    )
    start = jax.tree.map(jnp.where, taken, upstream.net, world.fresh)
    ratio = jax.tree.map(lambda inherited: jnp.where(inherited, point.lr_ratio, 1.0), taken)

    both = [(start, ratio), (world.fresh, None)]
    together = [both] if static.paired else [[one] for one in both]
    transfer, scratch = (x for nets in together for x in _train(key, Stream.BATCH2, nets, world.task2, point, static))

    error, held = _measures(key, point, static)
    runs = (upstream, transfer, scratch)
    error_transfer, error_scratch = error(transfer.net, world.task2), error(scratch.net, world.task2)
    whole = taken.bias if static.inherit == "filters" else jnp.any(taken.weights, axis=1)
    outcome = Outcome(
        error=error_transfer,
        error_scratch=error_scratch,
        gain=error_scratch - error_transfer,
        error_upstream=error(upstream.net, world.task1),
        loss=transfer.loss,
        loss_scratch=scratch.loss,
        loss_upstream=upstream.loss,
        diverged=upstream.diverged | transfer.diverged | scratch.diverged,
        **held(transfer, world, world.task2),
        rho_inherited=jnp.max(jnp.where(whole & (sign != 0), noise, -jnp.inf), initial=0.0),
        **held(scratch, world, world.task2, "_scratch"),
        **held(upstream, world, world.task1, "_upstream"),
        curves=TrajectoryCurves(*(x.curves for x in runs)) if static.record else None,
    )
    return outcome._replace(diverged=outcome.diverged | _not_numbers(outcome, static))


@partial(jax.jit, static_argnames="static")
def _scratch(key: Array, point: Point, static: Static) -> Scratch:
    world = _draw(static)(key, point, static, alone=True)
    (trained,) = _train(key, Stream.BATCH2, [(world.fresh, None)], world.task2, point, static)
    error, held = _measures(key, point, static)
    outcome = Scratch(
        error_scratch=error(trained.net, world.task2),
        loss_scratch=trained.loss,
        diverged=trained.diverged,
        **held(trained, world, world.task2, "_scratch"),
        curves=TrajectoryCurves(None, None, trained.curves) if static.record else None,
    )
    return outcome._replace(diverged=outcome.diverged | _not_numbers(outcome, static))


def _draw(static: Static) -> Callable:
    return span_world if static.engine == "span" else dense_world


def _train(
    key: Array, stream: Stream, nets: list[tuple[Net, Net | None]], task: Task, point: Point, static: Static
) -> list[Trained]:
    """Train networks together on a task; beside each, the factors on its learning rate, None for 1."""
    upstream = stream == Stream.BATCH1
    number = 1 if upstream else 2
    lr, steps, length = (
        getattr(x, f"{name}{number}") for x, name in ((point, "lr"), (point, "steps"), (static, "steps"))
    )
    fields = {rule: f"{rule}{number}" for rule in RULES}
    rules = {rule: getattr(point, field) for rule, field in fields.items() if field in static.rules}
    rows = 2 * static.m
    ones = jax.tree.map(jnp.ones_like, nets[0][1] or Net(jnp.zeros((rows, 1)), jnp.zeros(rows)))
    stacked, ratio = jax.tree.map(lambda *x: jnp.stack(x), *((net, factors or ones) for net, factors in nets))
    key = jax.random.fold_in(key, stream)
    second_layer = readout(point.m, static.m)
    found = train(key, stacked, task, Descent(lr, ratio, steps, rules), second_layer, length, static)
    return [jax.tree.map(lambda x, i=i: x[i], found) for i in range(len(nets))]


def _not_numbers(outcome: Outcome | Scratch, static: Static) -> Array:
    """Return whether any result is NaN.

    With relu an error is a number where weights are finite: the upstream error is left out there, as asking for it
    would cost 3% where nobody keeps it.
    """
    left_out = {"diverged"} | ({"error_upstream"} if static.activation == "relu" else set())
    results = {name: value for name, value in outcome._asdict().items() if name not in left_out}
    return jnp.any(jnp.stack([jnp.any(jnp.isnan(x)) for x in jax.tree.leaves(results)]))


def _measures(key: Array, point: Point, static: Static) -> tuple[Callable[..., Array], Callable[..., dict[str, Any]]]:
    """Return the test error of a network on a task, and what a network holds by name."""
    directions = risk.directions(jax.random.fold_in(key, Stream.TEST), static)
    activation = partial(resolve("activation", static))  # new: jax keeps the trace of the error with an old one
    second_layer = readout(point.m, static.m)

    def error(net: Net, task: Task) -> Array:
        return risk.error(directions, net, task, second_layer, activation, static)

    def held(trained: Trained, world: World, task: Task, suffix: str = "") -> dict[str, Any]:
        axes = jnp.sign(second_layer)[:, None] * trained.net.weights[:, :AXES]
        along = {"signal_u": axes[:, 0], "signal_v1": axes[:, 1], "signal_v2": axes @ world.task2.own}
        values = {name: largest(x, second_layer, task) for name, x in along.items()}
        return {name + suffix: x for name, x in (values | {"rho": largest(trained.rho, second_layer, task)}).items()}

    return error, held
