"""The units of a sweep, computed in this process or on the workers of an executor.

A unit is a block of the grid; a mask says what is wanted of it. Both engines yield each unit with its mask and the
results of the product blocks that the mask is made of, for whoever called to write.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.lanes import compute

_WAITING = 256  # units given to an executor at a time: bounds what waits to be written
_ATTEMPTS = 3  # for a unit, on an executor

Unit = tuple[slice, ...]  # along each axis, then along the seeds
Tile = tuple[int, ...]
Todo = list[tuple[Unit, np.ndarray]]
Computed = Iterator[tuple[Unit, np.ndarray, list[dict[str, np.ndarray]]]]


def here(sweep: Sweep, tile: Tile, todo: Todo, count: Callable[[int], None], stop: Callable[[], bool]) -> Computed:
    """Compute the units in this process, one after the other; `count` is told the trajectories of each tile."""
    for unit, mask in todo:
        if stop():
            return
        yield unit, mask, work(sweep, tile, cells_of(unit, mask), count)


def on_executor(
    executor: Executor | Callable[[], Executor], sweep: Sweep, tile: Tile, todo: Todo, stop: Callable[[], bool]
) -> Computed:
    """Compute the units on the workers of an executor, in any order."""
    sweep = replace(sweep, derived={})  # its functions need not travel
    waiting = deque((unit, mask, 1) for unit, mask in todo)
    running: dict[Any, tuple] = {}
    breaks = 0  # of the whole pool since a unit was finished
    with contextlib.ExitStack() as ending:

        def open_pool() -> Any:
            pool = accepted(executor() if callable(executor) else executor)
            if callable(executor):
                ending.callback(pool.shutdown)
            ending.callback(cancel)  # before the shutdown, which waits
            return pool

        def cancel() -> None:
            waiting.clear()
            for future in running:
                future.cancel()

        pool = open_pool()
        while waiting or running:
            if stop():
                cancel()
            broken = False
            while waiting and len(running) < _WAITING and not broken:
                unit, mask, attempt = waiting.popleft()
                try:
                    running[pool.submit(work, sweep, tile, cells_of(unit, mask))] = (unit, mask, attempt)
                except BrokenExecutor:
                    waiting.appendleft((unit, mask, attempt))
                    broken = True
            finished = [future for future in running if future.done()]
            for future in finished:
                unit, mask, attempt = running.pop(future)
                try:
                    found = future.result()
                except CancelledError:
                    continue
                except BrokenExecutor:
                    waiting.append((unit, mask, attempt))
                    broken = True
                    continue
                except Exception as error:
                    if attempt == _ATTEMPTS:
                        raise RuntimeError(f"A unit failed {attempt} times, the others are kept: {error!r}.") from error
                    waiting.append((unit, mask, attempt + 1))
                    continue
                breaks = 0
                yield unit, mask, found
            if broken:
                breaks += 1
                if not callable(executor) or breaks == _ATTEMPTS:
                    raise RuntimeError("The executor has lost a worker and takes no more; what is computed is kept.")
                pool = open_pool()
            elif not finished:
                time.sleep(0.02)


def accepted(pool: Any) -> Any:
    """Return an executor, or raise ValueError where it cannot be used."""
    if not hasattr(pool, "submit"):
        raise ValueError(f"executor = {pool!r} is not accepted: use a concurrent.futures.Executor.")
    context: Any = getattr(pool, "_mp_context", None)
    if isinstance(pool, ProcessPoolExecutor) and context.get_start_method() == "fork":
        raise ValueError("executor is not accepted: jax hangs in forked workers; use mp_context=get_context('spawn').")
    return pool


def work(
    sweep: Sweep, tile: Tile, cells: list[tuple[np.ndarray, ...]], count: Callable[[int], None] = lambda _: None
) -> list[dict[str, np.ndarray]]:
    """Compute product blocks of a sweep, each given by its indices along each dimension."""
    return [compute(sweep, block, tile, count) for block in cells]


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
