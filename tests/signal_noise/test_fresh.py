"""The test error of any network: against test data in R^d, against the other estimator, and its standard error."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.signal_noise import fresh, risk
from pt_jax.signal_noise.data import dense_world
from pt_jax.signal_noise.models import model_of
from pt_jax.signal_noise.network import readout
from pt_jax.signal_noise.point import Point, Static
from tests.compiling import jit

D, M = 12, 3
STATIC = Static(n1=4, n2=4, m=M, d=D, engine="dense", bias=True, init="uniform", n_test=4096)
POINT = Point(d=D, n1=4, n2=4, m=M, u=1.0, v1=1.0, v2=1.5, angle=60.0, sigma2=0.7, init_scale=0.6, agree2=0.8)
POINT = POINT._replace(spread2=0.5, angle_xor=50.0, spectrum=1.0)
LAWS = {
    "mlp, noise on all": {"model": "mlp", "data": "three_patches", "noisy": "all", "noise": "isotropic"},
    "attention, spectrum": {"model": "attention", "data": "multi_patch", "noise": "power"},
    "classes": {"model": "cnn_trained", "data": "classes"},
    "xor": {"model": "mlp", "data": "xor"},
}


@partial(jit, static_argnames="static")
def drawn(seed, static):
    point = Point(*(jnp.asarray(leaf, float) for leaf in POINT))
    return dense_world(jax.random.key(seed), point, static), point


@partial(jit, static_argnames="static")
def estimated(seed, net, task, point, static):
    samples = fresh.samples(jax.random.key(seed), point, 2, static)
    return samples, fresh.wrong(samples, net, task, readout(point.m, static.m), static)


LONG = [pytest.param(law, marks=pytest.mark.long) for law in ("classes", "xor", "attention, spectrum")]


@pytest.mark.parametrize("law", ["mlp, noise on all", *LONG])
def test_error_equals_that_of_test_data_in_r_d(law):
    static = replace(STATIC, **LAWS[law])
    world, point = drawn(5, static)
    net, task = world.fresh, world.task2
    found = [estimated(seed, net, task, point, static) for seed in range(16)]
    wrong = np.concatenate([x for _, x in found])
    samples = jax.tree.map(lambda *x: np.concatenate(x), *(x for x, _ in found))
    # The same coefficients with other noise, drawn in R^d from its law.
    patches, rng = samples.coefficients @ np.asarray(task.signals), np.random.default_rng(0)
    noise = rng.standard_normal(patches.shape)
    axes = np.asarray(task.quiet)
    if static.noise != "isotropic":
        noise[..., : axes.shape[1]] -= noise[..., : axes.shape[1]] @ axes.T @ axes
    if static.noise == "power":
        scale = np.arange(1, D - 2) ** -0.5
        noise[..., 3:] *= scale / np.sqrt(np.mean(scale**2))
    carries = {"three_patches": [1, 1, 1], "multi_patch": [0, 1, 1]}.get(static.data, [0, 1])
    patches = patches + 0.7 * noise * np.array(carries)[:, None]
    h = jnp.asarray(patches @ np.asarray(net.weights).T + np.asarray(net.bias))
    model = model_of(static)
    h = h if model.project is None else h @ model.project(net.upper)
    f = np.asarray(model.apply(net.upper, h, readout(point.m, M)))
    expected = (1 - np.sign(f * samples.label)) / 2 if f.ndim == 1 else f.argmax(1) != samples.label
    error = np.sqrt((wrong.var() + expected.var()) / len(wrong))
    # Two shares of 65,536 samples: a standard error of at most 0.0028. 5 of them: by luck 6e-7 each.
    assert 0.05 < expected.mean() < 0.95 and abs(wrong.mean() - expected.mean()) < 5 * error


def test_both_estimators_of_the_default_network_agree():
    static = replace(STATIC, noise="isotropic")
    world, point = drawn(3, static)
    second = readout(point.m, M)
    exact = risk.error(
        risk.directions(jax.random.key(1), replace(static, n_directions=4096)),
        world.fresh, world.task2, second, jax.nn.relu, replace(static, n_directions=4096),
    )  # fmt: skip
    wrong = np.concatenate([estimated(seed, world.fresh, world.task2, point, static)[1] for seed in range(16)])
    # A share of 65,536 samples, standard error 0.002; the other's is below 1e-4. 5 standard errors: by luck 6e-7.
    assert 0.05 < exact < 0.95 and abs(wrong.mean() - exact) < 5 * wrong.std() / np.sqrt(len(wrong))
