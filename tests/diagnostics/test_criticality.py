"""Criticality: modules that do not matter, quadratic losses in closed form, and the Monte Carlo behind it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import criticality
from tests.compiling import jit
from tests.diagnostics.cases import assert_one_trace, assert_vmap_equals_loop, mlp, mlp_loss, stack

KEY = jax.random.key(0)
INITIAL = {"used": {"w": jnp.array([1.0, 2.0, 3.0]), "b": jnp.array([1.0])}, "idle": {"w": jnp.zeros(2)}}
FINAL = {"used": {"w": jnp.array([2.0, 0.0, 3.0]), "b": jnp.array([3.0])}, "idle": {"w": jnp.ones(2)}}
SQUARES, ENTRIES = 1.0 + 4.0 + 4.0, 4  # |theta_F - theta_0|^2 and the number of parameters of `used`
ALPHA, SIGMA = np.linspace(0, 1, 6), np.array([0.05, 0.2, 0.5, 1.0])


def loss(theta):
    """Least at the final parameters, and blind to `idle`."""
    return sum(jnp.sum((theta["used"][name] - FINAL["used"][name]) ** 2) for name in ("w", "b")) / 2


@partial(jit, static_argnames=("draws", "module"))
def measure(eps, draws=16, module="used"):
    return criticality.measure(KEY, loss, INITIAL, FINAL, module, ALPHA, SIGMA, eps, draws)


def test_resetting_a_module_that_does_not_matter_costs_nothing():
    assert criticality.reset(loss, INITIAL, FINAL, "idle") == 0
    assert criticality.reset(loss, FINAL, FINAL, "used") == 0


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_resetting_part_of_the_way_costs_the_square_of_the_rest(alpha):
    found = criticality.reset(loss, INITIAL, FINAL, "used", alpha)
    np.testing.assert_allclose(found, (1 - alpha) ** 2 * SQUARES / 2, rtol=1e-6)


def test_only_the_named_module_is_reset():
    initial, final = mlp(0), mlp(1)
    put_back = final | {"hidden": initial["hidden"]}
    expected = mlp_loss(put_back) - mlp_loss(final)
    np.testing.assert_allclose(criticality.reset(mlp_loss, initial, final, "hidden"), expected, rtol=1e-5)
    assert criticality.reset(mlp_loss, initial, final, "idle") == 0
    # A module is reset with those inside it.
    nested = criticality.reset(lambda x: mlp_loss(x["net"]), {"net": initial}, {"net": final}, "net")
    np.testing.assert_allclose(nested, mlp_loss(initial) - mlp_loss(final), rtol=1e-5)
    # Several losses at once.
    two = criticality.reset(lambda x: jnp.stack([mlp_loss(x), loss(FINAL)]), initial, final, "head")
    assert two.shape == (2,) and two[1] == 0 and two[0] != 0


def test_several_parts_of_the_way_are_as_each_alone():
    initial, final, alpha = mlp(0), mlp(1), np.array([0.0, 0.25, 1.0])
    both = partial(criticality.reset, lambda x: jnp.stack([mlp_loss(x), loss(FINAL)]), initial, final, "hidden")
    np.testing.assert_allclose(both(alpha), [both(a) for a in alpha], rtol=1e-6, atol=1e-7)
    assert both(alpha[:0]).shape == (0, 2)


def test_the_mean_loss_and_its_standard_error_are_those_of_a_quadratic():
    draws = 4000
    found = measure(1.0, draws)
    rest, sigma = (1 - ALPHA[:, None]) ** 2 * SQUARES, SIGMA[None]
    # |d + sigma z|^2 / 2 has mean (|d|^2 + p sigma^2) / 2 and variance sigma^2 |d|^2 + p sigma^4 / 2.
    deviation = np.sqrt(sigma**2 * rest + ENTRIES * sigma**4 / 2)
    score = (found.loss - (rest + ENTRIES * sigma**2) / 2) / (deviation / np.sqrt(draws))
    assert np.max(np.abs(score)) < 5.1  # 24 points in standard errors: by luck 24 * 3.4e-7 = 8e-6
    # The spread of a chi-square with 4 degrees of freedom (kurtosis 6): its standard deviation is known to
    # sqrt((6 - 1) / 4 / draws) = 1.8%; 24 points within 5.1 of these.
    np.testing.assert_allclose(found.se, deviation / np.sqrt(draws), rtol=0.09)


@pytest.mark.parametrize("eps", [0.3, 1.0, 3.0])
def test_criticality_is_the_least_ratio_among_points_within_the_loss(eps):
    found = measure(eps, 4000)
    mean = ((1 - ALPHA[:, None]) ** 2 * SQUARES + ENTRIES * SIGMA**2) / 2
    # No point lies within 5 standard errors of eps, so that the noise decides nothing (by luck 24 * 6e-7).
    assert np.min(np.abs(mean - eps) / np.asarray(found.se)) > 5
    ratio = np.where(mean <= eps, ALPHA[:, None] ** 2 * SQUARES / SIGMA**2, np.inf)
    i, j = np.unravel_index(np.argmin(ratio), ratio.shape)
    np.testing.assert_allclose(found[:5], [ratio.min()] * 3 + [ALPHA[i], SIGMA[j]], rtol=1e-5)
    assert ratio.min() > 0


def test_a_module_that_does_not_matter_has_none_and_one_that_cannot_be_moved_has_no_bound():
    idle = measure(0.0, module="idle")
    assert idle.value == 0 and idle.alpha == 0 and np.all(idle.loss == 0)
    used = measure(0.0)
    assert np.isinf(used.value) and np.isnan(used.alpha) and np.isnan(used.sigma)
    assert np.isinf(measure(jnp.nan).value)


@pytest.mark.parametrize(("to", "sigma"), [(1e20, 0.1), (0.0, 1e-39)])  # |theta_F - theta_0|^2, 1 / sigma overflow
def test_what_is_put_back_whole_or_has_not_moved_has_none_where_a_factor_is_infinite(to, sigma):
    initial, final = ({"a": jnp.full(3, x, jnp.float32)} for x in (0.0, to))
    found = criticality.measure(
        jax.random.key(0), lambda params: jnp.zeros(()), initial, final, "a", [0.0, 1.0], [sigma, 1.0], 0.1, 2
    )
    assert found.value == found.low == found.high == 0


def test_an_unmoved_module_has_no_slope():
    slope = jax.grad(
        lambda final: criticality.measure(jax.random.key(0), loss, INITIAL, final, "idle", ALPHA, SIGMA, 1e9, 2).value
    )
    assert all(np.all(x == 0) for x in jax.tree.leaves(slope(INITIAL)))


def test_the_bounds_enclose_the_value_and_meet_with_more_draws():
    drawn = measure(1.0, 8)
    near, error = drawn.loss[4, 1], drawn.se[4, 1]  # alpha 0.8, sigma 0.2
    # eps is one standard error above the mean loss of that point, which is then taken, or below, or 3 away.
    taken, next_best = 0.8**2 * SQUARES / 0.2**2, SQUARES / 0.2**2
    for distance, low, value, high in ((1, taken, taken, next_best), (-1, taken, next_best, next_best)):
        found = measure(near + distance * error, 8)
        np.testing.assert_allclose([found.low, found.value, found.high], [low, value, high], rtol=1e-5)
    assert measure(near + 3 * error, 8).high < next_best
    assert measure(near - 3 * error, 8).low > taken
    # With more draws the three meet at the same eps.
    eps = (0.2**2 * SQUARES + ENTRIES * 0.2**2) / 2
    many = measure(eps + 0.05, 4000)
    assert many.low == many.value == many.high


def test_shift_of_the_parameters_and_unit_of_the_loss_do_not_matter():
    def scaled(loss, initial, final, eps):
        return criticality.measure(KEY, loss, initial, final, "used", ALPHA, SIGMA, eps, 64)

    before = scaled(loss, INITIAL, FINAL, 1.0)
    assert 0 < before.value < np.inf
    shifted = (jax.tree.map(lambda x: x + 8, theta) for theta in (INITIAL, FINAL))
    moved = scaled(lambda theta: 3 * loss(jax.tree.map(lambda x: x - 8, theta)), *shifted, 3.0)
    np.testing.assert_allclose(moved.value, before.value, rtol=1e-5)
    np.testing.assert_allclose(moved.loss, 3 * before.loss, rtol=1e-4, atol=1e-5)  # float32 at values of about 10


def test_vmap_one_trace_and_float64():
    initial, final = (stack([mlp(seed) for seed in seeds]) for seeds in (range(64), range(64, 128)))

    def reset(initial, final):
        return criticality.reset(mlp_loss, initial, final, "head")

    def losses(initial, final, eps=3.0):
        return criticality.measure(KEY, mlp_loss, initial, final, "hidden", [0.0, 0.5], [0.1, 0.5], eps, 4).loss

    # A rise is a difference of losses of size 1: float32.
    assert_vmap_equals_loop(reset, initial, final, rtol=1e-4, atol=1e-5)
    assert_vmap_equals_loop(losses, initial, final, rtol=1e-4)
    assert_one_trace(reset, (mlp(0), mlp(1)), (mlp(0), mlp(2)))

    def value(key, alpha, sigma, eps):
        return criticality.measure(key, loss, INITIAL, FINAL, "used", alpha, sigma, eps, 4)

    keys = jax.random.split(KEY)
    assert_one_trace(value, (keys[0], ALPHA, SIGMA, 1.0), (keys[1], ALPHA / 2, SIGMA / 2, 2.0))
    exact_initial, exact_final = (jax.tree.map(lambda x: np.asarray(x, np.float64), x) for x in (INITIAL, FINAL))
    with jax.enable_x64(True):
        exact = criticality.reset(loss, exact_initial, exact_final, "used", 0.3)
        mean = criticality.measure(KEY, loss, exact_initial, exact_final, "used", ALPHA, SIGMA, 1.0)
    assert exact.dtype == mean.loss.dtype == mean.value.dtype == np.float64
    np.testing.assert_allclose(exact, 0.7**2 * SQUARES / 2, rtol=1e-14)
    np.testing.assert_allclose(criticality.reset(loss, INITIAL, FINAL, "used", 0.3), exact, rtol=1e-6)


def test_several_modules_are_as_each_alone_and_traced_once():
    initial, final, names, traced = mlp(0), mlp(1), ["hidden", "head", "idle"], []

    def counted(params):
        traced.append(params)
        return mlp_loss(params)

    def critical(module):
        return criticality.measure(KEY, counted, initial, final, module, ALPHA, SIGMA, 3.0, 2)

    for measured in (partial(criticality.reset, mlp_loss, initial, final), critical):
        together, alone = measured(names), stack([measured(name) for name in names])
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    traced.clear()
    critical(tuple(names))
    assert len(traced) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"module": "use"}, "module is 'use'; expected one of idle, used"),
        ({"module": ["used", "use"]}, "module is 'use'; expected one of idle, used"),
        ({"module": []}, r"module is \[\]; expected a name, or a list of at least one"),
        ({"module": 5}, "module is 5; expected a name, or a list"),
        ({"initial": {"used": INITIAL["used"]}}, "initial has another pytree structure than final"),
        ({"alpha": [0.0, 1.2]}, "alpha is .*; expected values from 0 up to 1"),
        ({"sigma": [0.0, 0.5]}, "sigma is .*; expected values above 0 and up to 1"),
        ({"sigma": 0.5}, r"sigma has shape \(\); expected a vector"),
        ({"draws": 1}, "draws is 1; expected at least 2"),
    ],
)
def test_bad_input_is_named(change, message):
    call = dict(initial=INITIAL, final=FINAL, module="used", alpha=[0.0], sigma=[0.5], eps=1.0) | change
    with pytest.raises(ValueError, match=message):
        criticality.measure(KEY, loss, **call)
    if "module" in change or "initial" in change:
        with pytest.raises(ValueError, match=message):
            criticality.reset(loss, call["initial"], FINAL, call["module"])
