"""What several test files share: jitted lanes, one compilation for each Static, and the bounds of statistical tests."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from pt_jax.signal_noise.network import Net
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.training import Trained, train
from pt_jax.signal_noise.trajectory import Outcome, simulate
from tests.compiling import jit, jit_long

# Small enough that d = 20 and 60 are below the 4m + n1 + n2 = 70 vectors.
BASE = Static(n1=30, n2=20, m=5, steps1=60, steps2=60, d=60)
POINT = Point(d=60, n1=30, n2=20, m=5, steps1=60, steps2=60, u=1.0, v1=1.0, v2=1.0, lr1=0.5, lr2=0.5, init_scale=0.05)

# Sizes at and below the maxima, more vectors than dimensions, equal signals.
SMALL = Static(n1=10, n2=8, m=4, steps1=30, steps2=20, d=60)
LANES = {
    "n1": [10, 3, 10, 5] * 2,
    "n2": [8, 6, 1, 4] * 2,
    "m": [4, 2, 1, 3] * 2,
    "d": [500, 30, 4, 9, 12, 5, 7, 2000],
    "steps1": [30, 20, 0, 11] * 2,
    "steps2": [20, 4, 15, 20] * 2,
    "alpha": [0.5, 1.0, 0.3, 0.7] * 2,
    "angle": [90.0] * 4 + [60.0] * 4,
}


def jit_for(static: Static):
    """Return the jit that takes least time in all: long runs are worth a longer compilation."""
    return jit_long if static.d > 1000 else jit


@cache
def _lanes(static: Static, width: int, names: tuple[str, ...], function):
    def lane(seed_point):
        seed, point = seed_point
        found = function(jax.random.key(seed), point, static)
        return found._replace(**{name: None for name in found._fields if name not in names})

    return jit_for(static)(jax.vmap(lane, axis_size=width))


def lanes(static: Static, seeds, width=16, names=Outcome._fields, function=simulate, **fields) -> Outcome:
    """Return the Outcome of a trajectory a seed, as NumPy arrays; `fields` replace those of POINT.

    They are computed `width` at a time, whatever their number, so that there is one compilation, which takes half of
    its time where only the results in `names` are kept.
    """
    seeds = np.asarray(seeds)
    assert len(seeds) % width == 0
    point = POINT._replace(**fields)
    points = Point(*(jnp.broadcast_to(jnp.asarray(leaf, float), seeds.shape) for leaf in point))
    parts = [jax.tree.map(lambda x, i=i: x[i : i + width], (seeds, points)) for i in range(0, len(seeds), width)]
    found = jax.device_get([_lanes(static, width, names, function)(part) for part in parts])
    return jax.tree.map(lambda *x: np.concatenate(x), *found)


def in_float64(static: Static, names=Outcome._fields, function=simulate) -> Outcome:
    """Return the Outcome of the eight LANES in doubles, for a static like SMALL."""
    fields = {name: np.array(values) for name, values in LANES.items()}
    if static.model != "cnn" or static.optimizer != "sgd":  # none that diverges, where roundings grow
        fields |= {"lr1": 0.01, "lr2": 0.01}
    if static.engine == "dense":
        fields["d"] = np.minimum(fields["d"], 60)
    with jax.enable_x64(True):
        return lanes(static, range(8), 8, names, function, **fields)


def otherwise(static: Static) -> Static:
    """Return a static with which the same comes out: arrays are twice as large, transfer and scratch trained apart."""
    return replace(static, paired=False, **{name: 2 * getattr(static, name) for name in Static.maxima})


def train_one(net, task, descent, second, length, static) -> Trained:
    """Train one network: `train`, which trains several together, with one."""
    net, ratio = jax.tree.map(lambda x: x[None], (net, descent.ratio))
    found = train(jax.random.key(0), net, task, descent._replace(ratio=ratio), second, length, static)
    return jax.tree.map(lambda x: x[0], found)


def unit(static: Static) -> Net:
    """Return the factors on the learning rate of a run in which all parameters are alike."""
    return Net(jnp.ones((2 * static.m, 1)), jnp.ones(2 * static.m))


def limit(chance: float, tests: int) -> float:
    """Return the bound, in standard errors, at which `tests` two-sided normal tests fail by luck with this chance."""
    return float(norm.isf(chance / tests / 2))


def assert_close(actual, expected, tolerance: float):
    """Assert that every leaf agrees, relative to the larger of its size and 1e-3: a gain may be 0."""
    for name, a, b in zip(actual._fields, actual, expected, strict=True):
        if a is not None and name != "curves":
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=1e-3 * tolerance, err_msg=name)
