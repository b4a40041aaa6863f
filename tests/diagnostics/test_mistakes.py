"""Mistakes: counted by hand, and what independent networks share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import mistakes
from tests.compiling import jit
from tests.diagnostics.cases import assert_float32_is_close, assert_one_trace, assert_vmap_equals_loop

overlap = jit(mistakes.overlap)


def logits(answers, classes=3):
    """Return logits whose largest is at the answers."""
    return np.eye(classes, dtype=np.float32)[np.asarray(answers)] * 2 - 1


EVEN = np.full(4, 0.3)


def draw(seed, difficulty=EVEN):
    """Draw labels and the answers of two networks that are independent given the label, wrong at the given rates."""
    samples, classes = 400, 4
    keys = jax.random.split(jax.random.key(seed), 5)
    labels = jax.random.randint(keys[0], (samples,), 0, classes)
    answers = []
    for is_wrong, shift in (keys[1:3], keys[3:5]):
        wrong = jax.random.uniform(is_wrong, (samples,)) < jnp.asarray(difficulty)[labels]
        answers.append((labels + wrong * jax.random.randint(shift, (samples,), 1, classes)) % classes)
    return *(jax.nn.one_hot(x, classes) for x in answers), labels


def test_counted_by_hand():
    #          wrong:  a      a b    b    a b(same answer)
    labels = [0, 0, 0, 1, 1, 1, 2, 2]
    a = logits([0, 1, 1, 1, 1, 2, 2, 2])
    b = logits([0, 0, 2, 0, 1, 2, 2, 2])
    found = overlap(a, b, np.array(labels))
    np.testing.assert_allclose([found.error_a, found.error_b], [3 / 8, 3 / 8])
    np.testing.assert_allclose(found.observed, [2 / 4, 2 / 3, 5 / 8])  # jaccard, conditional, agreement
    # Class 0: 2 and 1 wrong of 3; class 1: 1 and 2 wrong of 3; class 2: none of 2.
    both = (2 * 1 / 3 + 1 * 2 / 3) / 8
    # Answers of a by class: (1, 2, 0), (0, 2, 1), (0, 0, 2); of b: (2, 0, 1), (1, 1, 1), (0, 0, 2).
    agreement = ((1 * 2) / 3 + (2 * 1 + 1 * 1) / 3 + (2 * 2) / 2) / 8
    np.testing.assert_allclose(found.independent, [both / (6 / 8 - both), both / (3 / 8), agreement], rtol=1e-6)


_drawn = jit(draw)


def arrays(seed):
    return tuple(np.array(x) for x in _drawn(seed))


@jit
def of_seeds(seeds, difficulty):
    return jax.vmap(lambda seed: mistakes.overlap(*draw(seed, difficulty)))(seeds)


@pytest.mark.parametrize("difficulty", [(0.3, 0.3, 0.3, 0.3), (0.02, 0.1, 0.3, 0.9)])
def test_mistakes_of_independent_networks_match_the_product_rule(difficulty):
    found = of_seeds(jnp.arange(2000), np.array(difficulty))
    for name, observed, independent in zip(mistakes.Overlap._fields, *found[2:], strict=True):
        difference = np.asarray(observed, float) - np.asarray(independent, float)
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        # 2,000 data sets of 400 samples: 4.5 standard errors, by luck 7e-6. The ratios are biased by their curvature,
        # at most (spread of the error rate, 0.02)^2 / error rate = 2e-3 times a covariance that is 0: far less.
        assert abs(difference.mean()) < 4.5 * error, name
        assert error < 2e-3
    both = np.asarray(found.independent.conditional * found.error_a, float)
    product = np.asarray(found.error_a * found.error_b, float)
    if len(set(difficulty)) == 1:
        # Equally hard classes: P(a wrong) P(b wrong), up to the 1/400 that a random class size and rate leave.
        np.testing.assert_allclose(both.mean(), product.mean(), rtol=0.01)
    else:
        assert both.mean() > 1.5 * product.mean()  # hard classes are shared, and that is no overlap


def test_equal_networks_and_networks_without_mistakes():
    a, b, labels = arrays(0)
    same = overlap(a, a, labels)
    np.testing.assert_array_equal(same.observed, 1.0)
    truth = np.eye(4, dtype=np.float32)[labels]
    right = overlap(truth, b, labels)
    assert right.error_a == 0 and right.observed.jaccard == 0 and right.independent.jaccard == 0
    assert np.isnan([right.observed.conditional, right.independent.conditional]).all()
    none = overlap(truth, truth, labels)
    assert np.isnan([none.observed.jaccard, none.independent.jaccard]).all() and none.observed.agreement == 1


def test_order_of_samples_and_classes_and_scale_of_logits_do_not_matter():
    a, b, labels = arrays(1)
    before = overlap(a, b, labels)
    samples, classes = np.random.default_rng(0).permutation(400), np.array([2, 0, 3, 1])
    inverse = np.argsort(classes)
    after = overlap(a[samples][:, classes] * 7 - 3, b[samples][:, classes], inverse[labels[samples]])
    # Counts are exact; the sum over classes is in another order.
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), after, before)


def test_padding_is_as_if_it_were_not_there():
    a, b, labels = arrays(2)
    short = overlap(a[:300], b[:300], labels[:300])
    kept = np.arange(400) < 300
    padded = overlap(np.where(kept[:, None], a, np.float32(np.nan)), b, np.where(kept, labels, -1))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), padded, short)
    assert all(np.isnan(x) for x in jax.tree.leaves(overlap(a, b, np.full_like(labels, -1))))


def test_a_network_that_diverged_is_nan():
    a, b, labels = arrays(3)
    b[7, 1] = np.nan
    assert all(np.isnan(x) for x in jax.tree.leaves(overlap(a, b, labels)))


def test_vmap_one_trace_and_float64():
    stacked = jit(jax.vmap(draw))(jnp.arange(64))
    assert_vmap_equals_loop(mistakes.overlap, *stacked)
    assert_one_trace(mistakes.overlap, arrays(0), arrays(1))
    a, b, labels = arrays(0)
    # Counts are exact in both; a few divisions are rounded.
    assert_float32_is_close(mistakes.overlap, a.astype(np.float64), b.astype(np.float64), labels, rtol=1e-6)


def test_bad_input_is_named():
    a = np.ones((4, 3))
    for b in (np.ones((5, 3)), np.ones((4, 2)), np.ones(4)):
        with pytest.raises(ValueError, match=r"logits_a and logits_b have shapes .*; expected \(samples, classes\)"):
            mistakes.overlap(a, b, np.zeros(4, int))
    with pytest.raises(ValueError, match=r"labels has shape \(5,\); expected \(4,\)"):
        mistakes.overlap(a, a, np.zeros(5, int))
    with pytest.raises(ValueError, match=r"labels lie in 0\.\.3; expected 0\.\.2"):
        mistakes.overlap(a, a, np.arange(4))
