"""MNIST and what is laid out like it (Fashion-MNIST, KMNIST, EMNIST): four IDX files in a folder, gzipped or not.

An IDX file is two zeros, the type of its numbers (8: unsigned bytes), the number of its dimensions, each dimension as
a big-endian uint32, and the numbers, the last dimension fastest. Images are (n, H, W), labels (n,).

Sources: http://yann.lecun.com/exdb/mnist describes the files; arXiv 1702.05373 (EMNIST), whose images are stored column
by column, so that they are transposed here, and whose letters have the labels 1..26, which become 0..25.
"""

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np

from pt_jax.inputs.reading import LARGEST, located
from pt_jax.vision.samples import Dataset, splits

_NAME = re.compile(r"(.*?)(train|t10k|test)-(images[-.]idx3|labels[-.]idx1)-ubyte(\.gz)?")
_FOUR = ("train images", "train labels", "test images", "test labels")
_BYTES = 8  # the type


def read(folder: str | Path, prefix: str = "") -> Dataset:
    """Return the dataset in a folder of four IDX files.

    Args:
        folder: with, for example, `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz`,
            `t10k-images-idx3-ubyte.gz` and `t10k-labels-idx1-ubyte.gz`; also unpacked, with a `.` before `idx`, and
            with `test` for `t10k`.
        prefix: what the names of the four begin with, such as `emnist-letters-`.

    Returns:
        Images (n, H, W, 1) in [0, 1].

    Raises:
        ValueError: one of the four is missing, damaged, no IDX file or of another form, or all together take more than
            `reading.LARGEST` bytes as float32; the sentence names the file.
    """
    found = located(folder, "a folder with four IDX files")
    four = sets(found).get(prefix, {})
    missing = [what for what in _FOUR if what not in four]
    if missing:
        raise ValueError(f"{found} lacks the {missing[0]} {prefix}*-ubyte: use a folder with all four IDX files.")
    train, train_labels, test, test_labels = (_array(four[what], 3 if "images" in what else 1) for what in _FOUR)
    try:
        _check(train.size + test.size + 2 * (train_labels.size + test_labels.size))  # labels become int64
        if prefix.startswith("emnist-"):
            train, test = train.transpose(0, 2, 1), test.transpose(0, 2, 1)
        first = 1 if prefix == "emnist-letters-" else 0
        labels = [y.astype(np.int64) - first for y in (train_labels, test_labels)]
        return splits(train[..., None], labels[0], test[..., None], labels[1], white=255)
    except ValueError as error:
        raise ValueError(f"{found / prefix}: {error}") from None


def sets(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the IDX files in a folder by what their names begin with, then by which of the four they are."""
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.glob("*-ubyte*"), reverse=True):  # an unpacked file comes last, and is taken
        match = _NAME.fullmatch(file.name)
        if match and file.is_file():
            prefix, split, kind, _ = match.groups()
            found.setdefault(prefix, {})[f"{'train' if split == 'train' else 'test'} {kind[:6]}"] = file
    return found


def _array(file: Path, dimensions: int) -> np.ndarray:
    """Return the bytes in an IDX file as an array, after all that its header says has been checked."""
    try:
        with file.open("rb") as opened:
            packed = opened.read(2) == b"\x1f\x8b"
            opened.seek(0)
            content = gzip.GzipFile(fileobj=opened) if packed else opened
            head = content.read(4 + 4 * dimensions)
            if len(head) < 4 + 4 * dimensions or head[:4] != bytes((0, 0, _BYTES, dimensions)):
                raise ValueError(f"it begins with {head[:4].hex()}, not with 00000{_BYTES}0{dimensions}")
            shape = [int(n) for n in np.frombuffer(head, ">u4", offset=4)]
            size = math.prod(shape)
            _check(size)
            data = content.read(size + 1)  # one more byte: its end, and the checksum of what is packed
            if len(data) == size:
                return np.frombuffer(data, np.uint8).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{file} is no whole IDX file of this kind ({str(error)[:200]}).") from None
    has = "more" if len(data) > size else f"{len(data):,}"
    raise ValueError(f"{file} is no whole IDX file: it states {size:,} bytes and has {has}.")


def _check(size: int) -> None:
    if 4 * size > LARGEST:
        raise ValueError(f"it states {size:,} numbers: as float32 they take more than {LARGEST / 2**30:g} GiB")
