"""Kill a stored sweep at random moments and resume it: the final store must equal an uninterrupted one bit for bit.

    python benchmarks/kill.py [--kills 100]

Each run is a process of its own, killed with SIGKILL after a random time, also while it makes or enlarges the store,
and started again. After each kill the store is opened: nothing that is marked done may be missing.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import xarray as xr

import pt_jax
from pt_jax.sweep import store


class Walk(NamedTuple):
    """A random walk with drift."""

    drift: float = 0.0
    scale: float = 1.0


class End(NamedTuple):
    """Where it ends."""

    end: jax.Array
    positive: jax.Array


def walk(key: jax.Array, point: Walk, static: None, data: None) -> End:
    """Return the end of a walk of 64 steps."""
    end = (point.drift + point.scale * jax.random.normal(key, (64,))).sum()
    return End(end=end, positive=end > 0)


def sweep(stage: int) -> pt_jax.Sweep:
    """The sweep at first (stage 0), and with more values inside and outside an axis and more seeds (stage 1)."""
    drift = np.linspace(0, 1, 12) if stage == 0 else np.linspace(0, 2, 45)
    return pt_jax.Sweep(
        walk, Walk(), {"drift": drift, "scale": np.linspace(0.5, 2, 10)}, seeds=16 * (stage + 1), lanes=8
    )


def child(folder: str) -> None:
    """Run both stages in small units."""
    store._UNIT = 64
    for stage in (0, 1):
        pt_jax.run(sweep(stage), store=folder)


def check(folder: Path) -> int:
    """Return the number of trajectories marked done; each of them must hold a number."""
    if not (folder / "data.zarr").exists():
        return 0
    ds = xr.open_zarr(folder / "data.zarr", consolidated=False, chunks=None).load()
    done = ds["done"].values == 1
    for name in ("end", "positive"):
        assert np.isfinite(ds[name].values[done]).all(), "marked done but not there"
    return int(done.sum())


def kill_until_done(folder: Path, kills: int, seed: int) -> int:
    """Kill the child `kills` times, then let it finish; return how many kills hit it alive."""
    wait, hit = random.Random(seed), 0
    command = [sys.executable, __file__, "--child", str(folder)]
    for _ in range(kills):
        process = subprocess.Popen(command)
        time.sleep(wait.uniform(0.8, 3.5))
        hit += process.poll() is None
        process.kill()
        process.wait()
        check(folder)
    subprocess.run(command, check=True)
    return hit


def main() -> None:
    """Run the child to its end without and with kills, and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        return child(options.child)
    root = Path(tempfile.mkdtemp())
    subprocess.run([sys.executable, __file__, "--child", str(root / "whole")], check=True)
    whole = xr.open_zarr(root / "whole" / "data.zarr", consolidated=False).load()
    left, round_number, hit = options.kills, 0, 0
    while left > 0:  # ten kills a store, so that every stage of a run is hit
        kills, folder = min(10, left), root / f"killed{round_number}"
        hit += kill_until_done(folder, kills, round_number)
        killed = xr.open_zarr(folder / "data.zarr", consolidated=False).load()
        assert all(np.array_equal(killed[name], whole[name]) for name in whole.variables), "differs"
        left, round_number = left - kills, round_number + 1
        shutil.rmtree(folder)
    print(f"{options.kills} kills, {hit} hit a running process")
    print(f"{round_number} stores equal the uninterrupted one bit for bit")
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
