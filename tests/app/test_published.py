"""What stands behind published experiments: the models of `sims/parts` against the plain ones, in full matrices."""

import sys
from importlib import import_module
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pt_jax
from pt_jax.signal_noise.data import span_world
from tests.compiling import jit

SIMS = Path(__file__).parents[2] / "sims"


@pytest.fixture
def part(monkeypatch):
    """Import a module of `sims/parts` by name."""
    monkeypatch.setattr(sys, "path", [str(SIMS), *sys.path])
    return lambda name: import_module(f"parts.{name}")


def matrix(samples):
    """X / sqrt(n) of samples that are kept as two diagonals."""
    return np.diag(samples.diagonal) + np.diag(np.asarray(samples.right)[:-1], 1)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_deep_linear_network_is_followed_by_one_vector_and_one_number(part, fresh):
    linear = part("deep_linear")
    d, lr, steps, rng = 12, 0.05, 400, np.random.default_rng(0)
    samples = linear.sample(jax.random.key(1), 30.0, 0.2, d)
    x, noise = matrix(samples).astype(float), np.asarray(samples.noise, float)
    beta = rng.normal(size=d) / d**0.5
    w = linear.START * rng.normal(size=d)
    hidden = linear.START * rng.normal(size=(d, d)) / d**0.5
    v = w / np.linalg.norm(w)
    if not fresh:
        hidden, w = hidden + np.outer(np.eye(d)[0], v), w + v
    a, c = linear.descend(samples, jnp.array(beta), jnp.array(hidden @ v), jnp.array(w @ v), lr, steps, -1.0)
    for _ in range(steps):
        pull = x.T @ (noise + x @ (beta - hidden @ w))
        hidden, w = hidden + 2 * lr * np.outer(pull, w), w + 2 * lr * hidden.T @ pull
    assert np.linalg.norm(hidden @ w) > 0.5  # it has learned
    np.testing.assert_allclose(c * a, hidden @ w, atol=2e-4)  # of the size of the start, and float32


@pytest.mark.parametrize("n", [5.0, 12.0, 40.0])
def test_samples_in_two_diagonals_have_the_law_of_gaussian_ones(part, n):
    d, linear = 12, part("deep_linear")
    keys = jax.random.split(jax.random.key(2), 4000)
    drawn = jax.device_get(jax.jit(jax.vmap(lambda key, n: linear.sample(key, n, 0.0, d), (0, None)))(keys, n))
    grams = [x.T @ x for x in map(matrix, (jax.tree.map(lambda y, i=i: y[i], drawn) for i in range(4000)))]
    close([np.trace(s @ s) for s in grams], d * (1 + (d + 1) / n))
    close([s[0, 0] ** 2 for s in grams], 1 + 2 / n)  # the first vector is one of one's choice


def test_a_training_ends_at_the_first_check_within_the_tolerance(part):
    linear, d = part("deep_linear"), 8
    samples = linear.Samples(jnp.ones(d), jnp.zeros(d), jnp.zeros(d))  # the population: the loss is the error
    first = jnp.zeros(d).at[0].set(1.0)

    def error(steps, tolerance=-1.0):
        a, c = linear.descend(samples, first, linear.START * first, jnp.array(linear.START), 0.01, steps, tolerance)
        return float(jnp.sum((first - c * a) ** 2))

    checks = [error(steps) for steps in range(500, 1000, linear.CHECK)]
    assert error(10_000, 1e-3) == next(x for x in checks if x <= 1e-3) > checks[-1]


