"""Pickled batches of images: what `inputs.pickles` reads, with NumPy's arrays in them.

An array is made from its bytes after all that the file says of it has been checked.
"""

import math
from typing import Any

import numpy as np

from pt_jax.inputs import pickles
from pt_jax.inputs.pickles import STEPS as STEPS
from pt_jax.inputs.pickles import Record as Record
from pt_jax.inputs.pickles import text as text

_KNOWN = {  # what the names stand for in old and new versions of NumPy
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "numpy.core.multiarray._reconstruct": "reconstruct",
    "numpy._core.multiarray._reconstruct": "reconstruct",
    "numpy.core.numeric._frombuffer": "frombuffer",
    "numpy._core.numeric._frombuffer": "frombuffer",
    "_codecs.encode": "encode",
}
_WHOLE = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")


def load(content: bytes) -> Any:
    """Return what a pickle of a CIFAR batch holds; result and errors as for `pickles.load`."""
    return pickles.load(content, _KNOWN, "CIFAR batch")


def array(record: Any) -> np.ndarray:
    """Return the array of whole numbers that a record describes, after all that it says has been checked.

    Raises:
        ValueError: the record describes something else. The message goes on after the name of the file.
    """
    match record:
        case Record("reconstruct", (Record("ndarray", None), (0,), b"b" | "b"), (1, shape, kind, fortran, content)):
            order = "F" if fortran else "C"
        case Record("frombuffer", (content, kind, shape, "C" | "F" | b"C" | b"F" as order)):
            order = text(order)
        case _:
            raise ValueError(f"holds a {type(record).__name__} that does not describe an array as NumPy does.")
    dtype = _dtype(kind)
    if type(content) is not bytes or type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("describes an array without its bytes or its shape.")
    if len(shape) not in (1, 2) or math.prod(shape) * dtype.itemsize != len(content) or not content:
        raise ValueError(f"describes an array whose shape does not fit its {len(content)} bytes.")
    return np.frombuffer(content, dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def _dtype(record: Any) -> np.dtype:
    match record:
        case Record("dtype", (code, _, _), (3, order, None, None, None, -1, -1, _)):
            if text(code) in _WHOLE and text(order) in ("|", "<", ">"):
                return np.dtype(text(code)).newbyteorder(text(order))  # type: ignore[arg-type]
    raise ValueError("describes an array that is not of whole numbers.")
