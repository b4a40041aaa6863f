"""Running a sweep: in memory or into a store, in this process, in several shards, or on the workers of an executor.

What is missing in a unit of the store is computed as product blocks, its results are written, and then its part of
`done`. A run that is killed loses the unit in hand. One process writes a store, or several shards with a lock each;
the workers of an executor compute and never write.
"""

import contextlib
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pt_jax.sweep import accepted
from pt_jax.sweep import store as files
from pt_jax.sweep.dataset import dataset
from pt_jax.sweep.grid import Sweep, check_sweep
from pt_jax.sweep.identity import base_of, identity
from pt_jax.sweep.journal import Journal, at_work, now, runs, spent
from pt_jax.sweep.lanes import Tell
from pt_jax.sweep.locks import held, lock
from pt_jax.sweep.overlap import positions
from pt_jax.sweep.program import forget
from pt_jax.sweep.provenance import describe, machine
from pt_jax.sweep.units import Computed, Todo, Unit, accepted_pool, blocks, here, on_executor

_READ = 4096  # units of a store up to which all are read before a run; in a larger one only lost chunks are missed

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
            was known before counts as done. Where it has a method `phase`, this is told what comes next, in words.
            None shows nothing. The default of `pt_jax.run` is a bar, where standard error is a terminal or a notebook.
        store: folder of the store; None runs in memory. What is damaged in it is found and computed again; where it has
            more than 4,096 units only what is lost.
        shard: (i, n) computes every n-th unit from the i-th on, for job arrays; all shards together make the whole.
        fresh: delete what the folder holds first.
        force: continue although the configuration has changed.
        stop: asked after each unit whether to end early.
        executor: computes the units, one a task, while this process writes: any `concurrent.futures.Executor`. A unit
            whose worker dies is submitted again. A process pool is lost with its first worker: give a function that
            returns one, and it is replaced. Its workers must be spawned, not forked.

    Returns:
        A dataset with the axes, then `seed`, then a result's own dimensions; units and long names are set. NaN where
        nothing is computed, `done` is 0 there. Of a store up to 256 MB it is in memory; a larger one is read when it is
        needed, which is an error once the store was enlarged, replaced or moved.

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
    shard, folder = accepted.check_shard(shard), None if store is None else files.folder_of(store)
    _check_shared(shard, folder, fresh)
    _check_functions(report, stop, executor)
    check_sweep(sweep)
    forget()
    sweep = replace(sweep)  # without the programs of the last run
    with contextlib.ExitStack() as stack:
        if folder is None:
            kept, journal = files.in_memory(sweep, scattered, whole=executor is None), None
        else:
            say = getattr(report, "phase", lambda _: None)
            kept, journal = stack.enter_context(_opened_store(sweep, folder, shard, fresh, force, scattered, say))
        yield _Filling(sweep, kept, journal, shard, report, stop, executor)


def _check_shared(shard: tuple[int, int], folder: Path | None, fresh: bool) -> None:
    """Refuse shards that do not share a store, or that would delete each other's."""
    i, n = shard
    if n > 1 and folder is None:
        raise ValueError(f"shard = {i}/{n} is not accepted: use i/n with whole numbers 0 <= i < n, and a store.")
    if n > 1 and fresh:
        raise ValueError("fresh is not accepted with shards: each would delete what the others computed.")


def _check_functions(report: Any, stop: Any, executor: Any) -> None:
    """Refuse what cannot be called where a function is needed."""
    if executor is not None and not callable(executor):
        accepted_pool(executor)
    for name, given in {"stop": stop, "report": report}.items():
        if not callable(given) and not (given is None and name == "report"):
            raise ValueError(f"{name} = {given!r} is not accepted: use a function.")


