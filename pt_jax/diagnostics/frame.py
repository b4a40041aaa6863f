"""How far K vectors are from a simplex equiangular tight frame: equal norms, and equal angles, the largest there are.

    simplex        = | V V^T / |V V^T|_F - (I - 1 1^T / K) / sqrt(K-1) |_F          V (K, D) has the vectors v_k as rows
    equinorm       = standard deviation of |v_k| (K - 1 in its denominator) / mean of |v_k|
    equiangularity = standard deviation of cos(v_k, v_l) over the pairs k != l
    angle          = mean over these of |cos(v_k, v_l) + 1 / (K-1)|

Source: 'Prevalence of neural collapse during the terminal phase of deep learning training', arXiv 2008.08186, and its
published notebook for the standard deviation; `simplex` is NC2 of arXiv 2212.12206.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from pt_jax.diagnostics.arrays import product


class Frame(NamedTuple):
    """Dimensionless scalars, 0 for a simplex; equations above. The last three are NaN where a vector is 0."""

    simplex: Array
    equinorm: Array
    equiangularity: Array
    angle: Array


def frame(vectors: Array, here: Array, classes: Array) -> Frame:
    """Return the measures of a frame.

    Args:
        vectors: V, (K, D).
        here: which rows count, (K,) of 0 and 1.
        classes: how many these are; K above is their number.
    """
    vectors = _unit(vectors, here)
    others = jnp.outer(here, here) * (1 - jnp.eye(len(here), dtype=vectors.dtype))
    norms = jnp.linalg.norm(vectors, axis=1)
    mean = norms.sum() / classes
    deviation = jnp.sqrt(jnp.sum(here * (norms - mean) ** 2) / (classes - 1))
    directions = vectors / jnp.where(here > 0, norms, 1)[:, None]
    cosines, pairs = product(directions, directions.T), classes * (classes - 1)
    off = jnp.where(others > 0, cosines + 1 / (classes - 1), 0)  # 0 for a simplex: no digits are lost there
    return Frame(
        alignment(vectors, vectors, here, classes),
        deviation / mean,
        jnp.sqrt(jnp.sum(others * (off - off.sum() / pairs) ** 2) / pairs),
        jnp.sum(jnp.abs(off)) / pairs,
    )


def alignment(a: Array, b: Array, here: Array, classes: Array) -> Array:
    """Return | A B^T / |A B^T|_F - (I - 1 1^T / K) / sqrt(K-1) |_F over the rows that count; see `frame`."""
    products = product(_unit(a, here), _unit(b, here).T)
    simplex = (jnp.diag(here) - jnp.outer(here, here) / classes) / jnp.sqrt(classes - 1)
    return jnp.linalg.norm(products / jnp.linalg.norm(products) - simplex)


def distance(a: Array, b: Array, here: Array) -> Array:
    """Return | A / |A|_F - B / |B|_F |_F^2 over the rows that count, (K,) of 0 and 1."""
    a, b = (_unit(x, here) for x in (a, b))
    return jnp.sum((a / jnp.linalg.norm(a) - b / jnp.linalg.norm(b)) ** 2)


def _unit(x: Array, here: Array) -> Array:
    """Return the rows that count over their largest entry, so that fourth powers stay in the range; others are 0."""
    x = jnp.where(here[:, None] > 0, x, 0)  # no product: NaN stays NaN in one
    return x / jnp.max(jnp.abs(x))
