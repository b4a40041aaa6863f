"""Activations by module name: every module once, whatever it is called inside."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from pt_jax.diagnostics import activations
from tests.diagnostics.cases import IMAGES, MODEL, params, stack

VARIABLES = params(0)


def test_every_module_by_its_name():
    found = activations.by_module(MODEL.apply, VARIABLES, IMAGES)
    expected = {
        "(output)": (12, 3),
        "Block_0": (12, 6),
        "Block_0/Dense_0": (12, 6),
        "Block_0/Dense_1[0]": (12, 6),  # called twice
        "Block_0/Dense_1[1]": (12, 6),
        "Block_0/middle": (12, 6),  # sown
        "Conv_0": (12, 4, 4, 4),
        "head": (12, 3),
    }
    assert {name: x.shape for name, x in found.items()} == expected
    assert list(found) == sorted(found)
    np.testing.assert_array_equal(found["(output)"], MODEL.apply(VARIABLES, IMAGES))
    dense = VARIABLES["params"]["Block_0"]["Dense_1"]
    again = found["Block_0/Dense_1[0]"] @ dense["kernel"] + dense["bias"]
    np.testing.assert_allclose(found["Block_0/Dense_1[1]"], again, rtol=1e-5, atol=1e-6)  # float32
    np.testing.assert_array_equal(found["Block_0/Dense_1[1]"], found["Block_0"])


def test_the_params_alone_are_enough():
    inner = activations.by_module(MODEL.apply, VARIABLES["params"], IMAGES)
    whole = activations.by_module(MODEL.apply, VARIABLES, IMAGES)
    jax.tree.map(np.testing.assert_array_equal, inner, whole)


def test_arguments_other_collections_and_arrays_without_samples():
    class Normed(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            x = nn.BatchNorm(use_running_average=not train)(x)
            self.sow("intermediates", "scalar", jnp.float32(3.0))
            self.sow("intermediates", "table", jnp.ones((5, 2)))
            return nn.Dense(2)(x)

    variables = Normed().init(jax.random.key(0), jnp.ones((4, 3)), train=False)
    images = jax.random.normal(jax.random.key(1), (4, 3))
    found = activations.by_module(partial(Normed().apply, train=False), variables, images)
    assert sorted(found) == ["(output)", "BatchNorm_0", "Dense_0"]
    np.testing.assert_allclose(found["BatchNorm_0"], images, rtol=1e-4)  # mean 0, variance 1, and flax adds 1e-5


def test_jit_and_vmap_over_64_models():
    models = [params(seed) for seed in range(64)]
    function = jax.jit(partial(activations.by_module, MODEL.apply))
    loop = stack([jax.device_get(function(model, IMAGES)) for model in models])
    together = jax.vmap(function, (0, None))(stack(models), IMAGES)
    # float32 sums of up to 18 terms in another order.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), together, loop)
