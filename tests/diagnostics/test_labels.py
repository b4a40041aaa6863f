"""Labels: an indicator matrix, padding, and what is not a label."""

import jax
import numpy as np
import pytest

from pt_jax.diagnostics.labels import indicator


def test_the_indicator_has_a_one_for_each_sample_and_none_for_padding():
    expected = [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_array_equal(indicator([0, 2, -1], 3, 3), expected)
    # Traced labels cannot be checked: those outside count as padding.
    np.testing.assert_array_equal(jax.jit(lambda x: indicator(x, 3, 3))(np.array([0, 2, 7])), expected)


def test_constant_labels_are_checked_under_jit_too():
    with pytest.raises(ValueError, match=r"labels lie in 0\.\.5"):
        jax.jit(lambda x: x @ indicator([0, 5], 2, 3))(np.ones(2))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"labels has shape \(2,\); expected \(3,\)"),
        ([[0], [1], [2]], r"labels has shape \(3, 1\)"),
        ([0.0, 1.0, 2.0], "labels has dtype float64; expected whole numbers in 0..2"),
        ([0, 1, 3], r"labels lie in 0\.\.3; expected 0\.\.2"),
        ([-2, 1, 0], r"labels lie in -2\.\.1; expected 0\.\.2"),
    ],
)
def test_bad_labels_are_named(labels, message):
    with pytest.raises(ValueError, match=message):
        indicator(labels, 3, 3)


def test_no_sample_is_named():
    with pytest.raises(ValueError, match="at least one"):
        indicator(np.zeros(0, int), 0, 3)
