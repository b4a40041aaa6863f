"""Debiased CKA and CKA with a Gaussian kernel: against HSIC term by term, and on features that share nothing."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import similarity
from tests.compiling import jit
from tests.diagnostics.cases import assert_float32_is_close
from tests.diagnostics.test_similarity import cka, features

debiased = jit(partial(similarity.linear_cka, debiased=True))
rbf = jit(similarity.rbf_cka, static_argnames="debiased")
layers = jit(similarity.layers, static_argnames=("debiased", "positions"))


def hsic(k, m, unbiased):
    """Return HSIC_0 or HSIC_1 of Gram matrices, term by term."""
    n, one = len(k), np.ones(len(k))
    if not unbiased:
        h = np.eye(n) - 1 / n
        return np.trace(k @ h @ m @ h) / (n - 1) ** 2
    k, m = (z - np.diag(np.diag(z)) for z in (k, m))
    rest = (one @ k @ one) * (one @ m @ one) / (n - 1) / (n - 2) - 2 / (n - 2) * (one @ k @ m @ one)
    return (np.trace(k @ m) + rest) / n / (n - 3)


def gaussian(x, bandwidth):
    squares = np.sum((x[:, None] - x) ** 2, 2)
    return np.exp(-squares / (2 * bandwidth**2 * np.median(squares)))


def reference(k, m, unbiased=True):
    return hsic(k, m, unbiased) / np.sqrt(hsic(k, k, unbiased) * hsic(m, m, unbiased))


# More samples than features, fewer, and one side of each.
@pytest.mark.parametrize(("n", "p", "q"), [(50, 7, 4), (20, 60, 45), (30, 100, 5)])
def test_debiased_cka_is_hsic_1_over_its_norms(n, p, q):
    x, y = features(n, p, q)
    np.testing.assert_allclose(debiased(x, y), reference(x @ x.T, y @ y.T), rtol=1e-5)  # float32


@pytest.mark.parametrize(("n", "p", "q"), [(50, 7, 4), (20, 60, 45)])
def test_outliers_do_not_cost_debiased_cka_its_digits(n, p, q):
    x, y = features(n, p, q)
    x[3] *= 300
    y[5] *= 300
    # The means over the other samples are 300 / 20 of a feature: rounding is 15^2 eps of an entry.
    np.testing.assert_allclose(debiased(x, y), reference(x @ x.T, y @ y.T), rtol=3e-4)
    np.testing.assert_allclose(debiased(x, x), 1, rtol=1e-6)


@pytest.mark.parametrize(("bandwidth", "unbiased"), [(0.5, False), (0.5, True), (2.0, False)])
def test_rbf_cka_is_hsic_over_its_norms(bandwidth, unbiased):
    x, y = features(20, 60, 45)
    expected = reference(gaussian(x, bandwidth), gaussian(y, bandwidth), unbiased)
    np.testing.assert_allclose(rbf(x * 1e30, y, bandwidth, debiased=unbiased), expected, rtol=1e-5)  # float32


def test_a_wide_gaussian_kernel_is_the_linear_one():
    x, y = features(20, 60, 45)
    # exp(-d / s) = 1 - d / s up to (d / s)^2, s = 2 * 30^2 medians: a part in 1,000, above the rounding of 1 - d / s.
    np.testing.assert_allclose(rbf(x, y, 30.0), cka(x, y), rtol=2e-3)


def test_independent_features_have_none_but_for_the_plain_estimator():
    draws = 100

    def both(key):
        x, y = jax.random.normal(key, (2, 64, 125))
        return jnp.stack([similarity.linear_cka(x, y, each) for each in (False, True)])

    plain, without = np.asarray(jit(jax.vmap(both))(jax.random.split(jax.random.key(0), draws)), float).T
    error = without.std(ddof=1) / np.sqrt(draws)
    # Its mean is 0 within 4.5 standard errors of 0.0024 (by luck not: 7e-6). The ratio of the means of plain HSIC is
    # 1 / (1 + n / p) = 0.66 for X X^T of n x p standard normals: E tr(K H L H) = p^2 n, E tr(K H K H) = p^2 n + p n^2.
    assert abs(without.mean()) < 4.5 * error < 0.012
    np.testing.assert_allclose(plain.mean(), 1 / (1 + 64 / 125), rtol=0.01)  # n - 1 for n, and a mean of ratios


def test_debiased_cka_does_not_see_rotation_scale_shift_and_order():
    x, y = features(20, 60, 45)
    before, order = debiased(x, y), np.random.default_rng(3).permutation(20)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(60, 60)))[0]
    np.testing.assert_allclose(
        debiased((x @ turn * 1e12 + np.linspace(-5e13, 5e13, 60))[order], y[order]), before, rtol=1e-4
    )
    assert abs(debiased(x[order], y) - before) > 0.1  # another pairing is seen
    assert np.isnan([debiased(np.ones_like(x), y), rbf(np.ones_like(x), y)]).all()


def test_positions_are_samples_on_request():
    x, y = (np.random.default_rng(seed).normal(size=(6, 3, 3, 4)) for seed in (0, 1))
    y = y + x
    for positions, shape in ((False, (6, -1)), (True, (54, 4))):
        found = layers([x], [y], debiased=True, positions=positions)
        np.testing.assert_allclose(found, [debiased(x.reshape(shape), y.reshape(shape))], rtol=1e-5)
    # Channels are compared whatever the place: the same permutation of places in both networks changes nothing.
    np.testing.assert_allclose(layers([x[:, ::-1]], [y[:, ::-1]], debiased=True, positions=True), found, rtol=1e-5)


def test_float64():
    for function in (partial(similarity.linear_cka, debiased=True), similarity.rbf_cka):
        assert_float32_is_close(function, *features(20, 60, 45), rtol=2e-5)


def test_bad_input_is_named():
    x = np.arange(12.0).reshape(3, 4)
    with pytest.raises(ValueError, match="x has 3 samples; expected at least 4 for the debiased estimator"):
        similarity.linear_cka(x, x, debiased=True)
    for bandwidth in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match=r"bandwidth is .*; expected a positive fraction of the median distance"):
            similarity.rbf_cka(x, x, bandwidth)
