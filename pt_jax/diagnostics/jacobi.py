"""Orthogonal rows by Jacobi rotations: the singular values and right singular vectors of a matrix, without LAPACK.

In lanes that run on several CPU devices jnp.linalg.eigh and jnp.linalg.qr were seen to hang.

Source: G. H. Golub and C. F. Van Loan, Matrix Computations, section 8.6 (one-sided Jacobi, parallel ordering).
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import real

_SWEEPS = 40  # at most; 5 are usual for 10 rows, 9 for 100 and 20 for 300


def orthogonal_rows(matrix: ArrayLike) -> Array:
    """Return Q A with Q orthogonal and the rows orthogonal to each other: A = U S V^T gives S V^T, rows in any order.

    A round rotates K/2 disjoint pairs of rows so that the two become orthogonal; then the rows move on as in a
    tournament. In a sweep of K-1 rounds every pair meets. Sweeps end when all pairs met are orthogonal to rounding,
    but for rows that are rounding noise themselves.

    Args:
        matrix: A, (K, D), of any rank.

    Returns:
        The rows, (K, D), or (K + 1, D) with a row of zeros where K is odd.

    Raises:
        ValueError: not a matrix of real numbers.
    """
    matrix = real("matrix", matrix)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"matrix has shape {matrix.shape}; expected (K, D), at least one of each.")
    rows = jnp.concatenate([matrix, jnp.zeros_like(matrix[:1])]) if len(matrix) % 2 else matrix
    rounding = len(rows) * jnp.finfo(rows.dtype).eps
    noise = rounding**2 * jnp.max(jnp.sum(rows**2, 1))

    def sweep(state):
        rows, _, done = state
        start = rows, jnp.zeros((), rows.dtype)
        return *jax.lax.fori_loop(0, len(rows) - 1, lambda _, met: _round(met[0], met[1], noise), start), done + 1

    def unfinished(state):
        return (state[1] > rounding) & (state[2] < _SWEEPS)

    return jax.lax.while_loop(unfinished, sweep, (rows, jnp.full((), jnp.inf, rows.dtype), 0))[0]


def _round(rows: Array, cosine: Array, noise: Array) -> tuple[Array, Array]:
    """Rotate row i with row K-1-i and move on; `cosine` is the largest between two rows that met in this sweep."""
    p, q = rows[: len(rows) // 2], rows[len(rows) // 2 :][::-1]
    pp, qq, pq = jnp.sum(p * p, 1), jnp.sum(q * q, 1), jnp.sum(p * q, 1)
    real = jnp.minimum(pp, qq) > noise
    cosine = jnp.maximum(cosine, jnp.max(jnp.where(real, jnp.abs(pq) / jnp.sqrt(pp) / jnp.sqrt(qq), 0)))
    # tan of the angle: the smaller root of pq t^2 + (qq - pp) t - pq = 0.
    half = (qq - pp) / 2
    root = jnp.abs(half) + jnp.hypot(half, pq)
    tan = jnp.where(half < 0, -pq, pq) / jnp.where(root > 0, root, 1)
    cos = jax.lax.rsqrt(1 + tan**2)[:, None]
    sin = cos * tan[:, None]
    rows = jnp.concatenate([cos * p - sin * q, (sin * p + cos * q)[::-1]])
    return jnp.concatenate([rows[:1], jnp.roll(rows[1:], 1, axis=0)]), cosine
