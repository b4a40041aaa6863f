"""What the tests of the diagnostics share: a small flax model, a loop to hold against vmap, and a count of traces."""

from functools import cache

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tests.compiling import jit


class Block(nn.Module):
    """Two layers, the second of which is called twice, and a value that is sown."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(6)(x))
        self.sow("intermediates", "middle", x)
        again = nn.Dense(6)
        return again(again(x))


class Small(nn.Module):
    """A convolution, a block of its own, and a head."""

    classes: int = 3

    @nn.compact
    def __call__(self, images):
        x = nn.relu(nn.Conv(4, (3, 3))(images))
        x = x.mean((1, 2))
        x = Block()(x)
        return nn.Dense(self.classes, name="head")(x)


MODEL = Small()
IMAGES = np.random.default_rng(100).normal(size=(12, 4, 4, 2)).astype(np.float32)


_init = jit(MODEL.init)


@cache
def params(seed):
    return jax.device_get(_init(jax.random.key(seed), IMAGES[:1]))


def mlp(seed):
    """Return the parameters of a network with one hidden layer, of three modules, one of which its loss ignores."""
    rng = np.random.default_rng(seed)
    shapes = {"hidden": {"kernel": (5, 4), "bias": (4,)}, "head": {"kernel": (4, 2)}, "idle": {"kernel": (2, 2)}}
    return jax.tree.map(lambda s: rng.normal(size=s).astype(np.float32), shapes, is_leaf=lambda x: type(x) is tuple)


def mlp_loss(theta):
    """Return a loss that is larger between two networks than at either: the negative mean square of the output."""
    x = jnp.linspace(-1, 1, 60).reshape(12, 5) ** 2
    hidden = jnp.tanh(x @ theta["hidden"]["kernel"] + theta["hidden"]["bias"])
    return -jnp.mean((hidden @ theta["head"]["kernel"]) ** 2)


def stack(items):
    return jax.tree.map(lambda *x: np.stack(x), *items)


def assert_vmap_equals_loop(function, *stacked, rtol=2e-5, atol=1e-6):
    """Assert that vmap over 64 models gives what a loop gives.

    The tolerance is that of float32 sums of some hundred terms in another order.
    """
    assert {len(x) for x in jax.tree.leaves(stacked)} == {64}
    stacked = jax.device_get(stacked)
    one = jit(function)
    loop = stack([jax.device_get(one(*jax.tree.map(lambda x, i=i: x[i], stacked))) for i in range(64)])
    together = jax.device_get(jit(jax.vmap(function))(*stacked))
    assert all(np.isfinite(x).all() and np.unique(x, axis=0).shape[0] > 1 for x in jax.tree.leaves(loop))
    chex.assert_trees_all_close(together, loop, rtol=rtol, atol=atol)


def assert_one_trace(function, *calls):
    """Assert that calls with other values of the same shapes are traced once, and that the values matter."""
    chex.clear_trace_counter()
    counted = jit(chex.assert_max_traces(lambda *args: function(*args), n=1))  # a partial has no name to count by
    results = [np.concatenate([np.ravel(x) for x in jax.tree.leaves(counted(*call))]) for call in calls]
    assert not np.array_equal(results[0], results[-1])


def assert_float32_is_close(function, *args, rtol, atol=0.0):
    """Assert that float32 agrees with float64; every array in `args` is float64."""
    with jax.enable_x64(True):
        exact = jax.device_get(jit(function)(*args))
    assert all(x.dtype == np.float64 for x in jax.tree.leaves(exact))
    single = jit(function)(*jax.tree.map(lambda x: x.astype(np.float32) if x.dtype == np.float64 else x, args))
    assert all(x.dtype == np.float32 for x in jax.tree.leaves(single))
    chex.assert_trees_all_close(jax.device_get(single), jax.tree.map(np.float32, exact), rtol=rtol, atol=atol)
