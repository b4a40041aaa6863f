"""Names of modules, and pytrees that do not fit together."""

from typing import NamedTuple

import jax.numpy as jnp
import pytest

from pt_jax.diagnostics import parameters
from tests.diagnostics.cases import params


class Net(NamedTuple):
    weights: object
    bias: object


FLAX = ["Block_0/Dense_0", "Block_0/Dense_0", "Block_0/Dense_1", "Block_0/Dense_1", "Conv_0", "Conv_0", "head", "head"]


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        (params(0), FLAX),
        (params(0)["params"], FLAX),
        (Net(jnp.ones(2), jnp.ones(3)), ["weights", "bias"]),
        ([jnp.ones(1), {"k": jnp.ones(1)}], ["0", "1"]),
        (jnp.ones(2), [""]),
    ],
)
def test_names_of_modules(tree, names):
    assert parameters.modules(tree) == names


def test_a_module_holds_those_inside_it_and_no_namesake():
    assert parameters.inside("Block_1/Dense_0", "Block_1") and parameters.inside("Block_1", "Block_1")
    assert not parameters.inside("Block_10", "Block_1") and not parameters.inside("Block_1", "Block_1/Dense_0")


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


def test_a_pytree_without_tensors_is_named():
    with pytest.raises(ValueError, match="a holds no tensor"):
        parameters.check(a={}, b={})
