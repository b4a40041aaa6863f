"""Shuffled images: entries move and nothing else, in whole blocks, by one permutation that can be undone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from pt_jax.diagnostics import shuffle
from tests.compiling import jit
from tests.diagnostics.cases import assert_one_trace

KEY = jax.random.key(0)
# All entries differ, so that each can be followed.
IMAGES = np.arange(3 * 8 * 8 * 2, dtype=np.float32).reshape(3, 8, 8, 2)
blocks, blocks_inverse = (jit(f, static_argnames="size") for f in (shuffle.blocks, shuffle.blocks_inverse))
pixels, pixels_inverse = jit(shuffle.pixels), jit(shuffle.pixels_inverse)


def cut(images, size):
    """Return the blocks, (n, blocks, entries of a block), by slicing."""
    rows, columns = (range(0, side, size) for side in images.shape[1:3])
    return np.stack([np.asarray(images[:, r : r + size, c : c + size]) for r in rows for c in columns], 1).reshape(
        len(images), -1, size * size * images.shape[3]
    )


@pytest.mark.parametrize("size", [1, 2, 4])
def test_whole_blocks_move_and_by_one_permutation(size):
    shuffled = blocks(KEY, IMAGES, size)
    before, after = cut(IMAGES, size), cut(shuffled, size)
    order = [int(np.flatnonzero((before[0] == block).all(1))[0]) for block in after[0]]
    assert sorted(order) == list(range(len(order))) and order != sorted(order)
    np.testing.assert_array_equal(after, before[:, order])


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_blocks_are_inverted_exactly_and_keep_the_histogram_of_each_channel(size):
    shuffled = blocks(KEY, IMAGES, size)
    np.testing.assert_array_equal(blocks_inverse(KEY, shuffled, size), IMAGES)
    np.testing.assert_array_equal(np.sort(shuffled.reshape(3, 64, 2), 1), np.sort(IMAGES.reshape(3, 64, 2), 1))
    assert np.array_equal(shuffled, IMAGES) == (size == 8)  # the image's side is the identity


def test_pixels_move_across_channels_and_are_inverted_exactly():
    shuffled = pixels(KEY, IMAGES)
    np.testing.assert_array_equal(pixels_inverse(KEY, shuffled), IMAGES)
    np.testing.assert_array_equal(np.sort(shuffled.reshape(3, -1)), IMAGES.reshape(3, -1))
    np.testing.assert_array_equal(shuffled - shuffled[:1], IMAGES - IMAGES[:1])  # one permutation for all images
    assert not np.array_equal(np.asarray(shuffled) % 2, np.asarray(IMAGES) % 2)  # the channel is the parity


def test_the_key_alone_fixes_the_permutation():
    # Other images, another number of them and another dtype: training and test images are shuffled alike.
    whole = blocks(KEY, IMAGES.astype(np.uint16), 2)
    assert whole.dtype == jnp.uint16
    np.testing.assert_array_equal(blocks(KEY, IMAGES[2:], 2), whole[2:])
    assert not np.array_equal(blocks(jax.random.key(1), IMAGES, 2), whole)


def test_images_may_be_oblong():
    images = np.arange(2 * 4 * 6.0).reshape(2, 4, 6, 1)
    shuffled = blocks(KEY, images, 2)
    assert not np.array_equal(shuffled, images)
    assert {tuple(x) for x in cut(shuffled, 2)[0]} == {tuple(x) for x in cut(images, 2)[0]}
    np.testing.assert_array_equal(blocks_inverse(KEY, shuffled, 2), images)


def test_all_orders_of_four_blocks_are_equally_likely():
    image = jnp.arange(4.0).reshape(1, 2, 2, 1)
    orders = jit(jax.vmap(lambda key: shuffle.blocks(key, image, 1)))(jax.random.split(KEY, 4800)).reshape(-1, 4)
    counts = np.unique(np.asarray(orders), axis=0, return_counts=True)[1]
    assert len(counts) == 24
    # 200 expected each, standard error 14; chi-square with 23 degrees of freedom, by luck 1e-5.
    assert np.sum((counts - 200) ** 2 / 200) < chi2.isf(1e-5, 23)


def test_a_traced_size_is_an_axis():
    sizes = jnp.array([1.0, 2.0, 4.0, 8.0, 3.0, 2.5, 0.0, 16.0])
    by_size = jit(jax.vmap(shuffle.blocks, (None, None, 0)))(KEY, IMAGES, sizes)
    for size, shuffled in zip((1, 2, 4, 8), by_size, strict=False):
        np.testing.assert_array_equal(shuffled, blocks(KEY, IMAGES, size))
    assert np.isnan(by_size[4:]).all()  # they do not divide 8
    assert np.isnan(jit(shuffle.blocks)(KEY, IMAGES[:, :6, :6], 1.5)).all()  # 6 = 4 * 1.5, yet no size
    inverse = jit(jax.vmap(shuffle.blocks_inverse, (None, 0, 0)))(KEY, by_size[:4], sizes[:4])
    np.testing.assert_array_equal(inverse, np.broadcast_to(IMAGES, inverse.shape))
    assert_one_trace(lambda size: shuffle.blocks(KEY, IMAGES, size), *((size,) for size in (1, 2, 8)))


@pytest.mark.parametrize("function", [partial(shuffle.blocks, size=2), shuffle.pixels])
def test_vmap_over_64_keys_is_a_loop(function):
    keys = list(jax.random.split(KEY, 64))
    one = partial(function, images=IMAGES)
    compiled = jit(one)
    loop = np.stack([compiled(key) for key in keys])
    np.testing.assert_array_equal(jit(jax.vmap(one))(jnp.stack(keys)), loop)
    assert_one_trace(one, (keys[0],), (keys[1],))


@pytest.mark.parametrize("size", [3, 0, -2, 2.5, 16])
def test_a_size_that_does_not_divide_is_named(size):
    for function in (shuffle.blocks, shuffle.blocks_inverse):
        with pytest.raises(ValueError, match=rf"size is {size}; .*divides the image, 8 x 8"):
            function(KEY, IMAGES, size)
    with pytest.raises(ValueError, match=r"size is 1\.5"):
        shuffle.blocks(KEY, IMAGES[:, :6, :6], 1.5)


def test_images_of_other_shape_are_named():
    for function in (partial(shuffle.blocks, size=2), shuffle.pixels, shuffle.pixels_inverse):
        with pytest.raises(ValueError, match=r"images has shape \(8, 8, 2\); expected \(samples"):
            function(KEY, images=IMAGES[0])
