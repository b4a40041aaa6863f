"""Is the estimator of the test error (pt_jax/signal_noise/risk.py) right, efficient and precise? Prints three tables:

truth: its mean over 64 shifts against 10^6 test samples (y, xi) drawn in R^d, for transfer networks of small, medium
and large error, trained by the dense engine at d = 500; the seed's errors are near the mean over seeds.
efficiency: 1 / (variance x time) on those networks, relative to plain sampling of z in R^2m. All draw what they need
and take the Gram matrix and its root; sizes are such that times are close. Median time of 7 rounds, one core.
noise: its standard error against the spread of the error over 64 seeds. The ratio should be at most 1/5.
Usage: python benchmarks/risk.py [--json PATH]
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaincc

from pt_jax.signal_noise import data, inherit, risk, training
from pt_jax.signal_noise.network import Net, readout, signal_output
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.training import Descent

if hasattr(os, "sched_setaffinity"):  # one core; before JAX starts its threads
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
POINTS = {"small": Point(d=500, u=3.0, v2=3.0), "medium": Point(d=500), "large": Point(d=500, u=1.0, v2=1.0)}
STATIC, M = Static(), Static().m  # what the estimator reads of it is the same at every point
LAYER, RELU = readout(jnp.asarray(M), M), jax.nn.relu
SEED, SEEDS, SHIFTS, REPEATS, ROUNDS = 4, 64, 64, 1024, 7
SAMPLES, BATCH, SIZES = 10**6, 10**4, {"plain": 512, "antithetic": 512, "radial": 128}


@partial(jax.jit, static_argnames="static")
def train(seed: Array | int, point: Point, static: Static) -> tuple[Net, Net, data.Task]:
    """Return the transfer and the scratch network of a trajectory, and their task."""
    draw = data.span_world if static.engine == "span" else data.dense_world
    key, one = jax.random.key(seed), Net(jnp.ones((1, 2 * M, 1)), jnp.ones((1, 2 * M)))

    def descend(net: Net, task: data.Task, lr: Array, steps: int) -> Net:
        descent = Descent(lr, one, jnp.asarray(steps))
        found = training.train(key, jax.tree.map(lambda x: x[None], net), task, descent, LAYER, steps, static).net
        return jax.tree.map(lambda x: x[0], found)

    world = draw(key, point, static)
    upstream = descend(world.upstream, world.task1, point.lr1, static.steps1)
    taken = inherit.filters(point.alpha, point.m, jnp.zeros(2 * M))[:, None]
    start = world.fresh._replace(weights=jnp.where(taken, upstream.weights, world.fresh.weights))
    transfer, scratch = (descend(net, world.task2, point.lr2, static.steps2) for net in (start, world.fresh))
    return transfer, scratch, world.task2


def estimate(name: str, key: Array, net: Net, task: data.Task) -> Array:
    """The package, or sample z; radial: zhat, as without biases f's noise part is r slope(zhat), r^2 ~ chi^2_2m."""
    if name == "package":
        return risk.error(risk.directions(key, STATIC), net, task, LAYER, RELU, STATIC)
    z = jax.random.normal(key, (SIZES[name], 2 * M))
    z = z / jnp.linalg.norm(z, axis=1, keepdims=True) if name == "radial" else z
    weights = task.sigma * data.project(net.weights, task, STATIC)
    x = z @ risk.root(weights @ weights.T).T
    signs = (1,) if name == "plain" else (1, -1)
    slope = jnp.stack([RELU(sign * x + net.bias) @ LAYER for sign in signs])
    plus, minus = signal_output(net.weights @ task.mu, net.bias, LAYER, RELU)

    def negative(level: Array) -> Array:  # P(level + r slope < 0), r = 1 unless radial
        if name != "radial":
            return (1.0 - jnp.sign(level + slope)) / 2.0
        crossed = jnp.where(level * slope < 0, gammaincc(float(M), (level / slope) ** 2 / 2), 0.0)
        return jnp.where(level > 0, crossed, 1.0 - crossed)

    return jnp.mean(negative(plus) + 1.0 - negative(minus)) / 2.0


