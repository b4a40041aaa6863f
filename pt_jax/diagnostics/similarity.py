"""Feature similarity: linear CKA (centred kernel alignment) of two networks, by module.

    CKA(X, Y) = |Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F),    columns of X (n, p) and Y (n, q) centred over the samples

In [0, 1]; unchanged by rotation, by one scale for all features and by a shift of each. In fine-tuned networks two that
share their pretraining are expected to be similar, and one trained from scratch to be unlike any other.

Source: 'What is being transferred in transfer learning?', arXiv 2008.11687.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.activations import by_module
from pt_jax.diagnostics.arrays import real
from pt_jax.diagnostics.parameters import Params, check

_ROWS = 128  # rows of the Gram matrices that are held at once
_product = partial(jnp.matmul, precision="highest")  # no TF32 or bfloat16 products on an accelerator


def linear_cka(x: ArrayLike, y: ArrayLike) -> Array:
    """Return the linear CKA of two sets of features of the same samples.

    |Y^T X|_F^2 = sum_ij (X X^T)_ij (Y Y^T)_ij: taken on the side with the smaller matrix. The Gram side goes by blocks
    of rows, so that memory is linear in n on either side.

    Args:
        x: features, (n, p), any unit; in float32 or better from here on.
        y: features of the same samples in the same order, (n, q).

    Returns:
        CKA, a dimensionless scalar in [0, 1]. NaN where all features of x or of y are constant (0/0).

    Raises:
        ValueError: not matrices, another number of samples, or no features.
    """
    x, y = real("x", x), real("y", y)
    for name, value in (("x", x), ("y", y)):
        if value.ndim != 2 or value.size == 0:
            raise ValueError(f"{name} has shape {value.shape}; expected (samples, features), at least one of each.")
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} samples and y has {len(y)}; expected features of the same samples.")
    x, y = _centred(x), _centred(y)
    return _squared(x, y) / (jnp.sqrt(_squared(x, x)) * jnp.sqrt(_squared(y, y)))


def modules(apply: Callable[..., Any], params_a: Params, params_b: Params, images: ArrayLike) -> dict[str, Array]:
    """Return the linear CKA of two networks by module name.

    Args:
        apply: `model.apply` of a flax.linen module; see `activations.by_module`.
        params_a: parameters of one network.
        params_b: parameters of the other, of the same names and shapes.
        images: the batch that both see, (n, ...).

    Returns:
        CKA of each module's activations, flattened to (n, features); NaN where they are constant over the images.

    Raises:
        ValueError: parameters of different structure or shapes.
    """
    a, b = (by_module(apply, params, images) for params in check(params_a=params_a, params_b=params_b))
    return {name: linear_cka(_flat(name, a[name]), _flat(name, b[name])) for name in a}


def layers(a: Sequence[ArrayLike], b: Sequence[ArrayLike]) -> Array:
    """Return the linear CKA of what the layers of two networks put out for the same n images.

    Args:
        a: outputs of one network's layers, (n, ...) each.
        b: outputs of the other's, as many.

    Returns:
        CKA, (layers,).

    Raises:
        ValueError: another number of layers or of images, or outputs that are not real numbers.
    """
    if len(a) != len(b):
        raise ValueError(f"a has {len(a)} layers and b has {len(b)}; expected as many.")
    found = [linear_cka(*(_flat(*each) for each in (("a", x), ("b", y)))) for x, y in zip(a, b, strict=True)]
    return jnp.array(found)


def _flat(name: str, x: ArrayLike) -> Array:
    x = real(name, x)
    if x.ndim == 0:
        raise ValueError(f"{name} holds a single number; expected the outputs of a layer, (n, ...).")
    return x.reshape(len(x), -1)


def _centred(x: Array) -> Array:
    """Centre the columns and divide by the largest entry, so that squares of squares stay in range."""
    x = x - x[:1]  # first, so that a constant column is 0 and not the rounding error of its mean
    x = x - x.mean(0)
    return x / jnp.max(jnp.abs(x))


def _squared(x: Array, y: Array) -> Array:
    """Return |y^T x|_F^2."""
    if x.shape[1] * y.shape[1] <= len(x) ** 2:
        return jnp.sum(_product(x.T, y) ** 2)
    rows = jax.lax.map(lambda row: jnp.vdot(_product(x, row[0]), _product(y, row[1])), (x, y), batch_size=_ROWS)
    return jnp.sum(rows)
