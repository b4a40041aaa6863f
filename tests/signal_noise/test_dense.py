"""The two engines fed the same vectors, and what only the dense engine can do."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pt_jax.signal_noise import inherit
from pt_jax.signal_noise.data import dense_world
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.training import Descent
from tests.compiling import jit
from tests.signal_noise import cases
from tests.signal_noise.cases import assert_close, in_float64, lanes, otherwise, train_one, unit

ENGINES = ("span", "dense")
STATIC = Static(n1=12, n2=12, m=4, d=40, steps1=200, steps2=200, engine="dense", init="uniform")
POINT = Point(d=40, n1=12, n2=10, m=4, u=1.0, v1=1.0, v2=1.0, init_scale=0.1, lr_ratio=0.5)


draw = jit(lambda point, static: dense_world(jax.random.key(7), point, static), static_argnames="static")


@partial(jit, static_argnames="static")
def train(net, task, descent, second, static):
    # Both tasks have the same maxima: one compilation.
    return train_one(net, task, descent, second, static.steps1, static)


OPTIONS = ("noise", "bias", "record", "optimizer", "batch", "activation", "loss", "schedule", "nesterov")


def run(engine, x64=True, rules=None, ahead=0.0, **options):
    """Train upstream, inherit half of the filters, train downstream; return both runs and the downstream start."""
    chosen = {name: options.pop(name) for name in OPTIONS if name in options}
    drawn = replace(STATIC, **{name: chosen[name] for name in ("noise", "bias") if name in chosen})
    static = replace(STATIC, engine=engine, **chosen)
    with jax.enable_x64(x64):
        point = Point(*(float(leaf) for leaf in POINT._replace(**options)))
        world, second, alike = draw(point, drawn), readout(point.m, static.m), unit(static)
        world = world._replace(upstream=world.upstream._replace(weights=world.upstream.weights + ahead))
        upstream = train(
            world.upstream, world.task1, Descent(point.lr1, alike, point.steps1, rules or {}), second, static
        )
        taken = inherit.filters(0.5, point.m, jnp.zeros(2 * static.m))
        taken = Net(taken[:, None], taken)
        start = jax.tree.map(jnp.where, taken, upstream.net, world.fresh)
        ratio = jax.tree.map(lambda mask, one: jnp.where(mask, point.lr_ratio, one), taken, alike)
        downstream = train(start, world.task2, Descent(point.lr2, ratio, point.steps2, rules or {}), second, static)
        return jax.device_get((upstream, downstream, start, taken.bias))


def relative(a, b):
    return np.max(np.abs(a - b)) / np.max(np.abs(b))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("noise", ["projected", "isotropic"])
@pytest.mark.parametrize("angle", [60.0, 90.0])
def test_span_equals_dense_on_the_same_vectors_in_float64(bias, noise, angle):
    options = {"bias": bias, "noise": noise, "angle": angle}
    for a, b in zip(run("span", **options)[:2], run("dense", **options)[:2], strict=True):
        assert np.any(b.net.bias) == bias and b.loss < 0.9 * b.loss_start
        # The same sums in another order: rounding, relative to the largest weight.
        for one, two in zip(jax.tree.leaves(a.net), jax.tree.leaves(b.net), strict=True):
            assert np.max(np.abs(one - two)) <= 1e-12 * np.max(np.abs(two))
        assert relative(a.loss, b.loss) < 1e-12 and relative(a.loss_start, b.loss_start) < 1e-12
        # Conjugate gradients stop at a residual of 1e-5, times a condition number of some tens.
        assert relative(a.gamma, b.gamma) < 1e-3 and relative(a.rho, b.rho) < 1e-3


def test_what_is_learned_under_weight_decay_is_the_same_in_both_engines():
    options = {"angle": 60.0, "init_scale": 0.3, "rules": {"weight_decay": 0.3, "momentum": 0.9}}
    for a, b in zip(run("span", **options)[:2], run("dense", **options)[:2], strict=True):
        assert relative(a.net.weights, b.net.weights) < 1e-11
        assert relative(a.gamma, b.gamma) < 1e-3 and relative(a.rho, b.rho) < 1e-3  # conjugate gradients, as above


def test_what_is_learned_under_decay_of_somebody_is_the_same_in_both_engines():
    options = {"angle": 60.0, "init_scale": 0.3, "optimizer": nesterov_with_decay}
    for a, b in zip(run("span", **options)[:2], run("dense", **options)[:2], strict=True):
        assert relative(a.gamma, b.gamma) < 1e-3 and relative(a.rho, b.rho) < 1e-3  # conjugate gradients, as above


def test_a_decay_of_0_changes_nothing_of_what_is_learned():
    options = {"angle": 60.0, "init_scale": 0.3, "optimizer": "adam"}
    for a, b in zip(run("dense", **options)[:2], run("dense", rules={"weight_decay": 0.0}, **options)[:2], strict=True):
        assert relative(a.gamma, b.gamma) < 1e-6 and relative(a.rho, b.rho) < 1e-6  # float64; 1e-3 off with w(0) in it


FUNCTIONS = {"gelu": "squared", "relu^3": "hinge", "huberized_relu": lambda y, f: jnp.exp(-y * f)}


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_span_equals_dense_with_other_activations_and_losses(activation):
    functions = {"activation": activation, "loss": FUNCTIONS[activation]}
    options = {"bias": True, "noise": "isotropic", "angle": 60.0, **functions}
    for a, b in zip(run("span", **options)[:2], run("dense", **options)[:2], strict=True):
        assert np.any(b.net.bias) and b.loss < 0.99 * b.loss_start
        # As above: sums in another order.
        assert relative(a.net.weights, b.net.weights) < 1e-12 and abs(a.loss - b.loss) < 1e-12 * b.loss_start


def nesterov_with_decay(lr):
    return optax.chain(optax.add_decayed_weights(0.1), optax.sgd(lr, momentum=0.9, nesterov=True))


def test_rules_by_name_are_those_of_optax():
    by_name = run("span", rules={"momentum": 0.9, "weight_decay": 0.1}, nesterov=True)
    for a, b in zip(by_name[:2], run("span", optimizer=nesterov_with_decay)[:2], strict=True):
        assert relative(a.net.weights, b.net.weights) < 1e-12


def test_a_sharpness_aware_step_is_the_gradient_ahead():
    """One step from w: w - lr dL(w + r dL(w) / |dL(w)|), from two steps of plain descent."""
    sam, lr, plain = 0.3, POINT.lr1, {"steps1": 1, "steps2": 0}
    found, _, _, _ = run("dense", rules={"sam": sam}, **plain)
    once, _, _, _ = run("dense", **plain)
    start = run("dense", steps1=0, steps2=0)[0].net.weights
    slope = (start - once.net.weights) / lr
    size = np.linalg.norm(slope)
    ahead, _, _, _ = run("dense", steps1=1, steps2=0, ahead=sam / size * slope)
    np.testing.assert_allclose(start - found.net.weights, start + sam / size * slope - ahead.net.weights, atol=1e-12)


def test_span_equals_dense_on_the_same_vectors_in_float32():
    options = {"bias": True, "noise": "isotropic", "angle": 60.0, "x64": False}
    for a, b in zip(run("span", **options)[:2], run("dense", **options)[:2], strict=True):
        # A unit at zero may flip one step apart. One step of one unit moves a weight by lr/(n m) |x|, at most
        # 0.1 / (10 * 4) * 3 = 0.008; a flip is undone by later ones, so 1e-3 is above all but a flip at the very end.
        assert relative(a.net.weights, b.net.weights) < 1e-3 and relative(a.net.bias, b.net.bias) < 1e-3
        assert relative(a.loss, b.loss) < 1e-4


@pytest.mark.parametrize("engine", ["span", "dense"])
def test_frozen_inherited_filters_stay_exactly_as_they_were(engine):
    for bias in (False, True):
        _, downstream, start, taken = run(engine, bias=bias, noise="projected", lr_ratio=0.0)
        np.testing.assert_array_equal(downstream.net.weights[taken], start.weights[taken])
        np.testing.assert_array_equal(downstream.net.bias[taken], start.bias[taken])
        assert taken.sum() == 4 and np.all(np.any(downstream.net.weights != start.weights, axis=1) == ~taken)


def test_curves_of_the_two_engines_agree_and_end_where_training_ends():
    record = (0, 1, 10, 200, 500)
    options = {"bias": True, "noise": "isotropic", "angle": 60.0, "record": record}
    plain = run("span", bias=True, noise="isotropic", angle=60.0)
    both = {engine: run(engine, **options)[:2] for engine in ENGINES}
    for number in (0, 1):
        a, b, without = both["span"][number], both["dense"][number], plain[number]
        for one, tolerance in ((a, 1e-12), (b, 1e-12)):
            # The same numbers, computed in the same way.
            np.testing.assert_allclose(one.curves.loss[[0, 3, 4]], [one.loss_start, one.loss, one.loss], rtol=tolerance)
            np.testing.assert_allclose(one.curves.gamma[3:], one.gamma.max(), rtol=1e-9)
            np.testing.assert_allclose(one.curves.rho[3:], one.rho.max(), rtol=1e-9)
            sign = np.where(np.arange(8) % 2 == 0, 1, -1)
            np.testing.assert_allclose(one.curves.signal_u[3:], (sign * one.net.weights[:, 0]).max(), rtol=1e-9)
            assert len(one.curves.loss) == len(record) and one.curves.gamma[0] == one.curves.rho[0] == 0
        np.testing.assert_allclose(a.curves.loss, b.curves.loss, rtol=1e-12)
        np.testing.assert_allclose(a.curves.signal_u, b.curves.signal_u, rtol=1e-9)
        # Conjugate gradients, as above.
        np.testing.assert_allclose(a.curves.gamma, b.curves.gamma, rtol=1e-3, atol=1e-12)
        np.testing.assert_allclose(a.curves.rho, b.curves.rho, rtol=1e-3, atol=1e-12)
        # Recording changes no result beyond rounding.
        assert relative(a.net.weights, without.net.weights) < 1e-12 and relative(a.loss, without.loss) < 1e-12


SMALL = {"d": 30, "n1": 8, "n2": 6, "m": 3, "steps1": 20, "steps2": 15}
OTHER = {"optimizer": "adam", "batch": 4, "activation": "gelu", "loss": "squared", "inherit": "weights", "bias": True}


@pytest.mark.parametrize(
    "options", [{"noise": "isotropic"}, pytest.param(OTHER, marks=pytest.mark.long)], ids=["plain", "other"]
)
def test_padding_and_runs_apart_change_no_trajectory_of_the_dense_engine(options):
    static = replace(cases.SMALL, engine="dense", **options)
    small, large = in_float64(static), in_float64(otherwise(static))
    assert all(np.all(np.isfinite(leaf)) for leaf in small if leaf is not None)
    # Roundings of float64: sums over padded arrays are in another order.
    assert_close(small, large, 1e-10)


@pytest.mark.parametrize("bad", [0, 2])
def test_a_lane_that_is_not_finite_leaves_the_others_bit_for_bit_the_same(bad):
    static = Static(engine="dense", loss="squared", **SMALL)
    lr = np.full(4, 0.05)
    lr[bad] = 1e3
    seeds, kept = range(4), np.arange(4) != bad
    without = lanes(static, seeds, width=4, **{**SMALL, "lr1": 0.05, "lr2": 0.05})
    outcome = lanes(static, seeds, width=4, **{**SMALL, "lr1": lr, "lr2": lr})
    assert not np.isfinite(outcome.loss[bad])
    np.testing.assert_array_equal(outcome.diverged, ~kept)
    assert not without.diverged.any()
    for name in set(outcome._fields) - {"curves"}:
        np.testing.assert_array_equal(getattr(outcome, name)[kept], getattr(without, name)[kept], err_msg=name)


def normed(lr):
    """Return an optimizer that takes the norm of all gradients, and of each array of parameters."""
    return optax.chain(optax.clip_by_global_norm(0.1), optax.lamb(lr))


@pytest.mark.long
def test_an_optimizer_that_takes_norms_sees_one_network_and_no_padding():
    static = Static(engine="dense", optimizer=normed, **SMALL)
    names = ("loss", "loss_scratch", "loss_upstream", "error", "error_scratch", "signal_u", "signal_u_scratch")
    with jax.enable_x64(True):
        alone, padded = (
            lanes(s, range(8), width=8, names=names, **{**SMALL, "m": 2, "lr1": 0.05, "lr2": 0.05})
            for s in (replace(static, paired=False), replace(static, m=6, n1=16))
        )
    # float64: sums in another order.
    assert_close(padded, alone, 1e-9)
