"""Networks above the first layer: their formulas, what belongs to a unit, and what is inherited."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.signal_noise import inherit
from pt_jax.signal_noise.models import by_unit, model_of, spread
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.trajectory import simulate
from tests.compiling import jit

M = 3
H = np.random.default_rng(0).normal(size=(5, 2, 2 * M)).astype(np.float32)
SECOND = readout(jnp.array(float(M)), M)


def applied(static, seed=0):
    model = model_of(static)
    upper = model.init(jax.random.key(seed), SECOND)
    h = H if model.project is None else H @ model.project(upper)
    return upper, np.asarray(model.apply(upper, jnp.asarray(h), SECOND))


def relu(x):
    return np.maximum(x, 0)


def test_mlp_is_its_formula():
    upper, f = applied(Static(m=M, model="mlp", hidden=(4, 7)))
    first, second = upper["units"], upper["inner"][0]
    upper["bias"] = [np.linspace(-1, 1, 4), np.linspace(1, 2, 7)]
    f = model_of(Static(m=M, model="mlp", hidden=(4, 7))).apply(upper, jnp.asarray(H), SECOND)
    expected = relu(relu(relu(H).sum(1) @ first + upper["bias"][0]) @ second + upper["bias"][1]) @ upper["last"]
    np.testing.assert_allclose(f, expected, rtol=1e-4, atol=1e-5)  # float32
    # He: variance 2 / fan-in, of 24 and 28 entries. 6 standard errors of a variance, sqrt(2 / count).
    for weights, fan_in in ((first, 2 * M), (second, 4)):
        assert abs(np.var(weights) * fan_in / 2 - 1) < 6 * np.sqrt(2 / weights.size)


def test_attention_is_its_formula():
    upper, f = applied(Static(m=M, model="attention"))
    query, value = np.asarray(upper["query"])[::2], np.asarray(upper["value"])[1::2]
    np.testing.assert_allclose(query, 1 / np.sqrt(M), rtol=1e-6)
    np.testing.assert_allclose(value, 1 / M, rtol=1e-6)
    score = np.exp(H[..., ::2] @ query)
    weight = score / score.sum(1, keepdims=True)
    np.testing.assert_allclose(f, np.einsum("np,npf,f->n", weight, H[..., 1::2], value), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", ["cnn", "cnn_trained"])
def test_a_cnn_of_k_classes_gives_each_unit_one_class(model):
    static = Static(m=M, model=model, data="classes", classes=3)
    _, f = applied(static)
    expected = np.stack([relu(H).sum(1)[:, c::3].sum(1) for c in range(3)], 1) / (2 * M / 3)
    np.testing.assert_allclose(f, expected, rtol=1e-5)


class Flat(nn.Module):
    @nn.compact
    def __call__(self, h):
        h = nn.relu(nn.Dense(2 * M)(h.reshape(len(h), -1)))
        return nn.Dense(1)(h)[:, 0]


def test_what_belongs_to_a_unit_is_found_also_where_other_widths_are_the_same():
    assert by_unit(Static(m=M, model="cnn")) == () and by_unit(Static(m=M, model="cnn_trained")) == 1
    rows = by_unit(Static(m=M, model="mlp", hidden=(2 * M,)))
    assert rows == {"units": 1, "inner": [], "bias": [0], "last": 0}
    rows = by_unit(Static(m=M, model=Flat()))["params"]
    assert rows == {"Dense_0": {"kernel": 2, "bias": 0}, "Dense_1": {"kernel": 0, "bias": 0}}
    kernel = jnp.zeros((4 * M, 5))
    np.testing.assert_array_equal(spread(jnp.arange(6), 2, kernel, otherwise=0)[:, 0], [*range(6), *range(6)])


@pytest.mark.parametrize(("upper", "share"), [("fresh", (0, 0)), ("whole", (1, 1)), ("units", (0.5, 0))])
def test_above_the_first_layer_that_is_inherited_which_upper_names(upper, share):
    static = Static(m=4, model="mlp", upper=upper)
    net = Net(jnp.zeros((8, 5)), jnp.zeros(8), model_of(static).init(jax.random.key(0), readout(jnp.array(4.0), 4)))
    nothing = jnp.zeros(8)
    taken = inherit.choice(jax.random.key(1), 0.5, 4, net, nothing, nothing, static)
    taken = jax.tree.map(jnp.broadcast_to, taken, jax.tree.map(jnp.shape, net, is_leaf=lambda x: x is None))
    units, last = taken.upper["units"], taken.upper["last"]
    assert (units.mean(), last.mean()) == share
    if upper == "units":
        np.testing.assert_array_equal(units.all(1), taken.bias)


def test_single_weights_are_inherited_above_the_first_layer_too():
    """Of 800 entries a share of 0.25: 5 standard errors, 0.077, by luck 6e-7."""

    def taken(m, alpha):
        static = Static(m=m, model="mlp", inherit="weights", engine="dense", hidden=(100,))
        net = Net(jnp.zeros((2 * m, 5)), jnp.zeros(2 * m), model_of(static).init(jax.random.key(0), jnp.ones(2 * m)))
        return inherit.choice(jax.random.key(1), alpha, 4, net, jnp.zeros(2 * m), jnp.zeros(2 * m), static).upper

    few, more = taken(4, 0.25), taken(4, 0.5)
    assert abs(few["units"].mean() - 0.25) < 0.077 and not few["last"].any()
    assert np.all(few["units"] <= more["units"]) and not taken(4, 0.0)["units"].any()
    np.testing.assert_array_equal(taken(6, 0.25)["units"][:8], few["units"])


@pytest.mark.long
def test_a_frozen_body_under_a_fresh_head_trains_the_head_alone():
    point = Point(d=60, n1=12, n2=10, m=3, steps1=20, steps2=20, alpha=1.0, lr_ratio=0.0, init_scale=0.1)
    static = Static.covering(point, model="mlp", upper="fresh", n_test=64)
    run = jit(simulate, static_argnums=2)
    found = run(jax.random.key(0), jax.tree.map(float, point), static)
    body = [getattr(found, name) - getattr(found, f"{name}_upstream") for name in ("signal_u", "signal_v1")]
    np.testing.assert_allclose(body, 0, atol=1e-6)
    start = run(jax.random.key(0), jax.tree.map(float, point._replace(steps2=0)), static)
    assert found.rho == 0 and found.loss < start.loss


BAD = {
    "name": ("cnnn", "use cnn, cnn_trained, mlp, attention, or"),
    "one function": (lambda key, units: (), "use cnn, "),
    "class": (nn.Dense, "use cnn, "),
    "three": ((len, len, len), "use cnn, "),
    "numbers": ((1, 2), "use cnn, "),
    "shape": ((lambda key, units: (), lambda upper, h: h), r"it returns \(3, 2, 6\) for 3 samples"),
    "raises": ((lambda key, units: {}, lambda upper, h: upper["a"]), "'a'"),
    "batch": ((lambda key, units: (), lambda upper, h: h.sum((1, 2)) - h.mean()), "depends on the other samples"),
    "whole": ((lambda key, units: jnp.arange(3), lambda upper, h: h.sum((1, 2))), "no array of real numbers"),
    "state": (nn.Sequential([nn.BatchNorm(use_running_average=True), lambda h: h.sum((1, 2))]), "batch_stats"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_network_is_refused_in_a_sentence(name):
    model, said = BAD[name]
    point = Point(d=20, n1=4, n2=4, m=M, steps1=2, steps2=2)
    with pytest.raises(ValueError, match=said) as caught:
        simulate(jax.random.key(0), point, Static.covering(point, model=model))
    assert str(caught.value).startswith("model = ") and "\n" not in str(caught.value)


def test_a_network_of_ones_own_needs_the_number_of_its_units():
    point, model = Point(m=2), (lambda key, units: (), lambda upper, h: h.sum((1, 2)))
    with pytest.raises(ValueError, match="m = 2 is not the 3 of Static"):
        simulate(jax.random.key(0), point, replace(Static.covering(point, model=model), m=3))
    assert Static(m=50, model=model).size_class(Point(m=23)).m == 23 and Static(m=50).size_class(Point(m=23)).m == 25
