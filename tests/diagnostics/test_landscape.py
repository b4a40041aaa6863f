"""The line between two networks: ends, quadratics, and what must not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import landscape
from tests.diagnostics.cases import assert_one_trace, assert_vmap_equals_loop, mlp, mlp_loss, stack

T = np.linspace(-0.5, 1.5, 21)
A, B = ({"m": {"w": jnp.array(w), "b": jnp.array([b])}} for w, b in (([1.0, -2.0], 0.5), ([3.0, 1.0], -0.5)))
SQUARES = 4.0 + 9.0 + 1.0  # |a - b|^2


def quadratic(theta, curvature=1.0):
    return curvature / 2 * sum(jnp.sum((x - 0.3) ** 2) for x in jax.tree.leaves(theta)) + 2


def test_the_ends_are_the_end_points_exactly():
    a, b = mlp(0), mlp(1)
    jax.tree.map(np.testing.assert_array_equal, landscape.between(a, b, 0.0), a)
    jax.tree.map(np.testing.assert_array_equal, landscape.between(a, b, jnp.float32(1)), b)
    losses = landscape.interpolate(mlp_loss, a, b, [0.0, 0.5, 1.0])
    # The same network in two programs: float32.
    np.testing.assert_allclose(losses[::2], [mlp_loss(a), mlp_loss(b)], rtol=1e-5)


def test_tensors_keep_their_dtype():
    half = {"w": jnp.ones(2, jnp.bfloat16)}
    assert landscape.between(half, half, jnp.float32(0.3))["w"].dtype == jnp.bfloat16


@pytest.mark.parametrize("curvature", [2.0, -2.0])
def test_a_quadratic_has_the_known_excess_and_barrier(curvature):
    found = landscape.barrier(lambda theta: quadratic(theta, curvature), A, B, T)
    # L(theta_t) is below its chord by curvature / 2 t (1 - t) |a - b|^2: a barrier where the curvature is negative.
    expected = -curvature / 2 * T * (1 - T) * SQUARES
    np.testing.assert_allclose(found.excess, expected, atol=2e-5)  # float32, losses up to 50
    np.testing.assert_allclose(found.height, max(0, -curvature * SQUARES / 8), atol=2e-5)
    ends = np.array([quadratic(A, curvature), quadratic(B, curvature)])
    highest = max(ends[0] + T[5:16] * (ends[1] - ends[0]) + expected[5:16])  # 0 <= t <= 1
    np.testing.assert_allclose(found.above_mean, highest - ends.mean(), atol=2e-5)
    assert found.above_mean >= abs(ends[0] - ends[1]) / 2 - 2e-5
    assert (found.excess[0] > 0) == (curvature > 0)  # extrapolated, and not counted as a barrier


def test_interpolate_follows_the_line_also_outside():
    losses = landscape.interpolate(quadratic, A, B, T)
    a, b = (np.concatenate([np.ravel(x) for x in jax.tree.leaves(theta)]) for theta in (A, B))
    expected = [np.sum(((1 - t) * a + t * b - 0.3) ** 2) / 2 + 2 for t in T]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)


def test_several_losses_at_once():
    def two(theta):
        return jnp.stack([quadratic(theta, -2.0), quadratic(theta, 3.0)])

    found = landscape.barrier(two, A, B, T)
    assert found.excess.shape == (21, 2)
    np.testing.assert_allclose(found.height, [SQUARES / 4, 0], atol=2e-5)
    one = landscape.barrier(lambda theta: quadratic(theta, -2.0), A, B, T)
    np.testing.assert_allclose(found.excess[:, 0], one.excess, atol=1e-6)


def test_the_barrier_is_the_same_from_both_ends_and_with_a_constant_or_a_line_added():
    t = np.linspace(0, 1, 21)
    a, b = mlp(0), mlp(1)
    before = landscape.barrier(mlp_loss, a, b, t)
    assert before.height > 0
    back = landscape.barrier(mlp_loss, b, a, 1 - t)
    # Rounding in float32 of losses of size 1.
    size = -1e-5 * float(mlp_loss(a) + mlp_loss(b))
    np.testing.assert_allclose(back.excess, before.excess, atol=size)
    lifted = landscape.barrier(lambda x: mlp_loss(x) + 1 + jnp.sum(x["idle"]["kernel"]), a, b, t)
    np.testing.assert_allclose(lifted.height, before.height, atol=size + 1e-6)


def test_a_line_has_no_barrier_and_a_diverged_end_is_nan():
    linear = landscape.barrier(lambda theta: jnp.sum(theta["m"]["w"]), A, B, T)
    np.testing.assert_allclose(linear.excess, 0, atol=1e-6)
    assert np.isnan(landscape.barrier(lambda theta: jnp.log(theta["m"]["b"][0]), A, B, T).height)


def test_vmap_one_trace_and_float64():
    a, b = (stack([mlp(seed) for seed in seeds]) for seeds in (range(64), range(64, 128)))
    assert_vmap_equals_loop(lambda a, b: landscape.barrier(mlp_loss, a, b, T), a, b)
    assert_vmap_equals_loop(lambda a, b: landscape.interpolate(mlp_loss, a, b, T), a, b)
    for function in (landscape.interpolate, landscape.barrier):
        calls = [(A, B, T), (B, A, T), (A, B, T + 0.1)]
        assert_one_trace(lambda a, b, t, function=function: function(quadratic, a, b, t), *calls)
    single = landscape.barrier(quadratic, A, B, T)
    with jax.enable_x64(True):
        a, b = (jax.tree.map(lambda x: np.asarray(x, np.float64), theta) for theta in (A, B))
        exact = landscape.barrier(quadratic, a, b, T)
    assert exact.excess.dtype == np.float64
    np.testing.assert_allclose(exact.excess, -0.5 * T * (1 - T) * SQUARES, atol=1e-13)  # float64, losses up to 50
    np.testing.assert_allclose(single.excess, exact.excess, atol=1e-5)  # float32


def test_bad_input_is_named():
    for function in (landscape.interpolate, landscape.barrier):
        for t in (0.5, np.ones((2, 2)), []):
            with pytest.raises(ValueError, match=r"t has shape .*; expected a vector of at least one position"):
                function(quadratic, A, B, t)
        with pytest.raises(ValueError, match="b has another pytree structure than a"):
            function(quadratic, A, {"m": A["m"]["w"]}, T)
