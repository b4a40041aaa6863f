"""Anybody's arrays: lists, NumPy, jax, traced ones, and tensors of other libraries, none of which is imported here."""

import operator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

product = partial(jnp.matmul, precision="highest")  # no TF32 or bfloat16 products on an accelerator


def array(name: str, value: Any) -> Array | np.ndarray:
    """Return an array in its own dtype, as it is where it is jax's: its values can then be checked under jit too.

    Args:
        name: what the message calls it.
        value: a jax array, traced or not; or what NumPy takes, such as nested lists; or a torch tensor, also one that
            requires a gradient.

    Raises:
        ValueError: not an array of numbers.
    """
    if not isinstance(value, jax.Array):
        value = _numpy(value)
    if not (jnp.issubdtype(value.dtype, jnp.number) or jnp.issubdtype(value.dtype, jnp.bool_)):
        raise ValueError(f"{name} is not accepted: use an array of numbers.")
    return value


def real(name: str, value: Any) -> Array:
    """Return an array of real numbers in float32 or better; arguments and errors as for `array`."""
    value = array(name, value)
    if jnp.issubdtype(value.dtype, jnp.complexfloating):
        raise ValueError(f"{name} has dtype {value.dtype}; expected real numbers.")
    value = jnp.asarray(value)  # by itself: only so are numbers of 64 bits cut down without a warning
    return value.astype(jnp.result_type(value.dtype, jnp.float32))


def scalar(name: str, value: Any) -> Array:
    """Return one real number in float32 or better; arguments and errors as for `array`."""
    value = real(name, value)
    if value.shape != ():
        raise ValueError(f"{name} has shape {value.shape}; expected one number.")
    return value


def whole(name: str, value: Any) -> int:
    """Return a whole number that is known when the program is traced.

    Raises:
        ValueError: it is none.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name} = {value!r} is not accepted: use a whole number.") from None


def _numpy(value: Any) -> np.ndarray:
    """Return a NumPy array, of objects where there is none."""
    if isinstance(value, np.ma.MaskedArray):
        return np.array(None)  # its mask would be lost
    try:
        if hasattr(value, "detach"):  # torch's: NumPy takes no tensor that requires a gradient, and no bfloat16
            value = value.detach().cpu()
            value = value.float() if "bfloat16" in str(value.dtype) else value
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        return np.array(None)
