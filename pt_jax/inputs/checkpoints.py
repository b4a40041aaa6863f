"""Parameters from strangers' files: safetensors, and what torch.save writes; without torch, and nothing is executed.

A safetensors file is the length of a header, the header in JSON, and the bytes of the tensors; a file of torch is a zip
archive with a pickle that says what the tensors are, and their bytes beside it. Tensors are views on the bytes of the
file, so that memory is that of the file; what a file states of shapes and places is checked before.

Source: https://huggingface.co/docs/safetensors describes the one, https://docs.pytorch.org/docs/stable/notes/serialization.html
the other.
"""

import json
import math
import zipfile
from itertools import pairwise
from typing import Any

import ml_dtypes  # of jax: NumPy has no bfloat16
import numpy as np

from pt_jax.inputs import pickles
from pt_jax.inputs.pickles import Record
from pt_jax.inputs.reading import Bounded, located, reason

_USE = "a safetensors file, or what torch.save wrote of a state_dict"
_HEADER = 2**24  # bytes that a header may take: some 100,000 tensors
_NAMES = 4  # times the file that copies of all tensors may take: T5 has its embedding under four names
_OBJECT = 64  # bytes that an array takes beside its numbers, at least
_DTYPES = {  # in safetensors, and the class of its storage in torch
    **{"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "BOOL": np.bool_},
    **{"I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8},
}
_STORAGES = {
    **{"Double": "F64", "Float": "F32", "Half": "F16", "BFloat16": "BF16", "Bool": "BOOL"},
    **{"Long": "I64", "Int": "I32", "Short": "I16", "Char": "I8", "Byte": "U8"},
}
_KNOWN = {
    "collections.OrderedDict": "ordered",
    "torch._utils._rebuild_tensor_v2": "tensor",
    "torch._utils._rebuild_parameter": "parameter",
    "torch.Size": "size",
    **{f"torch.{name}Storage": kind for name, kind in _STORAGES.items()},
}


def read(path: Any) -> dict[str, Any]:
    """Return the tensors of a file by name, as NumPy arrays that cannot be written to.

    Args:
        path: of a safetensors file, or of one that torch.save (1.6 or later) wrote; `~` is the user's home.

    Returns:
        Arrays by name, in the dictionaries that hold them: of {"epoch": 3, "state_dict": {...}} that of "state_dict".
        What is no tensor is left out.

    Raises:
        ValueError: no such file, another kind, or one that is damaged or names what no state_dict does; tensors that
            overlap, are negated views, or whose copies would take more than four times the file.
    """
    found = located(path, _USE)
    try:
        if not found.is_file():
            raise ValueError("it is no file")
        with found.open("rb") as file:
            archived = file.read(4) == b"PK\3\4"  # a header of 67 MB it would be in safetensors, which is not accepted
            file.seek(0)
            tensors = (_torch if archived else _safetensors)(file, found.stat().st_size)
        if not tensors:
            raise ValueError("it holds no tensor")
        return tensors
    except Exception as error:  # zipfile and json have many for what a damaged file can be
        raise ValueError(f"{found} is not accepted: use {_USE} ({reason(error)}).") from None


def _safetensors(file: Any, total: int) -> dict[str, np.ndarray]:
    size = int.from_bytes(file.read(8), "little")
    if size > min(total - 8, _HEADER):
        raise ValueError(f"its header states {size:,} bytes")
    header, data = json.loads(file.read(size)), memoryview(file.read())
    header.pop("__metadata__", None)
    tensors, places = {}, []
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        if not 0 <= start <= end <= len(data) or entry["dtype"] not in _DTYPES:
            raise ValueError(f"{name[:80]} is {str(entry)[:80]}")
        values = np.frombuffer(data[start:end], _DTYPES[entry["dtype"]])
        if any(n < 0 for n in entry["shape"]):  # which NumPy would take for the rest
            raise ValueError(f"{name[:80]} has the shape {str(entry['shape'])[:80]}")
        tensors[name] = values.reshape(entry["shape"])
        places.append((start, end))
    # Whoever copies tensors on the same bytes would need any memory.
    if any(start < end for (_, end), (start, _) in pairwise(sorted(places))):
        raise ValueError("its tensors overlap")
    return tensors


def _torch(file: Any, size: int) -> dict[str, Any]:
    # Each part is read once, and so is the directory: more than that is asked for by parts that lie in each other.
    with zipfile.ZipFile(Bounded(file, 2 * size + 2**20)) as archive:
        tensors, limit = _Archive(archive).tensors() or {}, max(_NAMES * size, 2**20)
    if _needed(tensors, {}) > limit:
        raise ValueError(f"its tensors take more than {limit:,} bytes, each counted where it is named")
    return tensors


def _needed(node: dict | np.ndarray, known: dict[int, int]) -> int:
    """Return the bytes that copies of all tensors take: one that has several names has several copies."""
    if isinstance(node, np.ndarray):
        return node.nbytes + _OBJECT
    if id(node) not in known:
        known[id(node)] = sum(_needed(part, known) for part in node.values())
    return known[id(node)]


class _Archive:
    """What torch.save wrote: one folder with `data.pkl`, and a file in `data` for each storage."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive
        pickled = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(pickled) != 1:
            raise ValueError(f"it holds data.pkl {len(pickled)} times")
        self._folder = pickled[0].removesuffix("data.pkl")
        if f"{self._folder}byteorder" in archive.namelist() and self._part("byteorder") != b"little":
            raise ValueError("its numbers are big-endian")
        self._storages: dict[str, np.ndarray] = {}
        self._seen: dict[int, Any] = {}

    def tensors(self) -> dict[str, Any]:
        """Return the tensors, by name, in the dictionaries that hold them."""
        content = self._part("data.pkl")
        if len(content) > _HEADER:
            raise ValueError(f"its data.pkl has {len(content):,} bytes")
        tree = pickles.load(content, _KNOWN, "state_dict", beside=True)
        if not isinstance(tree, dict):
            raise ValueError(f"it holds a {type(tree).__name__} in place of a state_dict")
        return self._made(tree)

    def _part(self, name: str) -> bytes:
        member = self._archive.getinfo(self._folder + name)
        if member.compress_type != zipfile.ZIP_STORED:  # what is compressed can unpack to any size
            raise ValueError(f"{name} is compressed, as torch.save does not")
        return self._archive.read(member)

    def _made(self, node: Any) -> Any:
        """Return the array of a record, or a dictionary with those in it, each made once; None for what has none."""
        if id(node) in self._seen:
            return self._seen[id(node)]
        made: Any = None
        match node:
            case Record("parameter", (tensor, *_)):
                made = self._made(tensor)
            case Record("tensor", (_, _, _, _, _, _, metadata, *_)) if metadata:
                raise ValueError("it has a tensor with metadata, such as a negated one: save its resolve_neg()")
            case Record("tensor", (storage, offset, size, stride, *_)):
                made = self._array(storage, offset, size, stride)
            case dict():
                parts = {name: self._made(part) for name, part in node.items() if isinstance(name, str)}
                made = {name: part for name, part in parts.items() if part is not None} or None
        self._seen[id(node)] = made
        return made

    def _array(self, storage: Any, offset: Any, size: Any, stride: Any) -> np.ndarray:
        if isinstance(size, Record):
            (size,) = size.arguments or ()
        match storage:
            case Record(pickles.STORED, (("storage", Record(kind, None), str(key), _, _),)) if kind in _DTYPES:
                dtype = np.dtype(_DTYPES[kind])
            case _:
                raise ValueError("it has a tensor of a kind that is not known")
        if f"{kind}/{key}" not in self._storages:
            self._storages[f"{kind}/{key}"] = np.frombuffer(self._part(f"data/{key}"), dtype)
        values = self._storages[f"{kind}/{key}"]
        # Checked before anything is multiplied: NumPy has up to 64 dimensions, and 2**63 of anything.
        if len(size) != len(stride) or len(size) > 64:
            raise ValueError("it has a tensor without its shape")
        if not all(type(n) is int and 0 <= n < 2**63 for n in (offset, *size, *stride)):
            raise ValueError("it has a tensor without its shape")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if math.prod(size) and (last >= len(values) or math.prod(size) > len(values)):
            raise ValueError(f"it has a tensor of shape {size} in a storage of {len(values)} numbers")
        if not math.prod(size):
            return np.zeros(size, dtype)
        steps = [step * dtype.itemsize for step in stride]
        return np.lib.stride_tricks.as_strided(values[offset:], size, steps, writeable=False)
