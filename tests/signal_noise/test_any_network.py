"""Every network, data and rule in coefficients: what R^d gives on the same vectors, to rounding."""

from dataclasses import replace
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.signal_noise import inherit
from pt_jax.signal_noise.data import dense_world
from pt_jax.signal_noise.descent import Descent
from pt_jax.signal_noise.generators import Data
from pt_jax.signal_noise.models import by_unit, spread
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.options import DATA
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.training import train
from tests.compiling import jit

STATIC = Static(
    n1=9, n2=9, m=4, d=40, steps1=60, steps2=60, engine="dense", bias=True, noise="isotropic", hidden=(6, 5)
)
POINT = Point(d=40, n1=9, n2=8, m=4, u=1.0, v1=1.0, v2=1.0, angle=60.0, init_scale=0.3, lr_ratio=0.5, agree2=0.7)
POINT = POINT._replace(spread1=0.5, angle_xor=70.0, spectrum=0.8, lr1=0.2, lr2=0.2, steps1=60, steps2=50)


class Own(nn.Module):
    """A head of somebody's own."""

    @nn.compact
    def __call__(self, h):
        h = nn.gelu(h)
        first = nn.Dense(5, param_dtype=float)  # else drawn in float32
        return jnp.tanh(first(h.reshape(len(h), -1))).sum(1)


def skewed(key, point, task):
    """A sample whose signals are not orthogonal to its noise, and whose label depends on two of them."""
    del point, task
    x = jax.random.normal(key, (3, 4))
    return jnp.where(x[0, 0] * x[1, 1] > 0, 1.0, -1.0), x


OWN_DATA = Data(lambda point, task: jnp.eye(4, 5) * point.u, skewed, (True, False, True), axes=5)
MODELS = {"cnn": "cnn", "cnn_trained": "cnn_trained", "mlp": "mlp", "attention": "attention", "own": Own()}
PLAIN = {"momentum": 0.0, "weight_decay": 0.0, "sam": 0.0, "label_noise": 0.0}
RULES = [PLAIN, PLAIN | {"momentum": 0.9, "weight_decay": 0.1}, PLAIN | {"sam": 0.3}, PLAIN | {"label_noise": 0.2}]
BATCHED = {"schedule": "cosine", "batch": 4}
# Every network with all RULES, which are one program, and in BATCHED, another; between them all data. Every network and
# every rule is in SHORT.
SHORT = [
    ("cnn", "two_patches", "rest", {}),
    ("cnn_trained", "xor", "all", {}),
    ("mlp", "classes", "rest", {}),
    ("attention", "multi_patch", "rest", BATCHED),
    ("own", "own", "rest", {}),
]
LONG = [
    ("cnn", "one_patch", "rest", {}),
    ("cnn", "classes", "all", BATCHED),
    ("cnn_trained", "amplitudes", "rest", BATCHED),
    ("mlp", "three_patches", "all", BATCHED),
    ("attention", "three_patches", "rest", {}),
    ("own", "xor", "all", BATCHED),
]


@partial(jit, static_argnames=("engine", "static"))
def trained(engine, point, rules, static):
    """Train two networks of one task, half of the units of the second at another rate, on vectors of R^d."""
    world, second = dense_world(jax.random.key(7), point, static), readout(point.m, static.m)
    units = inherit.filters(0.5, point.m, jnp.zeros(2 * static.m))
    rates = jnp.stack([jnp.ones(2 * static.m), jnp.where(units, point.lr_ratio, 1.0)])
    nets = jax.tree.map(lambda *x: jnp.stack(x), world.upstream, world.fresh)
    upper = jax.vmap(lambda rate, net: spread(rate, by_unit(static), net.upper, otherwise=1.0))(rates, nets)
    descent = Descent(point.lr2, Net(rates[..., None], rates, upper), point.steps2, rules)
    static = replace(static, engine=engine)
    found = train(jax.random.key(0), nets, world.task2, descent, second, 60, static, 2)
    return found._replace(gamma=None, rho=None)  # a fit in R^d, which takes long to compile


def assert_alike(static, rules=PLAIN):
    with jax.enable_x64(True):
        point = Point(*(jnp.asarray(float(leaf)) for leaf in POINT))
        a, b = (jax.device_get(trained(engine, point, rules, static)) for engine in ("span", "dense"))
    assert np.all(b.loss < 0.99 * b.loss_start) and not b.diverged.any() and np.any(b.net.bias) == static.bias
    # The same sums in another order: rounding, relative to the largest parameter of each array.
    for one, two in zip(jax.tree.leaves(a.net), jax.tree.leaves(b.net), strict=True):
        assert np.max(np.abs(one - two)) <= 1e-12 * np.max(np.abs(two))
    assert np.all(np.abs(a.loss - b.loss) <= 1e-12 * b.loss_start)


@pytest.mark.parametrize(
    ("model", "data", "noisy", "options"),
    [
        pytest.param(*pair, id="-".join((*pair[:3], *pair[3])), marks=[pytest.mark.long] if pair in LONG else [])
        for pair in SHORT + LONG
    ],
)
def test_span_equals_dense_for_every_network_rule_and_data(model, data, noisy, options):
    noise = "power" if noisy == "all" else "projected" if data == "own" else "isotropic"
    data = OWN_DATA if data == "own" else data
    static = replace(STATIC, model=MODELS[model], data=data, noisy=noisy, noise=noise, nesterov=True, **options)
    for rules in RULES:
        assert_alike(static, rules)


def test_the_pairs_have_every_network_with_every_rule_and_all_data():
    assert {(model, bool(options)) for model, _, _, options in SHORT + LONG} == {
        (m, b) for m in MODELS for b in (True, False)
    }
    assert {data for _, data, *_ in SHORT + LONG} == {*DATA, "own"}


def mixed(key, point, task):
    y = jnp.where(jax.random.bernoulli(key), 1, -1)  # whole numbers do
    return y, jnp.stack([y, 0])[:, None]


@pytest.mark.long
def test_span_equals_dense_on_data_of_somebody():
    loud = OWN_DATA._replace(quiet=lambda point, task: jnp.eye(1, 5))
    assert_alike(replace(STATIC, data=loud, noise="projected", bias=False))


@pytest.mark.long
def test_span_equals_dense_where_task_2_has_data_of_somebody():
    usual = Data(lambda point, task: jnp.eye(1, 3), lambda *_: (1.0, jnp.ones((2, 1))), (False, True))
    second = usual._replace(quiet=lambda point, task: jnp.zeros((1, 3)), sample=mixed)
    assert_alike(replace(STATIC, data="two_patches", data2=second, noise="projected", bias=False))


def test_the_quick_step_of_the_default_network_is_the_general_one():
    default = replace(STATIC, data="two_patches", nesterov=True)  # a program that another test has, too
    pair = (lambda key, units: jnp.zeros(0), lambda upper, h: jax.nn.relu(h).sum(1) @ readout(jnp.array(4.0), 4))
    with jax.enable_x64(True):
        point = Point(*(jnp.asarray(float(leaf)) for leaf in POINT))
        a, b = (jax.device_get(trained("span", point, PLAIN, replace(default, model=model))) for model in ("cnn", pair))
    assert np.max(np.abs(a.net.weights - b.net.weights)) <= 1e-12 * np.max(np.abs(b.net.weights))
