"""What a network is trained and tested on: a subset of the samples, seen through dials from related to harmful.

Every draw comes from the trajectory's key, and depends on no maximum and no precision. The subset takes the classes in
turn, so that a larger one contains a smaller one; classes beyond those in use are left out. A training label is
replaced by a random class with probability `labels`. Images are seen so, in training and in test:

    x'(p) = (1 - 2 invert) x(source(p)) + invert + noise z(image),    z ~ N(0, 1) for every pixel and channel

`source` permutes pixels, all channels together: a share `pixels` of them, then blocks of `block` x `block` pixels; then
a share `entries` of all H W C entries, across channels.
"""

from enum import IntEnum
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.diagnostics import shuffle
from pt_jax.vision.point import Point, Static
from pt_jax.vision.samples import Dataset


class View(NamedTuple):
    """How images are seen; None for a dial that is not compiled in."""

    source: Array | None  # the pixel that each pixel comes from, (H W,), or the entry that each entry does, (H W C,)
    invert: Array | None
    noise: Array | None
    key: Array


class Task(NamedTuple):
    """A subset of a dataset as a network sees it.

    Attributes:
        data: the dataset, shared by all lanes.
        seen: labels of the training split as training sees them, (pool,).
        order: positions in the training split, as many as the maximum of n; the first n are the subset.
        n: training samples.
        classes: classes in use.
        view: how images are seen.
    """

    data: Dataset
    seen: Array
    order: Array
    n: Array
    classes: Array
    view: View


class _Draw(IntEnum):
    SUBSET, WHICH, LABEL, PIXELS, BLOCKS, NOISE, ENTRIES = range(7)


def draw(key: Array, data: Dataset, k: str, point: Point, static: Static) -> Task:
    """Draw a task.

    Args:
        key: a typed key, of this task.
        data: its dataset.
        k: "1" for the fields of the source, "2" for those of the target.
        point: scalars.
        static: its `dials` say what is compiled in.
    """
    n, classes, share = (getattr(point, name + k) for name in ("n", "classes", "labels"))
    labels = jnp.asarray(data.train.labels)
    seen = labels
    if "labels" + k in static.dials:
        which = jax.random.uniform(jax.random.fold_in(key, _Draw.WHICH), labels.shape, jnp.float32) < share
        other = jax.random.randint(
            jax.random.fold_in(key, _Draw.LABEL), labels.shape, 0, classes.astype(jnp.int32), jnp.int32
        )
        seen = jnp.where(which, other, labels)
    order = _in_turn(jax.random.bits(jax.random.fold_in(key, _Draw.SUBSET), labels.shape, jnp.uint32), labels, classes)
    return Task(data, seen, order[: getattr(static, "n" + k)], n, classes, _view(key, k, point, static))


def images(task: Task, index: Array, test: bool = False) -> Array:
    """Return images of the training or test split at some positions as they are seen, (len(index), H, W, C)."""
    view, split = task.view, task.data.test if test else task.data.train
    x = jnp.asarray(split.images)[index].astype(float)
    if view.source is not None:
        x = x.reshape(len(index), view.source.size, -1)[:, view.source].reshape(x.shape)
    if view.invert is not None:
        x = (1 - 2 * view.invert) * x + view.invert
    if view.noise is not None:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(view.key, test), index)
        x = x + view.noise * jax.vmap(lambda key: jax.random.normal(key, x.shape[1:], jnp.float32))(keys)
    return x


def some_of_test(task: Task, most: int) -> tuple[Array, Array]:
    """Return the positions of at most so many test samples, and whether each is of a class in use: those come first.

    They are the first of each class, the classes in turn.
    """
    labels = jnp.asarray(task.data.test.labels)
    index = _in_turn(jnp.arange(len(labels)), labels, task.classes)[:most]
    return index, labels[index] < task.classes


def labels_seen(task: Task) -> Array:
    """Return the labels seen of the training samples in their order, -1 where they do not count."""
    return jnp.where(jnp.arange(len(task.order)) < task.n, task.seen[task.order], -1)


def augment(key: Array, x: Array, shift: Array | None, flip: Array | None) -> Array:
    """Return images (n, H, W, C), each mirrored with probability `flip` and shifted by up to `shift` pixels."""
    mirror, move = jax.random.split(key)
    if flip is not None:
        mirrored = jax.random.uniform(mirror, (len(x), 1, 1, 1), jnp.float32) < flip
        x = jnp.where(mirrored, x[:, :, ::-1], x)
    if shift is not None:
        most = shift.astype(jnp.int32)
        x = jax.vmap(_shift)(x, jax.random.randint(move, (len(x), 2), -most, most + 1, jnp.int32))
    return x


def _shift(image: Array, by: Array) -> Array:
    """Return an image moved down and right by some pixels; 0 comes in from outside."""
    for axis in (0, 1):
        source = jnp.arange(image.shape[axis]) - by[axis]
        image = jnp.take(image, source, axis, mode="fill", fill_value=0)
        inside = (source >= 0) & (source < image.shape[axis])  # a negative position would count from the end
        image = jnp.where(jnp.expand_dims(inside, (1 - axis, 2)), image, 0)
    return image


def _in_turn(place: Array, labels: Array, classes: Array) -> Array:
    """Return the positions of the samples by their place, in an order that takes the classes in turn."""
    by_class = jnp.lexsort((place, labels))
    sorted_labels = labels[by_class]
    rank = jnp.arange(len(labels)) - jnp.searchsorted(sorted_labels, sorted_labels)  # within the class
    turn = jnp.zeros_like(rank).at[by_class].set(rank)
    return jnp.lexsort((place, turn, labels >= classes))


def _view(key: Array, k: str, point: Point, static: Static) -> View:
    height, width, channels = static.shape

    def dial(name: str) -> Array | None:
        return getattr(point, name + k) if name + k in static.dials else None

    share, block, entries = dial("pixels"), dial("block"), dial("entries")
    source = jnp.arange(height * width)
    if share is not None:
        source = _permuted(jax.random.fold_in(key, _Draw.PIXELS), share, height * width)
    if block is not None:
        position = jnp.arange(height * width, dtype=float).reshape(1, height, width, 1)
        size = jnp.where(block > 0, block, 1)
        moved = shuffle.blocks(jax.random.fold_in(key, _Draw.BLOCKS), position, size).reshape(-1).astype(int)
        source = jnp.where(block > 0, source[moved], source)
    if entries is not None:
        each = (source[:, None] * channels + jnp.arange(channels)).reshape(-1)
        source = each[_permuted(jax.random.fold_in(key, _Draw.ENTRIES), entries, each.size)]
    moves = any(found is not None for found in (share, block, entries))
    return View(source if moves else None, dial("invert"), dial("noise"), jax.random.fold_in(key, _Draw.NOISE))


def _permuted(key: Array, share: Array, size: int) -> Array:
    """Return a permutation that moves only a share of the positions, picked at random: (size,)."""
    pick, move = jax.random.split(key)
    stays = jax.random.uniform(pick, (size,), jnp.float32) >= share
    index = jnp.arange(size)
    # Those that stay come last and in order in both; so they are matched with themselves.
    by_index, at_random = (
        jnp.lexsort((x, stays))
        for x in (index, jnp.where(stays, index, jax.random.bits(move, (size,), jnp.uint32).astype(jnp.int32)))
    )
    return jnp.zeros_like(index).at[by_index].set(at_random)
