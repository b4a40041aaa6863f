"""What the tests of transfer share: a small pair of made-up images, a tiny network, and one compiled lane of it."""

from functools import cache, partial
from types import SimpleNamespace

import jax
import numpy as np

from pt_jax.vision import datasets
from pt_jax.vision.networks import networks
from pt_jax.vision.point import Point, Static
from pt_jax.vision.transfer import transfer
from tests.compiling import jit, jit_exact


def made_up(seed, n=90, classes=3, shape=(4, 4, 1)):
    """Return a dataset whose classes differ in their mean image."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    means = rng.uniform(size=(classes, *shape))
    return datasets.dataset(np.clip(means[labels] + 0.3 * rng.normal(size=(n, *shape)), 0, 1), labels)


PAIR = datasets.pair(made_up(1), made_up(2, classes=4))
POINT = Point(n1=40, n2=20, classes1=3, classes2=4, steps1=6, steps2=5, lr1=0.01, lr2=0.02)
# Convolutions of lax compile sooner; `test_transfer.FULL` has those that are the default.
TINY = Static.covering(PAIR, POINT, width=2, depth=1, batch=4, dials=(), conv="lax")


class Lane:
    """function(seed, point) for one static, compiled once."""

    def __init__(self, static, function, compiled):
        self.run = compiled(partial(_one, function, static))

    def __call__(self, seed, point):
        return jax.device_get(self.run(seed, jax.tree.map(float, point), PAIR))

    def compiled(self):
        return self.run._cache_size()


@cache
def lane(static, function=transfer, compiled=jit_exact):
    """Return a Lane; `compiled=jit` in half the time where no parts of it are compared bit for bit."""
    return Lane(static, function, compiled)


def _one(function, static, seed, point, data):
    return function(jax.random.key(seed), point, static, data)


@cache
def trained(static, seed=0, point=POINT):
    """Return the parameters of all networks of one lane; no training is held against another bit for bit."""
    above, below = lane(static, networks, jit)(seed, point)
    return SimpleNamespace(random=above.random, upstream=above.trained, **below._asdict())


def leaves(tree):
    return [np.asarray(x) for x in jax.tree.leaves(tree)]


def same(a, b):
    """Whether two pytrees of arrays have the same bits."""
    return all(np.array_equal(x, y) for x, y in zip(leaves(a), leaves(b), strict=True))
