"""The test error: against closed forms, against plain Monte Carlo in R^d, and its parts against NumPy."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from pt_jax.signal_noise import risk
from pt_jax.signal_noise.data import Task, dense_world
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.training import Descent
from tests.compiling import jit
from tests.signal_noise.cases import limit, train_one, unit


def task_of(mu, own=(0.0, 1.0, 0.0), sigma=1.0) -> Task:
    """A task without samples: the test error needs its signal, its noise level and its axis."""
    own = jnp.asarray(own)
    empty = {name: jnp.zeros(1) for name in ("noise", "coefficients", "label", "seen", "weight")}
    quiet = jnp.stack([jnp.eye(3)[0], own])
    return Task(jnp.asarray(mu, float)[None], quiet, scale=None, own=own, sigma=jnp.asarray(sigma), **empty)


@partial(jit, static_argnames=("static", "activation", "shifts"))
def estimates(net, task, m, static, activation=jax.nn.relu, shifts=1):
    """Return the test error with each of several random shifts, (shifts,)."""

    def one(seed):
        directions = risk.directions(jax.random.key(seed), static)
        return risk.error(directions, net, task, readout(m, static.m), activation, static)

    return jax.lax.map(one, jnp.arange(shifts), batch_size=min(shifts, 8))


def standard_error(values):
    return np.std(values, ddof=1) / np.sqrt(len(values))


def linear(x):
    return x


ONE = Static(m=1)


@pytest.mark.parametrize("sigma", [0.5, 2.0])
@pytest.mark.parametrize("offset", [0.0, 0.7, -2.0])
def test_a_linear_network_errs_with_the_normal_tail_of_each_label(sigma, offset):
    # f(y) = y S + offset + s t: the two labels differ where there is an offset, given here by the biases.
    net = Net(jnp.array([[0.0, 1.5, 0.3, 0.0, 1.0], [0.5, 0.0, 0.2, 1.0, 0.0]]), jnp.array([offset / 2, 0.0]))
    mu = np.array([0.0, 1.0, 0.0, 0.0, 0.0])
    value = float(estimates(net, task_of(mu, sigma=sigma), 1.0, ONE, linear)[0])
    difference = net.weights[0] - net.weights[1]
    signal, spread = float(difference @ mu), sigma * float(jnp.linalg.norm(difference[2:]))  # e_u and e_v are not seen
    expected = (norm.cdf((-signal - offset) / spread) + norm.cdf((-signal + offset) / spread)) / 2
    # The only error left is where the step falls in a cell of the grid, averaged over n evenly spread shifts: at most
    # twice its jump h phi(c) / n (Koksma-Hlawka), plus float32 rounding.
    assert abs(value - expected) < 2 * 0.25 * norm.pdf(0) / ONE.n_directions + 2e-6


@pytest.mark.parametrize("differentiate", [jax.jacfwd, jax.jacrev])
def test_the_derivative_of_a_linear_network_is_the_normal_density(differentiate):
    net, mu = Net(jnp.array([[0.0, 0.8, 0.3, 0.0, 1.0], [0.0, 0.0, 0.2, 1.0, 0.0]]), jnp.zeros(2)), jnp.eye(5)[1]
    spread = float(jnp.linalg.norm(net.weights[0, 2:] - net.weights[1, 2:]))

    def error(strength, sigma):
        directions = risk.directions(jax.random.key(0), ONE)
        return risk.error(directions, net, task_of(mu * strength, sigma=sigma), readout(1.0, 1), linear, ONE)

    by_signal, by_noise = jit(differentiate(error, (0, 1)))(1.5, 2.0)
    at = 1.5 * 0.8 / (2.0 * spread)  # the error is Phi(-at)
    # phi is taken linear within a cell of the grid: h^2 / 8 of phi'', a percent of phi at most.
    np.testing.assert_allclose(by_signal, -norm.pdf(at) * at / 1.5, rtol=0.01)
    np.testing.assert_allclose(by_noise, norm.pdf(at) * at / 2.0, rtol=0.01)


def test_the_derivative_is_0_where_every_point_is_a_tie_or_none_is_wrong():
    def error(scale):
        net = Net(scale * jnp.array([[0.6, 0.8, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]), jnp.zeros(2))
        directions = risk.directions(jax.random.key(0), ONE)
        return risk.error(directions, net, task_of([0.6, 0.8, 0.0, 0.0]), readout(1.0, 1), jax.nn.relu, ONE)

    slope = jit(jax.grad(error))
    assert slope(1.0) == slope(0.0) == 0


def test_a_network_of_zeros_errs_half_of_the_time():
    net = Net(jnp.zeros((2, 6)), jnp.zeros(2))
    # Every test point is a tie. The weights of the grid sum to 1 up to exp(-2 pi^2 / h^2) and float32 rounding.
    np.testing.assert_allclose(estimates(net, task_of([2.0, 1.0, 0, 0, 0, 0]), 1.0, ONE), 0.5, atol=1e-6)


@pytest.mark.parametrize(("plus", "minus"), [(1.0, 1.0), (2.0, 0.5)])
def test_one_filter_of_each_sign_against_an_integral(plus, minus):
    # Filter + sees S mu and noise g1, filter - sees -T mu and noise g2:
    # y = +1: f = S + relu(a g1) - relu(b g2);   y = -1: -f = T + relu(b g2) - relu(a g1).
    a, b, static = 1.0, 1.5, Static(m=1, n_directions=256)
    net = Net(jnp.array([[0.0, plus, 0.0, a, 0.0], [0.0, -minus, 0.0, 0.0, b]]), jnp.zeros(2))
    values = np.asarray(estimates(net, task_of([0.0, 1.0, 0.0, 0.0, 0.0]), 1.0, static, shifts=200), np.float64)

    def wrong(margin, helping, hurting):
        tail = quad(lambda g: norm.pdf(g) * norm.cdf(-(margin + helping * g) / hurting), 0, np.inf, epsabs=1e-12)[0]
        return norm.cdf(-margin / hurting) / 2 + tail

    expected = (wrong(plus, a, b) + wrong(minus, b, a)) / 2
    # 4.5 standard errors of the mean over 200 shifts (by luck 7e-6), plus float32 rounding.
    assert abs(values.mean() - expected) < 4.5 * standard_error(values) + 1e-6
    assert standard_error(values) < 0.01 * expected


@pytest.mark.parametrize("bias", [0.0, -0.4])
def test_ties_of_a_network_of_two_filters_count_one_half(bias):
    # With y = -1 the signal patch is silent, and both noise units are off on a fourth of the test points or more.
    net = Net(jnp.array([[0.0, 0.9, 0.0, 1.0, 0.0], [0.0, 0.1, 0.0, 0.5, 0.8]]), jnp.full(2, bias))
    static = Static(m=1, n_directions=256, bias=True)
    values = np.asarray(estimates(net, task_of([0.0, 1.0, 0.0, 0.0, 0.0]), 1.0, static, shifts=200), np.float64)
    noise = np.random.default_rng(0).standard_normal((1_000_000, 2)) @ np.asarray(net.weights[:, 3:]).T

    def relu(x):
        return np.maximum(x + bias, 0)

    signal = np.asarray(net.weights[:, 1])
    outcomes = []
    for y in (1, -1):
        f = np.round((relu(y * signal) + relu(noise)) @ [1, -1], 12)
        outcomes.append(np.where(f == 0, 0.5, f * y < 0))
    assert np.mean(outcomes[1] == 0.5) > 0.2
    plain = np.mean(outcomes, axis=0)
    # 4.5 combined standard errors, by luck 7e-6.
    allowed = 4.5 * np.hypot(standard_error(values), standard_error(plain))
    assert abs(values.mean() - plain.mean()) < allowed


@pytest.mark.parametrize(("rank", "x64"), [(12, True), (12, False), (5, True), (5, False), (1, True), (0, True)])
def test_root_of_full_and_singular_gram_matrices(rank, x64):
    vectors = np.random.default_rng(3).normal(size=(12, rank))
    vectors[[4, 7]] = vectors[2] if rank < 12 else vectors[[4, 7]]  # equal rows
    with jax.enable_x64(x64):
        gram = jnp.asarray(vectors @ vectors.T, float)
        factor = np.asarray(jax.jit(risk.root)(gram))
    eps = np.finfo(gram.dtype).eps
    assert np.all(np.triu(factor, 1) == 0) and np.all(np.isfinite(factor))
    # Backward error of Cholesky: a few k eps of the largest entry; a dropped pivot of k eps is as large.
    np.testing.assert_allclose(factor @ factor.T, gram, atol=12 * 12 * eps * max(rank, 1) * 3)
    if rank == 12:
        # Forward error: times the condition number of the matrix.
        allowed = 12 * eps * np.linalg.cond(np.asarray(gram)) * np.max(np.abs(factor))
        np.testing.assert_allclose(factor, np.linalg.cholesky(gram), atol=allowed)


D, TEST_SAMPLES = 100, 1_000_000
TRAINED = Static(n1=40, n2=1, m=8, d=D, steps1=100, engine="dense")
SIGNALS = (2.5, 1.6, 0.8)  # small, medium and large error


@cache
def trained():
    """Three networks trained in R^d, with their task."""

    @jit
    def one(u):
        point = Point(d=D, n1=40, n2=1, m=8, u=u, v1=u, flip1=0.1, lr1=0.2, steps1=100)
        world = dense_world(jax.random.key(11), point, TRAINED)
        descent = Descent(point.lr1, unit(TRAINED), point.steps1)
        second = readout(8.0, 8)
        return train_one(world.upstream, world.task1, descent, second, 100, TRAINED).net, world.task1

    return [one(u) for u in SIGNALS]


@cache
def plain_monte_carlo():
    """Return mean and standard error of the share of wrong answers on clean test points in R^d, of each network."""
    rng, done = np.random.default_rng(12), []
    nets = [(np.asarray(net.weights), np.asarray(task.mu)) for net, task in trained()]
    stacked = np.concatenate([weights for weights, _ in nets])
    second = np.asarray(readout(8.0, 8))
    for _ in range(TEST_SAMPLES // 20_000):
        noise = rng.standard_normal((20_000, D), dtype=np.float32)
        noise[:, :2] = 0.0  # H projects out e_u and e_1
        label = np.where(rng.random(20_000) < 0.5, -1, 1)
        products = np.split(noise @ stacked.T, len(nets), axis=1)
        row = []
        for (weights, mu), product in zip(nets, products, strict=True):
            signal = np.maximum(np.outer(label, weights @ mu), 0)
            f = (signal + np.maximum(product, 0)) @ second
            row.append(np.where(f == 0, 0.5, f * label < 0))
        done.append(row)
    wrong = np.concatenate(done, axis=1)
    return wrong.mean(axis=1), wrong.std(axis=1) / np.sqrt(TEST_SAMPLES)


@pytest.mark.parametrize("number", [0, *(pytest.param(i, marks=pytest.mark.long) for i in (1, 2))])
def test_error_equals_plain_monte_carlo_in_d_dimensions(number):
    means, errors = (x[number] for x in plain_monte_carlo())
    net, task = trained()[number]
    values = np.asarray(estimates(net, task, 8.0, TRAINED, shifts=64), np.float64)
    # Small, medium and large error, so that all three regimes are seen.
    assert ((0.0005, 0.02), (0.02, 0.15), (0.15, 0.45))[number][0] < means
    assert means < ((0.0005, 0.02), (0.02, 0.15), (0.15, 0.45))[number][1]
    # 4 combined standard errors: by luck 6e-5 for each network, with fixed seeds.
    assert abs(values.mean() - means) < 4 * np.hypot(errors, standard_error(values))


@pytest.mark.parametrize("n_directions", [1, 16])
def test_error_is_unbiased_at_any_number_of_directions(n_directions):
    net, task = trained()[1]

    def many(n, shifts):
        static = Static(n1=40, n2=1, m=8, d=D, steps1=100, engine="dense", n_directions=n)
        return np.asarray(estimates(net, task, 8.0, static, shifts=shifts), np.float64)

    few, reference = many(n_directions, 200), many(4096, 8)
    # 4.5 combined standard errors (the reference's from 8 shifts is a tenth of the other or less): by luck 7e-6.
    allowed = limit(7e-6, 1) * np.hypot(standard_error(few), standard_error(reference))
    assert abs(few.mean() - reference.mean()) < allowed
    assert standard_error(reference) < 0.2 * standard_error(few)


def test_directions_are_standard_normal_and_do_not_depend_on_the_padding():
    small, large = (risk.directions(jax.random.key(1), Static(m=m, n_directions=64)) for m in (3, 6))
    # The last numbers of a row fill no vector, and may be rounded otherwise (jax 0.11): a few units of float32.
    np.testing.assert_allclose(small.z, large.z[:, :6], rtol=1e-6)
    np.testing.assert_array_equal(small.t, large.t)
    # Randomly shifted Sobol points: in each coordinate one point in each of 64 equal cells, so the ranks are exact.
    cells = np.sort(np.floor(norm.cdf(np.asarray(large.z, np.float64)) * 64).astype(int), axis=0)
    np.testing.assert_array_equal(cells, np.arange(64)[:, None].repeat(12, axis=1))


def test_noise_level_and_projection_enter_the_error():
    # A filter along e_u and e_v alone sees no noise where noise is projected, and sees it where it is isotropic.
    net = Net(jnp.array([[0.6, 0.8, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]), jnp.zeros(2))
    task = task_of([0.6, 0.8, 0.0, 0.0], sigma=2.0)
    # y = +1: f = 1, never wrong; y = -1: f = relu(signal = -1) = 0, a tie.
    np.testing.assert_allclose(estimates(net, task, 1.0, ONE)[0], 0.25, atol=1e-6)
    isotropic = estimates(net, task, 1.0, Static(m=1, noise="isotropic"))[0]
    # y = -1 with noise: wrong half of the time, a tie in the other half: (0 + 3/4) / 2, by the grid to 1 / n.
    np.testing.assert_allclose(isotropic, 0.375, atol=2 * 0.25 * norm.pdf(0) / ONE.n_directions)
