"""What store, resume and progress cost: a stored run against the bare loop over the same compiled calls.

    python benchmarks/overhead.py [--repeats 5]

Both compute the same trajectories with the same program, in turn. The bare loop keeps its results in memory and
reports nothing. Printed: medians, and the median of the paired ratios.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import pt_jax
from pt_jax import study
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


def main() -> None:
    """Time both in turn and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    pt_jax.use_all_cores()
    for name, sweep in settings().items():
        bare(sweep), stored(sweep)  # compile
        pairs = [(bare(sweep), stored(sweep)) for _ in range(repeats)]
        one, two = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"{name}: bare {one:.2f} s, stored {two:.2f} s, ratio {ratio:.3f} ({sweep.trajectories:,} trajectories)")


if __name__ == "__main__":
    main()
