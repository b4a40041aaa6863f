"""Orthogonal rows: the singular values and vectors that NumPy finds, at any rank, and no LAPACK."""

import jax
import numpy as np
import pytest

from pt_jax.diagnostics.jacobi import orthogonal_rows
from tests.compiling import jit

rows_of = jit(orthogonal_rows)


def spread_matrix(k, d, smallest):
    rng = np.random.default_rng(k * d)
    matrix = rng.normal(size=(k, d)) * np.geomspace(1, smallest, k)[:, None]
    return matrix - matrix.mean(0)  # rank at most k - 1, as class means have


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize(("k", "d", "smallest"), [(2, 3, 1), (3, 5, 1), (10, 64, 1e-3), (10, 4, 1), (64, 100, 1e-2)])
def test_rows_are_orthogonal_and_hold_the_singular_values_and_vectors(k, d, smallest, x64):
    matrix, rank = spread_matrix(k, d, smallest), min(k - 1, d)
    with jax.enable_x64(x64):
        found = np.asarray(rows_of(matrix.astype(float if x64 else np.float32)), np.float64)
    assert found.shape == (k + k % 2, d)
    eps = np.finfo(float if x64 else np.float32).eps
    lengths = np.linalg.norm(found, axis=1)
    kept = np.argsort(-lengths)[:rank]
    singular = np.linalg.svd(matrix, compute_uv=False)[:rank]
    # One-sided Jacobi is accurate relative to each singular value, up to the conditioning of the scaled rows; the
    # rounding of the matrix itself to float32 moves the least by eps * largest / least.
    np.testing.assert_allclose(lengths[kept], singular, rtol=k * eps + 4 * eps * singular[0] / singular[-1])
    unit = found[kept] / lengths[kept, None]
    np.testing.assert_allclose(unit @ unit.T, np.eye(rank), atol=k * eps)
    # Q is orthogonal: A^T A is kept.
    np.testing.assert_allclose(found.T @ found, matrix.T @ matrix, atol=10 * k * eps * singular[0] ** 2)


@pytest.mark.parametrize("matrix", [np.zeros((4, 3)), np.ones((5, 3)), np.eye(6)[[0, 0, 3, 3, 5, 1]]])
def test_zero_equal_and_orthogonal_rows(matrix):
    found = np.asarray(rows_of(matrix.astype(np.float32)), np.float64)
    np.testing.assert_allclose(found.T @ found, matrix.T @ matrix, atol=1e-6)  # float32
    gram = found @ found.T
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-6)
