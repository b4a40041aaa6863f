"""The CIFAR-10 and CIFAR-100 archives, "python version", read without executing anything.

A batch is a pickle of a dictionary: `data`, (n, 3072) uint8 with all red, then green, then blue values of 32 x 32
pixels, and `labels` (CIFAR-10) or `fine_labels` (CIFAR-100). `pickled` reads it without an unpickler, `archives` what
it lies in.

Source: https://www.cs.toronto.edu/~kriz/cifar.html describes the files.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pt_jax.inputs import archives
from pt_jax.vision import pickled
from pt_jax.vision.samples import Dataset, splits

_SHAPE = (3, 32, 32)
_FORMATS = {  # names of the training batches, of the test batch, and of the labels
    "CIFAR-10": ([f"data_batch_{i}" for i in range(1, 6)], "test_batch", "labels"),
    "CIFAR-100": (["train"], "test", "fine_labels"),
}
NAMES = frozenset(name for train, test, _ in _FORMATS.values() for name in (*train, test))


class _Batch(NamedTuple):
    images: np.ndarray  # (n, 32, 32, 3), uint8
    labels: np.ndarray  # (n,)


def read(path: str | Path) -> Dataset:
    """Return the dataset in a CIFAR archive: a tar file as it is downloaded, or the folder that is in it.

    Args:
        path: `cifar-10-python.tar.gz`, `cifar-100-python.tar.gz`, or a folder with their batches.

    Returns:
        Images (n, 32, 32, 3) in [0, 1], and fine labels.

    Raises:
        ValueError: no such archive, one that is damaged or larger than `archives.LARGEST_ARCHIVE`, a batch that is
            truncated or names anything but NumPy arrays, or arrays that are not those of a batch; the sentence names
            the file.
    """
    return archives.read(path, NAMES, dataset, "a CIFAR archive or the folder that is in it")


def dataset(files: dict[str, bytes]) -> Dataset:
    """Return what is in batches, given by their names; each is let go when it is read, to spare memory.

    Raises:
        ValueError: they are no batches, or not all of an archive.
    """
    for train, test, labels in _FORMATS.values():
        if test in files and set(train) & set(files):
            missing = [name for name in train if name not in files]
            if missing:
                raise ValueError(f"it lacks the batch {missing[0]}: use the whole archive.")
            *parts, last = [_batch(name, files.pop(name), labels) for name in (*train, test)]
            images, truth = (np.concatenate(x) for x in zip(*parts, strict=True))
            return splits(images, truth, last.images, last.labels, white=255)
    raise ValueError("it is no CIFAR archive: use a tar file or folder with all batches of one.")


def _batch(name: str, content: bytes, labels: str) -> _Batch:
    """Return what is in a batch, after its types and shapes have been checked."""
    try:
        found = pickled.load(content)
        if not isinstance(found, dict):
            raise ValueError(f"holds a {type(found).__name__}: a CIFAR batch is a dictionary.")
        found = {pickled.text(key): value for key, value in found.items()}
        data, truth = pickled.array(found.get("data")), _labels(found.get(labels), labels)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if data.dtype != np.uint8 or truth.ndim != 1 or data.shape != (len(truth), math.prod(_SHAPE)):
        has = f"{data.dtype} {data.shape}"
        raise ValueError(f"{name} has data {has} and {truth.size} {labels}: use uint8 ({truth.size}, 3072).")
    return _Batch(data.reshape(-1, *_SHAPE).transpose(0, 2, 3, 1), truth.astype(np.int64))


def _labels(found: Any, name: str) -> np.ndarray:
    """Return labels that a batch holds as an array or as a list."""
    if isinstance(found, pickled.Record):
        return pickled.array(found)
    # Types are asked for first: as an array, a nested list could take any memory.
    if not isinstance(found, list) or not all(type(label) is int and abs(label) < 2**31 for label in found):
        raise ValueError(f"has {name} that are no list of whole numbers.")
    return np.array(found, np.int64)
