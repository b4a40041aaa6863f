"""Peak memory: that of a stored sweep must not grow with the number of cells, nor with the size of the results.

    python benchmarks/memory.py

Each run is a process of its own. First, one seed in 10^4 and in 10^6 cells: ru_maxrss. Then a sweep whose results are
ten times as large as the memory that the system lets the process have beside what it has at the start (RLIMIT_DATA).
Last, the measures that take samples in batches: ru_maxrss at 10^3 and 10^5 samples, which must be the same.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import pt_jax
from pt_jax.diagnostics import class_means, collapse, similarity_matrix

LIMIT = 300 * 2**20  # bytes


class Wave(NamedTuple):
    """Frequency and phase."""

    frequency: float = 1.0
    phase: float = 0.0


class Sample(NamedTuple):
    """A noisy sample of it, and its mean."""

    values: jax.Array
    mean: jax.Array


def sample(key: jax.Array, point: Wave, static: int, data: None) -> Sample:
    """Return `static` noisy values of a sine."""
    t = jax.numpy.linspace(0, 1, static)
    values = jax.numpy.sin(point.frequency * t + point.phase) + jax.random.normal(key, (static,))
    return Sample(values=values, mean=values.mean())


def sweep(side: int, size: int, outputs: tuple[str, ...]) -> pt_jax.Sweep:
    """A square map with one seed."""
    axes = {"frequency": np.linspace(0, 9, side), "phase": np.linspace(0, 1, side)}
    return pt_jax.Sweep(sample, Wave(), axes, seeds=1, outputs=outputs, static=size)


def child(folder: str, side: int, limited: bool) -> None:
    """Run a map; print the peak memory in MB."""
    pt_jax.use_all_cores()
    if limited:
        pt_jax.run(sweep(8, 4096, ("values",)), store=f"{folder}/warm")
        status = Path("/proc/self/status").read_text()
        used = int(status.split("VmData:")[1].split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (used + LIMIT, used + LIMIT))
    pt_jax.run(sweep(side, 4096 if limited else 8, ("values",) if limited else ("mean",)), store=f"{folder}/run")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def batches(samples: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features and labels of ten classes, 250 samples at a time."""
    rng = np.random.default_rng(0)
    for _ in range(samples // 250):
        labels = rng.integers(0, 10, 250)
        yield (rng.normal(size=(250, 512)) + np.eye(10, 512)[labels]).astype(np.float32), labels


def by_collapse(samples: int) -> None:
    """Neural collapse of 512 features."""
    weight = np.eye(10, 512, dtype=np.float32)
    means = class_means.none(10, 512)
    for features, labels in batches(samples):
        means = class_means.add(means, features, labels)
    spread = collapse.no_spread(means)
    for features, labels in batches(samples):
        spread = collapse.add_spread(spread, features, labels, weight)
    collapse.result(spread, weight)


def by_similarity(samples: int) -> None:
    """CKA of three layers with two."""
    halves = ((x[:, :256], x[:, 256:]) for x, _ in batches(samples))
    similarity_matrix.matrix(({"a": x, "b": y, "c": x + y}, {"a": x * y, "b": y}) for x, y in halves)


MEASURES = {"neural collapse": by_collapse, "CKA": by_similarity}


def peak(*arguments: str) -> float:
    """Peak memory of a child in MB."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return float(done.stdout.split()[-1])


def measure(side: int, limited: bool = False) -> float:
    """Peak memory of a stored sweep in MB."""
    with tempfile.TemporaryDirectory() as folder:
        return peak("--child", folder, str(side), str(int(limited)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", nargs=3)
    parser.add_argument("--measures", action="store_true", help="the measures alone")
    parser.add_argument("--measure", nargs=2)
    options = parser.parse_args()
    if options.child:
        folder, side, limited = options.child
        return child(folder, int(side), bool(int(limited)))
    if options.measure:
        name, samples = options.measure
        MEASURES[name](int(samples))
        return print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if not options.measures:
        sweeps()
    print("| samples in batches of 250 | " + " | ".join(MEASURES) + " |\n| --- |" + " --- |" * len(MEASURES))
    for samples in (10**3, 10**4, 10**5):
        print(
            f"| {samples:,} | "
            + " | ".join(f"{peak('--measure', name, str(samples)):,.0f} MB" for name in MEASURES)
            + " |"
        )


def sweeps() -> None:
    """Measure and print the peak memory of stored sweeps."""
    small, large = measure(100), measure(1000)
    print(f"peak memory: 10^4 cells {small:,.0f} MB, 10^6 cells {large:,.0f} MB, ratio {large / small:.3f}")
    side = round((10 * LIMIT / (4 * 4096)) ** 0.5)
    size = side**2 * 4 * 4096 / 2**20
    print(f"{size:,.0f} MB of results within {LIMIT / 2**20:,.0f} MB of memory: {measure(side, True):,.0f} MB peak")


if __name__ == "__main__":
    main()
