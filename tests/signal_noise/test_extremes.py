"""Extreme values that are accepted: never NaN without `diverged`, and the errors that doubles give."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.signal_noise import risk
from pt_jax.signal_noise.data import dense_world
from pt_jax.signal_noise.fields import FIELDS
from pt_jax.signal_noise.network import readout
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.training import Descent
from pt_jax.signal_noise.trajectory import scratch, simulate
from tests.compiling import jit
from tests.signal_noise.cases import train_one, unit

SIZES = {"n1": 6, "n2": 5, "m": 3, "d": 20, "steps1": 8, "steps2": 8}
EXTREME = ("u", "v1", "v2", "sigma1", "sigma2", "lr1", "lr2", "lr_ratio", "init_scale")
ENGINES = ("span", "dense")
COUNT = 96


def corners():
    """Points whose fields are at the ends of their ranges, at 0 or at a default; every second one is untrained."""
    rng, points = np.random.default_rng(3), []
    for i in range(COUNT):
        ends = {n: [FIELDS[n].low, FIELDS[n].high, FIELDS[n].default, 0.0] for n in EXTREME}
        drawn = {n: x[rng.integers(4 if FIELDS[n].or_zero else 3)] for n, x in ends.items()}
        steps = {"steps1": 8 * (i % 2), "steps2": 8 * (i % 2)}
        points.append(Point(**SIZES | drawn | steps | {"alpha": i % 3 / 2, "angle": [90.0, 0.0, 60.0][i % 3]}))
    return Point(*(np.array(column, np.float32) for column in zip(*points, strict=True)))


@cache
def draws():
    """Task 1, upstream weights and test directions of every corner, drawn in float32."""
    static = Static(**SIZES, engine="dense")

    def one(seed, point):
        world = dense_world(jax.random.key(seed), point, static)
        return world.task1, world.upstream, risk.directions(jax.random.key(seed + COUNT), static)

    return jax.device_get(jit(jax.vmap(one))(np.arange(COUNT), corners()))


@cache
def errors(engine, double):
    """Upstream test errors and final losses from the same vectors, in one of two precisions."""
    static = Static(**SIZES, engine="dense")

    def one(drawn):
        (task, net, directions), point = drawn
        second = readout(point.m, static.m)
        descent = Descent(point.lr1, jax.tree.map(jnp.asarray, unit(static)), point.steps1)
        trained = train_one(net, task, descent, second, static.steps1, replace(static, engine=engine))
        return risk.error(directions, trained.net, task, second, jax.nn.relu, static), trained.loss

    with jax.enable_x64(double):
        given = jax.tree.map(lambda x: np.asarray(x, float if double else np.float32), (draws(), corners()))
        return jax.device_get(jit(lambda x: jax.lax.map(one, x))(given))


@pytest.mark.parametrize("engine", ENGINES)
def test_float32_gives_the_errors_of_doubles(engine):
    (single, _), (double, _) = errors(engine, False), errors(engine, True)
    untrained = corners().steps1 == 0
    assert np.ptp(double[untrained]) > 0.3  # there is something to get wrong
    np.testing.assert_allclose(single[untrained], double[untrained], atol=1e-6)
    # Where outputs of 1e17 cancel to order one, float32 does not know what is left.
    assert np.mean(np.abs(single - double) > 0.02) < 0.03


def test_span_equals_dense():
    for one, two in zip(errors("span", True), errors("dense", True), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


OTHER = pytest.param({"engine": "dense", "noise": "isotropic", "bias": True}, marks=pytest.mark.long)


@pytest.mark.parametrize("options", [{}, OTHER], ids=str)
def test_no_result_is_nan_and_not_diverged(options):
    static = Static(**SIZES, **options)
    found = jit(lambda points: jax.lax.map(lambda p: simulate(jax.random.key(0), p, static), points))(corners())
    missing = np.any([np.isnan(x) for x in jax.tree.leaves(jax.device_get(found))], axis=0)
    assert not (missing & ~np.asarray(found.diverged)).any()


def test_a_result_that_is_no_number_is_diverged():
    # No number above 9: three standard deviations of the inputs, which test noise reaches and no training sample.
    static = Static(**SIZES, engine="dense", activation=lambda x: jnp.sqrt(9.0 - x))
    point = Point(**SIZES, sigma2=3.3, init_scale=0.2, lr2=1e-6)
    found = jit(scratch, static_argnums=2)(jax.random.key(0), jax.tree.map(float, point), static)
    assert np.isnan(found.error_scratch) and np.isfinite(found.loss_scratch) and found.diverged
