"""The CIFAR-10 and CIFAR-100 archives, "python version", read without executing anything.

A batch is a pickle of a dictionary: `data`, (n, 3072) uint8 with all red, then green, then blue values of 32 x 32
pixels, and `labels` (CIFAR-10) or `fine_labels` (CIFAR-100). `pickled` reads it without an unpickler. An archive is
unpacked to its end, where the checksum of its bytes is, and no further than a stated size.

Source: https://www.cs.toronto.edu/~kriz/cifar.html describes the files.
"""

import gzip
import math
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pt_jax.inputs.reading import Bounded, located
from pt_jax.vision import pickled
from pt_jax.vision.datasets import Dataset, splits

LARGEST_BATCH = 160 * 10**6  # bytes; the largest batch, that of CIFAR-100, has 155 million
LARGEST_ARCHIVE = 250 * 10**6  # bytes, unpacked; both archives have 187 million
_PIECE = 2**20
_SHAPE = (3, 32, 32)
_FORMATS = {  # names of the training batches, of the test batch, and of the labels
    "CIFAR-10": ([f"data_batch_{i}" for i in range(1, 6)], "test_batch", "labels"),
    "CIFAR-100": (["train"], "test", "fine_labels"),
}
_KNOWN = {name for train, test, _ in _FORMATS.values() for name in (*train, test)}


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
        ValueError: no such archive, one that is damaged or larger than `LARGEST_ARCHIVE`, a batch that is truncated or
            names anything but NumPy arrays, or arrays that are not those of a batch; the sentence names the file.
    """
    found = located(path, "a CIFAR archive or the folder that is in it")
    files: dict[str, bytes] = {}
    try:
        for name, content in _in_folder(found) if found.is_dir() else _in_archive(found):
            if name in files:
                raise ValueError(f"it holds two files {name}: use one archive alone.")
            files[name] = content
        return _dataset(files)
    except ValueError as error:
        raise ValueError(f"{found}: {error}") from None


def _dataset(files: dict[str, bytes]) -> Dataset:
    """Return what is in the batches; each is let go when it is read, to spare memory."""
    for train, test, labels in _FORMATS.values():
        if test in files and set(train) & set(files):
            missing = [name for name in train if name not in files]
            if missing:
                raise ValueError(f"it lacks the batch {missing[0]}: use the whole archive.")
            *parts, last = [_batch(name, files.pop(name), labels) for name in (*train, test)]
            images, truth = (np.concatenate(x) for x in zip(*parts, strict=True))
            return splits(images / np.float32(255), truth, last.images / np.float32(255), last.labels)
    raise ValueError("it is no CIFAR archive: use a tar file or folder with all batches of one.")


def _in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of what may be a batch."""
    for file in folder.rglob("*"):
        try:
            if file.name in _KNOWN and file.is_file():
                with file.open("rb") as opened:
                    yield file.name, _content(opened, file.name, file.stat().st_size)
        except (OSError, ValueError) as error:
            raise ValueError(f"{file.name} cannot be read: {error}.") from None


def _in_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of what may be a batch, then read the rest: the checksum is at the end."""
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            unpacked = Bounded(gzip.GzipFile(fileobj=file) if packed else file, LARGEST_ARCHIVE)
            yield from _members(unpacked)
            while unpacked.read(_PIECE):
                pass
    except Exception as error:  # tarfile, gzip and zlib have many for what a damaged file can be
        raise ValueError(
            f"it is no tar file, or not a whole one: use it as it is downloaded ({str(error)[:200]})."
        ) from None


def _members(archive: Bounded) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the plain files that may be a batch. Links, devices and long names are passed over."""
    while (header := archive.read(tarfile.BLOCKSIZE)).strip(b"\0"):
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        name = member.name.rpartition("/")[2]
        size = 0 if member.issym() or member.islnk() or member.isdev() or member.isdir() else member.size
        content = b""
        if name in _KNOWN and member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
            content = _content(archive, name, size)
            yield name, content
        padded = -size % tarfile.BLOCKSIZE
        _content(archive, name, size - len(content) + padded)


def _content(file: Any, name: str, size: int) -> bytes:
    if not 0 <= size <= LARGEST_BATCH:
        raise ValueError(f"{name[:80]!r} states {size:,} bytes, and at most {LARGEST_BATCH:,} are read")
    content = file.read(size)
    if len(content) < size:
        raise ValueError(f"{name[:80]!r} ends after {len(content):,} of {size:,} bytes")
    return content


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
