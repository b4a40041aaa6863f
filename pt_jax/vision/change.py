"""Datasets made from others: some classes, fewer samples, another size, grey or colour, so that any two make a pair.

Each function returns a new dataset and leaves the given one alone. What is drawn is drawn in the same way for everyone.
"""

import operator
from collections.abc import Callable, Iterable

import numpy as np

from pt_jax.inputs.field import is_whole, shown
from pt_jax.vision.samples import Dataset, Split, check_dataset, splits

_PART = 1  # seed of the order in which `part` takes samples
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue; ITU-R BT.601
_LARGEST_SIDE = 1024  # in pixels


def classes(data: Dataset, chosen: Iterable[int | str], names: Iterable[str] = ()) -> Dataset:
    """Return the samples of some classes, which become 0..K-1 in the order given.

    Args:
        data: with K' classes.
        chosen: at least two classes, each as a number of 0..K'-1 or as one of `names`.
        names: of all K' classes in the order of their labels, such as `pt_jax.vision.names.CIFAR10`.

    Raises:
        ValueError: fewer than two classes, one twice, or one that the data does not have; names that do not fit; or no
            samples are left for training or test.
    """
    check_dataset("data", data)
    known = int(data.train.labels.max()) + 1
    if not isinstance(names, Iterable):
        raise ValueError(f"names = {shown(names)} is not accepted: use a list of names.")
    names = [str(name) for name in names]
    if names and len(names) != known:
        raise ValueError(f"names are {len(names)}, but the data has {known} classes: use one name for each.")
    if len(set(names)) < len(names):
        raise ValueError(f"names {shown(names)} are not accepted: use a different one for each class.")
    use = ", ".join(names[:20]) if names else f"whole numbers of 0..{known - 1}, or give their `names`"
    try:
        numbers = [names.index(c) if isinstance(c, str) else operator.index(c) for c in chosen]
    except (TypeError, ValueError):
        raise ValueError(f"classes {shown(chosen)} are not accepted: use {use}.") from None
    if len(numbers) < 2 or len(set(numbers)) < len(numbers) or not set(numbers) <= set(range(known)):
        raise ValueError(f"classes {numbers} are not accepted: use at least two different ones of 0..{known - 1}.")
    new = np.full(known, -1)
    new[numbers] = np.arange(len(numbers))

    def chosen_of(split: Split) -> Split:
        labels = new[split.labels]
        return Split(split.images[labels >= 0], labels[labels >= 0].astype(np.int32))

    found = Dataset(*map(chosen_of, data))
    for name, split in found._asdict().items():
        if not len(split.labels):
            raise ValueError(f"classes {numbers} have no {name} samples, which is not accepted: use others.")
    return found


def part(data: Dataset, train: int | None = None, test: int | None = None) -> Dataset:
    """Return some samples of each split, drawn at random, but always in the same way; a larger part holds a smaller.

    Args:
        data: any dataset.
        train: number of samples for training; all without it.
        test: number of samples for the test.

    Raises:
        ValueError: more samples than there are, or too few for one of each class in training.
    """
    check_dataset("data", data)

    def some(name: str, split: Split, count: int | None) -> Split:
        there = len(split.labels)
        count = there if count is None else count
        if not is_whole(count, 1, there):
            raise ValueError(f"{name} = {shown(count)} is not accepted: use a whole number of 1..{there} samples.")
        order = np.random.default_rng(_PART).permutation(there)[:count]
        return Split(split.images[order], split.labels[order])

    return splits(*some("train", data.train, train), *some("test", data.test, test))


def resize(data: Dataset, side: int) -> Dataset:
    """Return images of side x side pixels.

    Smaller images are means over areas (`shrink`): every pixel counts, and nothing is lost in the mean. Larger ones are
    interpolated linearly between the centres of pixels: means over areas would show the pixels as squares.

    Args:
        data: images of any size.
        side: in pixels, at least 1.

    Raises:
        ValueError: a side that is not accepted.
    """
    if not is_whole(side, 1, _LARGEST_SIDE):
        raise ValueError(f"side = {shown(side)} is not accepted: use a whole number of pixels of 1..{_LARGEST_SIDE}.")

    def weights(length: int) -> np.ndarray:
        return (_shares if side <= length else _between)(length, side)

    return _with_images(data, lambda images: _along_axes(images, *map(weights, images.shape[1:3])))


def grey(data: Dataset) -> Dataset:
    """Return images of one channel: 0.299 red + 0.587 green + 0.114 blue. Grey images stay as they are.

    Source: the luma of ITU-R BT.601.

    Raises:
        ValueError: images of other than one or three channels.
    """
    return _with_images(data, lambda images: images if _channels(images) == 1 else (images @ _LUMA)[..., None])


def colour(data: Dataset) -> Dataset:
    """Return images of three channels, which are alike where an image is grey.

    Raises:
        ValueError: images of other than one or three channels.
    """
    return _with_images(data, lambda images: np.repeat(images, 3 // _channels(images), axis=3))


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Return images (n, H, W, C) of side x side pixels, each the mean over the area that it covers."""
    return _along_axes(images, *(_shares(length, side) for length in images.shape[1:3]))


def _shares(length: int, side: int) -> np.ndarray:
    """Return the share (side, length) of each old pixel in each new one, along an axis."""
    edges, old = np.linspace(0, length, side + 1), np.arange(length)
    common = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return np.clip(common, 0, None) * side / length


def _between(length: int, side: int) -> np.ndarray:
    """Return the weight (side, length) of each old pixel in each new one, linear between centres along an axis."""
    centres = (np.arange(side) + 0.5) * length / side - 0.5
    return np.stack([np.interp(centres, np.arange(length), one) for one in np.eye(length)], axis=1)


def _along_axes(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return images (n, H, W, C) weighted along the height by rows (H', H), along the width by columns (W', W)."""
    n, height, width, channels = images.shape
    images = rows.astype(images.dtype) @ images.reshape(n, height, width * channels)
    images = columns.astype(images.dtype) @ images.reshape(n * len(rows), width, channels)
    return images.reshape(n, len(rows), len(columns), channels)


def _channels(images: np.ndarray) -> int:
    if images.shape[3] not in (1, 3):
        raise ValueError(f"images have {images.shape[3]} channels: use grey ones with 1 or colour ones with 3.")
    return images.shape[3]


def _with_images(data: Dataset, function: Callable[[np.ndarray], np.ndarray]) -> Dataset:
    """Return a dataset whose images went through a function; rounding does not take them out of [0, 1]."""
    check_dataset("data", data)
    return Dataset(*(Split(np.clip(function(split.images), 0, 1), split.labels) for split in data))
