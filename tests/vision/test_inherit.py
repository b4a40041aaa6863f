"""Which parameters are inherited and trained, on made-up parameters of known shapes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.vision import inherit
from pt_jax.vision.fields import HEAD
from tests.vision.pairs import POINT, TINY, leaves, trained

PARAMS = {
    "conv0_0": {"conv": {"kernel": np.zeros((3, 3, 1, 10)), "bias": np.zeros(10)}},
    "conv1_0": {"conv": {"kernel": np.zeros((3, 3, 10, 20)), "bias": np.zeros(20)}},
    HEAD: {"kernel": np.zeros((20, 4)), "bias": np.zeros(4)},
}
KEY = jax.random.key(0)


def share(inherited_by, alpha, **options):
    """Return the fraction inherited of every tensor of both layers, and of the head."""
    mask = inherit.choice(KEY, jnp.float32(alpha), PARAMS, replace(TINY, inherit=inherited_by, **options))
    whole = jax.tree.map(lambda m, x: np.broadcast_to(m, x.shape), mask, PARAMS)
    return [[x.mean() for x in leaves(whole[name])] for name in PARAMS], whole


def test_filters_are_whole_output_channels_and_the_first_ones():
    for alpha, count in ((0, 0), (0.04, 0), (0.3, 3), (0.35, 4), (1, 10)):  # floor(10 alpha + 1/2)
        shares, mask = share("filters", alpha)
        assert np.allclose(shares[0], count / 10) and np.allclose(shares[2], 0)
        np.testing.assert_array_equal(mask["conv0_0"]["conv"]["kernel"][1, 2, 0], np.arange(10) < count)
        np.testing.assert_array_equal(mask["conv0_0"]["conv"]["bias"], np.arange(10) < count)


def test_weights_are_drawn_one_by_one_and_nested():
    shares, few = share("weights", 0.3)
    assert abs(shares[1][1] - 0.3) < 4 * np.sqrt(0.21 / 1800)  # 4 standard errors: fails by luck once in 16,000
    _, more = share("weights", 0.6)
    assert all((a <= b).all() for a, b in zip(leaves(few), leaves(more), strict=True))
    assert set(np.concatenate(share("weights", 0)[0])) == {0} and set(np.concatenate(share("weights", 1)[0][:2])) == {1}
    kernel = few["conv1_0"]["conv"]["kernel"]
    assert 0 < kernel[..., 0].mean() < 1  # not whole channels


@pytest.mark.parametrize(("end", "half"), [("bottom", [1, 0]), ("top", [0, 1])])
def test_layers_come_whole_from_one_end(end, half):
    for alpha, expected in ((0, [0, 0]), (0.2, [0, 0]), (0.5, half), (0.8, [1, 1]), (1, [1, 1])):
        shares, _ = share(end, alpha)
        assert [set(x) for x in shares] == [{expected[0]}, {expected[1]}, {0}]


def test_all_layers_are_full_inheritance_in_every_sense():
    masks = [share(kind, 1)[1] for kind in ("filters", "weights", "bottom", "top")]
    for mask in masks:
        assert all(a.all() == (HEAD not in str(path)) for path, a in jax.tree.leaves_with_path(mask))
        assert inherit.inherited(mask, PARAMS) == 1


def test_only_the_named_layers_are_inherited():
    shares, mask = share("filters", 1, layers=("conv1_0",))
    assert [set(x) for x in shares] == [{0}, {1}, {0}]
    np.testing.assert_allclose(inherit.inherited(mask, PARAMS), 1820 / 1920)


def test_factors_are_0_where_a_method_does_not_train():
    taken = share("filters", 0.5)[1]
    sizes = {"full": 1920 + 84, "probe": 84, "layer": 1820 + 84, "skip": 1820 + 84}
    for method, size in sizes.items():
        factor = inherit.factors(POINT._replace(layer=1), taken, replace(TINY, method=method))
        assert inherit.tuned(factor, PARAMS, 4) == size
    frozen = inherit.factors(POINT._replace(lr_ratio=0.0), taken, TINY)
    assert inherit.tuned(frozen, PARAMS, 4) == 960 + 84
    assert inherit.tuned(frozen, PARAMS, 3) == 960 + 63
    slow = inherit.factors(POINT._replace(lr_ratio=0.25), taken, TINY)
    assert set(np.ravel(slow["conv0_0"]["conv"]["bias"])) == {0.25, 1.0}


def test_a_network_of_its_own_has_these_names():
    assert set(trained(TINY).fresh) == set(PARAMS)
