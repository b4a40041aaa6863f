"""The network against its formula, filter by filter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import gelu

from pt_jax import Static
from pt_jax.signal_noise.losses import hinge, logistic, squared
from pt_jax.signal_noise.models import model_of, outputs, with_bias
from pt_jax.signal_noise.network import Inner, patches, pooled, readout


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
    f = pooled(inner, label, readout(m, padded), activation)
    # float32 sums of 12 terms of size 1.
    np.testing.assert_allclose(f[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("model", ["cnn", "cnn_trained", "mlp"])
@pytest.mark.parametrize("data", ["two_patches", "multi_patch"])  # the quick way, and any data: two patches both
def test_networks_that_sum_over_patches(model, data):
    rng, n, k, units = np.random.default_rng(2), 5, 2, 6
    static = Static(model=model, m=3, hidden=(4, 3), data=data, patches=2, activation="gelu", bias=True)
    second_layer, label = readout(3, 3), np.array([1.0, -1, -1, 1, -1])
    signal, noise, bias = rng.normal(size=(k, units)), rng.normal(size=(n, k, units)), rng.normal(size=(k, units))
    inner = Inner(np.stack([signal, bias]), noise + bias)
    upper = [model_of(static).init(jax.random.key(i), second_layer) for i in range(k)]
    upper = [jax.tree.map(lambda x: x + 0.1, one) for one in upper]  # biases that are not 0
    parts = with_bias(jnp.stack([label, 0 * label], axis=1)[..., None], static)
    f = outputs(inner, jax.tree.map(lambda *x: jnp.stack(x), *upper), label, parts, second_layer, static)
    for i, one in enumerate(upper):
        h = gelu(label[:, None] * signal[i] + bias[i]) + gelu(noise[:, i] + bias[i])
        last = second_layer if model == "cnn" else one
        if model == "mlp":
            h = gelu(gelu(h @ one["units"] + one["bias"][0]) @ one["inner"][0] + one["bias"][1])
            last = one["last"]
        np.testing.assert_allclose(f[:, i], h @ last, rtol=1e-5, atol=1e-6)  # float32


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
