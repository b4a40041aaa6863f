"""Training a network on a task by an optax optimizer, and evaluating it.

    theta <- theta + factor * update(grad of the mean loss over a minibatch),    theta of `steps` such steps

`factor`, a pytree over the parameters, is 0 where a parameter is frozen. Outputs of classes that are not in use are
left out of every loss and every answer. Evaluation goes by chunks of samples, so that its memory does not grow; so does
the gradient of convolutions on a CPU, a sum over samples, so that their shifted images stay in a core's cache.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from pt_jax.vision import optimizers
from pt_jax.vision import task as tasks
from pt_jax.vision.inherit import Params
from pt_jax.vision.models import Network
from pt_jax.vision.own import Own
from pt_jax.vision.point import Static
from pt_jax.vision.task import Task

_CHUNK = 64  # samples that are evaluated at once
_SCHEDULES: dict[str, optax.Schedule] = {  # over the share of the training that is done
    "constant": optax.constant_schedule(1.0),
    "linear": optax.linear_schedule(1.0, 0.0, 1),
    "cosine": optax.cosine_decay_schedule(1.0, 1),
    "warmup": optax.warmup_cosine_decay_schedule(0.0, 1.0, 0.1, 1.0),
}


class Run(NamedTuple):
    """How a network is trained.

    Attributes:
        lr, steps: learning rate and steps of the optimizer.
        skip: factors of the layers' outputs in the features, or None.
        smoothing: of the labels.
        shift, flip: augmentation, see `task.augment`; None without.
    """

    lr: Array
    steps: Array
    skip: Array | None = None
    smoothing: Array | float = 0.0
    shift: Array | None = None
    flip: Array | None = None


class Evaluated(NamedTuple):
    """A network on samples: logits (n, K), features (n, D)."""

    logits: Array
    features: Array


Loss = Callable[[Array, Array, Array], Array]


def loss_function(kind: str, smoothing: Array | float) -> Loss:
    """Return the loss of each sample, from logits (n, K), labels (n,) and the number of classes in use, to (n,).

    cross_entropy: against (1 - smoothing) one-hot + smoothing / classes. squared: half the sum of squares against it.
    """

    def loss(logits: Array, labels: Array, classes: Array) -> Array:
        in_use = jnp.arange(logits.shape[1]) < classes
        truth = jax.nn.one_hot(labels, logits.shape[1], dtype=logits.dtype)
        wanted = (1 - smoothing) * truth + jnp.where(in_use, smoothing / classes, 0.0)
        if kind == "squared":
            return jnp.sum(jnp.where(in_use, optax.l2_loss(logits, wanted), 0.0), 1)
        return optax.safe_softmax_cross_entropy(jnp.where(in_use, logits, -jnp.inf), wanted)

    return loss


def train(
    key: Array,
    network: Network | Own,
    start: Params,
    factor: Params,
    task: Task,
    run: Run,
    static: Static,
    loss: str = "cross_entropy",
    frozen: Collection[str] = (),
) -> Params:
    """Return the parameters after training.

    Args:
        key: a typed key, of the minibatches and of their augmentation.
        network: what is trained.
        start: its parameters at first.
        factor: each parameter's factor on its updates, broadcasting to `start`.
        task: what it is trained on.
        run: learning rate, steps and the rest, which may be traced.
        static: optimizer, schedule, minibatch size and method.
        loss: "cross_entropy" or "squared", see `loss_function`.
        frozen: layers whose factor is known to be 0: their gradient is not computed.
    """

    def descend(key: Array, start: Params, factor: Params, task: Task, run: Run) -> Params:
        optimizer, of_samples = _optimizer(static, run), loss_function(loss, run.smoothing)

        def weighted(params: Params, x: Array, labels: Array, weight: Array) -> Array:
            params = {name: jax.lax.stop_gradient(w) if name in frozen else w for name, w in params.items()}
            logits = network.outputs(params, x, run.skip).logits
            return jnp.sum(weight * of_samples(logits, labels, task.classes))

        size = _in_core(network, static)

        def step(t: Array, state: tuple[Params, Any]) -> tuple[Params, Any]:
            params, memory = state
            draw, alter = jax.random.split(jax.random.fold_in(key, t))
            index, weight = _minibatch(draw, task, static)
            x = tasks.augment(alter, tasks.images(task, index), run.shift, run.flip)
            slope = _sum_over_chunks(partial(jax.grad(weighted), params), (x, task.seen[index], weight), size)
            updates, memory = optimizer.update(slope, memory, params)
            return jax.tree.map(lambda w, f, u: (w + f * u).astype(w.dtype), params, factor, updates), memory

        return jax.lax.fori_loop(0, run.steps.astype(int), step, (start, optimizer.init(start)))[0]

    return in_cache(descend, static)(key, dict(start), factor, task, run)


def evaluate(
    network: Network | Own,
    params: Params,
    task: Task,
    index: Array,
    run: Run,
    static: Static,
    test: bool = False,
    first: Array | None = None,
) -> Evaluated:
    """Return what a network computes for the training or test samples at some positions.

    Where only the `first` of them count, as of a padded task, chunks without any are 0 if lanes run alone. Lanes that
    run together would each copy all that is found, for a number of chunks of its own: they compute all.
    """
    at_most = _in_core(network, static)
    # Without a way back they take half the memory.
    count, size = len(index), min(2 * at_most if at_most else _CHUNK, len(index))

    def answers(params: Params, task: Task, index: Array, skip: Array | None, first: Array | None) -> Evaluated:
        def chunk(part: Array) -> Evaluated:
            output = network.outputs(params, tasks.images(task, part, test), skip)
            return Evaluated(output.logits, output.features)

        def put(i: Array, found: Evaluated) -> Evaluated:
            return jax.tree.map(lambda x, new: x.at[i].set(new), found, chunk(parts[i]))

        parts = _chunks(index, size)
        one = jax.eval_shape(chunk, parts[0])
        stop = -(-first.astype(int) // size) if static.alone and first is not None else len(parts)
        empty = jax.tree.map(lambda x: jnp.zeros((len(parts), *x.shape), x.dtype), one)
        return jax.lax.fori_loop(0, stop, put, empty)

    found = in_cache(answers, static)(params, task, index, run.skip, first)
    return jax.tree.map(lambda x: x.reshape(-1, x.shape[2])[:count], found)


def error(logits: Array, labels: Array, classes: Array) -> Array:
    """Return the share of wrong answers among the samples whose class is in use; logits not finite are no answer."""
    in_use, counts = jnp.arange(logits.shape[1]) < classes, (labels >= 0) & (labels < classes)
    wrong = jnp.argmax(jnp.where(in_use, logits, -jnp.inf), 1) != labels
    wrong |= ~jnp.all(jnp.isfinite(logits), 1)
    return jnp.sum(wrong & counts) / jnp.sum(counts)


def finite(params: Params) -> Array:
    """Return whether distances between these parameters can be computed: the sum of their squares is finite."""
    return jnp.isfinite(sum((jnp.sum(x**2) for x in jax.tree.leaves(params)), jnp.zeros(())))


def _in_core(network: Network | Own, static: Static) -> int | None:
    """Return how many samples are convolved at once on a CPU; None for all of them, or no convolution."""
    return static.at_once if static.alone and network.convolves else None


def _sum_over_chunks(function: Callable[..., Params], samples: tuple[Array, ...], size: int | None) -> Params:
    """Return the sum of a function of samples and, last, their weights over chunks; what fills them weighs nothing."""
    if size is None or size >= len(samples[0]):
        return function(*samples)
    chunks = (*(_chunks(x, size) for x in samples[:-1]), _chunks(samples[-1], size, "constant"))
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, *(x[0] for x in chunks)))

    def add(total: Params, chunk: tuple[Array, ...]) -> tuple[Params, None]:
        return jax.tree.map(jnp.add, total, function(*chunk)), None

    return jax.lax.scan(add, nothing, chunks)[0]


def _chunks(x: Array, size: int, fill: str = "edge") -> Array:
    """Return an array (n, ...) as (chunks, size, ...), the last one filled with its last entry, or by `jnp.pad`."""
    filled = jnp.pad(x, ((0, -len(x) % size), *[(0, 0)] * (x.ndim - 1)), fill)
    return filled.reshape(-1, size, *x.shape[1:])


def in_cache(function: Callable, static: Static) -> Callable:
    """Return the function so that on a CPU its lanes run one after the other where one fills the cache.

    `jax.vmap` would train them together: slower, and each for as many steps as the longest. What is the same in all
    lanes is still computed once.
    """
    return jax.custom_batching.sequential_vmap(function) if static.alone else function


def _minibatch(key: Array, task: Task, static: Static) -> tuple[Array, Array]:
    """Return positions in the training split and their weights in the mean."""
    if static.batch is None:
        return task.order, jnp.where(jnp.arange(len(task.order)) < task.n, 1 / task.n, 0.0)
    rank = jax.random.randint(key, (static.batch,), 0, task.n.astype(jnp.int32), jnp.int32)
    return task.order[rank], jnp.full(static.batch, 1 / static.batch)


def _optimizer(static: Static, run: Run) -> optax.GradientTransformation:
    shape = _SCHEDULES[static.schedule]
    return optimizers.make(static.optimizer, lambda count: run.lr * shape(count / jnp.maximum(run.steps, 1)))
