"""What is transferred: networks fine-tuned from one pretraining (P-T) beside networks from random weights (RI-T).

Each trajectory pretrains one network P, trains two P-T from it and three RI-T on the same target samples: the first two
from different weights, the third from the weights of the first; minibatches and fresh weights are each one's own. They
are compared in pairs: features, parameters, mistakes, and the loss on the straight path. Then one layer at a time is
put back to where its training started, while the others stay.

Source: 'What is being transferred in transfer learning?', arXiv 2008.11687.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.vision import criticality, distance, landscape, similarity, training
from pt_jax.vision import mistakes as answers
from pt_jax.vision import task as tasks
from pt_jax.vision.datasets import Pair
from pt_jax.vision.inherit import Params
from pt_jax.vision.networks import accepted, draw_tasks, losses, pretrain, runs, target_network, train_target
from pt_jax.vision.point import Point, Static

_COMPARED = 250  # test samples on which features are compared
_TWIN = 7  # stream of the second networks
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
    """How networks compare on the test split of the target; dimensions as in `DIMS`.

    Attributes:
        error, error_scratch: test errors of the first P-T and the first RI-T.
        gain: error_scratch - error.
        diverged: a parameter is not finite.
        cka: linear CKA of what each layer puts out.
        distance: |theta_a - theta_b|_2 over all layers below the head.
        mistakes, mistakes_independent: mistakes of both over mistakes of either; expected of independent networks.
        path, path_error: test loss and test error on the straight line, see `landscape`.
        barrier: how far the test loss rises above the line between its ends.
        reset, reset_scratch: rise of the test error with one layer moved back, of which the fraction `kept` of its
            training is kept; of the P-T towards P, and of the RI-T towards its initial weights.
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


def compare(key: Array, point: Point, static: Static, data: Pair) -> Comparison:
    """Train the networks of one trajectory and compare them; arguments and errors as for `transfer`."""
    return _compare(key, accepted(key, point, static, data), static, data)


@partial(jax.jit, static_argnames="static")
def _compare(key: Array, point: Point, static: Static, data: Pair) -> Comparison:
    source, target = draw_tasks(key, point, static, data)
    upstream = pretrain(key, point, static, source).trained
    other_key = jax.random.fold_in(key, _TWIN)
    first = train_target(key, upstream, point, static, target)
    second = train_target(other_key, upstream, point, static, target)
    nets = {
        "upstream": {**first.fresh, **{name: upstream[name] for name in static.layer_names}},
        "transfer": first.transfer,
        "twin": second.transfer,
        "scratch": first.scratch,
        "other": second.scratch,
        "same": train_target(other_key, upstream, point, static, target, fresh=first.fresh).scratch,
    }

    network, run, loss = target_network(static), runs(point, static)[1], losses(point, static)[1]
    truth = jnp.asarray(target.data.test.labels)
    present = truth < point.classes2
    x = tasks.images(target, jnp.arange(min(_COMPARED, len(truth))), test=True)
    outputs = {name: network.outputs(params, x).layers for name, params in nets.items()}

    def logits(params: Params) -> Array:
        return training.evaluate(network, params, target, jnp.arange(len(truth)), run, test=True).logits

    def measure(params: Params) -> Array:
        """Return test loss and test error."""
        found = logits(params)
        each = jnp.where(present, loss(found, truth, point.classes2), 0.0)
        return jnp.stack([each.sum() / present.sum(), training.error(found, truth, point.classes2)])

    def body(name: str) -> Params:
        return {layer: nets[name][layer] for layer in static.layer_names}

    def back(final: Params, initial: Params) -> Array:
        parts = [
            jax.lax.map(lambda kept, name=name: criticality.reset(measure, initial, final, name, kept)[1], BACK)
            for name in static.layer_names
        ]
        return jnp.stack(parts)

    trained = list(_PAIRS.values())[:_TRAINED]
    in_use = jnp.arange(len(static.counts2)) < point.classes2
    said = {name: jnp.where(in_use, logits(params), -jnp.inf) for name, params in nets.items()}
    common = [answers.overlap(said[a], said[b], jnp.where(present, truth, -1)) for a, b in trained]
    paths = jnp.stack([landscape.interpolate(measure, nets[a], nets[b], PATH) for a, b in trained])
    line = paths[:, :1, 0] + PATH * (paths[:, -1:, 0] - paths[:, :1, 0])
    error, error_scratch = paths[0, 0, 1], paths[1, 0, 1]
    return Comparison(
        error=error,
        error_scratch=error_scratch,
        gain=error_scratch - error,
        diverged=~jnp.all(jnp.isfinite(paths)),
        cka=jnp.stack([similarity.layers(outputs[a], outputs[b]) for a, b in _PAIRS.values()]),
        distance=jnp.stack([distance.l2(body(a), body(b)).whole for a, b in _PAIRS.values()]),
        mistakes=jnp.stack([one.observed.jaccard for one in common]),
        mistakes_independent=jnp.stack([one.independent.jaccard for one in common]),
        path=paths[..., 0],
        path_error=paths[..., 1],
        barrier=jnp.max(paths[..., 0] - line, axis=1),
        reset=back(first.transfer, first.start),
        reset_scratch=back(first.scratch, first.fresh),
    )
