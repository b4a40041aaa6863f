"""What a dataset is: images with labels in two splits, and pairs of a source and a target.

Images are float32 in [0, 1], (n, H, W, C); labels are whole numbers 0..K-1, (n,). A dataset has the named splits
`train` and `test`; a pair has the named datasets `source` and `target`, with images of one shape. They are NamedTuples
of NumPy arrays, so a pair is the `data` of a sweep as it stands, and its hash is in the provenance.
"""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np

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


def splits(train_images: Any, train_labels: Any, test_images: Any, test_labels: Any, white: float = 1.0) -> Dataset:
    """Return a dataset of splits that are already made: the images over what white is.

    Args:
        train_images: in [0, white], (n, H, W, C).
        train_labels: 0..K-1, (n,).
        test_images: as in training.
        test_labels: as in training.
        white: the largest possible value of an image, such as 255.

    Raises:
        ValueError: shapes, values or labels that are not accepted, or that differ between the splits.
    """
    if not (isinstance(white, Real) and 1 <= white < 2**64):
        raise ValueError(f"white = {shown(white)} is not accepted: use the largest possible value, of at least 1.")
    names = ("train images", "train labels", "test images", "test labels")
    given = (train_images, train_labels, test_images, test_labels)
    parts = [_array(name, x) for name, x in zip(names, given, strict=True)]
    for i in (0, 2):
        _check(parts[i], parts[i + 1], names[i], names[i + 1], white)
    if parts[0].shape[1:] != parts[2].shape[1:]:
        raise ValueError(f"test images have shape {parts[2].shape[1:]}, but {parts[0].shape[1:]} in training.")
    present = np.unique(parts[1])
    if not np.array_equal(present, np.arange(len(present))) or parts[3].max() >= len(present):
        listed = f"{present[:20].tolist()} in training and {np.unique(parts[3])[:20].tolist()} in test"
        raise ValueError(f"labels are {listed}: use 0..K-1, each with a training sample.")
    # Whole numbers become float32 as they are divided: nothing in between is kept.
    train, test = (
        Split(np.divide(x, np.float32(white), dtype=np.float32), y.astype(np.int32)) for x, y in (parts[:2], parts[2:])
    )
    return Dataset(train, test)


def pair(source: Dataset, target: Dataset) -> Pair:
    """Return the pair.

    Raises:
        ValueError: images of another shape, or what is no dataset.
    """
    check_dataset("source", source)
    check_dataset("target", target)
    shapes = [d.train.images.shape[1:] for d in (source, target)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"source images have shape {shapes[0]} and target images {shapes[1]}: "
            "use one shape for both, by datasets.resize, grey or colour."
        )
    return Pair(source, target)


def _array(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError):  # a ragged list, a tensor that needs its gradient
        raise ValueError(
            f"{name} are a {type(value).__name__} that is not accepted: use an array of numbers."
        ) from None


def check_dataset(name: str, given: Any) -> None:
    """Raise ValueError where something else than a dataset was given under a name."""
    if not isinstance(given, Dataset):
        use = "datasets.dataset, datasets.splits or datasets.read"
        raise ValueError(f"{name} is a {type(given).__name__}, which is not accepted: use {use}.")


def check_pair(given: Any) -> None:
    """Raise ValueError where something else than a pair of datasets of arrays was given."""
    if not isinstance(given, Pair):
        raise ValueError(f"data is a {type(given).__name__}, which is not accepted: use datasets.pair.")
    for name, data in given._asdict().items():
        check_dataset(name, data)
        if not all(isinstance(split, Split) and all(hasattr(x, "dtype") for x in split) for split in data):
            raise ValueError(f"{name} holds no arrays, which is not accepted: use datasets.dataset.")
        if np.dtype(data.train.labels.dtype).kind not in "iu":
            raise ValueError(f"{name} has labels of {data.train.labels.dtype}: use whole numbers 0..K-1.")


def _check(images: np.ndarray, labels: np.ndarray, image: str, label: str, white: float = 1.0) -> None:
    if images.ndim != 4 or images.size == 0:
        raise ValueError(f"{image} have shape {images.shape}: use (samples, height, width, channels), none of them 0.")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{label} have shape {labels.shape}: use ({len(images)},), one for each of the {image}.")
    if images.dtype.kind not in "bfiu" or not (
        np.isfinite(images).all() and images.min() >= 0 and images.max() <= white
    ):
        raise ValueError(
            f"{image} have {images.dtype} values outside 0 to {white:g}: divide by their largest possible value."
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(f"{label} have {labels.dtype} values {np.unique(labels)[:3].tolist()}...: use 0..K-1.")
