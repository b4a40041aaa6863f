"""The networks of one transfer, and how each comes about.

    random --source--> upstream        fresh --target--> scratch        start --target--> transfer

`start` is `fresh` with the inherited parameters of `upstream`. Transfer and scratch see the same samples in the same
minibatches. They are separate calls, so that `jax.vmap` along what one of them does not depend on shares it.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.diagnostics import similarity
from pt_jax.inputs.arguments import check_one, typed_key
from pt_jax.inputs.field import shown
from pt_jax.vision import inherit, models
from pt_jax.vision import task as tasks
from pt_jax.vision.fields import DIALS, HEAD
from pt_jax.vision.inherit import Params
from pt_jax.vision.models import Network
from pt_jax.vision.own import Own
from pt_jax.vision.point import Point, Static, check_tested, validate
from pt_jax.vision.samples import Dataset, Pair, check_pair
from pt_jax.vision.task import Task
from pt_jax.vision.training import Run, in_cache, train


class Upstream(NamedTuple):
    """The parameters of the source network before and after pretraining."""

    random: Params
    trained: Params


class Downstream(NamedTuple):
    """The parameters of both target networks.

    Attributes:
        fresh, start: before training, from scratch and with transfer.
        scratch, transfer: the same after training.
        factor: each parameter's factor on its updates, with transfer.
        taken: which parameters were inherited.
    """

    fresh: Params
    start: Params
    scratch: Params
    transfer: Params
    factor: Params
    taken: Params


class Draw(IntEnum):
    """Streams of a trajectory's key: TWIN of its second target networks, MOVED of the noise on their parameters."""

    SOURCE, TARGET, RANDOM, FRESH, INHERIT, BATCH1, BATCH2, TWIN, MOVED = range(9)


COMPARED = 250  # test samples whose features, and training samples whose losses are compared


def networks(key: Array, point: Point, static: Static, data: Pair) -> tuple[Upstream, Downstream]:
    """Return the parameters of the networks that `transfer` trains; arguments and errors as there."""
    return _networks(key, accepted(key, point, static, data), static, data)


@partial(jax.jit, static_argnames="static")
def _networks(key: Array, point: Point, static: Static, data: Pair) -> tuple[Upstream, Downstream]:
    source, target = draw_tasks(key, point, static, data)
    above = pretrain(key, point, static, source)
    return above, train_target(key, above.trained, point, static, target)


def accepted(key: Array, point: Point, static: Static, data: Pair) -> Point:
    """Return the point as arrays, or raise the sentence that says what is wrong."""
    typed_key(key)
    for name, value, kind in (("point", point, Point), ("static", static, Static)):
        if not isinstance(value, kind):
            raise ValueError(
                f"{name} is a {type(value).__name__}, which is not accepted: use a vision {kind.__name__}."
            )
    check_pair(data)
    traced = {name for name, x in point._asdict().items() if isinstance(x, jax.core.Tracer)}
    validate(point, static, skip=traced)
    # NumPy's: an operation of jax's own on a constant would be traced inside of somebody's own `jax.jit`.
    known = {name: np.asarray(x) for name, x in point._asdict().items() if name not in traced}
    check_one(point)
    for name, leaf in known.items():
        if name in ("n1", "n2") and leaf > getattr(static, name):
            raise ValueError(f"{name} = {shown(leaf.item())} is above the maximum {getattr(static, name)} in Static.")
        if name in DIALS and leaf != 0 and name not in static.dials:
            raise ValueError(f"{name} = {shown(leaf.item())} is not compiled in: name it in Static.dials.")
    _check_data("source", data.source, static.counts1, static, known.get("classes1"))
    _check_data("target", data.target, static.counts2, static, known.get("classes2"))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), point)


def _check_data(name: str, data: Dataset, counts: tuple[int, ...], static: Static, classes: Any) -> None:
    for split in data:
        if split.images.shape[1:] != static.shape:
            raise ValueError(f"{name} images have shape {split.images.shape[1:]}, but static says {static.shape}.")
    if len(data.train.labels) != sum(counts):
        found = f"{name} has {len(data.train.labels)} training samples, but static says {sum(counts)}"
        raise ValueError(f"{found}: use Static.covering(data).")
    train, test = data.train.labels, data.test.labels
    if not isinstance(train, jax.core.Tracer) and tuple(np.bincount(np.asarray(train)).tolist()) != counts:
        raise ValueError(f"{name} has other labels than static says: use Static.covering(data).")
    if classes is not None and not isinstance(test, jax.core.Tracer):
        check_tested(name, test, classes)


