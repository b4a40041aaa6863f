"""What a trajectory costs, and on what it depends: sizes, networks, rules, lanes, devices, length of a sweep, grids.

    python benchmarks/scaling.py [--repeats 5] [--tables ends,rules] [--quick] [--all-points] [--out FILE.json]

Every time is the wall time of `pt_jax.run` in memory with the gain alone. The first run of a row is apart, it compiles.
The rows of a table are then taken in turn, so that a disturbance of the machine meets all of them. Printed: medians;
core-ms is wall time x devices / trajectories, busy-ms the time that cores were at work; `relative` is the median over
the rounds of the ratio of core-ms to those of the row that has 1, `of busy` the same of busy-ms, which other work on
the machine distorts less. The span engine runs the default point but for what the table says.
"""

import argparse
import json
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
MODELS = ("cnn", "cnn_trained", "mlp", "attention")
RULES: dict[str, dict[str, float]] = {  # on both tasks
    "none": {},
    "momentum": {"momentum": 0.9},
    "decay": {"weight_decay": 1e-3},
    "both": {"momentum": 0.9, "weight_decay": 1e-3},
    "label noise": {"label_noise": 0.1},
    "SAM": {"sam": 0.05},
    "stop at loss": {"stop_loss": 1e-6},
    "batch of 10": {"batch": 10},  # an option, for both tasks
}
FAR = (500, 10**6)  # the values of d whose costs must be alike
TABLES = (*VALUES, "networks", "rules", "devices", "length", "product", "ends")
CHEAP = pt_jax.Point(steps1=50, steps2=50, n1=20, n2=20, m=10)
PRODUCT = pt_jax.Point(n1=200, n2=40, steps1=400, steps2=100)
ALPHA, V2 = np.round(np.linspace(0, 20, 16)) / 20, np.linspace(0.25, 4, 16)  # 20 filters: every share is a whole number


class Job(NamedTuple):
    """A row to come: what takes its seconds, by the clock and of cores; how many trajectories, on how many devices."""

    run: Callable[[], tuple[float, float]]
    trajectories: int
    devices: int


def job(sweep: pt_jax.Sweep) -> Job:
    """A sweep in this process."""
    return Job(partial(seconds, sweep), sweep.trajectories, len(jax.devices()))


def seconds(sweep: pt_jax.Sweep) -> tuple[float, float]:
    """Time of a sweep in memory, by the clock and of all cores together."""
    start, cores = time.perf_counter(), time.process_time()
    pt_jax.run(sweep)
    return time.perf_counter() - start, time.process_time() - cores


def single(seeds: int, **changed: Any) -> pt_jax.Sweep:
    """One cell at the default point but for fields, options or lanes: nothing is shared between its trajectories."""
    lanes = changed.pop("lanes", None)
    point = pt_jax.Point(**{name: changed.pop(name) for name in pt_jax.Point._fields if name in changed})
    static = pt_jax.Static(**changed)
    return pt_jax.Sweep(pt_jax.simulate, point, {"u": [point.u]}, seeds, ("gain",), static, lanes=lanes)


