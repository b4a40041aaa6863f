"""What a network sees: nested subsets, and dials that do what they say and nothing when they are off."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from pt_jax.vision import task as tasks
from pt_jax.vision.fields import DIALS
from tests.vision.pairs import PAIR, POINT, TINY

ALL = replace(TINY, dials=DIALS)
DATA = PAIR.target  # 4 classes, 4 x 4 pixels
INDEX = jnp.arange(5)


def draw(seed=0, static=ALL, **fields):
    point = jax.tree.map(jnp.float32, POINT._replace(**fields))
    return tasks.draw(jax.random.key(seed), DATA, "2", point, static)


def seen(seed=0, test=False, **fields):
    return np.asarray(tasks.images(draw(seed, **fields), INDEX, test))


PLAIN = DATA.train.images[:5]


def test_a_subset_takes_the_classes_in_turn_and_only_those_in_use():
    order = np.asarray(draw(classes2=3).order)
    labels = DATA.train.labels[order]
    assert sorted(order) == list(range(len(order)))
    in_use = int((DATA.train.labels < 3).sum())
    assert labels[:in_use].max() == 2 and labels[in_use:].min() == 3
    for n in (3, 12, 30):
        counts = np.bincount(labels[:n], minlength=3)
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(order, draw(1, classes2=3).order)


def test_a_maximum_cuts_the_order_and_changes_no_draw():
    np.testing.assert_array_equal(draw(static=replace(ALL, n2=25)).order, draw().order[:25])


def test_some_of_the_test_samples_take_the_classes_in_use_in_turn():
    labels = np.sort(DATA.test.labels)[::-1]  # as a folder of images is read, class by class
    data = DATA._replace(test=DATA.test._replace(labels=labels))
    some, used = tasks.some_of_test(draw(classes2=2)._replace(data=data), 7)
    np.testing.assert_array_equal(labels[some], [1, 0] * 3 + [1])
    assert len(set(some.tolist())) == 7 and used.all()
    every, used = tasks.some_of_test(draw(classes2=2)._replace(data=data), 1000)
    np.testing.assert_array_equal(used, np.sort(labels[every] >= 2) == 0)  # those of other classes come last
    assert len(every) == len(labels) and used.sum() == np.sum(labels < 2)


def test_labels_are_replaced_at_random_in_training_only():
    clean, half, whole = (np.asarray(draw(labels2=p).seen) for p in (0.0, 0.5, 1.0))
    np.testing.assert_array_equal(clean, DATA.train.labels)
    moved = half != clean
    np.testing.assert_array_equal(half[moved], whole[moved])  # more of the same
    assert 0 < moved.sum() < (whole != clean).sum() < len(clean) and set(whole) == {0, 1, 2, 3}


def test_dials_do_what_they_say():
    np.testing.assert_array_equal(seen(), PLAIN)
    np.testing.assert_allclose(seen(invert2=1.0), 1 - PLAIN, atol=1e-6)
    np.testing.assert_allclose(seen(invert2=0.5), 0.5, atol=1e-6)
    np.testing.assert_array_equal(seen(block2=4), PLAIN)
    for fields in ({"block2": 1}, {"block2": 2}, {"pixels2": 1.0}, {"entries2": 1.0}):
        moved = seen(**fields)
        assert not np.array_equal(moved, PLAIN)
        np.testing.assert_array_equal(np.sort(moved.reshape(5, -1)), np.sort(PLAIN.reshape(5, -1)))
    means = seen(block2=2).reshape(5, 2, 2, 2, 2).mean((2, 4)).reshape(5, -1)
    np.testing.assert_allclose(
        np.sort(means), np.sort(PLAIN.reshape(5, 2, 2, 2, 2).mean((2, 4)).reshape(5, -1)), atol=1e-6
    )


def test_a_share_of_the_pixels_moves_and_the_same_ones_in_training_and_test():
    for share in (0.0, 0.5, 1.0):
        source = np.asarray(draw(pixels2=share).view.source)
        assert sorted(source) == list(range(16))
        assert (source == np.arange(16)).mean() >= 1 - share - 0.3
    test = DATA.test.images[:5].reshape(5, -1)[:, source].reshape(5, 4, 4, 1)
    np.testing.assert_array_equal(seen(pixels2=1.0, test=True), test)


def test_entries_move_across_channels_after_the_pixels():
    colour = PAIR.source._replace(train=DATA.train._replace(images=_colours()))
    point = POINT._replace(pixels2=0.5, block2=2, entries2=0.5)
    static = replace(ALL, shape=(4, 4, 3))
    found = {}
    for name, other in (("all", {}), ("pixels", {"entries2": 0}), ("entries", {"pixels2": 0, "block2": 0})):
        task = tasks.draw(jax.random.key(0), colour, "2", jax.tree.map(jnp.float32, point._replace(**other)), static)
        found[name] = np.asarray(task.view.source), np.asarray(tasks.images(task, INDEX))
    moved, source = found["pixels"][1], found["entries"][0]
    assert sorted(source) == list(range(48)) and 0.2 < (source != np.arange(48)).mean() < 0.8
    assert np.any((source - np.arange(48)) % 3)  # a channel gets what was in another
    np.testing.assert_array_equal(found["all"][1], moved.reshape(5, -1)[:, source].reshape(moved.shape))
    np.testing.assert_array_equal(found["entries"][1].reshape(5, -1), _colours()[:5].reshape(5, -1)[:, source])
    red = moved[..., 0].reshape(5, -1)  # pixels keep their channels together
    np.testing.assert_array_equal(np.sort(red), np.sort(_colours()[:5, ..., 0].reshape(5, -1)))


def _colours():
    return np.random.default_rng(0).random((len(DATA.train.labels), 4, 4, 3), np.float32)


def test_noise_belongs_to_the_image_and_has_its_size():
    task = draw(noise2=0.3)
    everything = np.asarray(tasks.images(task, jnp.arange(60))) - DATA.train.images[:60]
    assert abs(everything.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * 960)  # 4 standard errors
    np.testing.assert_array_equal(tasks.images(task, jnp.array([7, 3]))[1], tasks.images(task, jnp.array([3]))[0])
    test = np.asarray(tasks.images(task, INDEX, test=True)) - DATA.test.images[:5]
    assert not np.allclose(test, everything[:5])


def test_augmentation_mirrors_and_shifts():
    def augment(**fields):
        point = jax.tree.map(jnp.float32, POINT._replace(**fields))
        return np.asarray(tasks.augment(jax.random.key(3), jnp.asarray(PLAIN), point.shift1, point.flip1))

    np.testing.assert_array_equal(augment(), PLAIN)
    np.testing.assert_array_equal(augment(flip1=1.0), PLAIN[:, :, ::-1])
    padded = np.pad(PLAIN, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for one, image in zip(augment(shift1=1), padded, strict=True):
        windows = [image[i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
        assert sum(np.array_equal(one, w) for w in windows) == 1


def test_what_is_not_compiled_in_is_not_there():
    view = draw(static=TINY).view
    assert view.source is None and view.invert is None and view.noise is None


def test_images_have_the_precision_of_weights_and_the_noise_of_float32():
    single = seen(noise2=0.3)
    with jax.enable_x64(True):
        double = seen(noise2=np.float64(0.3))
    assert single.dtype == np.float32 and double.dtype == np.float64
    np.testing.assert_allclose(double, single, atol=1e-6)
