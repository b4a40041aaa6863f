"""Which parameters come along, against a NumPy sort."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.inputs.field import part_of
from pt_jax.signal_noise import inherit
from pt_jax.signal_noise.network import Net
from pt_jax.signal_noise.point import Static
from tests.compiling import jit_long


def test_count_is_rounded_half_up_for_every_fraction_up_to_200_filters():
    m = np.concatenate([np.full(k + 1, k) for k in range(1, 201)])
    taken = np.concatenate([np.arange(k + 1) for k in range(1, 201)])
    alpha = (taken / m).astype(np.float32)
    # lax.map: a lane compares 200 x 200 scores.
    count = jit_long(
        lambda a, size: jax.lax.map(lambda x: inherit.filters(*x, jnp.zeros(400)).sum(), (a, size), batch_size=128)
    )(alpha, m.astype(np.float32))
    np.testing.assert_array_equal(count, 2 * taken)
    for alpha, m, expected in ((0.53, 50, 27), (0.59, 50, 30), (0.525, 60, 32), (0.42, 75, 32), (0.265, 100, 27)):
        assert part_of(jnp.float32(alpha), m, jnp) == expected  # halves, but for the rounding of alpha
    between = jax.vmap(lambda a: inherit.filters(a, jnp.float32(5), jnp.zeros(10)).sum())
    np.testing.assert_array_equal(between(jnp.array([0.05, 0.1, 0.29, 0.3, 0.5])), [0, 2, 2, 4, 6])


@pytest.mark.parametrize("choose", ["first", "signal", "noise"])
def test_filters_chosen_equal_a_numpy_sort(choose):
    rng = np.random.default_rng(1)
    padded = 9
    signal, noise = rng.normal(size=2 * padded), rng.integers(0, 4, 2 * padded).astype(float)  # noise has ties
    score = {"first": np.zeros(2 * padded), "signal": signal, "noise": noise}[choose]
    net = Net(jnp.zeros((2 * padded, 3)), jnp.zeros(2 * padded))
    for m in (1, 6, 9):
        for alpha in (0.0, 0.3, 0.5, 1.0):
            chosen = inherit.choice(
                jax.random.key(0), alpha, jnp.float32(m), net, signal, noise, Static(m=padded, choose=choose)
            )
            expected = np.zeros(2 * padded, bool)
            for sign in (0, 1):
                rows = 2 * np.arange(m) + sign
                best_first = rows[np.argsort(-score[rows], kind="stable")]
                expected[best_first[: int(np.floor(alpha * m + 0.5))]] = True
            np.testing.assert_array_equal(chosen.bias, expected)
            np.testing.assert_array_equal(chosen.weights[:, 0], expected)


def test_single_weights_share_about_alpha_and_are_nested():
    net = Net(jnp.zeros((40, 500)), jnp.zeros(40))
    key = jax.random.key(2)
    masks = [inherit.weights(key, alpha, net, ()) for alpha in (0.0, 0.2, 0.5, 0.9, 1.0)]
    for small, large in pairwise(masks):
        assert not np.any(small.weights & ~large.weights) and not np.any(small.bias & ~large.bias)
    for alpha, mask in zip((0.0, 0.2, 0.5, 0.9, 1.0), masks, strict=True):
        # Standard error of a share of N entries: sqrt(alpha (1 - alpha) / N), 0.003 for weights and 0.08 for biases.
        # 5 of them: chance of failing by luck 4e-6 in all; alpha = 0 and 1 are exact.
        for leaf in (mask.weights, mask.bias):
            assert abs(leaf.mean() - alpha) <= 5 * np.sqrt(alpha * (1 - alpha) / leaf.size)
    # The entries are picked one by one, not by row or by column: spread of the shares is that of a binomial.
    shares = np.asarray(masks[2].weights.mean(axis=1)), np.asarray(masks[2].weights.mean(axis=0))
    for share, size in zip(shares, (500, 40), strict=True):
        expected = 0.25 / size
        # Standard error of a sample variance of k normal numbers: sqrt(2 / k) of it. 5 of them: by luck below 1e-4
        # (k = 40 makes the tail a chi-square one).
        assert abs(share.var() / expected - 1) < 5 * np.sqrt(2 / len(share))


def test_single_weights_do_not_depend_on_the_padding():
    small, large = (
        inherit.weights(jax.random.key(3), 0.4, Net(jnp.zeros((k, p)), jnp.zeros(k)), ())
        for k, p in ((6, 11), (12, 40))
    )
    np.testing.assert_array_equal(small.weights, large.weights[:6, :11])
    np.testing.assert_array_equal(small.bias, large.bias[:6])
