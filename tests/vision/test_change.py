"""Datasets made from others: classes, parts, sizes and colours; what is refused, in one sentence."""

import numpy as np
import pytest

from pt_jax.vision import datasets, names
from tests.vision.pairs import made_up

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.uniform(size=(20, 4, 4, 2)), np.arange(20) % 4
GREY, COLOUR = made_up(0), made_up(1, shape=(6, 5, 3))
FOUR = ("bird", "cat", "dog", "ship")


def test_chosen_classes_become_0_to_k():
    data = made_up(0, classes=4)
    part = datasets.classes(data, (3, 1))
    assert set(part.train.labels) == {0, 1}
    np.testing.assert_array_equal(part.train.images[part.train.labels == 0], data.train.images[data.train.labels == 3])
    for chosen, known in ((["ship", "cat"], FOUR), ([3, "cat"], np.array(FOUR))):
        named = datasets.classes(data, chosen, known)
        for a, b in zip((*named.train, *named.test), (*part.train, *part.test), strict=True):
            np.testing.assert_array_equal(a, b)


def test_names_of_classes_are_one_for_each():
    assert len(names.CIFAR10) == len(names.FASHION_MNIST) == 10 and len(names.CIFAR100) == 100
    assert list(names.CIFAR100) == sorted(set(names.CIFAR100))  # its labels are in the order of the alphabet
    assert sorted(names.ANIMALS + names.VEHICLES) == sorted(names.CIFAR10)


def test_shrinking_takes_means_over_areas():
    big = np.zeros((1, 20, 20, 1))
    big[0, :5, 5:10] = 1.0  # two by two pixels of 2.5
    small = datasets.shrink(big, 8)
    assert small.shape == (1, 8, 8, 1)
    np.testing.assert_allclose(small[0, :2, 2:4], 1, rtol=1e-12)  # a sum of 9 shares in float64
    np.testing.assert_allclose(small.sum(), 4, rtol=1e-12)
    np.testing.assert_array_equal(datasets.shrink(big, 20), big)
    np.testing.assert_allclose(datasets.shrink(IMAGES, 3).mean((1, 2)), IMAGES.mean((1, 2)))  # nothing is lost


def test_smaller_images_are_means_and_larger_ones_are_interpolated():
    small = datasets.resize(COLOUR, 4)
    assert small.train.images.shape[1:] == small.test.images.shape[1:] == (4, 4, 3)
    # Twenty numbers of float32: rounding is far below 1e-5.
    np.testing.assert_allclose(small.test.images.mean((1, 2)), COLOUR.test.images.mean((1, 2)), rtol=1e-5)
    ramp = np.broadcast_to(np.linspace(0, 1, 4)[:, None, None], (4, 4, 1)).astype(np.float32)
    data = datasets.splits([ramp, ramp], [0, 1], [ramp], [0])
    column = datasets.resize(data, 8).train.images[0, :, 3, 0]
    centres = (np.arange(8) + 0.5) / 2 - 0.5  # of the new pixels among the old ones, which end at 0 and 3
    np.testing.assert_allclose(column, np.clip(centres, 0, 3) / 3, atol=1e-6)
    both = datasets.resize(datasets.splits(RNG.uniform(size=(2, 4, 9, 1)), [0, 1], np.ones((1, 4, 9, 1)), [0]), 6)
    assert both.train.images.shape == (2, 6, 6, 1)  # higher, and less wide
    np.testing.assert_allclose(both.test.images, 1, atol=1e-6)
    assert both.test.images.max() <= 1


def test_grey_and_colour_make_a_pair_of_any_two():
    red, white = np.zeros((2, 4, 4, 3)), np.ones((1, 4, 4, 3))
    red[..., 0] = 1
    grey = datasets.grey(datasets.splits(red, [0, 1], white, [0]))
    np.testing.assert_allclose(grey.train.images, np.full((2, 4, 4, 1), 0.299), rtol=1e-6)
    assert grey.test.images.min() > 1 - 1e-6 and grey.test.images.max() <= 1
    colour = datasets.colour(GREY)
    for channel in range(3):
        np.testing.assert_array_equal(colour.train.images[..., channel], GREY.train.images[..., 0])
    for same, given in ((datasets.grey(GREY), GREY), (datasets.colour(COLOUR), COLOUR)):
        np.testing.assert_array_equal(same.train.images, given.train.images)
    np.testing.assert_allclose(datasets.grey(colour).test.images, GREY.test.images, atol=1e-6)
    pair = datasets.pair(datasets.resize(COLOUR, 4), datasets.colour(GREY))
    assert pair.source.train.images.dtype == pair.target.train.images.dtype == np.float32


