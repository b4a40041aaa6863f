"""The kernel of a GPU makes the steps of the general loop; there is no GPU here: it is interpreted, and lowered."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.signal_noise import fused
from pt_jax.signal_noise.data import span_world
from pt_jax.signal_noise.network import Inner, Net, readout
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.span import Start
from pt_jax.signal_noise.training import Descent, train
from tests.compiling import jit

STATIC = Static(n1=6, n2=2, m=3, steps1=40)
POINT = Point(d=30, n1=5, n2=2, m=2, lr1=0.5, steps1=30, init_scale=0.2, u=1.0, v1=1.0, sigma1=0.7, flip1=0.2)
START = Start(jnp.zeros((2, 40, 9)), Inner(jnp.zeros((1, 2, 40)), jnp.zeros((64, 2, 40))), None, jnp.zeros((64, 64)), 0)


def two(lr, steps):
    """Train two networks on one task, the first with every second unit frozen, with padding in n, m and steps."""
    world = span_world(jax.random.key(3), POINT, STATIC)
    nets = jax.tree.map(lambda *x: jnp.stack(x), world.upstream, world.fresh)
    ratio = jnp.stack([jnp.arange(6) % 2, jnp.ones(6)])[..., None]
    descent = Descent(lr, Net(ratio, jnp.ones((2, 6))), steps)
    return train(jax.random.key(0), nets, world.task1, descent, readout(POINT.m, 3), STATIC.steps1, STATIC)


def test_the_kernel_makes_the_steps_of_the_general_loop(monkeypatch):
    def lanes():  # as in a sweep, each value along its own axis; jax keeps what it traced of one function
        return jax.vmap(jax.vmap(lambda *x: two(*x), (0, None)), (None, 0))

    values = np.array([0.5, 1.5]), np.array([30.0, 7.0, 0.0])
    with jax.enable_x64(True):
        expected = jax.device_get(jit(lanes())(*values))
        monkeypatch.setattr(fused, "fits", lambda *_: True)
        monkeypatch.setattr(fused, "descend", partial(fused.descend, interpret=True))
        jaxpr = str(jax.make_jaxpr(lanes())(*values))
        found = jax.device_get(jit(lanes())(*values))
    assert "pallas_call" in jaxpr and "length=40" not in jaxpr
    # Roundings in float64 of 30 steps; numbers are of size 0.01 to 10.
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-13), found, expected)
    assert not np.array_equal(found.loss[0], found.loss[1])  # the steps differ


@pytest.mark.long
def test_its_derivatives_are_those_of_the_general_loop(monkeypatch):
    def slope():
        return float(jit(jax.grad(lambda lr: jnp.sum(two(lr, 7.0).rho)))(0.5))

    with jax.enable_x64(True):
        expected = slope()
        monkeypatch.setattr(fused, "fits", lambda *_: True)
        monkeypatch.setattr(fused, "descend", partial(fused.descend, interpret=True))
        assert slope() == pytest.approx(expected, rel=1e-10)  # roundings in float64
    assert abs(expected) > 0.1


@pytest.mark.parametrize(
    ("changed", "rules", "size", "taken"),
    [
        ({}, {}, None, True),
        ({}, {"momentum": 0.9}, None, False),
        ({}, {}, 10, False),
        ({"activation": "gelu"}, {}, None, False),
        ({"activation": "relu^2"}, {}, None, False),
        ({"loss": "squared"}, {}, None, False),
        ({"schedule": "cosine"}, {}, None, False),
        ({"model": "mlp"}, {}, None, False),
        ({"data": "xor"}, {}, None, False),
        ({"data2": "three_patches"}, {}, None, False),
        ({"noise": "isotropic"}, {}, None, False),
        ({"noisy": "all"}, {}, None, False),
        ({"bias": True}, {}, None, False),
        ({"record": (0, 5)}, {}, None, False),
        ({"engine": "dense", "optimizer": "adam"}, {}, None, False),
    ],
)
def test_what_the_kernel_does_not_know_goes_through_the_loop(monkeypatch, changed, rules, size, taken):
    assert not fused.fits(START, {}, None, Static())  # there is no GPU
    monkeypatch.setattr(fused, "_has_tensor_cores", lambda: True)
    assert fused.fits(START, rules, size, replace(Static(), **changed)) == taken
    many = START._replace(inner=Inner(*(jnp.zeros((65, 2, 40)),) * 2))
    wide = START._replace(inner=Inner(*(jnp.zeros((64, 2, 65)),) * 2))
    assert not fused.fits(many, {}, None, Static()) and not fused.fits(wide, {}, None, Static())


def test_it_lowers_to_a_kernel_for_an_nvidia_gpu(monkeypatch):
    monkeypatch.setattr(fused, "_has_tensor_cores", lambda: True)
    with _as_on_a_gpu():
        lowered = (
            jax.jit(jax.vmap(two, (0, None))).trace(np.ones(3, np.float32), 30.0).lower(lowering_platforms=("cuda",))
        )
    text = lowered.as_text()
    assert text.count("triton") >= 1 and "stablehlo.while" not in text.partition("triton")[2]


def _as_on_a_gpu():
    """Newer versions of jax ask which GPU a kernel is for."""
    if not hasattr(jax.sharding, "AbstractDevice"):
        return nullcontext()
    try:
        card = jax.sharding.AbstractDevice(device_kind="NVIDIA H100 80GB HBM3", num_cores=132, platform="gpu")
    except TypeError:  # of a version that does not ask
        return nullcontext()
    return jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((1,), ("x",), abstract_device=card))