def test_all_epochs_at_once_are_those_of_gradient_descent(part):
    continual, rng = part("continual"), np.random.default_rng(3)
    rows, rate, hold, ridge, epochs = 200, 0.01, 0.7, 3.0, 100
    read, kept = rng.normal(size=(2, rows, continual.LATENT)) / continual.LATENT**0.5
    changed = read * (rng.random(rows) < 0.6)[:, None]
    b = rng.normal(size=(continual.OUTPUTS, continual.LATENT))
    start = w = rng.normal(size=(continual.OUTPUTS, rows)) * 0.1
    found = continual.fit(*map(jnp.array, (w, b, read, changed, kept)), hold, ridge, rate, epochs)
    for _ in range(epochs):
        w = w + rate * ((b - w @ read) @ changed.T - hold * (w - start) @ kept @ kept.T - ridge * (w - start))
    np.testing.assert_allclose(found, w, atol=1e-5)
    assert np.abs(w - start).max() > 0.1  # it has learned


@pytest.mark.parametrize("rows", [4.0, 40.0])
def test_a_triangle_has_the_law_of_its_rows(part, rows):
    width = 6
    keys = jax.random.split(jax.random.key(4), 4000)
    drawn = np.asarray(jax.vmap(lambda key: part("continual").triangle(key, rows, width))(keys))
    close([np.trace(r.T @ r @ r.T @ r) for r in drawn], rows * width * (rows + width + 1))
    close(drawn[:, 0, 1] ** 2, 1.0)


def test_rows_are_parted_as_if_they_had_been_drawn_apart(part):
    continual, width, some, others = part("continual"), 6, 20.0, 40.0

    def draw(key):
        a, b, c = jax.random.split(key, 3)
        whole = continual.triangle(a, some + others, width)
        kinds = continual.triangle(b, some, width), continual.triangle(c, others, width)
        return whole, continual.parted(*kinds, whole, some + others)

    whole, parts = jax.vmap(draw)(jax.random.split(jax.random.key(5), 4000))
    first, second = (np.einsum("nij,nik->njk", x, x) for x in map(np.asarray, parts))
    np.testing.assert_allclose(first + second, np.einsum("nij,nik->njk", whole, whole), rtol=1e-3, atol=1e-3)
    close(np.trace(first @ first, axis1=1, axis2=2), some * width * (some + width + 1))
    close(np.trace(first @ second, axis1=1, axis2=2), some * others * width)  # independent


def test_training_until_fitted_is_gradient_descent_on_the_vectors(part):
    leaky = part("leaky")
    point = pt_jax.Point(d=25, n2=12, m=4, u=0.6, v2=0.0, sigma2=0.2, flip2=0.2, lr2=0.01, steps2=5000, init_scale=0.03)
    options = {"data": "one_patch", "n_test": 50, "rules": ()}
    static = pt_jax.Static.covering(point, model=(leaky.nothing, leaky.alternating), **options)
    key = jax.random.key(4)
    own = jax.random.fold_in(key, 25)
    arrays = jax.tree.map(jnp.asarray, point)
    world = jit(lambda key, point: span_world(key, point, static, alone=True))(own, arrays)
    x = world.task2.coefficients[:, 0] @ world.task2.signals + world.task2.noise
    y, w = world.task2.seen, world.fresh.weights

    @jax.jit
    def margins(w):
        h = x @ w.T
        return y * jnp.sum(jnp.where(h > 0, h, 0.1 * h) * jnp.array([1.0, -1.0] * 4), axis=1)

    slope, steps = jax.jit(jax.grad(lambda w: jnp.mean(jnp.maximum(0.0, 1 - margins(w))))), 0
    while (margins(w) <= 0).any():
        w, steps = w - 0.01 * slope(w), steps + 1
    found = jit(leaky.until_fitted, static_argnums=2)(key, arrays, static)
    assert steps > 10 and found.steps == steps and not found.diverged


def test_an_unknown_method_is_refused(part):
    with pytest.raises(ValueError, match=r"method = 'gate' is not accepted: use one of none, activity"):
        part("continual").Static("gate")


def close(values, expected):
    """Whether a mean is as expected; by luck it is beyond 4.5 standard errors once in 100,000 times."""
    values = np.asarray(values)
    assert abs(values.mean() - expected) < 4.5 * values.std(ddof=1) / len(values) ** 0.5
