"""What is transferred: networks fine-tuned from one pretraining (P-T) beside networks from random weights (RI-T).

Each trajectory pretrains one network P, trains two P-T from it and three RI-T on the same target samples: the first two
from different weights, the third from the weights of the first. The first of each kind share their minibatches. They
are compared in pairs: features, parameters, mistakes, and the loss on the straight path. Then one layer at a time is
put back to where its training started, while the others stay; and its criticality is measured, with a mean training
loss of up to 250 images up to `RISE` above that of the trained network, over the grids `BACK` and `SIGMA`. The test
loss of a network that has learned its samples by heart falls where a layer is put back: none would be critical.

Source: 'What is being transferred in transfer learning?', arXiv 2008.11687.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.diagnostics import criticality, distance, landscape, mistakes
from pt_jax.vision import task as tasks
from pt_jax.vision import training
from pt_jax.vision.inherit import Params
from pt_jax.vision.networks import (
    COMPARED,
    Draw,
    accepted,
    alike,
    cka_on_test,
    draw_tasks,
    on_target,
    pretrain,
    runs,
    target_network,
    train_target,
)
from pt_jax.vision.point import Point, Static
from pt_jax.vision.samples import Pair
from pt_jax.vision.task import Task

_PAIRS = {  # dimension `pair`; those with P have no target head
    "P-T, P-T": ("transfer", "twin"),
    "RI-T, RI-T": ("scratch", "other"),
    "RI-T, RI-T, one init": ("scratch", "same"),
    "P-T, RI-T": ("transfer", "scratch"),
    "P-T, P": ("transfer", "upstream"),
    "RI-T, P": ("scratch", "upstream"),
}
_TRAINED = 4  # pairs of networks that are both trained on the target
PATH = np.linspace(0, 1, 21)
BACK = np.linspace(0, 1, 5)
SIGMA = np.logspace(-2.5, 0, 6)
RISE = 0.05
_DRAWS = 4  # of noise a point of the grid, whose steps along sigma are a factor of 10 in criticality

DIMS: Mapping[str, tuple[str, ...]] = {
    "cka": ("pair", "layer_name"),
    "distance": ("pair",),
    "mistakes": ("trained_pair",),
    "mistakes_independent": ("trained_pair",),
    "path": ("trained_pair", "t"),
    "path_error": ("trained_pair", "t"),
    "barrier": ("trained_pair",),
    "reset": ("layer_name", "kept"),
    "reset_scratch": ("layer_name", "kept"),
    "criticality": ("layer_name",),
    "criticality_scratch": ("layer_name",),
}


def labels(static: Static) -> dict[str, tuple]:
    """Return the coordinates of these dimensions."""
    pairs = tuple(_PAIRS)
    return {
        "pair": pairs,
        "trained_pair": pairs[:_TRAINED],
        "t": tuple(PATH.tolist()),
        "kept": tuple(BACK.tolist()),
        "layer_name": static.layer_names,
    }


class Comparison(NamedTuple):
    """How networks compare on the test split of the target, and criticality on its training samples; see `DIMS`.

    Attributes:
        error: test error of the first P-T.
        error_scratch: test error of the first RI-T.
        gain: error_scratch - error.
        diverged: a test loss on a path, or a parameter upstream, is not finite.
        cka: linear CKA of what each layer puts out.
        distance: |theta_a - theta_b|_2 over all layers below the head.
        mistakes: mistakes of both networks over mistakes of either.
        mistakes_independent: the same as expected of independent networks.
        path: test loss on the straight line, see `landscape`.
        path_error: test error on the straight line.
        barrier: how far the test loss rises above the line between its ends.
        reset: rise of the test error of the P-T with one layer moved back towards P, of which the fraction `kept` of
            its training is kept.
        reset_scratch: the same of the RI-T, towards its initial weights.
        criticality: ln(1 + criticality) of one layer of the P-T, see `criticality.measure`.
        criticality_scratch: the same of the RI-T.
    """

    error: Array
    error_scratch: Array
    gain: Array
    diverged: Array
    cka: Array
    distance: Array
    mistakes: Array
    mistakes_independent: Array
    path: Array
    path_error: Array
    barrier: Array
    reset: Array
    reset_scratch: Array
    criticality: Array
    criticality_scratch: Array


def compare(key: Array, point: Point, static: Static, data: Pair) -> Comparison:
    """Train the networks of one trajectory and compare them; arguments and errors as for `transfer`.

    Raises:
        ValueError: also where a network has no layers below its head.
    """
    point = accepted(key, point, static, data)
    if not static.layer_names:
        raise ValueError("model is only a head, which is not accepted here: use one with layers below it.")
    return _compare(key, point, static, data)


setattr(compare, "closed", compare)  # noqa: B010 - see `sweep.program.trace`: it reads nothing but its arguments


@partial(jax.jit, static_argnames="static")
def _compare(key: Array, point: Point, static: Static, data: Pair) -> Comparison:
    source, target = draw_tasks(key, point, static, data)
    upstream = pretrain(key, point, static, source).trained
    twin, moved = (jax.random.fold_in(key, stream) for stream in (Draw.TWIN, Draw.MOVED))
    first, second = (alike(train_target(k, upstream, point, static, target)) for k in (key, twin))
    nets = {
        "upstream": on_target(upstream, first.fresh, static),
        "transfer": first.transfer,
        "twin": second.transfer,
        "scratch": first.scratch,
        "other": second.scratch,
        "same": train_target(twin, upstream, point, static, target, fresh=first.fresh).scratch,
    }
    labels = jnp.asarray(target.data.test.labels)
    labels = jnp.where(labels < target.classes, labels, -1)
    test = _Samples(target, point, static, jnp.arange(len(labels)), labels, test=True)
    some, seen = target.order[:COMPARED], tasks.labels_seen(target)[:COMPARED]
    learned = _Samples(target, point, static, some, seen, test=False)
    trained = list(_PAIRS.values())[:_TRAINED]
    answers = {name: test.answers(params) for name, params in nets.items() if name != "upstream"}
    common = [mistakes.overlap(answers[a], answers[b], test.labels) for a, b in trained]
    paths = jnp.stack([landscape.interpolate(test.measure, nets[a], nets[b], PATH) for a, b in trained])
    loss = paths[..., 0]
    line = loss[:, :1] + PATH * (loss[:, -1:] - loss[:, :1])  # exact where both ends are equal
    body = {name: {layer: params[layer] for layer in static.layer_names} for name, params in nets.items()}
    error, error_scratch = paths[0, 0, 1], paths[1, 0, 1]
    return Comparison(
        error=error,
        error_scratch=error_scratch,
        gain=error_scratch - error,
        diverged=~(jnp.all(jnp.isfinite(paths)) & training.finite(upstream)),
        cka=cka_on_test(nets, _PAIRS.values(), target, static),
        distance=jnp.stack([distance.l2(body[a], body[b]).whole for a, b in _PAIRS.values()]),
        mistakes=jnp.stack([one.observed.jaccard for one in common]),
        mistakes_independent=jnp.stack([one.independent.jaccard for one in common]),
        path=loss,
        path_error=paths[..., 1],
        barrier=jnp.max(loss - line, axis=1),
        reset=test.put_back(first.start, first.transfer),
        reset_scratch=test.put_back(first.fresh, first.scratch),
        criticality=learned.criticality(moved, first.start, first.transfer),
        criticality_scratch=learned.criticality(moved, first.fresh, first.scratch),
    )


class _Samples:
    """Images of one split of the target, on which networks are compared; the label -1 does not count."""

    def __init__(self, target: Task, point: Point, static: Static, index: Array, labels: Array, test: bool):
        self.target, self.index, self.labels, self.test = target, index, labels, test
        self.network, self.names, self.static = target_network(static), static.layer_names, static
        self.run, self.loss = runs(point, static)[1], training.loss_function("cross_entropy", 0.0)

    def logits(self, params: Params) -> Array:
        """Return the logits, (n, classes)."""
        run, static = self.run, self.static
        return training.evaluate(self.network, params, self.target, self.index, run, static, self.test).logits

    def answers(self, params: Params) -> Array:
        """Return the logits of the classes in use, -inf elsewhere."""
        return jnp.where(jnp.arange(self.network.classes) < self.target.classes, self.logits(params), -jnp.inf)

    def measure(self, params: Params) -> Array:
        """Return loss and error."""
        logits, counts, classes = self.logits(params), self.labels >= 0, self.target.classes
        each = jnp.where(counts, self.loss(logits, self.labels, classes), 0.0)
        return jnp.stack([each.sum() / counts.sum(), training.error(logits, self.labels, classes)])

    def put_back(self, initial: Params, final: Params) -> Array:
        """Return the rise of the error with each layer moved back, (layers, kept)."""
        return criticality.reset(lambda params: self.measure(params)[1], initial, final, self.names, BACK)

    def criticality(self, key: Array, initial: Params, final: Params) -> Array:
        """Return ln(1 + criticality) of each layer, (layers,)."""

        def loss(params: Params) -> Array:
            return self.measure(params)[0]

        allowed = loss(final) + RISE
        found = criticality.measure(key, loss, initial, final, self.names, BACK, SIGMA, allowed, _DRAWS)
        return jnp.log1p(found.value)
