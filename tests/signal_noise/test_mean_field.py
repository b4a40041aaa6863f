"""The mean-field prediction as a function of a point; `test_claims.py` holds it against simulations."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax import theory
from pt_jax.signal_noise import mean_field
from pt_jax.signal_noise.point import Point, Static
from tests.compiling import jit

BASE = Point(d=1000, n1=60, n2=20, m=20, steps1=40, steps2=50, lr1=0.5, lr2=0.5)
STATIC = Static.covering(BASE, fixed=True)
predict = jit(theory.predict, static_argnums=1)


def test_without_inheritance_it_is_scratch():
    said = predict(BASE._replace(alpha=0.0), STATIC)
    assert said.error == said.error_scratch and said.gain == 0
    upstream = predict(BASE._replace(alpha=0.5, n1=30, u=2.0, v1=1.0, flip1=0.0), STATIC)
    assert upstream.error_scratch == said.error_scratch != upstream.error


def test_without_training_it_is_chance():
    said = predict(BASE._replace(steps1=0, steps2=0), STATIC)
    # No signal in either: 1/2 by symmetry; the directions of the test error are drawn once, 0.01 is their spread.
    np.testing.assert_allclose([said.error, said.error_scratch], 0.5, atol=0.01)


def test_padding_changes_nothing():
    wide = replace(STATIC, m=24, n1=100, n2=60, steps1=64, steps2=51)
    for point in (BASE, BASE._replace(alpha=0.2, lr_ratio=0.5)):
        # The test error takes its directions from 2m dimensions: 0.01 is their spread, none at equal m.
        np.testing.assert_allclose(predict(point, wide), predict(point, STATIC), atol=0.01)
        np.testing.assert_allclose(predict(point, replace(wide, m=20)), predict(point, STATIC), rtol=1e-4, atol=1e-6)


@pytest.mark.long
def test_strides_stand_for_single_steps(monkeypatch):
    """Samples fitted at the first step, a slow course, strong signals at a high rate; the module states 0.004."""
    rows = [BASE._replace(lr2=5.0, d=100_000), BASE._replace(steps1=200, steps2=200, lr1=0.1, lr2=0.2)]
    strong = {"u": 5, "v1": 5, "v2": 0, "sigma1": 0.3, "sigma2": 0.3, "flip1": 0.3, "flip2": 0.3, "lr1": 1, "lr2": 1}
    rows += [BASE._replace(**strong, d=100, m=4, alpha=1, lr_ratio=2, steps1=200, steps2=200)]
    points, static = Point(*np.array(rows, float).T), replace(STATIC, steps1=200, steps2=200)
    few = jit(lambda at: theory.predict(at, static))(points)
    monkeypatch.setattr(mean_field, "_STRIDE", 0)
    every = jit(lambda at: jax.lax.map(lambda one: mean_field._predict.__wrapped__(one, static), at))(points)
    np.testing.assert_allclose([few.error, few.error_scratch], [every.error, every.error_scratch], atol=0.004)


def test_lanes_agree_with_single_points_and_one_trace_serves_all():
    values, before = (0.0, 0.5, 1.0, 2.0), predict._cache_size()
    together = jit(jax.vmap(lambda u: theory.predict(BASE._replace(u=u), STATIC)))(jnp.array(values))
    for i, u in enumerate(values):
        alone = predict(BASE._replace(u=u), STATIC)
        # Sums of another order, and units that flip by rounding: as between two runs of a simulation.
        chex.assert_trees_all_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone, atol=1e-3)
    assert predict._cache_size() - before <= 1


def test_derivatives_are_those_of_the_prediction():
    base = Point(*map(float, BASE._replace(u=1.5, v2=0.8, sigma1=0.9, init_scale=0.05)))
    along = jit(lambda *at: jax.jvp(lambda *leaves: theory.predict(Point(*leaves), STATIC), *at))
    for name in ("u", "sigma2", "flip2"):
        value, towards = getattr(base, name), Point(*(float(name == field) for field in Point._fields))
        (_, found), (up, _), (down, _) = (along(base._replace(**{name: f * value}), towards) for f in (1.0, 1.1, 0.9))
        for result in ("error", "error_scratch"):
            rise = (getattr(up, result) - getattr(down, result)) / (0.2 * value)
            # Filters that change sides are left out, a sixth here along flip2, and the difference is over a fifth.
            said = f"{result} along {name}"
            np.testing.assert_allclose(getattr(found, result), rise, rtol=0.2, atol=0.005, err_msg=said)


def test_float32_is_enough():
    single = predict(BASE, STATIC)
    with jax.enable_x64(True):
        double = jit(theory.predict, static_argnums=1)(BASE, STATIC)
        assert double.error.dtype == jnp.float64
    np.testing.assert_allclose(single.error, double.error, atol=1e-3)  # units that flip by rounding
    np.testing.assert_allclose(single.error_scratch, double.error_scratch, atol=1e-3)


def test_it_says_where_it_holds():
    assert predict(BASE, STATIC).in_regime
    for point in (BASE._replace(d=599), BASE._replace(m=9)):
        assert not predict(point, STATIC).in_regime


@pytest.mark.parametrize("option", [{"noise": "isotropic"}, {"bias": True}, {"choose": "signal"}])
def test_options_that_it_does_not_cover_are_refused(option):
    (name,) = option
    with pytest.raises(ValueError, match=f"{name} = .* is not covered by predict: use"):
        theory.predict(BASE, replace(STATIC, **option))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="n1 = 61 is above the maximum 60"):
        theory.predict(BASE._replace(n1=61), STATIC)
    with pytest.raises(ValueError, match="alpha = 2 is not accepted"):
        theory.predict(BASE._replace(alpha=2.0), STATIC)
