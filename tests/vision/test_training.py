"""Training and evaluation a few samples at once."""

from dataclasses import replace

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.vision import models, training
from pt_jax.vision import task as tasks
from pt_jax.vision.networks import networks
from pt_jax.vision.point import Static
from tests.compiling import jit
from tests.vision.pairs import POINT, TINY, Lane, leaves, same


class Centred(nn.Module):
    """A network that sees all samples of a minibatch together."""

    classes: int

    @nn.compact
    def __call__(self, images):
        x = nn.relu(nn.Dense(3)(images.reshape(len(images), -1)))
        return nn.Dense(self.classes)(x - x.mean(0))


class Few(Static):
    lanes, at_once = 1, 3


class All(Static):
    lanes, at_once = 1, 64


def both(function, **options):
    """Return what comes out with a few samples at once, and with all."""
    return [Lane(kind(**vars(replace(TINY, **options))), function, jit)(5, POINT) for kind in (Few, All)]


# Three divide neither the minibatch of 4 nor all the samples, of which 20 of the padded 40 weigh nothing.
@pytest.mark.parametrize("options", [{"batch": None}, pytest.param({}, marks=pytest.mark.long)], ids=str)
def test_samples_a_few_at_once_train_the_same_networks(options):
    (_, few), (_, all_at_once) = both(networks, optimizer="sgd", **options)
    assert not same(few.transfer, few.start)
    for one, other in zip(leaves(few.transfer), leaves(all_at_once.transfer), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert not same(few, all_at_once)  # it did take another way


def test_what_fills_the_last_chunk_weighs_nothing():
    def function(x, weight):
        return {"sum": (weight * x[:, 0] / jnp.linalg.norm(x, axis=1)).sum()}

    x, weight = np.random.default_rng(0).normal(size=(7, 3)), np.arange(7.0)
    found = training._sum_over_chunks(function, (x, weight), 3)
    np.testing.assert_allclose(found["sum"], function(x, weight)["sum"], rtol=1e-5)


@pytest.mark.parametrize("first", [None, np.int32(13)])
def test_samples_a_few_at_once_get_the_same_answers(first):
    def answers(key, point, static, data):
        task, run = tasks.draw(key, data.target, "2", point, static), training.Run(point.lr2, point.steps2)
        network = models.build(static, 4, False)
        params = network.init(key, data.target.train.images[:1])["params"]
        return training.evaluate(network, params, task, task.order[:20], run, static, True, first)

    few, all_at_once = both(answers)
    for one, other in zip(few, all_at_once, strict=True):
        assert len(one) == 20
        np.testing.assert_allclose(one[:first], other[:first], rtol=1e-5, atol=1e-6)
    # The features: logits of a head at 0 are 0 everywhere. Six at once, so 18 hold the first 13.
    assert few[1][:18].any(1).all() and few[1][18:].any() == (first is None)


def test_sizes_along_an_axis_are_one_program_where_lanes_run_alone():
    large = replace(Few(**vars(TINY)), counts2=(10_000, 10_000))
    assert [large.size_class(POINT._replace(n2=n)).n2 for n in (20, 200, 9000)] == [128, 1024, 20_000]
    assert [large.size_class(POINT._replace(n2=n), ["n2"]).n2 for n in (20, 200, 9000)] == [8192, 8192, 20_000]
    together = replace(large, batch=None)
    assert together.size_class(POINT._replace(n2=20), ["n2"]).n2 == 128


def test_a_module_of_the_users_sees_the_whole_minibatch():
    assert same(*both(networks, model=lambda _, classes, projection: Centred(classes)))


@pytest.mark.parametrize(
    ("side", "width", "samples"), [(8, 16, 32), (16, 16, 8), (28, 16, 4), (32, 16, 2), (32, 64, 2)]
)
def test_larger_images_are_taken_fewer_at_once(side, width, samples):
    assert replace(TINY, shape=(side, side, 3), width=width).at_once == samples
