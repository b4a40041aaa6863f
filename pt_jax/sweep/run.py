"""Running a sweep: in memory or into a store, in this process, in several shards, or on the workers of an executor.

What is missing in a unit of the store is computed as product blocks, its results are written, and then its part of
`done`. A run that is killed loses the unit in hand. One process writes a store, or several shards with a lock each;
the workers of an executor compute and never write.
"""

import contextlib
import fcntl
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import xarray as xr

from pt_jax.sweep import store as files
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.journal import Journal, now, runs, spent
from pt_jax.sweep.overlap import positions
from pt_jax.sweep.provenance import describe, identity
from pt_jax.sweep.units import Unit, accepted, blocks, here, on_executor

Report = Callable[[int, int, int, int], None]


def run(
    sweep: Sweep,
    report: Report | None = None,
    store: str | Path | None = None,
    shard: tuple[int, int] = (0, 1),
    fresh: bool = False,
    force: bool = False,
    stop: Callable[[], bool] = lambda: False,
    executor: Executor | Callable[[], Executor] | None = None,
) -> xr.Dataset:
    """Run a sweep, in memory or into a store; a store that holds a part of it is continued.

    Args:
        sweep: what to run.
        report: called as report(done, total, unit, units) with numbers of trajectories and of units to compute; what
            was known before counts as done.
        store: folder of the store; None runs in memory.
        shard: (i, n) computes every n-th unit from the i-th on, for job arrays; all shards together make the whole.
        fresh: delete what the folder holds first.
        force: continue although the configuration has changed.
        stop: asked after each unit whether to end early.
        executor: computes the units, one a task, while this process writes: any `concurrent.futures.Executor`. A unit
            whose worker dies is submitted again. A process pool is lost with its first worker: give a function that
            returns one, and it is replaced. Its workers must be spawned, not forked.

    Returns:
        A dataset with the axes, then `seed`, then a result's own dimensions; units and long names are set. From a
        store: the cells and seeds asked for, opened lazily; `load()` it before the store is enlarged. NaN where
        nothing is computed, `done` is 0 there.

    Raises:
        ValueError: the folder holds another sweep or another program's files, or is being written.
    """
    with opened(sweep, report, store, shard, fresh, force, stop, executor) as fill:
        return fill(None)


@contextlib.contextmanager
def opened(
    sweep: Sweep,
    report: Report | None = None,
    store: str | Path | None = None,
    shard: tuple[int, int] = (0, 1),
    fresh: bool = False,
    force: bool = False,
    stop: Callable[[], bool] = lambda: False,
    executor: Executor | Callable[[], Executor] | None = None,
    scattered: bool = False,
) -> Iterator[Callable[[np.ndarray | None], xr.Dataset]]:
    """Open what `run` opens and yield the function that computes.

    It takes a mask in the shape of the sweep, which trajectories are wanted, None for all; it computes those that are
    missing and returns the dataset. It may be called again with more. `scattered` says that the wanted cells will be.
    """
    (i, n), folder = shard, Path(store) if store is not None else None
    if not (isinstance(i, int) and isinstance(n, int) and 0 <= i < n) or (n > 1 and folder is None):
        raise ValueError(f"shard = {i}/{n} is not accepted: use i/n with whole numbers 0 <= i < n, and a store.")
    if n > 1 and fresh:
        raise ValueError("fresh is not accepted with shards: each would delete what the others computed.")
    if executor is not None and not callable(executor):
        accepted(executor)
    with contextlib.ExitStack() as stack:
        if folder is None:
            kept, journal = files.in_memory(sweep, scattered, whole=executor is None), None
        else:
            kept = stack.enter_context(_locked_store(sweep, folder, shard, fresh, force, scattered))
            journal = Journal(folder, shard)
        asked = [np.full(length, -1) for length in kept.sweep.shape]
        wanted = positions(kept.sweep, sweep)
        for places, at in zip(asked, wanted, strict=True):
            places[at] = np.arange(len(at))
        computed, start, begun = 0, now(), time.monotonic()

        def fill(where: np.ndarray | None) -> xr.Dataset:
            nonlocal computed
            todo = [(unit, kept.missing(unit, asked, where)) for unit in kept.units()[i::n]]
            todo = [(unit, mask) for unit, mask in todo if mask.any()]
            left = sum(int(mask.sum()) for _, mask in todo)
            total = left if n > 1 else sweep.trajectories if where is None else int(where.sum())
            done, units = total - left, 0

            def count(more: int) -> None:
                nonlocal done
                done += more
                if report is not None:
                    report(done, total, units, len(todo))

            count(0)
            if executor is None:
                engine = here(kept.sweep, kept.tile, todo, count, stop)
            else:
                engine = on_executor(executor, kept.sweep, kept.tile, todo, stop)
            try:
                for unit, mask, found in engine:
                    _write(kept, unit, mask, found)
                    units += 1
                    computed += int(mask.sum())
                    count(0 if executor is None else int(mask.sum()))
                    if journal is not None:
                        journal.note(computed)
            except OSError as error:
                raise OSError(f"{store} cannot be written ({error}): what is done is kept, run again.") from error
            ds = kept.dataset().isel(dict(zip([*(axis.name for axis in sweep.grid), "seed"], wanted, strict=True)))
            here_alone = {"start": start, "end": now(), "seconds": time.monotonic() - begun}
            times = spent(runs(folder) if folder else [here_alone])
            return ds.assign_attrs(provenance=json.dumps(kept.machine | describe(sweep) | times))

        yield fill


