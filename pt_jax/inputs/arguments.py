"""What a function of either world, or a measure, is called with: one typed key, and one point."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.inputs.field import shown


def typed_key(key: Any) -> Array:
    """Return a key, if it is one typed key.

    Raises:
        ValueError: it is not.
    """
    if not (isinstance(key, Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()):
        raise ValueError(f"key = {shown(key)} is not accepted: use one typed key, jax.random.key(seed).")
    return key


def check_one(point: Any) -> None:
    """Raise ValueError unless every leaf of a point, a NamedTuple, is a scalar."""
    for name, leaf in point._asdict().items():
        if shape := np.shape(leaf):
            raise ValueError(f"{name} has shape {shape}: a trajectory takes one point; use jax.vmap or a Sweep.")
