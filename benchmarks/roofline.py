"""How near the machine's limit each phase of a trajectory comes, at the first setting.

    python benchmarks/roofline.py [--repeats 7] [--size 4096] [--out results/roofline.json]

Phases are told apart by programs that do more and more: the draws; then Gram matrices and all else that training needs
once (no steps); then the steps; then the test errors of both downstream networks. They run as a sweep runs them, on all
devices, in turn. Only useful operations are counted, those of the formulas: padding, masks and the transcendental
functions of the draws are not. The limit is the best of NumPy and JAX on a large float32 matrix product, and a copy in
memory, on the same cores. Bytes are what a phase must read and write once a step if nothing stayed in a cache.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import pt_jax
from pt_jax.signal_noise.data import span_world
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.risk import directions
from pt_jax.sweep.lanes import parts, tile_shape
from pt_jax.sweep.provenance import machine

POINT, SEEDS = Point(), 256


class Sum(NamedTuple):
    """A number that needs all draws."""

    total: Any


def draws(key, point, static, data):
    """Draw a trajectory and add everything up, so that nothing is left out."""
    world = span_world(key, jax.tree.map(lambda x: jnp.asarray(x, float), point), static)
    return Sum(sum(jnp.sum(leaf) for leaf in jax.tree.leaves(world)))


def program(function: Callable, outputs: tuple[str, ...] | None, point: Point) -> tuple[Callable[[], float], int]:
    """Return what runs one call of the compiled sweep and gives its seconds, and its trajectories."""
    sweep = pt_jax.Sweep(function, point, {"u": [1.0, 2.0]}, SEEDS, outputs, Static())
    cells, tile = tuple(np.arange(n) for n in sweep.shape), tile_shape(sweep)
    (size,) = parts(sweep, cells, tile)
    group = next(size.groups())
    arguments = size.arguments(group)
    return lambda: seconds(lambda: size.compiled(*arguments)), len(group) * int(np.prod(tile))


def seconds(call: Callable[[], Any]) -> float:
    """Time one call to its end."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def limits(size: int, repeats: int) -> tuple[float, float]:
    """Return FLOP/s of a large matrix product and bytes/s of a copy, all cores."""
    a = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    if jax.default_backend() != "cpu":
        on_device = jnp.asarray(a)
        multiply = jax.jit(jnp.matmul)
        multiply(on_device, on_device).block_until_ready()
        product = min(seconds(lambda: multiply(on_device, on_device)) for _ in range(repeats))
        copy = jax.jit(lambda x: x + 1)
        copy(on_device).block_until_ready()
        return 2 * size**3 / product, 2 * a.nbytes / min(seconds(lambda: copy(on_device)) for _ in range(repeats))
    cores = len(jax.local_devices())
    parts = [jax.device_put(rows, device) for rows, device in zip(np.split(a, cores), jax.local_devices(), strict=True)]
    whole = [jax.device_put(a, device) for device in jax.local_devices()]
    multiply = jax.jit(jnp.matmul)
    by_jax = [seconds(lambda: [multiply(x, y) for x, y in zip(parts, whole, strict=True)]) for _ in range(repeats + 1)]
    by_numpy = [seconds(lambda: a @ a) for _ in range(repeats + 1)]
    sources = [np.ones(2**26, np.float32) for _ in range(cores)]
    targets = [np.empty_like(x) for x in sources]
    with ThreadPoolExecutor(cores) as pool:
        copies = [seconds(lambda: list(pool.map(np.copyto, targets, sources))) for _ in range(repeats + 1)]
    return 2 * size**3 / min(by_jax + by_numpy), 2 * 4 * 2**26 * cores / min(copies)


def useful(point: Point, static: Static) -> dict[str, tuple[float, float]]:
    """Return (FLOP, bytes) of each phase of a trajectory, from the formulas."""
    n1, n2, filters = int(point.n1), int(point.n2), 2 * int(point.m)
    rows = n1 + n2 + 2 * filters
    p = 3 + rows
    runs = ((n1, int(point.steps1)), (n2, int(point.steps2)), (n2, int(point.steps2)))
    steps = sum(2 * filters * (n + 1) ** 2 * t for n, t in runs)
    moved = sum(4 * (n * n + 3 * filters * n) * t for n, t in runs)  # K, A(0), C read; C written
    once = 2 * p * (n1**2 + n2**2) + sum(2 * 2 * filters * n * p for n, _ in runs)  # Gram; A(0) and the weights
    k = static.n_directions
    grid = jax.eval_shape(lambda: directions(jax.random.key(0), static)).t.shape[1]
    risk = 2 * (
        2 * k * filters**2 + 2 * filters**2 * p + 4 * k * grid * filters
    )  # x, Gram, relu of x + t b and its sum
    return {
        "draws": (0.0, 4.0 * (rows * (rows + 1) / 2 + 3 * rows)),
        "Gram and weights": (once, 4.0 * rows * p * 2),
        "training": (steps, moved),
        "test error": (risk, 2 * 4.0 * k * (grid + filters)),
    }


def main() -> None:
    """Time the phases and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--size", type=int, default=4096, help="of the large matrix product")
    parser.add_argument("--out", type=Path, default=Path("results/roofline.json"))
    options = parser.parse_args()
    pt_jax.use_all_cores()
    losses = ("loss", "loss_scratch", "loss_upstream")
    programs = {
        "draws": program(draws, None, POINT),
        "Gram and weights": program(pt_jax.simulate, losses, POINT._replace(steps1=0, steps2=0)),
        "training": program(pt_jax.simulate, losses, POINT),
        "test error": program(pt_jax.simulate, ("gain",), POINT),
    }
    for run, _ in programs.values():
        run()  # compile
    times: dict[str, list[float]] = {name: [] for name in programs}
    peak, bandwidth = limits(options.size, options.repeats)
    for _ in range(options.repeats):
        for name, (run, trajectories) in programs.items():
            times[name].append(run() / trajectories)
    again = limits(options.size, options.repeats)
    peak, bandwidth = max(peak, again[0]), max(bandwidth, again[1])
    until = {name: statistics.median(values) for name, values in times.items()}

    print(f"large matrix product {peak / 1e9:.1f} GFLOP/s, copy {bandwidth / 1e9:.1f} GB/s, {machine()['device']}")
    print(f"{'phase':<18}{'us':>8}{'MFLOP':>9}{'GFLOP/s':>9}{'share':>8}{'kB':>9}{'GB/s':>8}{'share':>8}")
    rows, before = {}, 0.0
    for name, (flop, moved) in useful(POINT, Static()).items():
        rows[name] = (until[name] - before, flop, moved)
        before = until[name]
    rows["all"] = (before, sum(r[1] for r in rows.values()), sum(r[2] for r in rows.values()))
    for name, (taken, flop, moved) in rows.items():
        print(
            f"{name:<18}{taken * 1e6:>8.0f}{flop / 1e6:>9.2f}{flop / taken / 1e9:>9.1f}{flop / taken / peak:>8.0%}"
            f"{moved / 1e3:>9.0f}{moved / taken / 1e9:>8.1f}{moved / taken / bandwidth:>8.0%}"
        )
    counted = rows["training"][1] / rows["all"][0] / peak
    print(f"training operations alone over the time of all phases: {counted:.0%} of the limit")
    print(f"{1 / before:,.0f} trajectories/s")
    record: dict[str, Any] = {"flops": peak, "bandwidth": bandwidth, "trajectories_per_s": 1 / before}
    record["phases"] = {n: dict(zip(("seconds", "flop", "bytes"), row, strict=True)) for n, row in rows.items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record | {"machine": machine()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
