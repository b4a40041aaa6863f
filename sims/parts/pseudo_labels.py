"""A student trained on a teacher's labels, and one that inherits parameters; for `published_pseudo_labels.py`."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pt_jax.signal_noise import fresh, risk
from pt_jax.signal_noise.data import Stream, Task, span_world
from pt_jax.signal_noise.descent import Descent
from pt_jax.signal_noise.functions import resolve
from pt_jax.signal_noise.losses import logistic
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.training import train

M, LABELLED = 20, 20


class Errors(NamedTuple):
    """Share of wrong pseudo-labels, and test errors."""

    wrong: jax.Array
    student: jax.Array
    probe: jax.Array
    supervised: jax.Array
    parameters: jax.Array


def _nothing(key: jax.Array, units: int) -> tuple[()]:
    return ()


def _linear(_: Any, h: jax.Array) -> jax.Array:
    return h[:, 0, 0] + h[:, 1, 1]  # a unit for each patch


def _features(h: jax.Array) -> jax.Array:
    """Return F_+ and F_-, (n, 2)."""
    return jnp.sum(jnp.maximum(h, 0.0) ** 3, axis=1).reshape(len(h), -1, 2).sum(1)


def _zeros(key: jax.Array, units: int) -> tuple[jax.Array, jax.Array]:
    return jnp.zeros(2), jnp.zeros(())


def _probe(upper: tuple[jax.Array, jax.Array], h: jax.Array) -> jax.Array:
    return _features(h) @ upper[0] + upper[1]


def _balanced(task: Task) -> Task:
    label = jnp.where(jnp.arange(len(task.label)) % 2 == 0, 1.0, -1.0)
    coefficients = jnp.stack([label, jnp.zeros_like(label)], axis=1)[..., None]
    return task._replace(label=label, seen=label, coefficients=coefficients)


def transfer(key: jax.Array, point: Any, static: Any, data: None = None) -> Errors:
    """Transfer by labels and by parameters, on the same draws."""
    point = point._replace(u=jnp.sqrt(jax.random.chisquare(jax.random.fold_in(key, Stream.INHERIT), point.d)))
    world, second = span_world(key, point, static), readout(point.m, static.m)
    source, target = _balanced(world.task1), _balanced(world.task2)

    def trained(net: Net, task: Task, decay: Any) -> Net:
        ratio = Net(jnp.ones((1, 2 * static.m, 1)), jnp.ones((1, 2 * static.m)), ())
        descent = Descent(point.lr2, ratio, point.steps2, {"weight_decay": decay})
        first = jax.tree.map(lambda x: x[None], net)
        found = train(key, first, task, descent, second, static.steps2, static, 2)
        return jax.tree.map(lambda x: x[0], found.net)

    linear = replace(static, model=(_nothing, _linear), m=1, rules=())
    start = world.upstream.weights[None, :2] / (point.init_scale * jnp.sqrt(6 * point.d))
    descent = Descent(point.lr1, Net(jnp.ones((1, 2, 1)), jnp.ones((1, 2)), ()), point.steps1)
    teacher = train(key, Net(start, jnp.zeros((1, 2))), source, descent, jnp.ones(2), static.steps1, linear).net
    on_signal, on_noise = teacher.weights[0]
    said = jnp.sign(target.label * (target.mu @ on_signal) + target.noise @ on_noise)
    given = jnp.arange(len(target.label)) < LABELLED
    few = target._replace(**{x: getattr(target, x)[:LABELLED] for x in ("noise", "label", "seen", "coefficients")})
    few = few._replace(weight=jnp.full(LABELLED, 1.0 / LABELLED))

    student = trained(world.fresh, target._replace(seen=jnp.where(given, target.label, said)), point.weight_decay2)
    supervised = trained(world.fresh, few, 0.0)
    parameters = trained(trained(world.upstream, source, 0.0), few, 0.0)

    directions = risk.directions(jax.random.fold_in(key, Stream.TEST), static)
    activation = resolve("activation", static)

    def error(net: Net) -> jax.Array:
        return risk.error(directions, net, target, second, activation, static)

    seen = few.label[:, None] * (target.mu @ student.weights.T), few.noise @ student.weights.T
    features = _features(jnp.stack(seen, axis=1))
    slope = jax.grad(lambda a: jnp.mean(logistic(few.label, features @ a[0] + a[1])))
    upper = jax.lax.fori_loop(0, 50, lambda _, a: jax.tree.map(lambda w, g: w - 0.5 * g, a, slope(a)), _zeros(key, 0))
    probing = replace(static, model=(_zeros, _probe), rules=())
    samples = fresh.samples(jax.random.fold_in(key, Stream.TEST), point, 2, probing)
    missed = fresh.wrong(samples, student._replace(upper=upper), target, second, probing)
    unlabelled = (target.weight > 0) & ~given
    wrong = jnp.sum(unlabelled * (said != target.label)) / jnp.maximum(jnp.sum(unlabelled), 1)
    return Errors(wrong, error(student), jnp.mean(missed), error(supervised), error(parameters))
