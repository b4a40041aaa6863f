"""The network against its formula, filter by filter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.signal_noise.losses import hinge, logistic, squared
from pt_jax.signal_noise.network import Inner, output, patches, readout


def test_readout_is_the_sign_over_m_and_0_on_the_padding():
    np.testing.assert_array_equal(readout(jnp.array(2.0), 4), [0.5, -0.5, 0.5, -0.5, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "noisy", [(False, True), (True, True, True), (True, False, True), (True, False), (False, True, True)]
)
def test_noise_lies_in_the_patches_that_carry_it(noisy):
    rng, n, units = np.random.default_rng(1), 5, 4
    coefficients, signal = rng.normal(size=(n, len(noisy), 2)), rng.normal(size=(2, units))
    noise = rng.normal(size=(n, sum(noisy), units))
    expected = np.einsum("nps,su->npu", coefficients, signal)
    expected[:, np.flatnonzero(noisy)] += noise
    h = patches(Inner(jnp.asarray(signal), jnp.asarray(noise.reshape(-1, units))), jnp.asarray(coefficients), noisy)
    np.testing.assert_allclose(h, expected, rtol=1e-5, atol=1e-6)  # float32


@pytest.mark.parametrize("activation", [jax.nn.relu, jax.nn.gelu])
def test_output_is_the_sum_over_filters_and_patches(activation):
    rng = np.random.default_rng(0)
    n, m, padded, p = 4, 3, 5, 6
    weights, bias = rng.normal(size=(2 * padded, p)), rng.normal(size=2 * padded)
    noise, mu, label = rng.normal(size=(n, p)), rng.normal(size=p), np.array([1, -1, -1, 1])
    expected = np.zeros(n)
    for i in range(n):
        for r in range(m):
            for row, sign in ((2 * r, 1), (2 * r + 1, -1)):
                for patch in (label[i] * mu, noise[i]):
                    expected[i] += sign / m * float(activation(weights[row] @ patch + bias[row]))
    # A bias is one more coordinate, in which every patch is 1: the inner product with a signal of its own.
    inner = Inner(signal=np.stack([weights @ mu, bias])[:, None], noise=(noise @ weights.T + bias)[:, None])
    f = output(inner, label, readout(m, padded), activation)
    # float32 sums of 12 terms of size 1.
    np.testing.assert_allclose(f[:, 0], expected, atol=1e-5)


def test_losses_are_their_formulas_and_do_not_overflow():
    y, f = np.array([1.0, -1.0, 1.0, -1.0]), np.array([0.3, 0.3, -2.0, 5.0])
    # A few roundings of float32.
    np.testing.assert_allclose(logistic(y, f), np.log1p(np.exp(-y * f)), rtol=1e-6)
    np.testing.assert_allclose(squared(y, f), (f - y) ** 2 / 2, rtol=1e-6)
    np.testing.assert_allclose(hinge(y, f), np.maximum(0, 1 - y * f), rtol=1e-6)
    assert logistic(1.0, -1e4) == 1e4 and logistic(1.0, 1e4) == 0
    slope = jax.vmap(jax.grad(logistic, 1))(y, f)
    np.testing.assert_allclose(slope, -y / (1 + np.exp(y * f)), rtol=1e-6)
    assert jax.grad(logistic, 1)(1.0, -1e4) == -1 and jax.grad(logistic, 1)(1.0, 1e4) == 0
