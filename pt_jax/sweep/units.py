"""The units of a sweep, computed in this process or on the workers of an executor.

A unit is a block of the grid; a mask says what is wanted of it. Both engines yield each unit with its mask and the
results of the product blocks that the mask is made of, for whoever called to write.
"""

import pickle
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from pt_jax.sweep.accepted import name_of
from pt_jax.sweep.chunks import Unit
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.identity import base_of, differences, identity
from pt_jax.sweep.lanes import Tell, compute
from pt_jax.sweep.program import forget

_WAITING = 256  # units given to an executor at a time: bounds what waits to be written
_ATTEMPTS = 3  # for a unit, on an executor

Tile = tuple[int, ...]
Todo = list[tuple[Unit, np.ndarray]]
Computed = Iterator[tuple[Unit, np.ndarray, list[dict[str, np.ndarray]]]]


def here(sweep: Sweep, tile: Tile, todo: Todo, tell: Tell, stop: Callable[[], bool]) -> Computed:
    """Compute the units in this process, one after the other; `tell` as in `lanes.compute`."""
    for unit, mask in todo:
        if stop():
            return
        yield unit, mask, work(sweep, tile, cells_of(unit, mask), tell)


def on_executor(
    executor: Executor | Callable[[], Executor], sweep: Sweep, tile: Tile, todo: Todo, stop: Callable[[], bool]
) -> Computed:
    """Compute the units on the workers of an executor, in any order.

    A task names the sweep. For each worker that says that it does not hold it, one task brings it, with all data.
    """
    sweep = replace(sweep, derived={})  # its functions need not travel
    base = base_of(sweep)
    parcel = Parcel(uuid.uuid4().hex, sweep, base, identity(sweep, base))
    _HOLDS[parcel.name] = sweep  # workers that are threads of this process find it
    workers = _Workers(executor, parcel, tile, todo)
    try:
        workers.open()
        while workers.waiting or workers.running:
            if stop():
                workers.cancel()
            workers.submit()
            finished = 0
            for unit, mask, found in workers.finished():
                finished += 1
                yield unit, mask, found
            if workers.broken:
                workers.reopen()
            elif not finished:
                time.sleep(0.02)
    finally:
        workers.close()
        _HOLDS.pop(parcel.name, None)


class _Workers:
    """What waits for the workers of an executor, and what is under way on them."""

    def __init__(self, executor: Executor | Callable[[], Executor], parcel: "Parcel", tile: Tile, todo: Todo):
        self.executor, self.parcel, self.tile = executor, parcel, tile
        self.waiting = deque((unit, mask, 1) for unit, mask in todo)  # with the number of the attempt
        self.running: dict[Any, tuple] = {}
        self.sending: set[Any] = set()  # those of them that bring the parcel
        self.lacking: set[str] = set()  # workers that have said so
        self.broken, self.breaks = False, 0  # breaks of the whole pool since a unit was finished

    def open(self) -> None:
        """Take the executor, or make one."""
        self.pool = accepted_pool(self.executor() if callable(self.executor) else self.executor)
        _check_importable(self.pool, self.parcel.sweep)

    def reopen(self) -> None:
        """Make another executor in the place of a broken one."""
        self.breaks += 1
        if not callable(self.executor) or self.breaks == _ATTEMPTS:
            raise RuntimeError("The executor has lost a worker and takes no more; what is computed is kept.")
        self.waiting.extend(self.running.values())
        self.close()
        self.running, self.sending, self.lacking, self.broken = {}, set(), set(), False
        self.open()

    def close(self) -> None:
        """End what is under way, and an executor that was made here."""
        for future in self.running:
            future.cancel()
        if callable(self.executor) and hasattr(self, "pool"):
            self.pool.shutdown()

    def cancel(self) -> None:
        """Start nothing more."""
        self.waiting.clear()
        # What somebody else cancels has failed: as one that is lost, it waits again.
        self.running = {future: of for future, of in self.running.items() if not future.cancel()}

    def submit(self) -> None:
        """Submit a unit with the parcel for each worker that lacks it; where none does, units without it."""
        while self.waiting and (
            len(self.sending) < len(self.lacking) if self.lacking else len(self.running) < _WAITING
        ):
            unit, mask, _ = self.waiting[0]
            parcel = self.parcel if self.lacking else None
            try:
                future = self.pool.submit(task, self.parcel.name, self.tile, cells_of(unit, mask), parcel)
            except BrokenExecutor:
                self.broken = True
                return
            self.running[future] = self.waiting.popleft()
            if parcel is not None:
                self.sending.add(future)

    def finished(self) -> Computed:
        """Yield the units that are computed; what failed waits again."""
        for future in [future for future in self.running if future.done()]:
            unit, mask, attempt = self.running.pop(future)
            sent = future in self.sending
            self.sending.discard(future)
            try:
                name, found = future.result()
            except BrokenExecutor:
                self.broken = True
                self.waiting.append((unit, mask, attempt))
                continue
            except Exception as error:
                if attempt == _ATTEMPTS:
                    raise RuntimeError(f"A unit failed {attempt} times, the others are kept: {error!r}.") from error
                self.waiting.append((unit, mask, attempt + 1))
                continue
            if found is None:
                self.lacking.add(name)
                self.waiting.append((unit, mask, attempt))
                continue
            if (
                sent
            ):  # one that held it already may have taken it: others have died, or will say again that they lack it
                self.lacking = self.lacking - {name} if name in self.lacking else set()
            self.breaks = 0
            yield unit, mask, found