def test_a_part_is_always_the_same_and_lies_in_a_larger_one():
    part, again, larger = (datasets.part(GREY, train, 5) for train in (20, 20, 30))
    assert len(part.train.labels) == 20 and len(part.test.labels) == 5
    np.testing.assert_array_equal(part.train.images, again.train.images)
    np.testing.assert_array_equal(part.train.images, larger.train.images[:20])
    places = [np.flatnonzero((GREY.train.images == x).all((1, 2, 3))) for x in part.train.images]
    assert len({int(place) for (place,) in places}) == 20  # each sample once
    np.testing.assert_array_equal(part.train.labels, [GREY.train.labels[place] for (place,) in places])
    assert len(datasets.part(GREY, test=3).train.labels) == len(GREY.train.labels)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: datasets.classes(GREY, (0, 3)),
            r"classes \[0, 3\] are not accepted: use at least two different ones of",
        ),
        (
            lambda: datasets.classes(GREY, [1]),
            r"classes \[1\] are not accepted: use at least two different ones of 0..2",
        ),
        (
            lambda: datasets.classes(GREY, ["a", "b"]),
            r"classes \['a', 'b'\] .*: use whole numbers of 0..2, or give their",
        ),
        (lambda: datasets.classes(GREY, [0.5, 1.2]), r"classes \[0.5, 1.2\] are not accepted: use whole numbers"),
        (lambda: datasets.classes(GREY, 1), "classes 1 are not accepted: use whole numbers of 0..2"),
        (lambda: datasets.classes(GREY, ["a", "d"], "abc"), r"classes \['a', 'd'\] are not accepted: use a, b, c\."),
        (lambda: datasets.classes(GREY, ["a", "a"], "abc"), r"classes \[0, 0\] are not accepted: use at least two"),
        (lambda: datasets.classes(GREY, ["a", "b"], "ab"), "names are 2, but the data has 3 classes: use one name"),
        (lambda: datasets.classes(GREY, ["a", "b"], "aab"), r"names \['a', 'a', 'b'\] are not accepted"),
        (lambda: datasets.classes(GREY, [0, 1], 5), "names = 5 is not accepted: use a list of names"),
        (lambda: datasets.classes(datasets.splits(IMAGES, LABELS, IMAGES[:2], [0, 1]), [2, 3]), "have no test samples"),
        (lambda: datasets.part(GREY, True), "train = True is not accepted"),
        (lambda: datasets.resize(GREY, True), "side = True is not accepted"),
        (lambda: datasets.part(GREY, 0), "train = 0 is not accepted: use a whole number of 1..68 samples"),
        (lambda: datasets.part(GREY, 69), "train = 69 is not accepted"),
        (lambda: datasets.part(GREY, test=2.5), "test = 2.5 is not accepted: use a whole number of 1..22 samples"),
        (lambda: datasets.part(GREY, 2), "labels are .* in training and .* in test: use 0..K-1, each with a training"),
        (lambda: datasets.part(GREY.train, 2), "data is a Split, which is not accepted: use datasets.dataset"),
        (lambda: datasets.resize(GREY, 0), "side = 0 is not accepted: use a whole number of pixels of 1..1024"),
        (lambda: datasets.resize(GREY, 8.0), "side = 8 is not accepted"),
        (lambda: datasets.resize(IMAGES, 8), "data is a ndarray, which is not accepted"),
        (lambda: datasets.grey(datasets.dataset(IMAGES, LABELS)), "images have 2 channels: use grey ones with 1 or"),
        (lambda: datasets.colour(datasets.dataset(IMAGES, LABELS)), "images have 2 channels: use grey ones with 1 or"),
    ],
)
def test_what_is_not_accepted_is_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
