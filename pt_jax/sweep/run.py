"""Running a sweep: in memory, or into a store, from one process or from several shards.

What is missing in a unit of the store is computed as product blocks, its results are written, and then its part of
`done`. A run that is killed loses the unit in hand. One process writes a store, or several shards with a lock each.
"""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from pt_jax.sweep import store as files
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.lanes import compute, run_in_memory
from pt_jax.sweep.provenance import identity


def run(
    sweep: Sweep,
    report: Callable[[int, int], None] | None = None,
    store: str | Path | None = None,
    shard: tuple[int, int] = (0, 1),
    fresh: bool = False,
    force: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> xr.Dataset:
    """Run a sweep, in memory or into a store; a store that holds a part of it is continued.

    Args:
        sweep: what to run.
        report: called as report(done, total) with numbers of trajectories; those known before count as done.
        store: folder of the store; None runs in memory, and what follows is not used.
        shard: (i, n) computes every n-th unit from the i-th on, for job arrays; all shards together make the whole.
        fresh: delete what is there first.
        force: continue although the configuration has changed.
        stop: asked after each unit whether to end early.

    Returns:
        A dataset with the axes, then `seed`, then a result's own dimensions; units and long names are set. From a
        store: the cells and seeds asked for, opened lazily, NaN where nothing is computed yet.

    Raises:
        ValueError: the folder holds another sweep or another program's files, or is being written.
    """
    if store is None:
        return run_in_memory(sweep, report)
    folder, (i, n) = Path(store), shard
    if not (isinstance(i, int) and isinstance(n, int) and 0 <= i < n):
        raise ValueError(f"shard = {i}/{n} is not accepted: use i/n with whole numbers 0 <= i < n.")
    identity(sweep)  # refuses what could not be run again before anything is written
    with _opened(sweep, folder, shard, fresh, force) as kept:
        wanted = files.positions(kept.sweep, sweep)
        todo = [(unit, kept.missing(unit, wanted)) for unit in kept.units()[i::n]]
        left = sum(int(mask.sum()) for _, mask in todo)
        total = sweep.trajectories if n == 1 else left
        done = total - left

        def count(more: int) -> None:
            nonlocal done
            done += more
            if report is not None:
                report(done, total)

        count(0)
        for unit, mask in todo:
            if mask.any() and not stop():
                _fill(kept, unit, mask, count)
        return kept.dataset().isel(dict(zip([*(axis.name for axis in sweep.grid), "seed"], wanted, strict=True)))


def _fill(kept: files.Store, unit: tuple[slice, ...], missing: np.ndarray, count: Callable[[int], None]) -> None:
    """Compute what is missing in a unit, write the results, then `done`."""
    arrays = kept.read(unit)
    for block in blocks(missing):
        cells = tuple(i + s.start for i, s in zip(block, unit, strict=True))
        for name, values in compute(kept.sweep, cells, kept.tile, count).items():
            arrays[name][np.ix_(*block)] = values
    kept.write(unit, arrays, missing)


def blocks(mask: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Split a mask into disjoint product blocks: yield the indices along each dimension."""
    if mask.ndim == 1:
        if mask.any():
            yield (np.flatnonzero(mask),)
        return
    patterns, group = np.unique(mask.reshape(len(mask), -1), axis=0, return_inverse=True)
    for k, pattern in enumerate(patterns):
        for rest in blocks(pattern.reshape(mask.shape[1:])):
            yield np.flatnonzero(group.ravel() == k), *rest


def locked(folder: Path) -> bool:
    """Return whether a process is writing into the store."""
    try:
        with _lock(folder / "lock", fcntl.LOCK_EX):
            return False
    except BlockingIOError:
        return True


@contextlib.contextmanager
def _opened(sweep: Sweep, folder: Path, shard: tuple[int, int], fresh: bool, force: bool) -> Iterator[files.Store]:
    """Lock the folder, make or enlarge the store where needed, and open it."""
    files.check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.ExitStack() as locks:
            if shard[1] == 1:
                locks.enter_context(_lock(folder / "lock", fcntl.LOCK_EX))
                files.prepare(sweep, folder, fresh, force)
            else:
                locks.enter_context(_lock(folder / f"lock-{shard[0]}-{shard[1]}", fcntl.LOCK_EX))
                _prepare_shared(sweep, folder, force)
                locks.enter_context(_lock(folder / "lock", fcntl.LOCK_SH))
            yield files.load(sweep, folder)
    except BlockingIOError:
        raise ValueError(f"{folder} is being written by another process: wait for it, or use another folder.") from None


@contextlib.contextmanager
def _lock(path: Path, kind: int) -> Iterator[None]:
    """Hold a lock that the system gives back when the process ends, however it ends."""
    with open(path, "a") as file:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
        yield


def _prepare_shared(sweep: Sweep, folder: Path, force: bool) -> None:
    """Let whichever shard comes first make the store; the others wait for it."""
    while not (folder / "data.zarr").exists():
        try:
            with _lock(folder / "lock", fcntl.LOCK_EX):
                files.prepare(sweep, folder, False, force)
        except BlockingIOError:
            time.sleep(0.1)
    files.check_same(sweep, folder, force)
    if not files.covers(sweep, folder):
        raise ValueError(f"{folder} holds a smaller grid: enlarge it by a run without shards first.")