def draw_tasks(key: Array, point: Point, static: Static, data: Pair) -> tuple[Task, Task]:
    """Return the source and the target task of a trajectory."""
    source = tasks.draw(jax.random.fold_in(key, Draw.SOURCE), data.source, "1", point, static)
    return source, tasks.draw(jax.random.fold_in(key, Draw.TARGET), data.target, "2", point, static)


def source_network(static: Static) -> Network | Own:
    """Return the network that is pretrained."""
    return models.build(static, len(static.counts1), static.projection != "no")


def target_network(static: Static) -> Network | Own:
    """Return the network that is trained on the target."""
    return models.build(static, len(static.counts2), static.projection == "keep")


def runs(point: Point, static: Static) -> tuple[Run, Run]:
    """Return how networks are trained on source and target."""
    dials = {name: getattr(point, f"{name}1") for name in ("smoothing", "shift", "flip") if f"{name}1" in static.dials}
    skip = jax.nn.one_hot(point.layer.astype(int), len(static.layer_names)) if static.method == "skip" else None
    return Run(point.lr1, point.steps1, **dials), Run(point.lr2, point.steps2, skip)


def pretrain(key: Array, point: Point, static: Static, source: Task) -> Upstream:
    """Train the source network from random weights."""
    network, run = source_network(static), runs(point, static)[0]
    random = _initial(jax.random.fold_in(key, Draw.RANDOM), network, static)
    ones = jax.tree.map(lambda _: 1.0, random)
    batches = jax.random.fold_in(key, Draw.BATCH1)
    return Upstream(random, train(batches, network, random, ones, source, run, static, static.loss1))


def train_target(
    key: Array, upstream: Params, point: Point, static: Static, target: Task, fresh: Params | None = None
) -> Downstream:
    """Train the target network after inheritance and from scratch.

    Args:
        key: of fresh weights, inherited parameters and minibatches; another one makes a twin on the same samples.
        upstream: the pretrained parameters.
        point: scalars.
        static: method, and what is inherited.
        target: what is trained on.
        fresh: weights to start from, drawn from the key by default.
    """
    network, run = target_network(static), runs(point, static)[1]
    if fresh is None:
        fresh = _initial(jax.random.fold_in(key, Draw.FRESH), network, static)
    choose, batches = (jax.random.fold_in(key, stream) for stream in (Draw.INHERIT, Draw.BATCH2))
    taken, nothing = (inherit.choice(choose, alpha, fresh, static) for alpha in (point.alpha, jnp.zeros(())))
    above = {name: upstream[name] if name != HEAD else fresh[name] for name in fresh}  # heads may differ in classes
    start = jax.tree.map(jnp.where, taken, above, dict(fresh))
    factor = inherit.factors(point, taken, static)
    alone = inherit.factors(point._replace(lr_ratio=jnp.ones(())), nothing, static)  # the same along lr_ratio
    frozen = static.layer_names if static.method == "probe" else ()

    after = train(batches, network, start, factor, target, run, static, frozen=frozen)
    scratch = train(batches, network, fresh, alone, target, run, static, frozen=frozen)
    return Downstream(fresh, start, scratch, after, factor, taken)


def alike(below: Downstream) -> Downstream:
    """Return the networks, the one from scratch as that with transfer where nothing is inherited.

    Both are the same training then, but in lanes of another width they round apart. Of the two that with transfer
    stays, so that what is kept of it alone needs no network from scratch.
    """
    some = inherit.inherited(below.taken, below.fresh) > 0
    return below._replace(scratch=jax.tree.map(partial(jnp.where, some), dict(below.scratch), dict(below.transfer)))


def on_target(upstream: Params, fresh: Params, static: Static) -> Params:
    """Return the pretrained network as it meets the target: with a fresh head."""
    return {**fresh, **{name: upstream[name] for name in static.layer_names}}


def cka_on_test(nets: Mapping[str, Params], pairs: Iterable[tuple[str, str]], target: Task, static: Static) -> Array:
    """Return the linear CKA of what the layers of two networks put out for test images, (pairs, layers).

    Images are of the classes in use, `COMPARED` at most.
    """

    def compared(nets: Mapping[str, Params], target: Task) -> Array:
        index, used = tasks.some_of_test(target, COMPARED)
        seen = tasks.images(target, index, test=True)
        outputs = {name: target_network(static).outputs(params, seen).layers for name, params in nets.items()}
        debiased = static.cka == "debiased"
        return jnp.stack([similarity.layers(outputs[a], outputs[b], debiased, used=used) for a, b in pairs])

    return in_cache(compared, static)(dict(nets), target)  # features of all lanes at once would be gigabytes


def _initial(key: Array, network: Network | Own, static: Static) -> Params:
    drawn = network.init(key, jnp.zeros((1, *static.shape)))["params"]
    return jax.tree.map(lambda x: x.astype(float), drawn)
