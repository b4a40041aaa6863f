"""The whole trajectory: its law, what it may and may not depend on, and the physics that it must show."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.signal_noise import risk, trajectory
from pt_jax.signal_noise.data import Stream, span_world
from pt_jax.signal_noise.fields import DATA_FIELDS, FIELDS, RULE_FIELDS
from pt_jax.signal_noise.network import readout
from pt_jax.signal_noise.point import Point
from pt_jax.signal_noise.training import Descent
from pt_jax.signal_noise.trajectory import Outcome, scratch, simulate
from tests.compiling import jit
from tests.signal_noise.cases import (
    BASE,
    POINT,
    SMALL,
    assert_close,
    in_float64,
    lanes,
    otherwise,
    train_one,
    unit,
)

SCALARS = tuple(name for name in Outcome._fields if name != "curves")


def test_one_trace_for_50_points_of_any_dtype(monkeypatch):
    traces = []
    monkeypatch.setattr(
        trajectory, "span_world", lambda *args, **more: traces.append(args) or span_world(*args, **more)
    )
    before, kinds = trajectory._simulate._cache_size(), (float, np.float32, np.float64, np.asarray, jnp.asarray)
    outcomes = []
    for i in range(50):
        kind = kinds[i % 5]
        sizes = {"n1": 30 - i % 20, "n2": 1 + i % 20, "m": 1 + i % 5, "d": 4 + 40 * i, "steps1": i, "steps2": 60 - i}
        whole = (int, np.int32, np.int64, float, np.float32, jnp.int32)[i % 6]
        other = {"alpha": i / 50, "u": 3 * i / 50, "angle": 3 * i, "flip1": i / 100, "sigma1": 1 + i / 50}
        other |= {"momentum1": i / 60, "weight_decay2": i / 500, "label_noise2": i / 200, "sam1": i / 500}
        fields = {**{k: whole(v) for k, v in sizes.items()}, **{k: kind(v) for k, v in other.items()}}
        outcomes.append(simulate(jax.random.key(i), POINT._replace(**fields), RULED))
    assert trajectory._simulate._cache_size() - before <= 1
    # 1 where this test is the first to use this static, 0 after others.
    assert len(traces) <= 1
    assert len({float(outcome.loss_upstream) for outcome in outcomes}) == 50


def test_a_trajectory_depends_on_the_seed_through_its_key_only():
    runs = [simulate(key, POINT, BASE) for key in (jax.random.key(3), jax.random.key(np.int64(3)))]
    simulate(jax.random.key(4), POINT._replace(u=0.5), BASE)
    runs += [simulate(jax.vmap(jax.random.key)(jnp.arange(5))[3], POINT, BASE, data=None)]
    for outcome in runs[1:]:
        for name in SCALARS:
            np.testing.assert_array_equal(getattr(outcome, name), getattr(runs[0], name))
    other = simulate(jax.random.key(4), POINT, BASE)
    assert all(getattr(other, name) != getattr(runs[0], name) for name in ("loss", "loss_scratch", "loss_upstream"))


def test_alpha_0_equals_scratch():
    for seed in range(8):
        point = POINT._replace(alpha=0.0, lr1=0.1, steps1=25, n1=7, v1=2.0, sigma1=0.5, flip1=0.3)
        outcome = simulate(jax.random.key(seed), point, BASE)
        # The two calls are fused differently: 1e-6 in float32 is what the specification allows.
        for name in ("error", "loss", "signal_u", "signal_v1", "signal_v2", "rho"):
            a, b = getattr(outcome, name), getattr(outcome, f"{name}_scratch")
            assert abs(a - b) <= 1e-6 * max(1.0, abs(b)), name
        assert outcome.rho_inherited == 0


@jit
def _upstream_on_task_2(key, point):
    world, second = span_world(key, point, BASE), readout(point.m, BASE.m)
    descent = Descent(point.lr1, unit(BASE), point.steps1)
    trained = train_one(world.upstream, world.task1, descent, second, BASE.steps1, BASE)
    directions = risk.directions(jax.random.fold_in(key, Stream.TEST), BASE)
    return [risk.error(directions, trained.net, task, second, jax.nn.relu, BASE) for task in (world.task1, world.task2)]


def test_alpha_1_with_no_step_is_the_upstream_network_on_task_2():
    for seed in range(4):
        point = POINT._replace(alpha=1.0, steps2=0, angle=70.0, sigma2=1.5)
        outcome = simulate(jax.random.key(seed), point, BASE)
        task1, task2 = _upstream_on_task_2(jax.random.key(seed), jax.tree.map(float, point))
        # float32 training compiled apart: a unit at zero may flip one step apart, which moves an error by below 1e-4.
        np.testing.assert_allclose(outcome.error, task2, atol=1e-4)
        np.testing.assert_allclose(outcome.error_upstream, task1, atol=1e-4)
        assert abs(outcome.error - outcome.error_upstream) > 1e-3 and outcome.rho == 0
        np.testing.assert_allclose(outcome.signal_v2, outcome.signal_v2_upstream, rtol=1e-4)
        np.testing.assert_allclose(outcome.rho_inherited, outcome.rho_upstream, rtol=1e-4)


def test_frozen_inherited_filters_make_downstream_steps_do_nothing():
    end, start = (
        simulate(jax.random.key(1), POINT._replace(alpha=1.0, lr_ratio=0.0, steps2=steps), BASE) for steps in (60, 0)
    )
    for name in ("error", "loss", "signal_u", "signal_v1", "signal_v2", "rho"):
        np.testing.assert_array_equal(getattr(end, name), getattr(start, name))
    assert end.loss_scratch < start.loss_scratch


def test_what_is_kept_of_task_1_is_all_where_nothing_is_trained_after():
    before, after = (
        simulate(jax.random.key(3), POINT._replace(alpha=1.0, **other), BASE)
        for other in ({"steps2": 0}, {"angle": 180.0, "u": 0.0})
    )
    # float32 and one network in two places of a program.
    np.testing.assert_allclose(before.error_upstream_after, before.error_upstream, atol=1e-6)
    assert after.error_upstream_after > after.error_upstream + 0.1


# One value a lane of every field: 16 different points.
SPREAD = {
    name: np.linspace(low, high, 16).round(0 if FIELDS[name].whole else 6)
    for name, (low, high) in {
        "d": (5, 3000),
        "n1": (30, 1),
        "n2": (1, 20),
        "m": (1, 5),
        "u": (0, 2),
        "v1": (2, 0),
        "v2": (0.5, 2.5),
        "angle": (0, 180),
        "sigma1": (0.3, 2),
        "sigma2": (1.5, 0.5),
        "flip1": (0, 0.4),
        "flip2": (0.3, 0),
        "alpha": (0, 1),
        "lr1": (0.02, 0.5),
        "lr2": (0.5, 0.02),
        "lr_ratio": (0, 2),
        "init_scale": (0.001, 0.2),
        "steps1": (0, 60),
        "steps2": (60, 10),
        "momentum1": (0, 0.8),
        "momentum2": (0.7, 0),
        "weight_decay1": (0.2, 0),
        "weight_decay2": (0, 0.2),
        "label_noise1": (0, 0.3),
        "label_noise2": (0.2, 0),
        "sam1": (0.1, 0),
        "sam2": (0, 0.1),
        "stop_loss1": (0.2, 0.6),
        "stop_loss2": (0.6, 0),
        "stop_error1": (0, 0.3),
        "stop_error2": (0.1, 0),
    }.items()
}
RULED = replace(BASE, rules=RULE_FIELDS)


def test_vmap_over_every_leaf_equals_a_loop():
    assert set(SPREAD) == set(Point._fields) - set(DATA_FIELDS)
    points = jax.tree.map(lambda leaf: np.broadcast_to(leaf, 16), Point(**SPREAD))
    together = lanes(RULED, range(16), **SPREAD)
    for i in range(16):
        apart = simulate(jax.random.key(i), jax.tree.map(lambda leaf, i=i: leaf[i], points), RULED)
        for name in SCALARS:
            # float32: sums in another order, and a unit at zero may flip one step apart (DESIGN.md: up to 4e-5).
            a, b = getattr(together, name)[i], getattr(apart, name)
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4, err_msg=f"{name}, lane {i}")


def test_scratch_is_bit_for_bit_the_same_along_every_upstream_axis():
    names = [name for name in SCALARS if name.endswith("_scratch")]
    axes = {
        "n1": np.arange(15, 31),
        **{name: SPREAD[name] for name in ("v1", "sigma1", "alpha", "lr1", "flip1", "steps1", "lr_ratio")},
        **{name: SPREAD[name] for name in RULE_FIELDS if name[-1] == "1"},
    }
    for axis, values in axes.items():
        outcome = lanes(RULED, np.zeros(16, int), **{axis: values})
        for name in names:
            np.testing.assert_array_equal(getattr(outcome, name), getattr(outcome, name)[0], err_msg=f"{name}, {axis}")
        assert len(np.unique(outcome.loss)) > 2, axis


def test_derivatives_are_those_of_the_trajectories():
    base = Point(*map(float, POINT._replace(init_scale=0.2)))

    def means(*leaves):
        found = jax.vmap(lambda seed: scratch(jax.random.key(seed), Point(*leaves), BASE))(np.arange(16))
        return found.error_scratch.mean(), found.loss_scratch.mean()

    along = jit(lambda *at: jax.jvp(means, *at))
    for name in ("u", "sigma2"):
        value, towards = getattr(base, name), Point(*(float(name == field) for field in Point._fields))
        (_, found), (up, _), (down, _) = (along(base._replace(**{name: f * value}), towards) for f in (1.0, 1.05, 0.95))
        # Filters that change sides within a tenth, in 16 trajectories: some percent.
        np.testing.assert_allclose(found, np.subtract(up, down) / (0.1 * value), rtol=0.1, err_msg=name)


PROJECTED = replace(SMALL, choose="signal")
MLP = replace(SMALL, model="mlp", data="multi_patch", n_test=64, noise="isotropic", bias=True, init="uniform")
MLP = replace(MLP, choose="noise", record=(0, 5, 30))
HEAD = replace(SMALL, model="attention", data="classes", noisy="all", n_test=64, record=(0, 5, 30))
DENSE = replace(SMALL, engine="dense", noise="isotropic")  # a program that test_dense.py has, too, and more of it
LONG = {static: pytest.param(static, marks=pytest.mark.long) for static in (DENSE, HEAD, MLP)}


@pytest.mark.parametrize("static", [PROJECTED, LONG[HEAD], LONG[MLP]], ids=["projected", "head", "mlp"])
def test_padding_and_runs_apart_change_no_trajectory_and_float64_runs_end_to_end(static):
    small, large = in_float64(static), in_float64(otherwise(static))
    assert all(getattr(small, name).dtype == np.float64 for name in SCALARS if name != "diverged")
    # Roundings of float64: sums over padded arrays are in another order.
    assert_close(small, large, 1e-10)
    for one, two in zip(small.curves or (), large.curves or (), strict=True):
        assert_close(one, two, 1e-10)


def test_curves_of_the_three_runs_end_at_the_outcome():
    outcome = in_float64(HEAD)
    for run, suffix in (("upstream", "_upstream"), ("transfer", ""), ("scratch", "_scratch")):
        curves = getattr(outcome.curves, run)
        assert curves.loss.shape == (8, 3)
        # The same numbers, computed in the same way in float64.
        for name in ("loss", "rho", "signal_u", "error"):
            leaf = getattr(curves, name)
            np.testing.assert_allclose(leaf[:, -1], getattr(outcome, name + suffix), rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(curves.gamma[:, 0], 0.0)


@pytest.mark.parametrize("static", [PROJECTED, LONG[DENSE], LONG[MLP]], ids=["projected", "dense", "mlp"])
def test_scratch_alone_is_that_of_a_trajectory(static):
    together, alone = in_float64(static), in_float64(static, function=scratch)
    for name, value in alone._asdict().items():
        if name not in ("diverged", "curves"):
            np.testing.assert_allclose(value, getattr(together, name), rtol=1e-10, atol=1e-13, err_msg=name)
    assert not alone.diverged.any()
    if static.record:
        np.testing.assert_allclose(alone.curves.scratch.loss, together.curves.scratch.loss, rtol=1e-10)
        assert alone.curves.transfer is None


def test_a_loss_that_overflows_on_the_other_label_is_no_failure():
    static = replace(BASE, loss=lambda y, f: jnp.exp(-y * f))
    point = Point(*map(float, POINT._replace(init_scale=1.0, u=60.0, v2=60.0, flip2=0.0, n2=1, lr2=1e-6)))
    found = jit(jax.vmap(lambda seed: scratch(jax.random.key(seed), point, static)))(np.arange(16))
    right = found.loss_scratch < 1e-37  # outputs above 85: from 89 on, the other label's loss is no float32
    assert right.any() and not found.diverged[right].any()