def _write(kept: files.Store, unit: Unit, mask: np.ndarray, found: list[dict[str, np.ndarray]]) -> None:
    """Put the results of the blocks into the unit, then mark them as done."""
    # Shards i/n and k/l may meet in a unit: then one must not write what it read before the other wrote.
    path = None if kept.folder is None else kept.folder / "lock-write"
    with contextlib.nullcontext() if path is None else _lock(path, fcntl.LOCK_EX, math.inf):
        arrays = found[0] if mask.all() else kept.read(unit)
        if not mask.all():
            for block, results in zip(blocks(mask), found, strict=True):
                for name, values in results.items():
                    arrays[name][np.ix_(*block)] = values
        kept.write(unit, arrays, mask)


def locked(folder: Path) -> bool:
    """Return whether a process is writing into the store."""
    try:
        with _lock(folder / "lock", fcntl.LOCK_EX, patience=0, mode="r"):
            return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _locked_store(
    sweep: Sweep, folder: Path, shard: tuple[int, int], fresh: bool, force: bool, scattered: bool
) -> Iterator[files.Store]:
    """Lock the folder, make or enlarge the store where needed, and open it."""
    identity(sweep)  # refuses what could not be run again before anything is written
    files.check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.ExitStack() as locks:
            if shard[1] == 1:
                locks.enter_context(_lock(folder / "lock", fcntl.LOCK_EX))
                files.prepare(sweep, folder, fresh, force, scattered)
            else:
                locks.enter_context(_lock(folder / f"lock-{shard[0]}-{shard[1]}", fcntl.LOCK_EX))
                _prepare_shared(sweep, folder, force)
                locks.enter_context(_lock(folder / "lock", fcntl.LOCK_SH))
            yield files.load(sweep, folder)
    except BlockingIOError:
        raise ValueError(f"{folder} is being written by another process: wait for it, or use another folder.") from None


@contextlib.contextmanager
def _lock(path: Path, kind: int, patience: float = 1.0, mode: str = "a") -> Iterator[None]:
    """Hold a lock that the system gives back when the process ends, however it ends.

    `patience`: seconds to wait for it; who only asks whether it is held, holds it for a moment.
    """
    last = time.monotonic() + patience
    with open(path, mode) as file:
        while True:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > last:
                    raise
                time.sleep(0.02)
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
