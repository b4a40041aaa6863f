"""The span engine against gradient descent in R^d written out in NumPy."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.signal_noise.data import dense_world
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.training import Descent
from tests.compiling import jit
from tests.signal_noise.cases import train_one, unit

STATIC = Static(n1=6, n2=2, m=3, d=12, steps1=40, engine="dense", init="uniform")
POINT = Point(d=12, n1=5, n2=2, m=2, lr1=0.5, steps1=30, init_scale=0.2, u=1.0, v1=1.0, sigma1=0.7, flip1=0.2)


@partial(jit, static_argnames="static")
def train(point, ratio, static):
    """Return the draws of task 1 and the upstream run on them, with padding in n, m and steps."""
    world = dense_world(jax.random.key(4), point, static)
    descent = Descent(point.lr1, ratio, point.steps1)
    second = readout(point.m, static.m)
    return world, train_one(world.upstream, world.task1, descent, second, static.steps1, replace(static, engine="span"))


def numpy_descent(net, task, point, bias):
    """Gradient descent on mean softplus(-yhat f), filter by filter and sample by sample."""
    w, b = np.array(net.weights), np.array(net.bias)
    c_mu, c = np.zeros(2 * point.m), np.zeros((point.n1, 2 * point.m))
    signs = [1, -1] * point.m

    def f(i):
        patches = (task.label[i] * task.mu, task.noise[i])
        return sum(s / point.m * max(w[r] @ x + b[r], 0) for r, s in enumerate(signs) for x in patches)

    def loss():
        return np.mean([np.log1p(np.exp(-task.seen[i] * f(i))) for i in range(point.n1)])

    start = loss()
    for _ in range(point.steps1):
        dw, db = np.zeros_like(w), np.zeros_like(b)
        for i in range(point.n1):
            slope = -task.seen[i] / (1 + np.exp(task.seen[i] * f(i))) / point.n1
            for r, sign in enumerate(signs):
                if task.label[i] * (w[r] @ task.mu) + b[r] > 0:
                    dw[r] += slope * sign / point.m * task.label[i] * task.mu
                    db[r] += slope * sign / point.m
                    c_mu[r] -= point.lr1 * slope * sign / point.m * task.label[i]
                if w[r] @ task.noise[i] + b[r] > 0:
                    dw[r] += slope * sign / point.m * task.noise[i]
                    db[r] += slope * sign / point.m
                    c[i, r] -= point.lr1 * slope * sign / point.m
        w -= point.lr1 * dw
        b -= point.lr1 * db * bias
    gamma = signs * c_mu * (task.mu @ task.mu)
    rho = c * np.sum(task.noise**2, axis=1)[:, None]
    return w, b, start, loss(), gamma, rho


OTHER = [pytest.param(*one, marks=pytest.mark.long) for one in (("projected", True), ("isotropic", False))]


@pytest.mark.parametrize(("noise", "bias"), [("projected", False), ("isotropic", True), *OTHER])
def test_training_equals_loops_in_numpy(bias, noise):
    static = replace(STATIC, bias=bias, noise=noise)
    with jax.enable_x64(True):
        world, trained = jax.device_get(train(jax.tree.map(float, POINT), unit(static), static))
    used, n = 2 * POINT.m, POINT.n1
    net = Net(world.upstream.weights[:used], world.upstream.bias[:used])
    task = world.task1._replace(noise=world.task1.noise[:n])
    w, b, start, end, gamma, rho = numpy_descent(net, task, POINT, bias)
    # float64 roundings of 30 steps, relative to numbers of size 0.1 to 10.
    close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
    close(trained.net.weights[:used], w)
    close(trained.net.bias[:used], b)
    close(trained.loss_start, start)
    close(trained.loss, end)
    close(trained.gamma[:used], gamma)
    close(trained.rho[:n, :used], rho)
    # It has learned something, and the padding nothing.
    assert end < 0.9 * start and np.all(trained.gamma[used:] == 0) and np.all(trained.rho[n:] == 0)


def test_frozen_filters_stay_exactly_as_they_were():
    static = replace(STATIC, bias=True)
    ratio = Net(jnp.array([1.0, 0.0] * static.m)[:, None], jnp.array([1.0, 0.0] * static.m))
    world, trained = train(jax.tree.map(float, POINT), ratio, static)
    frozen, moved = slice(1, 2 * POINT.m, 2), slice(0, 2 * POINT.m, 2)
    np.testing.assert_array_equal(trained.net.weights[frozen], world.upstream.weights[frozen])
    np.testing.assert_array_equal(trained.net.bias[frozen], world.upstream.bias[frozen])
    assert np.all(np.any(trained.net.weights[moved] != world.upstream.weights[moved], axis=1))


def test_a_filter_with_no_active_unit_does_not_move():
    # relu'(0) = 0: weights and biases of 0 never start to learn.
    static = replace(STATIC, bias=True)
    world, trained = train(jax.tree.map(float, POINT._replace(init_scale=0.0)), unit(static), static)
    assert np.any(world.task1.noise) and not np.any(world.upstream.weights) and not np.any(world.upstream.bias)
    assert not np.any(trained.net.weights) and not np.any(trained.net.bias)
    # softplus(0) in float32.
    np.testing.assert_allclose(trained.loss, np.log(2), rtol=1e-6)
