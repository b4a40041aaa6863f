"""What a store of very many units costs before anything is computed, and how many files it has.

    python benchmarks/far.py [--units 100000] [--folder DIR]

Nothing is trained: one unit of 4,096 trajectories is written, and its files are copied for all others but one in a
hundred. Printed are seconds, by the clock and of this process. The copies take several minutes and 4 GB.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import pt_jax
from pt_jax.sweep import store
from pt_jax.sweep.run import opened

SEEDS = 4096


class Place(NamedTuple):
    """Where a step starts."""

    x: float = 0.0
    y: float = 0.0


class End(NamedTuple):
    """Where it ends, in as many numbers as a map keeps at least."""

    gain: jax.Array
    error: jax.Array
    error_scratch: jax.Array


def step(key: jax.Array, point: Place, static: None, data: None) -> End:
    """Return one random step."""
    end = point.x + point.y + jax.random.normal(key)
    return End(end, end, end)


def sweep(units: int) -> pt_jax.Sweep:
    """A grid in which each cell is a unit."""
    return pt_jax.Sweep(step, Place(), {"x": np.arange(units // 100), "y": np.arange(100)}, SEEDS, lanes=SEEDS)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    start, own = time.perf_counter(), time.process_time()
    yield
    print(f"{what:<36}{time.perf_counter() - start:8.2f} s{time.process_time() - own:8.2f} s", flush=True)


def fill(made: store.Store, folder: Path) -> None:
    """Write the first unit, and copy its files for all others; those with y = 1 are left out."""
    first, *others = made.units()
    made.write(first, {name: np.zeros((1, 1, SEEDS)) for name in made.names}, np.ones((1, 1, SEEDS), np.uint8))
    for name in (*made.names, "check", "done"):
        chunks = f"{folder}/data.zarr/{name}/c"
        content = Path(chunks, "0/0/0").read_bytes()
        for x, y, _ in others:
            if y.start != 1:
                os.makedirs(f"{chunks}/{x.start}/{y.start}")
                with open(f"{chunks}/{x.start}/{y.start}/0", "wb") as file:
                    file.write(content)


def count(folder: Path) -> str:
    """Return how many files and folders there are, and the most names in one folder."""
    sizes = [(len(files), len(folders)) for _, folders, files in os.walk(folder)]
    files, folders = map(sum, zip(*sizes, strict=True))
    return f"{files:,} files in {folders:,} folders, at most {max(map(sum, sizes)):,} names in one"


def main() -> None:
    """Make the store, then time what a run does with it before it computes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.units < 100 or options.units % 100:
        parser.error(f"--units {options.units}: use a multiple of 100")
    store._UNITS = options.units  # more than it would have by itself
    one = sweep(options.units)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        store.prepare(one, folder, fresh=False, force=False)
        with timed("write"):
            fill(store.load(one, folder), folder)
        print(count(folder))
        with timed("open the store"):
            kept = store.load(one, folder)
        assert len(list(kept.units())) == options.units
        with timed("count what is known"):
            assert store.known(one, kept) == 0.99 * one.trajectories
        with timed("open for a run, list what is missing"), opened(one, store=folder) as filling:
            assert len(filling._missing(None)) == 0.01 * options.units  # type: ignore[attr-defined]
        with timed("open the dataset"):
            pt_jax.load(folder)


if __name__ == "__main__":
    main()
