"""What a trajectory costs, and on what it depends: sizes, lanes, devices, length of a sweep, product grids.

    python benchmarks/scaling.py [--repeats 5] [--quick] [--all-points] [--out results/scaling.json]

Every time is the wall time of `pt_jax.run` in memory with the gain alone. The first run of a row is apart, it compiles.
The rows of a table are then taken in turn, so that a disturbance of the machine meets all of them. Printed: medians;
core-ms is wall time x devices / trajectories; `relative` is the median over the rounds of the ratio of core-ms to
those of the row that has 1. The span engine runs the default point but for what the table says.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import pt_jax
from pt_jax.sweep.provenance import machine

VALUES = {  # the value to which the others are compared comes first
    "d": (500, 100, 10**3, 10**4, 10**5, 10**6),
    "n1 n2": (40, 10, 20, 80, 160, 320),
    "m": (20, 5, 10, 40),
    "steps1 steps2": (200, 50, 100, 400),
    "lanes": (32, 1, 4, 8, 16, 64, 128),
}
CHEAP = pt_jax.Point(steps1=50, steps2=50, n1=20, n2=20, m=10)
PRODUCT = pt_jax.Point(n1=200, n2=40, steps1=400, steps2=100)
ALPHA, V2 = np.round(np.linspace(0, 20, 16)) / 20, np.linspace(0.25, 4, 16)  # 20 filters: every share is a whole number


class Job(NamedTuple):
    """A row to come: what takes its time, in seconds, and for how many trajectories on how many devices."""

    run: Callable[[], float]
    trajectories: int
    devices: int


def job(sweep: pt_jax.Sweep) -> Job:
    """A sweep in this process."""
    return Job(partial(seconds, sweep), sweep.trajectories, len(jax.devices()))


def seconds(sweep: pt_jax.Sweep) -> float:
    """Wall time of a sweep in memory."""
    start = time.perf_counter()
    pt_jax.run(sweep)
    return time.perf_counter() - start


def single(seeds: int, **changed: int) -> pt_jax.Sweep:
    """One cell at the default point but for what is changed: nothing is shared between its trajectories."""
    lanes = changed.pop("lanes", None)
    point = pt_jax.Point(**changed)
    return pt_jax.Sweep(pt_jax.simulate, point, {"u": [point.u]}, seeds, ("gain",), lanes=lanes)


def varied(name: str, values: tuple[int, ...], seeds: int) -> dict[str, Job]:
    """The default point with one thing varied; large samples take long enough with an eighth of the seeds."""
    jobs = {}
    for value in values:
        few = name == "n1 n2" and value > 80 and seeds > 32 * len(jax.devices())
        jobs[f"{value:,}"] = job(single(seeds // 8 if few else seeds, **dict.fromkeys(name.split(), value)))
    return jobs


def longer(quick: bool) -> dict[str, Job]:
    """Sweeps of more and more cells. Only u grows: along v2 the upstream run is shared, which is another matter."""
    jobs = {}
    for n in (100, 10) if quick else (100, 10, 1000):
        axes = {"u": np.linspace(0, 4, n), "v2": np.linspace(1, 3, 5)}
        sweep = pt_jax.Sweep(pt_jax.simulate, CHEAP, axes, 20, ("gain",))
        jobs[f"{sweep.trajectories:,}"] = job(sweep)
    return jobs


def product(points: int, seeds: int) -> dict[str, Job]:
    """The whole grid, and some of its points spread over it as sweeps of their own."""
    parts = {"grid": {"alpha": ALPHA, "v2": V2}}
    for k in np.linspace(0, len(ALPHA) * len(V2) - 1, points).round().astype(int):
        a, v = ALPHA[k // len(V2)], V2[k % len(V2)]
        parts[f"{a:g}, {v:g}"] = {"alpha": np.array([a]), "v2": np.array([v])}
    return {name: job(pt_jax.Sweep(pt_jax.simulate, PRODUCT, axes, seeds, ("gain",))) for name, axes in parts.items()}


@contextmanager
def child(devices: int, seeds: int) -> Iterator[Job]:
    """The default point in a process with this number of devices, which waits without work between its runs."""
    command = [sys.executable, __file__, "--child", str(devices), str(seeds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        asked, answers = process.stdin, process.stdout
        assert asked and answers

        def run() -> float:
            print(file=asked, flush=True)
            return float(answers.readline())

        yield Job(run, seeds, devices)


def serve(devices: int, seeds: int) -> None:
    """Time one run for each line that comes in."""
    jax.config.update("jax_num_cpu_devices", devices)
    sweep = single(seeds)
    for _ in sys.stdin:
        print(seconds(sweep), flush=True)


def table(title: str, jobs: Mapping[str, Job], repeats: int) -> dict[str, Any]:
    """Take the jobs in turn, print their table and return its rows; the first job is the one compared with."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(1 + repeats):
        for name, each in jobs.items():
            times[name].append(each.run())
    print(f"\n{title}")
    print(f"{'':>12} {'trajectories':>12} {'first s':>8} {'s':>8} {'core-ms':>8} {'a second':>9} {'relative':>8}")
    rows: dict[str, Any] = {}
    base = None
    for name, (first, *rest) in times.items():
        _, count, devices = jobs[name]
        cost = 1000 * devices * np.array(rest) / count
        base = cost if base is None else base
        core_ms, relative, median = float(np.median(cost)), float(np.median(cost / base)), statistics.median(rest)
        print(
            f"{name:>12} {count:12,} {first:8.2f} {median:8.3f} {core_ms:8.3f} {count / median:9,.1f} {relative:8.3f}"
        )
        rows[name] = {"trajectories": count, "devices": devices, "first": first, "seconds": rest}
        rows[name] |= {"core_ms": core_ms, "per_second": count / median, "relative": relative}
    sys.stdout.flush()
    return rows