@dataclass
class _Filling:
    """What `opened` yields: computes what is missing of a sweep in a store, and returns the dataset."""

    sweep: Sweep
    kept: files.Store
    journal: Journal | None
    shard: tuple[int, int]
    report: Report | None
    stop: Callable[[], bool]
    executor: Executor | Callable[[], Executor] | None

    def __post_init__(self):
        """Find the sweep in the store, and start the clock."""
        self.wanted = positions(self.kept.sweep, self.sweep)
        self.asked = [np.full(length, -1) for length in self.kept.sweep.shape]
        for places, at in zip(self.asked, self.wanted, strict=True):
            places[at] = np.arange(len(at))
        self.computed, self.start, self.begun = 0, now(), time.monotonic()
        self.described = describe(self.sweep)

    def __call__(self, where: np.ndarray | None) -> xr.Dataset:
        """Compute the trajectories of a mask in the shape of the sweep, None for all, and return the dataset."""
        todo = self._missing(where)
        left = sum(int(mask.sum()) for _, mask in todo)
        shared = self.shard[1] > 1
        total = left if shared else self.sweep.trajectories if where is None else int(where.sum())
        done, units = total - left, 0
        say = getattr(self.report, "phase", lambda _: None)

        def tell(more: int, phase: str = "") -> None:
            nonlocal done
            done += more
            if phase:
                say(phase)
            elif self.report is not None:
                self.report(done, total, units, len(todo))

        if todo and self.journal is None and self.kept.folder is not None:
            files.check_folder(self.kept.folder)  # opened only to be read
        tell(0)
        here_alone = self.executor is None
        for unit, mask, found in self._engine(todo, tell):
            self._write(unit, mask, found)
            units += 1
            self.computed += int(mask.sum())
            tell(0 if here_alone else int(mask.sum()))
            if self.journal is not None:
                self.journal.note(self.computed)
        return self._dataset()

    def _missing(self, where: np.ndarray | None) -> Todo:
        """Return the units of this shard in which something is wanted and not done, with masks of it."""
        units = itertools.islice(self.kept.units(), self.shard[0], None, self.shard[1])
        masks = ((unit, self.kept.missing(unit, self.asked, where)) for unit in units)
        # A byte for each of 10^9 trajectories would be much: a unit of which all is missing has one for them all.
        return [(u, np.broadcast_to(True, mask.shape) if mask.all() else mask) for u, mask in masks if mask.any()]

    def _engine(self, todo: Todo, tell: Tell) -> Computed:
        if self.executor is None:
            return here(self.kept.sweep, self.kept.tile, todo, tell, self.stop)
        tell(0, "computing on the executor")
        return on_executor(self.executor, self.kept.sweep, self.kept.tile, todo, self.stop)

    def _write(self, unit: Unit, mask: np.ndarray, found: list[dict[str, np.ndarray]]) -> None:
        """Put the results of the blocks into the unit, then mark them as done."""
        folder = self.kept.folder
        try:
            self.kept.check_number()
            with _alone(folder):
                if mask.all():
                    return self.kept.write(unit, found[0], mask)
                arrays, done = self.kept.read(unit)
                for block, results in zip(blocks(mask), found, strict=True):
                    for name, values in results.items():
                        arrays[name][np.ix_(*block)] = values
                self.kept.write(unit, arrays, done | mask)
        except OSError as error:
            raise OSError(f"{folder} cannot be written ({error}): what is done is kept, run again.") from error

    def _dataset(self) -> xr.Dataset:
        """Return the part of the store that was asked for, and where it comes from."""
        dims = [*(axis.name for axis in self.sweep.grid), "seed"]
        ds = dataset(self.kept).isel(dict(zip(dims, self.wanted, strict=True)))
        if self.kept.folder is None:
            made, times = machine(), {"start": self.start, "end": now(), "seconds": time.monotonic() - self.begun}
        else:
            made, times = json.loads(ds.attrs["provenance"]), spent(runs(self.kept.folder))
        return ds.assign_attrs(provenance=json.dumps(made | self.described | times))


def locked(folder: Path) -> bool:
    """Return whether a process is writing into the store, as far as can be told from here."""
    return held(folder / "lock") or bool(at_work(folder / "runs", time.time()))


@contextlib.contextmanager
def _opened_store(
    sweep: Sweep,
    folder: Path,
    shard: tuple[int, int],
    fresh: bool,
    force: bool,
    scattered: bool,
    say: Callable[[str], None],
) -> Iterator[tuple[files.Store, Journal | None]]:
    """Lock the folder, make or enlarge the store where needed, and open it; a finished one is only read."""
    identity(sweep, base_of(sweep))  # refuses what cannot be identified before anything is written
    if (folder / "data.zarr").is_dir() and not os.access(folder, os.W_OK) and not fresh:
        files.check_same(sweep, folder, force)
        if files.covers(sweep, folder):
            yield files.load(sweep, folder, "r"), None
            return
    files.check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    journal, alone = Journal(folder, shard), shard[1] == 1
    try:
        with contextlib.ExitStack() as locks:
            locks.enter_context(lock(folder / ("lock" if alone else f"lock-{shard[0]}-{shard[1]}")))
            locks.enter_context(journal.at_work())
            _check_alone(folder, journal, alone, say)
            if alone:
                if fresh:
                    journal.forget_others()
                files.prepare(sweep, folder, fresh, force, scattered)
            else:
                locks.enter_context(lock(folder / "lock", shared=True))
                _prepare_shared(sweep, folder, force)
            kept = files.load(sweep, folder)
            if math.prod(-(-n // width) for n, width in zip(kept.shape, kept.unit, strict=True)) <= _READ:
                for unit in kept.units():
                    with _alone(folder):
                        kept.repair(unit)
            yield kept, journal
    except BlockingIOError:
        raise ValueError(f"{folder} is being written by another process: wait for it, or use another folder.") from None


def _alone(folder: Path | None) -> contextlib.AbstractContextManager:
    """Hold what shards share: they meet in a unit, and none must write what it read before another wrote."""
    return contextlib.nullcontext() if folder is None else lock(folder / "lock-write", patience=math.inf)


def _check_alone(folder: Path, journal: Journal, alone: bool, say: Callable[[str], None]) -> None:
    """Refuse to write beside another run where no lock does: it may not be granted, or not be seen by other hosts."""
    other = journal.rival(alone, say)
    if other is not None:
        raise ValueError(
            f"{folder} is being written by another process: {other['host']} showed a sign of life "
            f"{other['silent']:.0f} s ago. Wait for it, use another folder, or delete {other['file']}."
        )


def _prepare_shared(sweep: Sweep, folder: Path, force: bool) -> None:
    """Let whichever shard comes first make the store; the others wait for it, however long that takes."""
    with _alone(folder):
        if not (folder / "data.zarr").exists():
            files.prepare(sweep, folder, False, force, shared=True)
    files.check_same(sweep, folder, force)
    if not files.covers(sweep, folder):
        raise ValueError(f"{folder} holds a smaller grid: enlarge it by a run without shards first.")
