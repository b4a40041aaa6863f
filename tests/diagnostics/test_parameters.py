"""Names of modules, and pytrees that do not fit together."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pt_jax.diagnostics import distance, parameters
from tests.diagnostics.cases import params


class Net(NamedTuple):
    weights: object
    bias: object


FLAX = ["Block_0/Dense_0", "Block_0/Dense_0", "Block_0/Dense_1", "Block_0/Dense_1", "Conv_0", "Conv_0", "head", "head"]


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        (lambda: params(0), FLAX),
        (lambda: params(0)["params"], FLAX),
        (lambda: Net(jnp.ones(2), jnp.ones(3)), ["weights", "bias"]),
        (lambda: [jnp.ones(1), {"k": jnp.ones(1)}], ["0", "1"]),
        (lambda: jnp.ones(2), [""]),
    ],
)
def test_names_of_modules(tree, names):
    assert parameters.modules(tree()) == names


def test_a_module_holds_those_inside_it_and_no_namesake():
    assert parameters.inside("Block_1/Dense_0", "Block_1") and parameters.inside("Block_1", "Block_1")
    assert not parameters.inside("Block_10", "Block_1") and not parameters.inside("Block_1", "Block_1/Dense_0")


class Normed(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 2, (3, 3), rngs=rngs)
        self.norm, self.drop = nnx.BatchNorm(2, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)  # with counts and random keys


CONV = {"conv": {"kernel": (3, 3, 1, 2), "bias": (2,)}}
NORM = {"scale": (2,), "bias": (2,)}
WHOLE = {**CONV, "norm": {**NORM, "mean": (2,), "var": (2,)}}


def linen():
    ones = partial(jax.tree.map, jnp.ones, is_leaf=lambda x: isinstance(x, tuple))
    return {"params": ones({**CONV, "norm": NORM}), "batch_stats": {"norm": ones({"mean": (2,), "var": (2,)})}}


@pytest.mark.parametrize(
    ("network", "shapes"),
    [
        (lambda: Normed(nnx.Rngs(0)), WHOLE),
        (lambda: nnx.state(Normed(nnx.Rngs(0))), WHOLE),
        (linen, {**CONV, "norm": NORM, "batch_stats/norm": {"mean": (2,), "var": (2,)}}),
        (
            lambda: {
                "layer1.0.conv.weight": np.ones((2, 1, 3, 3)),
                "layer1.0.bn.num_batches_tracked": np.array(3),
                "b": np.ones(2),
            },
            {"layer1.0.conv": {"weight": (2, 1, 3, 3)}, "b": {"b": (2,)}},
        ),
    ],
)
def test_networks_of_every_library_by_module(network, shapes):
    found = parameters.by_module(network())
    assert jax.tree.map(jnp.shape, found) == shapes
    assert parameters.by_module(found) == found and set(distance.l2(found, found).modules) == set(shapes)


def test_a_network_from_a_file(tmp_path):
    content = b"\x4c\0\0\0\0\0\0\0" + b'{"layer1.0.conv.weight":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}   '
    (tmp_path / "net.safetensors").write_bytes(content + np.array([1, 2], np.float16).tobytes())
    found = parameters.by_module(tmp_path / "net.safetensors")
    assert set(found) == {"layer1.0.conv"} and found["layer1.0.conv"]["weight"].dtype == jnp.float32
    np.testing.assert_array_equal(found["layer1.0.conv"]["weight"], [1, 2])
    with pytest.raises(ValueError, match="network holds no tensor of real numbers"):
        parameters.by_module({"steps": np.arange(3)})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"w": jnp.ones(2)}, "b has another pytree structure than a"),
        ({"w": jnp.ones(2), "v": jnp.ones(3)}, r"b\['v'\] has shape \(3,\), but \(2,\) in a"),
        ({"w": jnp.ones(2), "v": jnp.ones(2, int)}, r"b\['v'\] has dtype int32; expected real parameters"),
    ],
)
def test_what_does_not_fit_is_named(other, message):
    with pytest.raises(ValueError, match=message):
        parameters.check(a={"w": jnp.ones(2), "v": jnp.ones(2)}, b=other)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"a": {"b": np.ones(2)}, "a.b": np.zeros(3)}, "two tensors 'b' in the module 'a'"),
        ({"params": {"d": np.ones(2)}, "d": np.zeros(3)}, "two tensors 'd' in the module 'd'"),
        (3.0, "network has a tensor without a name"),
    ],
)
def test_a_tensor_is_not_lost_for_its_name(network, message):
    with pytest.raises(ValueError, match=message):
        parameters.by_module(network)


def test_a_pytree_without_tensors_is_named():
    with pytest.raises(ValueError, match="a holds no tensor"):
        parameters.check(a={}, b={})
