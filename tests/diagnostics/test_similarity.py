"""Linear CKA: against HSIC written out in NumPy, its invariances, its memory, and by module of a network."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import similarity
from tests.diagnostics.cases import (
    IMAGES,
    MODEL,
    assert_float32_is_close,
    assert_one_trace,
    assert_vmap_equals_loop,
    jit,
    params,
    stack,
)

cka = jit(similarity.linear_cka)


def features(n, p, q, seed=0):
    """Return two sets of features of n samples that share a part."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 3))
    return tuple(shared @ rng.normal(size=(3, k)) + rng.normal(size=(n, k)) + 5 for k in (p, q))


def reference(x, y):
    """Return CKA from the centred n x n Gram matrices: trace(K H L H) and so on."""
    h = np.eye(len(x)) - 1 / len(x)
    k, m = h @ x @ x.T @ h, h @ y @ y.T @ h
    return np.sum(k * m) / np.linalg.norm(k) / np.linalg.norm(m)


def rotation(p, seed=1):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(p, p)))[0]


# More samples than features, fewer, one side of each, and more rows than one block of the Gram side (128).
SIZES = [(50, 7, 4), (20, 60, 45), (30, 100, 5), (30, 5, 100), (300, 400, 350), (2, 3, 3)]


@pytest.mark.parametrize(("n", "p", "q"), SIZES)
def test_cka_is_hsic_over_its_norms(n, p, q):
    x, y = features(n, p, q)
    # Sums of up to 300 x 400 float32 products of one sign or little cancellation.
    np.testing.assert_allclose(cka(x, y), reference(x, y), rtol=2e-5)


def test_with_one_feature_each_it_is_the_squared_correlation():
    x, y = features(40, 1, 1)
    np.testing.assert_allclose(cka(x, y), np.corrcoef(x[:, 0], y[:, 0])[0, 1] ** 2, rtol=1e-5)  # float32


def test_features_that_are_uncorrelated_have_none():
    x, y = np.split(np.linalg.qr(np.c_[np.ones(20), features(20, 4, 4)[0], features(20, 4, 4, 9)[0]])[0][:, 1:], 2, 1)
    assert cka(x, y) < 1e-12  # the square of float32 rounding
    np.testing.assert_allclose(cka(x, x), 1, rtol=1e-6)


@pytest.mark.parametrize(("n", "p", "q"), SIZES[:4])
def test_rotation_scale_shift_and_order_of_samples_do_not_matter(n, p, q):
    x, y = features(n, p, q)
    before = cka(x, y)
    moved = x @ rotation(p) * 37 + np.linspace(-50, 50, p)
    # Shifts and spread are rounded to 50 eps in float32 before anything is computed.
    np.testing.assert_allclose(cka(moved, y), before, rtol=1e-4)
    order = np.random.default_rng(3).permutation(n)
    np.testing.assert_allclose(cka(x[order], y[order]), before, rtol=2e-5)
    np.testing.assert_allclose(cka(y, x), before, rtol=2e-5)
    # Yet it is not blind: another pairing of the samples, or features scaled one by one, change it.
    assert abs(cka(x[order], y) - before) > 0.01
    if p > 5:
        assert abs(cka(x * np.geomspace(1, 1000, p), y) - before) > 0.01


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_squares_of_squares_stay_in_the_range_of_float32(scale):
    x, y = features(30, 5, 4)
    np.testing.assert_allclose(cka(x * scale, y), cka(x, y), rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
def test_constant_features_are_nan(value):
    # 0.1 is no sum of powers of 2: the mean of equal numbers is not always that number.
    constant = np.full((37, 3), value, np.float32)
    x, y = features(37, 5, 4)
    assert np.isnan([cka(constant, y), cka(x, constant), cka(constant, constant), cka(x[:1], y[:1])]).all()


def test_low_precision_features_are_accumulated_in_float32():
    x, y = (z.astype(jnp.bfloat16) for z in features(1000, 3, 3))
    result = cka(x, y)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, reference(np.asarray(x, float), np.asarray(y, float)), rtol=2e-5)


@pytest.mark.parametrize(("n", "p", "q"), [(20, 5, 4), (10, 12, 30)])
def test_vmap_one_trace_and_float64(n, p, q):
    x, y = stack([features(n, p, q, seed) for seed in range(64)])
    assert_vmap_equals_loop(similarity.linear_cka, x, y)
    assert_one_trace(similarity.linear_cka, (x[0], y[0]), (x[1], y[1]))
    assert_float32_is_close(similarity.linear_cka, x[0], y[0], rtol=1e-5)  # sums of some 100 terms