@partial(jax.jit, static_argnames="name")
def estimates(name: str, nets: Net, task: data.Task) -> Array:
    """Return one estimate a network, in lanes of 8 as a sweep runs them on a CPU."""
    keys = jax.random.split(jax.random.key(1), len(nets.bias))
    return jax.lax.map(lambda x: estimate(name, x[0], x[1], task), (keys, nets), batch_size=8)


def copies(net: Net, count: int) -> Net:  # arrays, lest the compiler take the root once for all
    return jax.tree.map(lambda x: jnp.stack([x] * count), net)


def truth(name: str, net: Net, task: data.Task) -> dict:
    found = np.asarray(estimates("package", copies(net, SHIFTS), task), float)
    error, direct, se = found.mean(), monte_carlo(net, task, POINTS[name]), found.std(ddof=1) / SHIFTS**0.5
    row = dict(network=name, estimate=error, se=se, truth=direct, truth_se=(direct * (1 - direct) / SAMPLES) ** 0.5)
    return row | dict(z_score=(error - direct) / np.hypot(se, row["truth_se"]))


def monte_carlo(net: Net, task: data.Task, point: Point) -> float:
    """Classify test samples drawn in R^d; shares no code with the package."""
    rng, weights, mu = np.random.default_rng(int(point.u)), np.asarray(net.weights), np.asarray(task.mu)
    axes, angle, errors = np.zeros((2, mu.size), np.float32), np.deg2rad(point.angle), 0
    axes[0, 0], axes[1, 1:3] = 1, (np.cos(angle), np.sin(angle))  # along u and v_2
    for _ in range(SAMPLES // BATCH):
        y, xi = rng.choice([-1, 1], BATCH), rng.standard_normal((BATCH, mu.size), np.float32)
        xi = point.sigma2 * (xi - xi @ axes.T @ axes)
        filters = np.maximum(np.outer(y, weights @ mu), 0) + np.maximum(xi @ weights.T, 0)
        errors += int(np.sum(y * (filters[:, ::2].sum(1) - filters[:, 1::2].sum(1)) < 0))
    return errors / SAMPLES


def efficiency(name: str, net: Net, task: data.Task) -> list[dict]:
    seconds: dict[str, list[float]] = {estimator: [] for estimator in (*SIZES, "package")}
    run = partial(estimates, nets=copies(net, REPEATS), task=task)
    found = {x: np.asarray(run(x), float) for x in seconds}
    for x in list(seconds) * ROUNDS:
        start = time.perf_counter()
        run(x).block_until_ready()
        seconds[x].append((time.perf_counter() - start) / REPEATS)
    rows = [dict(network=name, estimator=x, sd=found[x].std(), microseconds=np.median(seconds[x]) * 1e6) for x in found]
    cost = [row["sd"] ** 2 * row["microseconds"] for row in rows]
    return [row | dict(efficiency=cost[0] / x) for row, x in zip(rows, cost, strict=True)]


def noise(name: str, point: Point) -> Iterator[dict]:
    def both(seed: Array) -> list[Array]:
        *nets, task = train(seed, point, Static.covering(point))
        return [estimates("package", copies(net, SHIFTS), task) for net in nets]

    transfer, scratch = np.asarray(jax.jit(lambda: jax.lax.map(both, jnp.arange(SEEDS)))(), float)
    for of, errors in (("transfer", transfer), ("scratch", scratch), ("gain", scratch - transfer)):
        se, spread = errors.var(1, ddof=1).mean() ** 0.5, errors.mean(1).std(ddof=1)
        yield dict(point=name, of=of, mean=errors.mean(), se=se, spread=spread, ratio=se / spread)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the tables there")
    path = parser.parse_args().json
    nets = [(name, *train(SEED, p, Static.covering(p, engine="dense"))[::2]) for name, p in POINTS.items()]
    tables = {
        "truth": [truth(*net) for net in nets],
        "efficiency": [row for net in nets for row in efficiency(*net)],
        "noise": [row for point in [("default", Point()), *POINTS.items()] for row in noise(*point)],
    }
    for title, rows in tables.items():
        lines = [rows[0].keys(), *([x if isinstance(x, str) else f"{x:.3g}" for x in row.values()] for row in rows)]
        print(title, *("".join(f"{x:>14}" for x in line) for line in lines), "", sep="\n")
    if path:
        path.write_text(json.dumps(tables, indent=1) + "\n")


if __name__ == "__main__":
    main()
