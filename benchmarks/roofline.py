"""How near the machine's limit each phase of a trajectory comes, at the first setting.

    python benchmarks/roofline.py [--repeats 7] [--size 4096] [--out results/roofline.json]
    python benchmarks/roofline.py --model h100    # what `cost_model.py` predicts for a machine
    python benchmarks/roofline.py --model here    # the same from rates measured here, beside what is measured

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
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from cost_model import CPU, GPU, MACHINES, Machine, passes, predict

import pt_jax
from pt_jax.signal_noise.data import span_world
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.risk import directions
from pt_jax.sweep import cost
from pt_jax.sweep.devices import free_memory
from pt_jax.sweep.lanes import SizeClass, call_bytes, parts, tile_shape
from pt_jax.sweep.provenance import machine

POINT = Point()
LOSSES = ("loss", "loss_scratch", "loss_upstream")
MODELLED = {
    "i": (POINT, Static()),
    **{model: (POINT, Static(model=model)) for model in ("cnn_trained", "mlp", "attention")},
    **{f"N = {n}": (POINT._replace(n1=n, n2=n), Static()) for n in (80, 160)},
}
MEASURED = {"h100": {"i": 56_177.0}}  # trajectories a second of 65,536 lanes, products in float32, by `accelerator.py`


class Sum(NamedTuple):
    """A number that needs all draws."""

    total: Any


def draws(key, point, static, data):
    """Draw a trajectory and add everything up, so that nothing is left out."""
    world = span_world(key, jax.tree.map(lambda x: jnp.asarray(x, float), point), static)
    return Sum(sum(jnp.sum(leaf) for leaf in jax.tree.leaves(world)))


class Call(NamedTuple):
    """One call of a compiled sweep: what runs it and gives its seconds, its trajectories, the program.

    `compile_s` are the seconds that tracing and compiling took, `bytes` the memory that a device needs.
    """

    run: Callable[[], float]
    trajectories: int
    compiled: Any
    compile_s: float
    bytes: int


def only_size(sweep: pt_jax.Sweep) -> SizeClass:
    """Return all of a sweep of one size class."""
    (size,) = parts(sweep, tuple(np.arange(n) for n in sweep.shape), tile_shape(sweep))
    return size


def first_call(sweep: pt_jax.Sweep) -> Call:
    """Compile a sweep of one size class and return its first call, run once."""
    start = time.perf_counter()
    size = only_size(sweep)
    group = next(size.groups())
    arguments, compiled = size.arguments(group), size.compiled
    taken = time.perf_counter() - start
    jax.block_until_ready(compiled(*arguments))
    run = partial(seconds, lambda: compiled(*arguments))
    return Call(run, size.trajectories(group), compiled, taken, call_bytes(compiled))


def phases(seeds: int, lanes: int | None = None) -> dict[str, Call]:
    """Return programs that do more and more of a trajectory."""

    def call(function: Callable, outputs: tuple[str, ...] | None, point: Point) -> Call:
        return first_call(pt_jax.Sweep(function, point, {"u": [1.0, 2.0]}, seeds, outputs, Static(), lanes=lanes))

    return {
        "draws": call(draws, None, POINT),
        "Gram and weights": call(pt_jax.simulate, LOSSES, POINT._replace(steps1=0, steps2=0)),
        "training": call(pt_jax.simulate, LOSSES, POINT),
        "test error": call(pt_jax.simulate, ("gain",), POINT),
    }


def rows_of(until: dict[str, float]) -> dict[str, tuple[float, float, float]]:
    """Return (seconds, FLOP, bytes) of each phase of a trajectory and of all, from the seconds of `phases`."""
    rows, before = {}, 0.0
    for name, (flop, moved) in useful(POINT, Static()).items():
        rows[name] = (until[name] - before, flop, moved)
        before = until[name]
    return rows | {"all": (before, sum(r[1] for r in rows.values()), sum(r[2] for r in rows.values()))}


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


def cached(repeats: int) -> float:
    """Return bytes/s of a pass over arrays that fill the fast cache of a core, 1 MB, all cores."""
    length, times = 2**17, 500
    many = jax.jit(lambda x: jax.lax.fori_loop(0, times, lambda _, y: 0.5 * y + x, x))
    arrays = [jax.device_put(np.ones(length, np.float32), device) for device in jax.local_devices()]
    taken = min(seconds(lambda: [many(x) for x in arrays]) for _ in range(repeats + 1))
    return 3 * 4 * length * times * len(arrays) / taken


def here(sweeps: dict[str, pt_jax.Sweep], repeats: int, size: int) -> tuple[Machine, dict[str, float]]:
    """Return the rates of this machine, and the trajectories a second of sweeps: medians, measured in turn."""
    on_cpu = jax.default_backend() == "cpu"
    calls, turns = [first_call(sweep) for sweep in sweeps.values()], []
    for _ in range(repeats):
        flops, copied = limits(size, 1)
        turns.append((flops, cached(1) if on_cpu else copied, *(call.trajectories / call.run() for call in calls)))
    flops, bandwidth, *rates = (statistics.median(x) for x in zip(*turns, strict=True))
    machine = Machine(flops, bandwidth, free_memory(), CPU if on_cpu else GPU)
    return machine, dict(zip(sweeps, rates, strict=True))


def print_model(name: str, repeats: int, size: int) -> None:
    """Print what is predicted for each setting, beside what was measured."""
    seeds = 32 if jax.default_backend() == "cpu" else 4096
    sweeps = {
        setting: pt_jax.Sweep(pt_jax.simulate, point, {"u": [1.0, 2.0]}, seeds, ("gain",), static)
        for setting, (point, static) in MODELLED.items()
    }
    known = here(sweeps, repeats, size) if name == "here" else (MACHINES[name], MEASURED.get(name, {}))
    machine, measured = known
    print(f"{name}: {machine.flops / 1e9:,.0f} GFLOP/s, {machine.bandwidth / 1e9:,.0f} GB/s by {machine.reached:.2f}")
    print("setting       MFLOP      MB  kB a lane  lanes at most  trajectories/s  by bytes  measured/s  ratio")
    for setting, sweep in sweeps.items():
        program = only_size(sweep).program
        needs, memory = passes(program), cost.of(program).memory
        taken, by_bytes = predict(needs, machine)
        flop, moved = (
            sum(x.times * amount(x) for x in needs) / 1e6 for amount in (lambda x: x.flop, lambda x: x.bytes)
        )
        row = f"{setting:<12}{flop:>7.0f}{moved:>8.0f}{memory / 1e3:>11.0f}{machine.memory / memory:>15,.0f}"
        row += f"{1 / taken:>16,.0f}{by_bytes:>10.0%}"
        if rate := measured.get(setting):
            row += f"{rate:>12,.0f}{1 / taken / rate:>7.2f}"
        print(row)


def main() -> None:
    """Time the phases and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seeds", type=int, help="trajectories a call and value; 256, on an accelerator 4,096")
    parser.add_argument("--size", type=int, default=4096, help="of the large matrix product")
    parser.add_argument("--model", choices=("here", *MACHINES), help="print what the cost model predicts")
    parser.add_argument("--out", type=Path, default=Path("results/roofline.json"))
    options = parser.parse_args()
    pt_jax.use_all_cores()
    if options.model:
        return print_model(options.model, options.repeats, options.size)
    programs = phases(options.seeds or (256 if jax.default_backend() == "cpu" else 4096))
    times: dict[str, list[float]] = {name: [] for name in programs}
    peak, bandwidth = limits(options.size, options.repeats)
    for _ in range(options.repeats):
        for name, call in programs.items():
            times[name].append(call.run() / call.trajectories)
    again = limits(options.size, options.repeats)
    peak, bandwidth = max(peak, again[0]), max(bandwidth, again[1])
    until = {name: statistics.median(values) for name, values in times.items()}

    print(f"large matrix product {peak / 1e9:.1f} GFLOP/s, copy {bandwidth / 1e9:.1f} GB/s, {machine()['device']}")
    print(f"{'phase':<18}{'us':>8}{'MFLOP':>9}{'GFLOP/s':>9}{'share':>8}{'kB':>9}{'GB/s':>8}{'share':>8}")
    rows = rows_of(until)
    for name, (taken, flop, moved) in rows.items():
        print(
            f"{name:<18}{taken * 1e6:>8.0f}{flop / 1e6:>9.2f}{flop / taken / 1e9:>9.1f}{flop / taken / peak:>8.0%}"
            f"{moved / 1e3:>9.0f}{moved / taken / 1e9:>8.1f}{moved / taken / bandwidth:>8.0%}"
        )
    counted = rows["training"][1] / rows["all"][0] / peak
    print(f"training operations alone over the time of all phases: {counted:.0%} of the limit")
    print(f"{1 / until['test error']:,.0f} trajectories/s")
    record: dict[str, Any] = {"flops": peak, "bandwidth": bandwidth, "trajectories_per_s": 1 / until["test error"]}
    record["phases"] = {n: dict(zip(("seconds", "flop", "bytes"), row, strict=True)) for n, row in rows.items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record | {"machine": machine()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
