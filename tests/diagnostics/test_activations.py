"""Activations by module name: every module once, whatever it is called inside."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import activations
from tests.diagnostics.cases import IMAGES, MODEL, params, stack


def test_every_module_by_its_name():
    found = activations.by_module(MODEL.apply, params(0), IMAGES)
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
    np.testing.assert_array_equal(found["(output)"], MODEL.apply(params(0), IMAGES))
    dense = params(0)["params"]["Block_0"]["Dense_1"]
    again = found["Block_0/Dense_1[0]"] @ dense["kernel"] + dense["bias"]
    np.testing.assert_allclose(found["Block_0/Dense_1[1]"], again, rtol=1e-5, atol=1e-6)  # float32
    np.testing.assert_array_equal(found["Block_0/Dense_1[1]"], found["Block_0"])


def test_the_params_alone_are_enough():
    inner = activations.by_module(MODEL.apply, params(0)["params"], IMAGES)
    whole = activations.by_module(MODEL.apply, params(0), IMAGES)
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


def test_any_function_by_names():
    x = np.arange(12.0).reshape(4, 3)

    def two(images):
        return [images * 2, images.sum(1)]

    found = activations.named(two, ["conv", "head"], x)
    assert list(found) == ["conv", "head"] and found["head"].dtype == jnp.float32
    np.testing.assert_array_equal(found["conv"], 2 * x)
    picked = activations.named(lambda images: dict(zip("abc", (*two(images), images[0]), strict=True)), ["b"], x)
    np.testing.assert_array_equal(picked["b"], x.sum(1))
    for function, names, message in (
        (two, ["conv"], "function returned 2 activations for 1 names; expected as many"),
        (two, ["a", "a"], r"names = \['a', 'a'\] is not accepted: use each of a at most once"),
        (lambda images: {"a": images}, ["b"], "use each of a at most once"),
        (lambda images: [images[0]], ["a"], r"a has shape \(3,\); expected \(4,\) and so on"),
        (lambda images: None, ["a"], "function returned a NoneType; expected activations by name or in a list"),
        (lambda images: ["text"], ["a"], "a is not accepted: use an array of numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            activations.named(function, names, x)
