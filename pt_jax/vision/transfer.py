"""One transfer on real images: pretrain on the source, inherit a part, train on the target, compare with scratch.

`gain` = error from scratch - error with transfer: same samples and minibatches, same fresh weights, same head, trained
by the same method. Below 0 is negative transfer. Upstream, transfer and scratch are separate calls, so that
`jax.vmap` along what one of them does not depend on shares it; what no kept result needs is not computed.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.diagnostics import collapse, distance, transferability
from pt_jax.vision import inherit
from pt_jax.vision import task as tasks
from pt_jax.vision.inherit import Params
from pt_jax.vision.models import Network
from pt_jax.vision.networks import (
    Downstream,
    Upstream,
    accepted,
    alike,
    cka_on_test,
    draw_tasks,
    on_target,
    pretrain,
    runs,
    source_network,
    target_network,
    train_target,
)
from pt_jax.vision.own import Own
from pt_jax.vision.point import Point, Static
from pt_jax.vision.samples import Pair
from pt_jax.vision.task import Task
from pt_jax.vision.training import Run, error, evaluate, finite, in_cache, loss_function

_GROWN = 2.0  # minibatches of labels that cannot be learned leave the loss a few percent above its start, no more


class Record(NamedTuple):
    """What one transfer ends with: scalars, and (layer,) for each layer below the head.

    Names without suffix are of the network trained on the target after inheritance, `_scratch` of its twin from fresh
    weights, `_upstream` of the pretrained network on the source.

    Attributes:
        error: test error on the target with transfer.
        error_scratch: test error on the target from scratch.
        gain: error_scratch - error.
        error_upstream: test error on the source, on true labels.
        loss, loss_scratch, loss_upstream: training loss at the end, on the labels seen.
        diverged: of the network with transfer or the upstream one, the final training loss is not finite, or above
            twice that of the outputs 0 at the start, or the parameters are too large to be squared. Where the network
            from scratch is, `gain` and what is compared with it are NaN, and so is all of its own but the loss.
            Elsewhere only those can be NaN of which that is said below.
        inherited: fraction of the parameters below the head that was inherited.
        tuned: parameters that were trained on the target, in the network with transfer.
        nc1, nc1_scratch, nc1_upstream: neural collapse of the features of each network's own training samples; NaN
            where their class means span too few dimensions. Of the upstream network the features that the target's
            head gets: where a projection layer is dropped, those in front of it.
        cka: linear CKA of the network with transfer and the upstream one on test images of the target, (layer,); NaN
            where a layer puts out the same for all of them.
        cka_scratch: the same of the network from scratch and the upstream one.
        cka_runs: the same of transfer and scratch.
        distance: |theta - theta_upstream|_2 with transfer, (layer,).
        distance_scratch: the same from scratch.
        transferability: T, distance of the trained weights to the random ones from which pretraining started over that
            to the pretrained ones, (layer,); NaN where a layer was not trained on the target, or has no weights.
    """

    error: Array
    error_scratch: Array
    gain: Array
    error_upstream: Array
    loss: Array
    loss_scratch: Array
    loss_upstream: Array
    diverged: Array
    inherited: Array
    tuned: Array
    nc1: Array
    nc1_scratch: Array
    nc1_upstream: Array
    cka: Array
    cka_scratch: Array
    cka_runs: Array
    distance: Array
    distance_scratch: Array
    transferability: Array


def transfer(key: Array, point: Point, static: Static, data: Pair) -> Record:
    """Run one transfer: a pure function of (key, point) and the data, for one static value compiled once.

    Args:
        key: a typed key, `jax.random.key(seed)`.
        point: hyper-parameters; leaves are scalars (arrays under `jax.vmap`).
        static: architecture, method and maxima, see `Static.covering`.
        data: source and target.

    Returns:
        The record; a network that failed says `diverged`, it never raises.

    Raises:
        ValueError: a concrete value is out of range or above its maximum, the data are not those that static
            describes, or the key is not a typed key.
    """
    return _transfer(key, accepted(key, point, static, data), static, data)


setattr(transfer, "closed", transfer)  # noqa: B010 - see `sweep.program.trace`: it reads nothing but its arguments


@partial(jax.jit, static_argnames="static")
def _transfer(key: Array, point: Point, static: Static, data: Pair) -> Record:
    source, target = draw_tasks(key, point, static, data)
    above = pretrain(key, point, static, source)
    below = train_target(key, above.trained, point, static, target)
    run1, run2 = runs(point, static)

    upstream = _measure(source_network(static), above.trained, source, run1, static, static.loss1)
    after, scratch = (
        _measure(target_network(static), params, target, run2, static, "cross_entropy")
        for params in (below.transfer, below.scratch)
    )
    inherited = inherit.inherited(below.taken, below.fresh)
    # As in `alike`, but of what was measured: that is done once for all that is inherited.
    scratch = jax.tree.map(partial(jnp.where, inherited > 0), scratch, after)

    def known(of_scratch: Array) -> Array:
        return jnp.where(scratch.diverged, jnp.nan, of_scratch)

    return Record(
        error=after.error,
        error_scratch=known(scratch.error),
        gain=known(scratch.error - after.error),
        error_upstream=upstream.error,
        loss=after.loss,
        loss_scratch=scratch.loss,
        loss_upstream=upstream.loss,
        diverged=upstream.diverged | after.diverged,
        inherited=inherited,
        tuned=inherit.tuned(below.factor, below.fresh, point.classes2),
        nc1=after.nc1,
        nc1_scratch=known(scratch.nc1),
        nc1_upstream=upstream.nc1 if static.projection != "drop" else _in_front(above, below, source, run1, static),
        **_by_layer(above, alike(below), target, static, known),
    )


class _Measured(NamedTuple):
    error: Array
    loss: Array
    diverged: Array
    nc1: Array


def _measure(network: Network | Own, params: Params, task: Task, run: Run, static: Static, kind: str) -> _Measured:
    """Return test error, training loss and collapse of a network."""

    def measured(params: Params, task: Task, run: Run) -> _Measured:
        loss = loss_function(kind, run.smoothing)
        test, labels = jnp.asarray(task.data.test.labels), tasks.labels_seen(task)
        answers = evaluate(network, params, task, jnp.arange(len(test)), run, static, test=True)
        train = evaluate(network, params, task, task.order, run, static, first=task.n)

        def mean(logits: Array) -> Array:
            return jnp.sum(jnp.where(labels >= 0, loss(logits, labels, task.classes), 0.0)) / task.n

        end, start = mean(train.logits), mean(jnp.zeros_like(train.logits))  # the head starts at 0
        diverged = ~(jnp.isfinite(end) & (end <= _GROWN * start) & finite(params))
        nc1 = collapse.variability(train.features, labels, network.classes)
        return _Measured(error(answers.logits, test, task.classes), end, diverged, nc1)

    return in_cache(measured, static)(params, task, run)  # features of all lanes at once would be gigabytes


def _in_front(above: Upstream, below: Downstream, source: Task, run: Run, static: Static) -> Array:
    """Return NC1 on the source of the features in front of the projection layer, which the target's network has."""
    network, params = target_network(static), on_target(above.trained, below.fresh, static)

    def measured(params: Params, task: Task, run: Run) -> Array:
        found = evaluate(network, params, task, task.order, run, static, first=task.n)
        return collapse.variability(found.features, tasks.labels_seen(task), len(static.counts1))

    return in_cache(measured, static)(params, source, run)


def _by_layer(
    above: Upstream, below: Downstream, target: Task, static: Static, known: Callable[[Array], Array]
) -> dict[str, Array]:
    """Return what has a value a layer; `known` is what remains of a result that the network from scratch is in."""
    names, before = static.layer_names, on_target(above.trained, below.fresh, static)

    def moved(params: Params) -> Array:
        return jnp.array([distance.l2(params[name], before[name]).whole for name in names])

    def cka(a: Params, b: Params) -> Array:
        return cka_on_test({"a": a, "b": b}, [("a", "b")], target, static)[0]

    def ratio(name: str) -> Array | float:
        random, trained = above.random[name], below.transfer[name]
        return transferability.blocks(random, before[name], trained, lambda _: name).get(name, jnp.nan)

    return {
        "cka": cka(below.transfer, before),
        "cka_scratch": known(cka(below.scratch, before)),
        "cka_runs": known(cka(below.transfer, below.scratch)),
        "distance": moved(below.transfer),
        "distance_scratch": known(moved(below.scratch)),
        "transferability": jnp.array([ratio(name) for name in names]),
    }
