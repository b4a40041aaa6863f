"""One transfer on real images: pretrain on the source, inherit a part, train on the target, compare with scratch.

`gain` = error from scratch - error with transfer: same samples and minibatches, same fresh weights, same head, trained
by the same method. Below 0 is negative transfer. Upstream, transfer and scratch are separate calls, so that
`jax.vmap` along what one of them does not depend on shares it; what no kept result needs is not computed.
"""

from enum import IntEnum
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.vision import collapse, distance, inherit, models, training, transferability
from pt_jax.vision import task as tasks
from pt_jax.vision.datasets import Dataset, Pair
from pt_jax.vision.fields import DIALS, HEAD
from pt_jax.vision.inherit import Params
from pt_jax.vision.models import Network
from pt_jax.vision.point import Point, Static, validate
from pt_jax.vision.similarity import linear_cka
from pt_jax.vision.task import Task
from pt_jax.vision.training import Run, error, evaluate, loss_function, train

_COMPARED = 250  # test samples on which features are compared
_GROWN = 2.0  # minibatches of labels that cannot be learned leave the loss a few percent above its start, no more


class Record(NamedTuple):
    """What one transfer ends with: scalars, and (layer,) for each layer below the head.

    Names without suffix are of the network trained on the target after inheritance, `_scratch` of its twin from fresh
    weights, `_upstream` of the pretrained network on the source.

    Attributes:
        error, error_scratch: test error on the target.
        gain: error_scratch - error.
        error_upstream: test error on the source, on true labels.
        loss, loss_scratch, loss_upstream: training loss at the end, on the labels seen.
        diverged: a final training loss is not finite, or above twice that of the outputs 0 at the start.
        inherited: fraction of the parameters below the head that was inherited.
        tuned: parameters that were trained on the target, in the network with transfer.
        nc1, nc1_scratch, nc1_upstream: neural collapse of the features of each network's own training samples.
        cka, cka_scratch: linear CKA with the upstream network on test images of the target, (layer,).
        cka_runs: linear CKA of transfer and scratch, (layer,).
        distance, distance_scratch: |theta - theta_upstream|_2, (layer,).
        transferability: T, distance of the trained weights to the random ones from which pretraining started over that
            to the pretrained ones, (layer,).
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


class Trained(NamedTuple):
    """The parameters of all networks, for diagnostics of one's own.

    Attributes:
        random, upstream: of the source network, before and after pretraining.
        fresh, start: of the target network before training, from scratch and with transfer.
        scratch, transfer: the same after training.
        factor: each parameter's factor on its updates, with transfer.
        taken: which parameters were inherited.
    """

    random: Params
    upstream: Params
    fresh: Params
    start: Params
    scratch: Params
    transfer: Params
    factor: Params
    taken: Params


class _Draw(IntEnum):
    SOURCE, TARGET, RANDOM, FRESH, INHERIT, BATCH1, BATCH2 = range(7)


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
    return _transfer(key, _accepted(key, point, static, data), static, data)


def networks(key: Array, point: Point, static: Static, data: Pair) -> Trained:
    """Return the parameters of the networks that `transfer` trains; arguments and errors as there."""
    return _networks(key, _accepted(key, point, static, data), static, data)


def source_network(static: Static) -> Network:
    """Return the network that is pretrained."""
    return models.build(static, len(static.counts1), static.projection != "no")


def target_network(static: Static) -> Network:
    """Return the network that is trained on the target."""
    return models.build(static, len(static.counts2), static.projection == "keep")


def _accepted(key: Array, point: Point, static: Static, data: Pair) -> Point:
    """Return the point as arrays, or raise the sentence that says what is wrong."""
    if not (isinstance(key, Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()):
        raise ValueError(f"key = {key!r} is not accepted: use one typed key, jax.random.key(seed).")
    known = {name: x for name, x in point._asdict().items() if not isinstance(x, jax.core.Tracer)}
    validate(point, static, skip=set(point._fields) - set(known))
    for name, leaf in known.items():
        if jnp.shape(leaf) != ():
            raise ValueError(f"{name} has shape {jnp.shape(leaf)}: transfer takes one point; use jax.vmap or a Sweep.")
        if name in ("n1", "n2") and leaf > getattr(static, name):
            raise ValueError(f"{name} = {leaf:g} is above the maximum {getattr(static, name)} in Static.")
        if name in DIALS and leaf != 0 and name not in static.dials:
            raise ValueError(f"{name} = {leaf:g} is not compiled in: name it in Static.dials.")
    for name, part, counts in (("source", data.source, static.counts1), ("target", data.target, static.counts2)):
        _check_data(name, part, counts, static)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), point)


def _check_data(name: str, data: Dataset, counts: tuple[int, ...], static: Static) -> None:
    for split in data:
        if split.images.shape[1:] != static.shape:
            raise ValueError(f"{name} images have shape {split.images.shape[1:]}, but static says {static.shape}.")
    if len(data.train.labels) != sum(counts):
        found = f"{name} has {len(data.train.labels)} training samples, but static says {sum(counts)}"
        raise ValueError(f"{found}: use Static.covering(data).")
    labels = data.train.labels
    if not isinstance(labels, jax.core.Tracer) and tuple(np.bincount(labels).tolist()) != counts:
        raise ValueError(f"{name} has other labels than static says: use Static.covering(data).")


@partial(jax.jit, static_argnames="static")
def _networks(key: Array, point: Point, static: Static, data: Pair) -> Trained:
    return _train_all(key, point, static, *_tasks(key, point, static, data))


@partial(jax.jit, static_argnames="static")
def _transfer(key: Array, point: Point, static: Static, data: Pair) -> Record:
    source, target = _tasks(key, point, static, data)
    found = _train_all(key, point, static, source, target)
    loss1, loss2 = _losses(point, static)
    runs = _runs(point, static)

    upstream = _measure(source_network(static), found.upstream, source, runs[0], loss1, static.n1)
    after, scratch = (
        _measure(target_network(static), params, target, runs[1], loss2, static.n2)
        for params in (found.transfer, found.scratch)
    )
    return Record(
        error=after.error,
        error_scratch=scratch.error,
        gain=scratch.error - after.error,
        error_upstream=upstream.error,
        loss=after.loss,
        loss_scratch=scratch.loss,
        loss_upstream=upstream.loss,
        diverged=upstream.diverged | after.diverged | scratch.diverged,
        inherited=inherit.inherited(found.taken, found.fresh),
        tuned=inherit.tuned(found.factor, found.fresh, point.classes2),
        nc1=after.nc1,
        nc1_scratch=scratch.nc1,
        nc1_upstream=upstream.nc1,
        **_by_layer(found, target, static),
    )


def _tasks(key: Array, point: Point, static: Static, data: Pair) -> tuple[Task, Task]:
    source = tasks.draw(jax.random.fold_in(key, _Draw.SOURCE), data.source, "1", point, static)
    return source, tasks.draw(jax.random.fold_in(key, _Draw.TARGET), data.target, "2", point, static)


def _losses(point: Point, static: Static) -> tuple[training.Loss, training.Loss]:
    smoothing = point.smoothing1 if "smoothing1" in static.dials else 0.0
    return loss_function(static.loss1, smoothing), loss_function("cross_entropy", 0.0)


def _runs(point: Point, static: Static) -> tuple[Run, Run]:
    skip = jax.nn.one_hot(point.layer.astype(int), len(static.layer_names)) if static.method == "skip" else None
    return Run(point.lr1, point.steps1, None), Run(point.lr2, point.steps2, skip)


def _train_all(key: Array, point: Point, static: Static, source: Task, target: Task) -> Trained:
    (loss1, loss2), (run1, run2) = _losses(point, static), _runs(point, static)
    network1, network2 = source_network(static), target_network(static)
    image = jnp.zeros((1, *static.shape))
    random, fresh = (
        jax.tree.map(lambda x: x.astype(float), network.init(jax.random.fold_in(key, stream), image)["params"])
        for network, stream in ((network1, _Draw.RANDOM), (network2, _Draw.FRESH))
    )

    ones = jax.tree.map(lambda _: 1.0, random)
    change = partial(tasks.augment, point=point, static=static)
    upstream = train(
        jax.random.fold_in(key, _Draw.BATCH1), network1, random, ones, source, run1, loss1, static, change=change
    )

    frozen = static.layer_names if static.method == "probe" else ()
    inherit_key, batch_key = (jax.random.fold_in(key, stream) for stream in (_Draw.INHERIT, _Draw.BATCH2))
    taken = inherit.choice(inherit_key, point.alpha, fresh, static)
    above = {name: upstream[name] if name != HEAD else fresh[name] for name in fresh}  # heads may differ in classes
    start = jax.tree.map(jnp.where, taken, above, dict(fresh))
    nothing = inherit.choice(inherit_key, jnp.zeros(()), fresh, static)
    factor = inherit.factors(point, taken, static)
    scratch_factor = inherit.factors(point, nothing, static)

    after = train(batch_key, network2, start, factor, target, run2, loss2, static, frozen)
    scratch = train(batch_key, network2, fresh, scratch_factor, target, run2, loss2, static, frozen)
    return Trained(random, upstream, fresh, start, scratch, after, factor, taken)


class _Measured(NamedTuple):
    error: Array
    loss: Array
    diverged: Array
    nc1: Array


def _measure(network: Network, params: Params, task: Task, run: Run, loss: training.Loss, size: int) -> _Measured:
    """Return test error, training loss and collapse of a network; `size` is the padded number of training samples."""
    test = jnp.asarray(task.data.test.labels)
    answers = evaluate(network, params, task, jnp.arange(len(test)), run, test=True)
    index, weight = task.order[:size], jnp.where(jnp.arange(size) < task.n, 1 / task.n, 0.0)
    train, labels = evaluate(network, params, task, index, run), task.seen[index]
    here = jnp.where(weight > 0, labels, -1)

    def mean(logits: Array) -> Array:
        return jnp.sum(weight * jnp.where(weight > 0, loss(logits, labels, task.classes), 0.0))

    end, start = mean(train.logits), mean(jnp.zeros_like(train.logits))  # the head starts at 0
    diverged = ~(jnp.isfinite(end) & (end <= _GROWN * start))
    head = params[HEAD]
    nc1 = collapse.metrics(train.features, here, head["kernel"].T, head["bias"]).nc1
    return _Measured(error(answers.logits, test, task.classes), end, diverged, nc1)


def _by_layer(found: Trained, target: Task, static: Static) -> dict[str, Array]:
    """Return what has a value a layer."""
    names, network = static.layer_names, target_network(static)
    upstream = {**found.fresh, **{name: found.upstream[name] for name in names}}
    x = tasks.images(target, jnp.arange(min(_COMPARED, len(target.data.test.labels))), test=True)

    def outputs(params: Params) -> list[Array]:
        return [y.reshape(len(x), -1) for y in network.outputs(params, x).layers]

    def cka(a: Params, b: Params) -> Array:
        return jnp.stack([linear_cka(p, q) for p, q in zip(outputs(a), outputs(b), strict=True)])

    def moved(params: Params) -> Array:
        return jnp.stack([distance.l2(params[name], upstream[name]).whole for name in names])

    random, trained = ({name: params[name] for name in names} for params in (found.random, found.transfer))
    ratios = transferability.layers(random, {name: upstream[name] for name in names}, trained).blocks
    return {
        "cka": cka(found.transfer, upstream),
        "cka_scratch": cka(found.scratch, upstream),
        "cka_runs": cka(found.transfer, found.scratch),
        "distance": moved(found.transfer),
        "distance_scratch": moved(found.scratch),
        "transferability": jnp.stack([ratios[name] for name in names]),
    }
