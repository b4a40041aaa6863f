"""The two engines on draws of their own: the same law, and a trajectory that hurts or helps as it must."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import ks_2samp

from pt_jax.signal_noise.point import Point
from pt_jax.signal_noise.trajectory import scratch
from tests.signal_noise import cases
from tests.signal_noise.cases import jit_for, lanes, limit

BASE = replace(cases.BASE, steps1=30, steps2=30)
SEEDS = 256
SIZES = {"n1": 1, "n2": 8, "m": 3, "steps1": 0, "steps2": 25}
TESTED = ("error", "error_scratch", "loss")
# Two tests of three outputs in 10 comparisons: a total chance of 1e-4 of failing by luck.
CHANCE = 1e-4 / (2 * len(TESTED) * 10)


def results_of(static, seeds, **fields):
    outcome = lanes(static, seeds, names=TESTED, steps1=30, steps2=30, **fields)
    return {name: getattr(outcome, name) for name in TESTED}


def assert_same_law(a: dict, b: dict):
    for name in a:
        x, y = (np.asarray(outcome[name], np.float64) for outcome in (a, b))
        # Standard error of the difference of two means over 256 independent seeds, about 0.09 of the spread over seeds.
        error = np.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))
        assert error > 0 and abs(x.mean() - y.mean()) < limit(CHANCE, 1) * error, name
        assert ks_2samp(x, y).pvalue > CHANCE, name


@pytest.mark.parametrize("d", [20, *(pytest.param(d, marks=pytest.mark.long) for d in (60, 2000))])
def test_span_and_dense_have_the_same_law(d):
    scale = 1.0 if d <= 60 else 2.0
    fields = {"d": d, "u": scale, "v1": scale, "v2": scale, "angle": 60.0, "lr1": 1.0, "lr2": 1.0}
    dense = replace(BASE, engine="dense", d=60 if d <= 60 else 2000)
    # Seeds of their own: independent samples.
    a, b = results_of(BASE, np.arange(SEEDS), **fields), results_of(dense, 1000 + np.arange(SEEDS), **fields)
    assert 0.01 < a["error"].mean() < 0.4 and a["error"].std() > 0.005
    assert_same_law(a, b)


OTHERS = {
    "mlp": {"model": "mlp", "hidden": (6,), "data": "multi_patch"},
    "attention": {"model": "attention", "data": "three_patches", "noisy": "all"},
    "trained": {"model": "cnn_trained", "data": "xor", "noise": "isotropic"},
}


@cache
def alone(static):
    """Train from scratch, 32 seeds at a time; what is memorised is left out: it takes long to compile in R^d."""

    def many(seeds, d):
        point = Point(**SIZES, u=2.0, v2=2.0, angle=60.0, lr2=0.2, init_scale=0.05)._replace(d=d)
        lane = jax.vmap(lambda seed: scratch(jax.random.key(seed), jax.tree.map(jnp.float32, point), static))
        found = jax.lax.map(lane, seeds.reshape(-1, 32))
        return {name: getattr(found, name).ravel() for name in ("error_scratch", "loss_scratch", "signal_u_scratch")}

    return jit_for(static)(many)


@pytest.mark.long
@pytest.mark.parametrize("d", [20, 2000])  # below and above the 21 vectors
@pytest.mark.parametrize("name", ["mlp", "attention", "trained"])
def test_span_and_dense_have_the_same_law_for_other_networks_and_data(name, d):
    span = replace(BASE, **SIZES, n_test=256, **OTHERS[name])
    dense = replace(span, engine="dense", d=2000)
    a, b = (alone(static)(start + np.arange(SEEDS), float(d)) for start, static in ((0, span), (1000, dense)))
    assert 0.01 < a["error_scratch"].mean() < 0.49 and a["error_scratch"].std() > 0.005
    assert_same_law(a, b)


@pytest.mark.long
def test_gaussian_weights_stand_in_for_uniform_ones_at_d_100():
    options = {"init": "uniform", "bias": True, "noise": "isotropic"}
    fields = {"d": 100, "init_scale": 0.2}
    # Span: Gaussian weights; dense: uniform ones, whose rows are rotation-invariant only as d grows. Equal to the
    # accuracy of 256 seeds: the errors differ by less than 4 standard errors, 0.004 of 0.2.
    a = results_of(replace(BASE, **options), np.arange(SEEDS), **fields)
    b = results_of(replace(BASE, engine="dense", d=100, **options), 1000 + np.arange(SEEDS), **fields)
    assert_same_law(a, b)


def test_transfer_hurts_without_a_common_signal_and_helps_with_one():
    u, v1, v2 = (np.repeat(values, 64) for values in ([0.0, 2.0], [6.0, 1.0], [3.0, 1.0]))
    fields = {"d": 500, "init_scale": 0.01, "alpha": 1.0, "u": u, "v1": v1, "v2": v2, "lr1": 2.0, "lr2": 0.4}
    found = results_of(BASE, np.tile(np.arange(64), 2), **fields)
    gain = (found["error_scratch"] - found["error"]).reshape(2, 64)
    # Standard error of the mean paired gain over 64 seeds. Without any effect, 5 of them: by luck 5e-6 for both (t, 63
    # degrees of freedom, one side).
    z = gain.mean(axis=1) / (gain.std(axis=1, ddof=1) / 8)
    assert z[0] < -5 and z[1] > 5, z
