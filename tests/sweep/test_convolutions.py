"""Convolutions with kernels of their own in lanes of lanes: their derivatives under the mesh of a sweep."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pt_jax


class Rates(NamedTuple):
    lr: float = 0.1
    scale: float = 1.0


class Trained(NamedTuple):
    loss: jax.Array


def convolve(images, kernel):
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def train(key, point, static, images):
    """Two layers, two steps of gradient descent; along lr the initial kernels are shared, along scale they are not."""
    keys = jax.random.split(key)
    kernels = [jax.random.normal(k, shape) / 5 for k, shape in zip(keys, ((3, 3, 2, 3), (3, 3, 3, 1)), strict=True)]
    kernels[1] *= point.scale

    def loss(kernels):
        return jnp.mean((convolve(jax.nn.relu(convolve(images, kernels[0])), kernels[1]) - 1) ** 2)

    for _ in range(2):
        kernels = jax.tree.map(lambda w, g: w - point.lr * g, kernels, jax.grad(loss)(kernels))
    return Trained(loss(kernels))


@pytest.mark.parametrize("lanes", [1, 3, None])
def test_kernels_of_lanes_within_lanes_are_trained(lanes):
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 2)), jnp.float32)
    axes = {"lr": [0.0, 0.1, 0.2], "scale": [0.5, 1.0]}
    found = pt_jax.run(pt_jax.Sweep(train, Rates(), axes, seeds=2, data=images, lanes=lanes)).loss
    for lr, scale, seed in np.ndindex(found.shape):
        point = Rates(axes["lr"][lr], axes["scale"][scale])
        expected = train(jax.random.key(seed), point, None, images).loss
        np.testing.assert_allclose(found.values[lr, scale, seed], expected, rtol=1e-5)  # float32 sums in another order
    assert len(np.unique(found)) == found.size