def verdicts(ends: dict[str, Any], length: dict[str, Any], grid: dict[str, Any]) -> dict[str, bool]:
    """What is asked of the rows of three tables, and whether it holds."""
    _, far = (row["relative"] for row in ends.values())
    linear = [row["relative"] for row in length.values()]
    long, short = (min(row["seconds"]) for row in list(length.values())[:2])
    fixed = (10 * short - long) / 9  # what a run takes beside its trajectories
    whole, *points = (np.array(row["seconds"]) for row in grid.values())
    share = float(np.median(whole / (np.mean(points, axis=0) * len(ALPHA) * len(V2))))  # scaled to all its points
    return {
        f"d = 10^6 over d = 500: {far:.3f}, within 5%": abs(far - 1) <= 0.05,
        f"time linear in cells: {min(linear):.3f} to {max(linear):.3f} of that at 10^4, within 10% "
        f"({1000 * fixed:.0f} ms a run are fixed)": max(linear) <= 1.1 and min(linear) >= 0.9,
        f"grid over its 256 points one by one ({len(points)} run): {share:.3f}, at most 0.25": share <= 0.25,
    }


def main() -> None:
    """Measure table by table, then judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few values, 2 repeats: its verdicts mean little")
    parser.add_argument("--all-points", action="store_true", help="run all 256 points of the grid one by one, not 8")
    parser.add_argument("--out", type=Path, default=Path("results/scaling.json"))
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return serve(*options.child)
    pt_jax.use_all_cores()
    quick, repeats = options.quick, 2 if options.quick else options.repeats
    least = 32 * len(jax.devices())  # with fewer seeds devices would be idle in a single cell
    seeds = least if quick else 8 * least
    tables = {}
    for name, values in VALUES.items():
        tables[name] = table(name, varied(name, (values[0], values[-1]) if quick else values, seeds), repeats)
    with child(1, seeds) as one:
        tables["devices"] = table("devices", {f"{len(jax.devices())}": job(single(seeds)), "1": one}, repeats)
    title = "length of a sweep: u x 5 v2 x 20 seeds at n1 = n2 = 20, m = 10, steps1 = steps2 = 50"
    tables["length"] = table(title, longer(quick), repeats)
    title = "16 alpha x 16 v2 at n1 = 200, n2 = 40, steps1 = 400, steps2 = 100: the grid, and points (alpha, v2) alone"
    points = 256 if options.all_points else 2 if quick else 8
    tables["product"] = table(title, product(points, 2 if quick else least), repeats)
    tables["ends"] = table("d, again", varied("d", (500, 10**6), seeds), repeats if quick else max(15, repeats))
    checks = verdicts(tables["ends"], tables["length"], tables["product"])
    print("", *(f"{'pass' if passed else 'FAIL'}: {name}" for name, passed in checks.items()), sep="\n")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"tables": tables, "checks": checks, "machine": machine()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
