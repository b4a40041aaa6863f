"""How long a user waits: for the package, for help, for the first compilation and for the first figure.

    python benchmarks/startup.py [--repeats 5] [--quick] [--out results/startup.json]

Every run is a fresh process. The rows are taken in turn; the first round is apart: it reads the files from disk and
fills jax's persistent compilation cache, one folder for each row that has one. The others are sure to use none.
Printed: medians of the wall time. Of a compilation only the compilation counts, not the process around it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import pt_jax
from pt_jax.sweep.lanes import parts, tile_shape
from pt_jax.sweep.provenance import machine

PT_JAX = str(Path(sys.executable).with_name("pt-jax"))
COMMANDS = {
    "import jax": [sys.executable, "-c", "import jax"],
    "import pt_jax": [sys.executable, "-c", "import pt_jax"],
    "pt-jax --help": [PT_JAX, "--help"],
    "pt-jax map --help": [PT_JAX, "map", "--help"],
}
FIGURE = ["map", "--x", "u=0:4:9", "--seeds", "4"]
TRACE, COMPILE, BOTH = "trace and lower", "compile", "first compile"
LIMITS = {  # seconds
    "pt-jax --help": 0.5,
    "pt-jax map --help": 0.5,
    f"{BOTH}, no cache": 6.0,
    f"{BOTH}, warm cache": 1.5,
}


def compile_once() -> None:
    """Print the seconds to trace and lower, and to compile, the program that the first figure needs."""
    pt_jax.use_all_cores()
    jax.devices()  # starting the backend is no part of a compilation
    sweep = pt_jax.Sweep(pt_jax.simulate, pt_jax.Point(), {"u": np.linspace(0, 4, 9)}, seeds=4)
    whole = tuple(np.arange(length) for length in sweep.shape)
    start = time.perf_counter()
    (size,) = parts(sweep, whole, tile_shape(sweep))  # traces the function for its results
    lowered = size.lowered()
    middle = time.perf_counter()
    lowered.compile()
    print(middle - start, time.perf_counter() - middle)


def environment(cache: Path | None) -> dict[str, str]:
    """Variables of a process that keeps what it compiles in a folder, or that keeps nothing."""
    kept = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    if cache is None:
        return kept | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    return kept | {
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def process(command: list[str], env: Mapping[str, str]) -> tuple[float, str]:
    """Wall time of a process, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    took = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return took, done.stdout


def compilation(cache: Path | None) -> dict[str, float]:
    """Seconds of a compilation in a fresh process, by part."""
    _, text = process([sys.executable, __file__, "--child"], environment(cache))
    traced, compiled = map(float, text.split()[-2:])
    return {TRACE: traced, COMPILE: compiled, BOTH: traced + compiled}


def figure(cache: Path | None) -> float:
    """Seconds from an empty folder to a figure in it."""
    with tempfile.TemporaryDirectory() as folder:
        took, _ = process([PT_JAX, *FIGURE, "--out", f"{folder}/map"], environment(cache))
        return took


def turn(caches: Path) -> dict[str, float]:
    """Run everything once, with a cache and without."""
    found = {name: process(command, environment(None))[0] for name, command in COMMANDS.items()}
    for end, kept in {"no cache": False, "warm cache": True}.items():
        found |= {f"{name}, {end}": took for name, took in compilation(caches / "compile" if kept else None).items()}
        found[f"first figure, {end}"] = figure(caches / "figure" if kept else None)
    return found


def measure(repeats: int) -> dict[str, dict[str, Any]]:
    """Run the rounds, print the table and return its rows."""
    with tempfile.TemporaryDirectory() as caches:
        first, *rest = (turn(Path(caches)) for _ in range(1 + repeats))
    print(f"{'seconds':>28} {'median':>8} {'lowest':>8} {'highest':>8} {'first round':>12}")
    rows: dict[str, dict[str, Any]] = {}
    for name in first:
        seconds = [found[name] for found in rest]
        median = statistics.median(seconds)
        print(f"{name:>28} {median:8.2f} {min(seconds):8.2f} {max(seconds):8.2f} {first[name]:12.2f}")
        rows[name] = {"first": first[name], "seconds": seconds, "median": median}
    return rows


def main() -> None:
    """Measure, print the table and judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2 repeats")
    parser.add_argument("--out", type=Path, default=Path("results/startup.json"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return compile_once()
    rows = measure(2 if options.quick else options.repeats)
    checks = {f"{name} under {limit:g} s": rows[name]["median"] < limit for name, limit in LIMITS.items()}
    print("", *(f"{'pass' if passed else 'FAIL'}: {name}" for name, passed in checks.items()), sep="\n")
    pt_jax.use_all_cores()  # as the children did, for the record
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"rows": rows, "checks": checks, "machine": machine()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
