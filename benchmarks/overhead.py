"""What store, resume and progress cost: a stored run against the bare loop over the same compiled calls.

    python benchmarks/overhead.py [--repeats 5] [--against DIR]

Both compute the same trajectories with the same program, in turn. The bare loop keeps its results in memory and
reports nothing. Printed: medians, and the median of the paired ratios. Then the default map in memory, with the bar of
a terminal and silent. `--against` times that map alone, here and in another checkout, each in a process of its own.
"""

import argparse
import inspect
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

import pt_jax
from pt_jax import study
from pt_jax.app.progress import Bar
from pt_jax.sweep.lanes import parts, tile_shape


def settings() -> dict[str, pt_jax.Sweep]:
    """The first setting, with all results and with the gain alone, and the cheaper one of the published heat map."""
    first = {"u": np.linspace(0, 4, 32)}
    d = np.arange(100, 1100, 20)
    kou = pt_jax.Point(n2=20, m=10, v2=0.0, lr2=10.0, steps2=100)
    static = pt_jax.Static(noise="isotropic", bias=True, init="uniform")
    axes = {"d,init_scale": np.stack([d, 10 / np.sqrt(3 * d)], axis=1), "u": np.arange(100) * 0.1}
    return {
        "first setting, gain": pt_jax.Sweep(pt_jax.simulate, pt_jax.Point(), first, 256, ("gain",)),
        "first setting, all results": pt_jax.Sweep(pt_jax.simulate, pt_jax.Point(), first, 256),
        "heat map, error": pt_jax.Sweep(pt_jax.scratch, kou, axes, 10, ("error_scratch",), static),
    }


def bare(sweep: pt_jax.Sweep) -> float:
    """Seconds of the loop over the compiled calls, one call ahead."""
    cells, tile = tuple(np.arange(n) for n in sweep.shape), tile_shape(sweep)
    start, kept, running = time.perf_counter(), [], None
    for size in parts(sweep, cells, tile):
        for group in size.groups():
            previous, running = running, size.compiled(*size.arguments(group))
            if previous is not None:
                kept.append({name: np.asarray(value) for name, value in previous.items()})
    kept.append({name: np.asarray(value) for name, value in (running or {}).items()})
    return time.perf_counter() - start


def stored(sweep: pt_jax.Sweep) -> float:
    """Seconds of a run into a new store, with the progress that the command line shows."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        study.carry_out({"run": sweep}, {"run": Path(folder) / "run"}, study.Flags(yes=True))
        return time.perf_counter() - start


def default_map() -> pt_jax.Sweep:
    """12 x 12 cells with 16 seeds."""
    return pt_jax.Sweep(
        pt_jax.simulate, pt_jax.Point(), {"u": np.linspace(0, 4, 12), "v2": np.linspace(0.5, 5, 12)}, 16
    )


def shown(sweep: pt_jax.Sweep) -> float:
    """Seconds of a run in memory with a bar on a terminal."""
    start = time.perf_counter()
    with Bar(console=Console(file=io.StringIO(), force_terminal=True, force_interactive=True)) as bar:
        pt_jax.run(sweep, bar)
    return time.perf_counter() - start


def silent(sweep: pt_jax.Sweep) -> float:
    """Seconds of a run in memory that says nothing."""
    start = time.perf_counter()
    pt_jax.run(sweep, None)
    return time.perf_counter() - start


def elsewhere(checkout: Path, repeats: int) -> float:
    """Median seconds of the default map by the code of a checkout, which may be older than this file."""
    code = ["import time, numpy as np, pt_jax", inspect.getsource(default_map), inspect.getsource(silent)]
    code += ["pt_jax.use_all_cores()", f"for _ in range({repeats} + 1): print(silent(default_map()))"]
    command, env = [sys.executable, "-c", "\n".join(code)], os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return statistics.median(map(float, done.stdout.split()[1:]))  # the first one compiles


def compare(other: Path, repeats: int) -> None:
    """Time the default map here and in another checkout, in turn, and print both."""
    here = Path(__file__).parents[1]
    pairs = [(elsewhere(here, repeats), elsewhere(other, repeats)) for _ in range(repeats)]
    one, two = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"default map, silent: here {one:.3f} s, {other} {two:.3f} s, ratio {ratio:.3f}")


def main() -> None:
    """Time all in turn and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    repeats = options.repeats
    if options.against is not None:
        return compare(options.against, repeats)
    pt_jax.use_all_cores()
    silent(default_map())  # compile
    pairs = [(silent(default_map()), shown(default_map())) for _ in range(repeats)]
    one, two = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"default map: silent {one:.3f} s, bar {two:.3f} s, ratio {statistics.median(b / a for a, b in pairs):.3f}")
    for name, sweep in settings().items():
        bare(sweep), stored(sweep)  # compile
        pairs = [(bare(sweep), stored(sweep)) for _ in range(repeats)]
        one, two = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"{name}: bare {one:.2f} s, stored {two:.2f} s, ratio {ratio:.3f} ({sweep.trajectories:,} trajectories)")


if __name__ == "__main__":
    main()
