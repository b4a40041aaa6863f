"""The test error of any network on any data: from fresh samples, without test data in R^d.

The 2m numbers <w_r, xi> of a patch are Gaussian with the Gram matrix G of the units, as the noise sees them, times
sigma^2. With R R^T = G and z of 2m standard normals they are R z: a sample costs 2m numbers a patch, never d. A
trajectory's networks share labels, coefficients and z, so that what they have in common cancels in their difference.

    error = mean over n_test samples of 1[missed],    standard error = their standard deviation / sqrt(n_test)

Its derivative is 0: it counts. The default network has an estimator of less variance, `risk`.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.signal_noise.data import Task, project
from pt_jax.signal_noise.generators import data_of
from pt_jax.signal_noise.losses import mistakes
from pt_jax.signal_noise.models import outputs, with_bias
from pt_jax.signal_noise.network import Inner, Net
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.risk import root

_AT_ONCE = 128  # test samples: what they need then fits the caches of a CPU


class Samples(NamedTuple):
    """Test samples: `label` (M,), `coefficients` (M, P, S), and standard normals `z` of the noise, (M, Q, 2m)."""

    label: Array
    coefficients: Array
    z: Array


def samples(key: Array, point: Point, task: int, static: Static) -> Samples:
    """Draw the test samples of a task; each number of z from a key of its patch, so that padding changes none."""
    data = data_of(static, task)
    of_samples, of_noise = jax.random.split(jax.random.fold_in(key, task))
    each, noise = (
        jax.vmap(jax.random.fold_in, (None, 0))(k, jnp.arange(count))
        for k, count in ((of_samples, static.n_test), (of_noise, static.n_test * sum(data.noisy)))
    )
    label, coefficients = jax.vmap(lambda k: data.sample(k, point, task))(each)
    z = jax.vmap(lambda k: jax.random.normal(k, (2 * static.m,)))(noise)
    return Samples(label, coefficients, z.reshape(static.n_test, -1, 2 * static.m))


@partial(jax.jit, static_argnames="static")
def wrong(samples: Samples, net: Net, task: Task, readout: Array, static: Static) -> Array:
    """Return whether each test sample is missed, (M,): 1, 0, or 1/2 where the output is 0."""
    weights = jnp.where(readout[:, None] != 0, net.weights, 0.0)
    unit = jnp.ldexp(1.0, jnp.frexp(jnp.max(jnp.abs(weights)))[1])  # as in `risk`: squares must not vanish
    seen = task.sigma * project(weights / unit, task, static)
    factor = root(seen @ seen.T).T * unit
    signal, upper = (task.signals @ weights.T)[:, None], jax.tree.map(lambda x: x[None], net.upper)
    if static.bias:
        signal = jnp.concatenate([signal, net.bias[None, None]])

    def missed(sample: Samples) -> Array:
        noise, coefficients = sample.z @ factor, sample.coefficients[None]
        if static.bias:
            noise, coefficients = noise + net.bias, with_bias(coefficients, static)
        inner = Inner(signal, noise[:, None])
        f = outputs(inner, upper, sample.label[None], coefficients, readout, static)[:, 0]
        return mistakes(sample.label[None], f)[0]

    return jax.lax.map(missed, samples, batch_size=_AT_ONCE)
