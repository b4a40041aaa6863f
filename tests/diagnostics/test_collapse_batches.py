"""Neural collapse in batches, and how far vectors are from a simplex ETF."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import class_means, collapse
from pt_jax.diagnostics.frame import distance, frame
from tests.compiling import jit
from tests.diagnostics.test_collapse import ZERO, case, metrics, reference


def in_batches(features, labels, weight, bias, size=9):
    """Return the metrics from batches of nine, so that all tests share their programs."""
    batches = [(features[i : i + size], labels[i : i + size]) for i in range(0, len(labels), size)]
    means = class_means.none(*weight.shape)
    for batch in batches:
        means = class_means.add(means, *batch)
    spread = collapse.no_spread(means)
    for batch in batches:
        spread = collapse.add_spread(spread, *batch, weight, bias)
    return collapse.result(spread, weight)


def test_batches_give_what_all_samples_give():
    features, labels, weight, bias = case(sizes=(3, 30, 9, 3))
    order = np.argsort(labels, kind="stable")[::-1]  # most batches hold one class only
    expected = collapse.Collapse(**reference(features, labels, weight, bias))
    found = in_batches(features[order] + 100, labels[order], weight, bias - weight.sum(1) * 100)
    # float32: a shift of 100 leaves 1e-5 of a feature, times the condition number of the class means, about 10.
    np.testing.assert_allclose(found[:7], expected[:7], rtol=2e-4, atol=ZERO)
    np.testing.assert_allclose(found[8:], expected[8:], rtol=2e-4, atol=ZERO)


def test_padding_a_batch_without_samples_and_an_absent_class():
    features, labels, weight, bias = case(classes=3, sizes=(9, 9, 9))
    more = np.insert(weight, 1, -3.0, axis=0), np.insert(bias, 1, 9.0)  # class 1 does not occur
    padded = np.concatenate([np.full((9, 6), np.nan), features, np.full((9, 6), np.inf)])
    seen = np.concatenate([np.full(9, -1), np.array([0, 2, 3])[labels], np.full(9, -1)])
    found = in_batches(padded, seen, *more)
    np.testing.assert_allclose(found, metrics(features, labels, weight, bias), rtol=2e-5, atol=ZERO)


def test_a_feature_that_is_not_finite_is_not_lost_in_a_batch():
    features, labels, weight, bias = case()
    features[20, 2] = np.inf
    assert np.isnan(in_batches(features, labels, weight, bias)).all()


def test_the_state_does_not_grow():
    features, labels, weight, bias = case()
    before = class_means.none(*weight.shape)
    after = class_means.add(before, features[:9], labels[:9])
    spread = collapse.no_spread(after)
    last = collapse.add_spread(spread, features[:9], labels[:9], weight, bias)
    for one, other in ((before, after), (spread, last)):
        assert jax.tree.map(jnp.shape, one) == jax.tree.map(jnp.shape, other)
        assert jax.tree.map(lambda x: x.dtype, one) == jax.tree.map(lambda x: x.dtype, other)  # it may be carried


def test_frames_of_known_angles():
    here, all_of = jnp.ones(3), jit(frame)
    found = all_of(5 * jnp.eye(3), here, 3)
    # Orthogonal vectors: cosines 0 in place of -1/2; I / sqrt 3 against (I - 1 1^T / 3) / sqrt 2.
    etf = (np.eye(3) - 1 / 3) / np.sqrt(2)
    np.testing.assert_allclose(found, [np.linalg.norm(np.eye(3) / np.sqrt(3) - etf), 0, 0, 0.5], atol=1e-6)
    mixed = jnp.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    found = all_of(mixed, here, 3)
    # Norms 1, 2, 3; cosines 0, 0 and -1, of mean -1/3 and mean square 1/3.
    np.testing.assert_allclose(found[1:], [0.5, np.sqrt(1 / 3 - 1 / 9), 0.5], rtol=1e-6)
    two = all_of(mixed, jnp.array([1.0, 0.0, 1.0]), 2)  # opposite, of norms 1 and 3
    np.testing.assert_allclose(two[1:], [np.sqrt(2) / 2, 0, 0], atol=1e-6)


def test_the_distance_of_w_to_m_is_that_of_unit_vectors():
    m = jnp.eye(3, 6)
    values = [distance(w, m, jnp.ones(3)) for w in (7 * m, -m, jnp.eye(3, 6, 3))]  # the same, opposite, orthogonal
    np.testing.assert_allclose(values, [0, 4, 2], atol=1e-6)


def test_bad_input_is_named():
    features, labels, weight, _ = case()
    means = class_means.none(4, 5)
    with pytest.raises(ValueError, match=r"features has shape \(36, 6\); expected \(samples, 5\)"):
        class_means.add(means, features, labels)
    with pytest.raises(ValueError, match=r"labels lie in 0\.\.3; expected 0\.\.2"):
        class_means.add(class_means.none(3, 6), features, labels)
    with pytest.raises(ValueError, match="dimension = 0 is not accepted: use a whole number of at least 1"):
        class_means.none(3, 0)
    spread = collapse.no_spread(class_means.add(class_means.none(4, 6), features, labels))
    for call in (lambda w: collapse.add_spread(spread, features, labels, w), lambda w: collapse.result(spread, w)):
        with pytest.raises(ValueError, match=r"weight has shape \(3, 6\); expected \(4, 6\), that of the class means"):
            call(weight[:3])
    with pytest.raises(ValueError, match=r"bias has shape \(5,\)"):
        collapse.add_spread(spread, features, labels, weight, np.ones(5))