def accepted_pool(pool: Any) -> Any:
    """Return an executor, or raise ValueError where it cannot be used."""
    if not isinstance(pool, Executor):  # others have `submit`, too: submitit's starts a process for each unit at once
        raise ValueError(
            f"executor = {pool!r} is not accepted: use a concurrent.futures.Executor, see docs/clusters.md."
        )
    context: Any = getattr(pool, "_mp_context", None)
    if isinstance(pool, ProcessPoolExecutor) and context.get_start_method() == "fork":
        raise ValueError("executor is not accepted: jax hangs in forked workers; use mp_context=get_context('spawn').")
    return pool


class Parcel(NamedTuple):
    """A sweep as it is sent to a worker, with the identity that it must have there."""

    name: str
    sweep: Sweep
    base: dict[str, float]
    identity: dict[str, Any]


_WORKER = uuid.uuid4().hex  # the name of this process
_HOLDS: dict[str, Sweep] = {}  # what it was sent, the last few sweeps
_MOST_HELD = 4


def task(
    name: str, tile: Tile, cells: list[tuple[np.ndarray, ...]], parcel: Parcel | None
) -> tuple[str, list[dict[str, np.ndarray]] | None]:
    """Compute product blocks of a sweep in a worker; return its name and the results, None where it lacks the sweep."""
    if parcel is not None:
        _hold(parcel)
    return _WORKER, work(_HOLDS[name], tile, cells) if name in _HOLDS else None


def _hold(parcel: Parcel) -> None:
    """Keep a sweep for the tasks to come.

    Raises:
        RuntimeError: here it would compute something else: the code or the versions differ.
    """
    if parcel.name not in _HOLDS:
        forget()  # the code of this worker may have changed since the last parcel
        changed = differences(parcel.identity, identity(parcel.sweep, parcel.base))
        if changed:
            raise RuntimeError(f"A worker would compute another sweep: {'; '.join(changed.values())}.")
        _HOLDS[parcel.name] = parcel.sweep
        for name in list(_HOLDS)[:-_MOST_HELD]:
            del _HOLDS[name]


def _check_importable(pool: Any, sweep: Sweep) -> None:
    """Refuse what the processes of a pool could not import."""
    if not isinstance(pool, ProcessPoolExecutor):
        return
    why = "defined in a notebook or typed in" if not hasattr(sys.modules["__main__"], "__file__") else ""
    try:
        sent = pickle.dumps((sweep.function, type(sweep.point), sweep.static))
    except Exception as error:  # a lambda, a function within another one, or what they hold
        sent, why = b"__main__", str(error)
    if why and b"__main__" in sent:
        raise ValueError(
            f"function = {name_of(sweep.function)} is not accepted with worker processes, which cannot import it "
            f"({why}): put it, its point and its static into a module."
        )


def work(
    sweep: Sweep, tile: Tile, cells: list[tuple[np.ndarray, ...]], tell: Tell = lambda *_: None
) -> list[dict[str, np.ndarray]]:
    """Compute product blocks of a sweep, each given by its indices along each dimension."""
    return [compute(sweep, block, tile, tell) for block in cells]


def cells_of(unit: Unit, mask: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Return the wanted trajectories of a unit as product blocks of the whole store."""
    return [tuple(i + s.start for i, s in zip(block, unit, strict=True)) for block in blocks(mask)]


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
