"""Whole sweeps of both worlds lower for GPUs and TPUs, on a machine without one, to plain operations in float32.

No custom call is among them: it would be a callback into Python or a solver as those of LAPACK. There is not even one
that says where an array lies: jax writes this in operations of its own (sdy).
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pt_jax
from pt_jax.signal_noise.point import Point, Static
from pt_jax.sweep import lanes
from pt_jax.vision.point import Static as Images
from pt_jax.vision.transfer import transfer
from tests.vision.pairs import PAIR
from tests.vision.pairs import POINT as TRANSFER

LONG = pytest.mark.long
AXES = {"alpha": [0.0, 1.0]}  # beside the seeds
PLATFORMS = ("cuda", "rocm", "tpu")
REFUSED = {
    "a custom call": r"custom_call[ @(]",
    "a solver": r"stablehlo\.(cholesky|triangular_solve)\b",  # one that XLA makes itself, where there is no custom call
    "float64": r"tensor<(\d+x)*(f64|complex)",
}
SIZES = Point(d=50, n1=8, n2=8, m=3, steps1=5, steps2=5)
RULES = {name + task: 0.1 for name in ("sam", "label_noise", "momentum", "weight_decay") for task in "12"}
NETWORKS = {  # all results of the default network; of the others the gain, which needs all that is trained
    "cnn": (SIZES, Static(n_directions=16), None),
    "cnn_trained": (SIZES._replace(**RULES), Static(model="cnn_trained", n_directions=16), ("gain",)),
    "mlp": (SIZES, Static(model="mlp", hidden=(4,), n_test=16, batch=4), ("gain",)),
    "attention": (SIZES, Static(model="attention", n_test=16, engine="dense", optimizer="adam"), ("gain",)),
}
PROBE = {"method": "probe", "optimizer": "sgd"}  # upstream all layers are trained, downstream the head: sooner traced


def found(module):
    """Return what is refused in a module."""
    return {name for name, pattern in REFUSED.items() if re.search(pattern, module)}


def check(sweep):
    (size,) = lanes.parts(sweep, tuple(map(np.arange, sweep.shape)), lanes.tile_shape(sweep))
    module = size.lowered(PLATFORMS).as_text()
    # It is whole: loops over tiles, steps upstream and steps downstream, and products in them.
    assert module.count("stablehlo.while") >= 3 and "stablehlo.dot_general" in module
    assert not found(module)


@pytest.mark.parametrize(
    "name", ["cnn", *(pytest.param(name, marks=LONG) for name in ("cnn_trained", "mlp", "attention"))]
)
def test_signals_and_noise(name):
    point, static, outputs = NETWORKS[name]
    check(pt_jax.Sweep(pt_jax.simulate, point, AXES, 2, outputs, static, lanes=4))


@pytest.mark.parametrize(
    "model, options, outputs",
    [("vgg", {}, None), *(pytest.param(name, PROBE, ("gain",), marks=LONG) for name in ("resnet", "vit"))],
)
def test_images(model, options, outputs):
    static = Images.covering(PAIR, TRANSFER, model=model, width=2, stages=1, depth=1, batch=4, **options)
    assert static.lanes > 1  # for larger networks a CPU has another program
    check(pt_jax.Sweep(transfer, TRANSFER, AXES, 2, outputs, static, data=PAIR, lanes=4))


def called_back(x):
    return jax.pure_callback(np.sin, x, x)


def module_of(function, *platforms):
    with jax.enable_x64(True):
        traced = jax.jit(function).trace(jnp.ones((3, 3), jnp.float32))
        return traced.lower(lowering_platforms=platforms).as_text()


@pytest.mark.parametrize(
    "function, platform, expected",
    [
        (called_back, "cpu", "a custom call"),
        (jnp.linalg.cholesky, "cpu", "a custom call"),
        (jnp.linalg.cholesky, "tpu", "a solver"),
        (jnp.linalg.eigh, "cpu", "a custom call"),
        (jnp.linalg.eigh, "cuda", "a custom call"),
        (lambda x: x.astype(jnp.float64), "cuda", "float64"),
        (jnp.fft.rfft, "tpu", "float64"),  # complex numbers
    ],
)
def test_what_is_refused_is_found(function, platform, expected):
    assert expected in found(module_of(function, platform))


def test_a_call_back_lowers_for_no_platform_that_is_not_here():
    with pytest.raises((NotImplementedError, ValueError), match="platform"):
        module_of(called_back, *PLATFORMS)


def test_a_plain_function_is_not_refused():
    module = module_of(lambda x: x @ x, *PLATFORMS)
    assert "tensor<3x3xf32>" in module and not found(module)