def varied(name: str, values: tuple[int, ...], seeds: int) -> dict[str, Job]:
    """The default point with one thing varied; large samples take long enough with an eighth of the seeds."""
    jobs = {}
    for value in values:
        few = name == "n1 n2" and value > 80 and seeds > 32 * len(jax.devices())
        jobs[f"{value:,}"] = job(single(seeds // 8 if few else seeds, **dict.fromkeys(name.split(), value)))
    return jobs


def rules(seeds: int) -> dict[str, Job]:
    """The default point under every rule, on both tasks."""

    def both(rule: dict[str, float]) -> dict[str, float]:
        return {key if key == "batch" else f"{key}{task}": value for key, value in rule.items() for task in (1, 2)}

    return {name: job(single(seeds, **both(rule))) for name, rule in RULES.items()}


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

        def run() -> tuple[float, float]:
            print(file=asked, flush=True)
            clock, cores = map(float, answers.readline().split())
            return clock, cores

        yield Job(run, seeds, devices)


def serve(devices: int, seeds: int) -> None:
    """Time one run for each line that comes in."""
    jax.config.update("jax_num_cpu_devices", devices)
    sweep = single(seeds)
    for _ in sys.stdin:
        print(*seconds(sweep), flush=True)


def table(title: str, jobs: Mapping[str, Job], repeats: int) -> dict[str, Any]:
    """Take the jobs in turn, print their table and return its rows; the first job is the one compared with."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(1 + repeats):
        for name, each in jobs.items():
            times[name].append(each.run())
    print(f"\n{title}")
    head = f"{'':>12} {'trajectories':>12} {'first s':>8} {'s':>8} {'core-ms':>8} {'busy-ms':>8} {'a second':>9}"
    print(f"{head} {'relative':>8} {'of busy':>8}")
    rows: dict[str, Any] = {}
    base = None
    for name, ((first, _), *rest) in times.items():
        _, count, devices = jobs[name]
        clock, cores = np.array(rest).T
        cost = 1000 * np.stack([clock * devices, cores]) / count
        base = cost if base is None else base
        (core_ms, busy_ms), (relative, of_busy) = np.median(cost, 1).tolist(), np.median(cost / base, 1).tolist()
        median = float(np.median(clock))
        print(
            f"{name:>12} {count:12,} {first:8.2f} {median:8.3f} {core_ms:8.3f} {busy_ms:8.3f} {count / median:9,.1f} "
            f"{relative:8.3f} {of_busy:8.3f}"
        )
        rows[name] = {"trajectories": count, "devices": devices, "first": first, "seconds": clock.tolist()}
        rows[name] |= {"cores": cores.tolist(), "core_ms": core_ms, "busy_ms": busy_ms, "per_second": count / median}
        rows[name] |= {"relative": relative, "relative_busy": of_busy}
    sys.stdout.flush()
    return rows


def verdicts(tables: Mapping[str, dict[str, Any]]) -> dict[str, bool]:
    """What is asked of the rows of the tables that there are, and whether it holds."""
    checks = {}
    for model in MODELS:
        if rows := tables.get(f"ends {model}"):
            far, busy = (rows[f"{FAR[1]:,}"][key] for key in ("relative", "relative_busy"))
            wanted, holds = ("within 5%", abs(far - 1) <= 0.05) if model == "cnn" else ("at most 1.1", far <= 1.1)
            checks[f"{model}: d = 10^6 over d = 500: {far:.3f} (of busy {busy:.3f}), {wanted}"] = holds
    if rows := tables.get("length"):
        linear = [row["relative"] for row in rows.values()]
        long, short = (min(row["seconds"]) for row in list(rows.values())[:2])
        fixed = (10 * short - long) / 9  # what a run takes beside its trajectories
        checks[
            f"time linear in cells: {min(linear):.3f} to {max(linear):.3f} of that at 10^4, within 10% "
            f"({1000 * fixed:.0f} ms a run are fixed)"
        ] = max(linear) <= 1.1 and min(linear) >= 0.9
    if rows := tables.get("product"):
        whole, *points = (np.array(row["seconds"]) for row in rows.values())
        share = float(np.median(whole / (np.mean(points, axis=0) * len(ALPHA) * len(V2))))  # scaled to all its points
        checks[f"grid over its 256 points one by one ({len(points)} run): {share:.3f}, at most 0.25"] = share <= 0.25
    return checks


def main() -> None:
    """Measure table by table, then judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few values, 2 repeats: its verdicts mean little")
    parser.add_argument("--all-points", action="store_true", help="run all 256 points of the grid one by one, not 8")
    parser.add_argument("--out", type=Path, default=Path("results/scaling.json"))
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--tables", default=",".join(TABLES), help=f"some of {','.join(TABLES)}")
    options = parser.parse_args()
    wanted = options.tables.split(",")
    if not set(wanted) <= set(TABLES):
        parser.error(f"--tables {options.tables}: use some of {','.join(TABLES)}")
    if options.child:
        return serve(*options.child)
    pt_jax.use_all_cores()
    quick, repeats = options.quick, 2 if options.quick else options.repeats
    least = 32 * len(jax.devices())  # with fewer seeds devices would be idle in a single cell
    seeds = least if quick else 8 * least
    tables: dict[str, dict[str, Any]] = {}
    for name, values in VALUES.items():
        if name in wanted:
            tables[name] = table(name, varied(name, (values[0], values[-1]) if quick else values, seeds), repeats)
    if "networks" in wanted:
        jobs = {model: job(single(max(seeds // 2, least), model=model)) for model in MODELS}
        tables["networks"] = table("networks", jobs, repeats)
    if "rules" in wanted:
        tables["rules"] = table("rules, on both tasks", rules(max(seeds // 2, least)), repeats)
    if "devices" in wanted:
        with child(1, seeds) as one:
            tables["devices"] = table("devices", {f"{len(jax.devices())}": job(single(seeds)), "1": one}, repeats)
    if "length" in wanted:
        title = "length of a sweep: u x 5 v2 x 20 seeds at n1 = n2 = 20, m = 10, steps1 = steps2 = 50"
        tables["length"] = table(title, longer(quick), repeats)
    if "product" in wanted:
        title = (
            "16 alpha x 16 v2 at n1 = 200, n2 = 40, steps1 = 400, steps2 = 100: the grid, and points (alpha, v2) alone"
        )
        points = 256 if options.all_points else 2 if quick else 8
        tables["product"] = table(title, product(points, 2 if quick else least), repeats)
    if "ends" in wanted:
        for model in MODELS:
            count = seeds if model == "cnn" else max(seeds // 4, least)
            jobs = {f"{d:,}": job(single(count, model=model, d=d)) for d in FAR}
            tables[f"ends {model}"] = table(f"d, {model}", jobs, repeats if quick else max(15, repeats))
    checks = verdicts(tables)
    print("", *(f"{'pass' if passed else 'FAIL'}: {name}" for name, passed in checks.items()), sep="\n")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"tables": tables, "checks": checks, "machine": machine()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
