"""The closed forms of theory, against themselves and by hand."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax import DERIVED, theory
from pt_jax.signal_noise.fields import DATA_FIELDS
from pt_jax.signal_noise.point import Point, Static

# Products of a dozen float32 numbers: 1e-5 is some hundred roundings.
CLOSE = dict(rtol=1e-5)


def draws(count=50, seed=0):
    """Random points as one Point of arrays."""
    rng = np.random.default_rng(seed)
    between = {"d": (100, 1e5), "n1": (10, 300), "n2": (10, 100), "sigma1": (0.3, 3), "sigma2": (0.3, 3)}
    between |= {"u": (0.1, 5), "v1": (0, 5), "v2": (0.1, 5), "angle": (0, 180), "alpha": (0.05, 1)}
    return Point(**{name: jnp.asarray(rng.uniform(*ends, count)) for name, ends in between.items()})


def test_the_formulas_by_hand():
    point = Point(d=100, n1=3, n2=2, u=1.0, v1=2.0, v2=3.0, angle=60.0, sigma1=2.0, sigma2=0.5, alpha=0.5)
    np.testing.assert_allclose(theory.phase(point), 2 * 10**2 / (0.0625 * 100), **CLOSE)
    a, b = 0.5 * 3 * (1 + 2 * 3 * 0.5) / 4, 2 * 10 / 0.25
    np.testing.assert_allclose(theory.criterion(point), (a + b) ** 2 / (100 * (0.25 * 3 * 0.25 / 4 + 2)), **CLOSE)
    np.testing.assert_allclose(theory.best_alpha(point), 4 / 10, **CLOSE)


def test_the_criterion_of_scratch_is_the_phase_quantity():
    at = draws()
    np.testing.assert_allclose(theory.criterion(at._replace(alpha=0.0)), theory.phase(at), **CLOSE)
    np.testing.assert_allclose(
        DERIVED["phase"].function(at.n2, at.u, at.v2, at.sigma2, at.d), theory.phase(at), **CLOSE
    )


def test_the_best_fraction_has_the_largest_criterion():
    at = draws()
    fine = jnp.linspace(0, 1, 1001)
    values = jax.vmap(lambda alpha: theory.criterion(at._replace(alpha=alpha)))(fine)
    best = theory.criterion(at._replace(alpha=theory.best_alpha(at)))
    assert (best >= values.max(0) * (1 - 1e-5)).all()
    assert ((theory.best_alpha(at) > 0) & (theory.best_alpha(at) < 1)).sum() > 10
    assert (theory.best_alpha(at._replace(u=0.0, angle=120.0)) == 0).all()


def test_the_boundary_is_where_inheriting_stops_to_help():
    at = draws()
    alpha = theory.helpful_alpha(at)
    inside = np.asarray(alpha > 0) & np.asarray(alpha < np.inf)
    assert inside.sum() > 10
    np.testing.assert_allclose(
        np.asarray(theory.criterion(at._replace(alpha=alpha)))[inside], np.asarray(theory.phase(at))[inside], rtol=1e-3
    )  # near alpha = 0 both sides of the equation are close, and so the boundary is ill-conditioned
    for factor, sign in ((0.9, 1), (1.1, -1)):
        moved = theory.criterion(at._replace(alpha=factor * alpha)) - theory.phase(at)
        assert (np.sign(moved)[inside] == sign).all()
    assert (np.asarray(theory.helpful_alpha(at._replace(u=0.0, angle=90.0))) < 1e-3).all()  # cos(90) is -4e-8


def test_the_norm_of_kou_has_the_phase_asked_for():
    at = draws()
    for constant in (1.0, 7.5):
        norm = theory.kou_norm(at, constant)
        np.testing.assert_allclose(theory.phase(at._replace(u=norm, v2=0.0)), constant, **CLOSE)


SMALL = Static(n1=4, n2=3, m=2, steps1=3, steps2=3)
SMALL_POINT = Point(d=30, n1=4, n2=3, m=2, steps1=3, steps2=3)
CLOSED = ("phase", "criterion", "best_alpha", "helpful_alpha", "kou_norm", "in_regime")
EVERY = {"predict": lambda point: theory.predict(point, SMALL).gain} | {name: getattr(theory, name) for name in CLOSED}


@pytest.mark.parametrize("name", EVERY)
def test_arrays_that_broadcast_equal_a_loop_and_numbers_give_scalars(name):
    function, base = EVERY[name], SMALL_POINT
    u, v2, alpha = [0.5, 2.0], np.array([[0.5], [1.0], [300.0]], np.float16), np.array([0.5, 1.0])
    found = function(base._replace(u=u, v2=v2, alpha=alpha, n2=np.int8(3)))
    assert found.shape == (3, 2)
    alone = [
        [function(base._replace(u=u[j], v2=float(v2[i, 0]), alpha=float(alpha[j]))) for j in range(2)] for i in range(3)
    ]
    assert {np.shape(x) for row in alone for x in row} == {()}
    np.testing.assert_allclose(found, np.array(alone), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("fields", [{"u": "x"}, {"u": None}, {"u": np.ones(2), "v2": np.ones(3)}], ids=str)
def test_leaves_that_are_no_numbers_or_do_not_broadcast_are_refused(name, fields):
    with pytest.raises(ValueError, match=r"u = .* is not accepted|do not broadcast"):
        EVERY[name](SMALL_POINT._replace(**fields))


@pytest.mark.parametrize("name", ["phase", "kou_norm", "criterion", "best_alpha", "helpful_alpha"])
def test_fields_of_other_data_are_refused(name):
    for field in DATA_FIELDS:
        usual = getattr(SMALL_POINT, field)
        with pytest.raises(
            ValueError, match=f"{field} = .*0.5.* is not covered by theory of two_patches: use {usual:g}"
        ):
            getattr(theory, name)(SMALL_POINT._replace(**{field: np.array([usual, 0.5])}))


def test_without_noise_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in CLOSED:
            getattr(theory, name)(Point(sigma1=0, sigma2=0))
        for about in DERIVED.values():
            assert np.isinf(about.function(*(0 if field == "sigma2" else 3 for field in about.fields)))


@pytest.mark.parametrize("name", CLOSED)
def test_jit_and_vmap_agree_with_single_points(name):
    function, at = getattr(theory, name), draws(8)
    at = Point(*(jnp.broadcast_to(leaf, (8,)) for leaf in at))
    together = jax.jit(jax.vmap(function))(at)
    alone = [function(Point(*(leaf[i] for leaf in at))) for i in range(8)]
    np.testing.assert_allclose(together, np.array(alone), **CLOSE)