@pytest.mark.parametrize(("n", "p"), [(100_000, 64), (8_000, 20_000), (4_000, 1_000_000)])
@pytest.mark.parametrize("debiased", [False, True])
def test_memory_is_linear_in_samples(n, p, debiased):
    measure = jit(partial(similarity.linear_cka, debiased=debiased))

    def temporary(n):
        shape = jax.ShapeDtypeStruct((n, p), jnp.float32)
        return measure.lower(shape, shape).compile().memory_analysis().temp_size_in_bytes

    # Twice the samples, twice the memory; one n x n matrix in float32 would add 15% at 8,000 x 20,000.
    assert temporary(2 * n) < 2.02 * temporary(n)
    # A few centred copies of both inputs and nothing else of note.
    assert temporary(n) < 10 * n * p * 4


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize(("p", "q"), [(5, 4), (40, 30)])  # both sides of the Gram matrix
def test_samples_that_do_not_count_are_not_seen(p, q, debiased):
    x, y = features(12, p, q)
    used = np.arange(12) % 3 != 0
    cka = jit(similarity.linear_cka, static_argnames="debiased")
    expected = cka(x[used], y[used], debiased=debiased)
    x[~used], y[~used] = 1e4, 7.0
    np.testing.assert_allclose(cka(x, y, debiased=debiased, used=used), expected, rtol=1e-5, atol=1e-6)
    images = [z.reshape(4, 3, 1, -1) for z in (x, y)]
    at = similarity.layers(images[:1], images[1:], debiased, True, np.arange(4) != 0)
    np.testing.assert_allclose(at[0], cka(x[3:], y[3:], debiased=debiased), rtol=1e-5, atol=1e-6)
    for wrong in (used[:5], used.astype(int)):
        with pytest.raises(ValueError, match=r"used has shape .*; expected \(12,\), True or False"):
            similarity.linear_cka(x, y, used=wrong)
    known = jnp.asarray(used)  # a constant within somebody's jit
    inside = jit(lambda x: similarity.linear_cka(x, y, debiased, known))(x)
    np.testing.assert_allclose(inside, expected, rtol=1e-5, atol=1e-6)
    few = np.arange(12) < 3
    assert np.isnan(cka(x, y, debiased=debiased, used=few)) == debiased  # traced
    if debiased:
        with pytest.raises(ValueError, match="used has 3 samples; expected at least 4 for the debiased estimator"):
            similarity.linear_cka(x, y, debiased, few)
    for wrong in (few, few[:2], True, np.array([], bool)):
        with pytest.raises(ValueError, match=r"used has shape .*; expected \(4,\), True or False"):
            similarity.layers(images[:1], images[1:], debiased, True, wrong)


@pytest.mark.parametrize("bad", [np.ones(4), np.ones((4, 2, 2)), np.ones((4, 0))])
def test_what_is_not_a_matrix_is_named(bad):
    with pytest.raises(ValueError, match=r"y has shape .*; expected \(samples, features\)"):
        similarity.linear_cka(np.ones((4, 2)), bad)


def test_unequal_sample_counts_are_named():
    with pytest.raises(ValueError, match="x has 4 samples and y has 5; expected features of the same samples"):
        similarity.linear_cka(np.ones((4, 2)), np.ones((5, 2)))


def test_modules_of_two_networks():
    a, b = params(0), params(1)
    found = similarity.modules(MODEL.apply, a, b, IMAGES)
    assert {"Conv_0", "Block_0/Dense_0", "Block_0", "head", "(output)"} <= set(found)

    def conv(variables):
        values = nn.Conv(4, (3, 3)).apply({"params": variables["params"]["Conv_0"]}, IMAGES)
        return np.asarray(values, float).reshape(len(IMAGES), -1)

    np.testing.assert_allclose(found["Conv_0"], reference(conv(a), conv(b)), rtol=2e-5)
    outputs = (np.asarray(MODEL.apply(x, IMAGES), float) for x in (a, b))
    np.testing.assert_allclose(found["(output)"], reference(*outputs), rtol=2e-5)
    for value in similarity.modules(MODEL.apply, a, a, IMAGES).values():
        np.testing.assert_allclose(value, 1, rtol=1e-6)


def test_modules_over_models_and_the_permutation_of_hidden_units():
    def function(a, b):
        return similarity.modules(MODEL.apply, a, b, IMAGES)

    a, b = (stack([params(seed) for seed in seeds]) for seeds in (range(64), range(64, 128)))
    assert_vmap_equals_loop(function, a, b)
    one = params(0)
    order = np.array([2, 0, 3, 1])
    other = jax.tree.map(lambda x: x, one)
    other["params"]["Conv_0"] = {name: x[..., order] for name, x in one["params"]["Conv_0"].items()}
    np.testing.assert_allclose(function(one, other)["Conv_0"], 1, rtol=1e-5)


def test_networks_of_different_structure_are_named():
    other = {"params": {name: x for name, x in params(0)["params"].items() if name != "head"}}
    with pytest.raises(ValueError, match="params_b has another pytree structure than params_a"):
        similarity.modules(MODEL.apply, params(0), other, IMAGES)
