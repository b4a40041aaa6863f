"""The CIFAR-10 and CIFAR-100 archives, "python version", read without executing anything.

A batch is a pickle, and a pickle can name any function to be called. The reader here knows the five names that a batch
of NumPy bytes needs, and has its own stand-in for each: none of them calls what the file says. Any other name ends the
reading. A batch holds data, (n, 3072) uint8 with all red, then green, then blue values of 32 x 32 pixels, and `labels`
(CIFAR-10) or `fine_labels` (CIFAR-100).

Source: https://www.cs.toronto.edu/~kriz/cifar.html describes the files.
"""

import io
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pt_jax.vision.datasets import Dataset, splits

_SHAPE = (3, 32, 32)
_FORMATS = {  # names of the training batches, of the test batch, and of the labels
    "CIFAR-10": ([f"data_batch_{i}" for i in range(1, 6)], "test_batch", b"labels"),
    "CIFAR-100": (["train"], "test", b"fine_labels"),
}


def read(path: str | Path) -> Dataset:
    """Return the dataset in a CIFAR archive: a tar file as it is downloaded, or the folder that is in it.

    Args:
        path: `cifar-10-python.tar.gz`, `cifar-100-python.tar.gz`, or a folder with their batches.

    Returns:
        Images (n, 32, 32, 3) in [0, 1], and fine labels.

    Raises:
        ValueError: no such archive, a batch that is truncated or names anything but NumPy arrays, or arrays that are
            not those of a batch.
    """
    files = dict(_files(Path(path)))
    for train, test, labels in _FORMATS.values():
        if test in files and set(train) & set(files):
            missing = [name for name in train if name not in files]
            if missing:
                raise ValueError(f"{path} lacks the batch {missing[0]}: use the whole archive.")
            parts = [_batch(f"{path}: {name}", files[name], labels) for name in (*train, test)]
            images, truth = (np.concatenate(x) for x in zip(*parts[:-1], strict=True))
            return splits(images, truth, *parts[-1])
    raise ValueError(f"{path} is no CIFAR archive: use a tar file or folder with data_batch_1 to 5 or train, and test.")


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of what may be a batch."""
    known = {name for train, test, _ in _FORMATS.values() for name in (*train, test)}
    if path.is_dir():
        yield from ((file.name, file.read_bytes()) for file in path.rglob("*") if file.name in known and file.is_file())
        return
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if Path(member.name).name in known and (file := archive.extractfile(member)) is not None:
                    yield Path(member.name).name, file.read()
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: give a CIFAR archive or the folder that is in it.") from None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no tar file, or not a whole one: {error}.") from None


def _batch(name: str, content: bytes, labels: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 32, 32, 3) in [0, 1] and labels (n,) of a batch."""
    try:
        found = _Reader(io.BytesIO(content), encoding="bytes").load()
    except _Refused as error:
        raise ValueError(f"{name} names {error}, which no CIFAR batch does: nothing of it was executed.") from None
    except Exception as error:  # damaged bytes can fail in any opcode of the pickle
        raise ValueError(f"{name} is not a whole pickle of a batch: {error}.") from None
    if not isinstance(found, dict):
        raise ValueError(f"{name} holds a {type(found).__name__}: a CIFAR batch is a dictionary.")
    found = {key.encode() if isinstance(key, str) else key: value for key, value in found.items()}
    data, truth = found.get(b"data"), np.asarray(found.get(labels, []))
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != (len(truth), int(np.prod(_SHAPE))):
        has = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise ValueError(f"{name} has data {has} and {truth.size} {labels.decode()}: use uint8 ({truth.size}, 3072).")
    if truth.dtype.kind not in "iu":
        raise ValueError(f"{name} has {labels.decode()} of {truth.dtype}: use whole numbers.")
    return data.reshape(-1, *_SHAPE).transpose(0, 2, 3, 1) / np.float32(255), truth


class _Refused(Exception):
    """The file names something that a batch does not need."""


# The stand-ins are objects without attributes: a pickle can also set the attributes of what it names.
_NDARRAY = object()


class _EmptyArray:
    """Stands for NumPy's _reconstruct: the array that is filled by the bytes that follow."""

    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, code: Any) -> np.ndarray:
        if kind is not _NDARRAY or shape != (0,) or code not in (b"b", "b"):
            raise _Refused("an array of another kind")
        return np.ndarray((0,), np.int8)


class _Dtype:
    """Stands for numpy.dtype: plain whole numbers only."""

    __slots__ = ()

    def __call__(self, code: Any, *_: Any) -> np.dtype:
        code = code.decode() if isinstance(code, bytes) else code
        if code not in ("u1", "i1", "i2", "i4", "i8", "u2", "u4", "u8"):
            raise _Refused(f"the dtype {code!r}")
        return np.dtype(code, copy=True)


class _FromBuffer:
    """Stands for NumPy's _frombuffer, of newer pickles."""

    __slots__ = ()

    def __call__(self, content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
        return np.frombuffer(content, dtype).reshape(shape, order=order)


class _Encode:
    """Stands for _codecs.encode: bytes, as protocol 2 writes them."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            raise _Refused("another encoding")
        return text.encode("latin1")


class _Reader(pickle.Unpickler):
    """A reader of pickles in which names stand for nothing but these objects."""

    def find_class(self, module: str, name: str) -> Any:
        stands_for = {
            "numpy.ndarray": _NDARRAY,
            "numpy.dtype": _Dtype(),
            "multiarray._reconstruct": _EmptyArray(),
            "numeric._frombuffer": _FromBuffer(),
            "_codecs.encode": _Encode(),
        }
        inner = module.removeprefix("numpy.core.").removeprefix("numpy._core.")
        if f"{inner}.{name}" not in stands_for:
            raise _Refused(f"{module}.{name}")
        return stands_for[f"{inner}.{name}"]
