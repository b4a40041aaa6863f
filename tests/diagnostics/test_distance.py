"""Distance: against NumPy, and the properties of a metric."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import distance
from tests.diagnostics.cases import assert_float32_is_close, assert_one_trace, assert_vmap_equals_loop, params, stack


def flat(tree):
    return np.concatenate([np.asarray(x, float).ravel() for x in jax.tree.leaves(tree)])


def test_distance_is_the_norm_of_the_difference():
    a, b = params(0), params(1)
    found = distance.l2(a, b)
    np.testing.assert_allclose(found.whole, np.linalg.norm(flat(a) - flat(b)), rtol=1e-6)  # float32, 120 squares
    assert list(found.modules) == ["Block_0/Dense_0", "Block_0/Dense_1", "Conv_0", "head"]
    conv = flat(a["params"]["Conv_0"]) - flat(b["params"]["Conv_0"])
    np.testing.assert_allclose(found.modules["Conv_0"], np.linalg.norm(conv), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(list(found.modules.values())), found.whole, rtol=1e-6)


def test_a_hand_made_case():
    zeros = {"m": {"w": jnp.zeros((2, 2)), "b": jnp.zeros(5)}, "n": {"w": jnp.zeros(1)}}
    ones = {"m": {"w": jnp.ones((2, 2)), "b": jnp.ones(5)}, "n": {"w": jnp.full(1, 12.0)}}
    found = distance.l2(zeros, ones)
    assert (found.modules["m"], found.modules["n"]) == (3, 12)
    np.testing.assert_allclose(found.whole, np.sqrt(153), rtol=1e-6)


def test_symmetry_zero_scale_and_shift():
    a, b, shift = params(0), params(1), params(2)
    before = distance.l2(a, b)

    def close(found, factor=1.0):
        # Values of size 1 are rounded to eps before the difference is taken.
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, factor * y, rtol=1e-5), found, before)

    close(distance.l2(b, a))
    close(distance.l2(*(jax.tree.map(jnp.add, x, shift) for x in (a, b))))
    close(distance.l2(*(jax.tree.map(lambda x: -3 * x, x) for x in (a, b))), 3.0)
    assert all(x == 0 for x in jax.tree.leaves(distance.l2(a, a)))


def test_low_precision_is_accumulated_in_float32():
    a, b = jnp.zeros(10_000, jnp.bfloat16), jnp.ones(10_000, jnp.bfloat16)
    assert distance.l2({"w": a}, {"w": b}).whole == 100


def test_vmap_one_trace_and_float64():
    a, b = (stack([params(seed) for seed in seeds]) for seeds in (range(64), range(64, 128)))
    assert_vmap_equals_loop(distance.l2, a, b)
    assert_one_trace(distance.l2, (params(0), params(1)), (params(0), params(2)))
    double = [jax.tree.map(lambda x: np.asarray(x, np.float64), params(seed)) for seed in (0, 1)]
    assert_float32_is_close(distance.l2, *double, rtol=1e-6)  # sums of squares of up to 80 terms


def test_different_structure_is_named():
    with pytest.raises(ValueError, match="b has another pytree structure than a"):
        distance.l2(params(0), params(0)["params"])
    with pytest.raises(ValueError, match=r"b\['w'\] has shape \(3,\), but \(2,\) in a"):
        distance.l2({"w": jnp.ones(2)}, {"w": jnp.ones(3)})
