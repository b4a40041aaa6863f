"""What a sweep will cost, before it is run: trajectories, compilations, memory, time and size on disk."""

import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from pt_jax.sweep import store as files
from pt_jax.sweep.devices import free_memory
from pt_jax.sweep.grid import Sweep, check_sweep
from pt_jax.sweep.lanes import SizeClass, call_bytes, tile_shape
from pt_jax.sweep.program import forget

_MEASURED = 3  # size classes that are compiled and timed; others lie between


class Plan(NamedTuple):
    """The cost of a sweep.

    Attributes:
        cells: of the grid.
        seeds: in each cell.
        trajectories: cells x seeds.
        known: trajectories that the store has already.
        units: chunks of the store; a kill costs one.
        classes: size classes, each compiled once.
        memory: bytes that a call of the largest measured class needs on all devices, with the results of a unit.
        free: bytes free now.
        rate: trajectories a second, after compilation, all classes together.
        seconds: expected until the end, compilations included.
        disk: bytes of the finished store, before compression.
    """

    cells: int
    seeds: int
    trajectories: int
    known: int
    units: int
    classes: int
    memory: int
    free: int
    rate: float
    seconds: float
    disk: int

    def __str__(self) -> str:
        """Return the table that `--plan` prints."""
        rows = {
            "cells": f"{self.cells:,}",
            "seeds": f"{self.seeds:,}",
            "trajectories": f"{self.trajectories:,}, of which {self.known:,} are known",
            "units": f"{self.units:,}",
            "size classes": f"{self.classes:,}, each compiled once",
            "memory": f"{self.memory / 1e6:,.0f} MB beside jax itself, {self.free / 1e6:,.0f} MB free",
            "rate": f"{self.rate:,.0f} trajectories/s after compilation",
            "time": in_words(self.seconds),
            "disk": f"at most {self.disk / 1e6:,.1f} MB",
        }
        return "\n".join(f"{name:<13} {text}" for name, text in rows.items())


def plan(sweep: Sweep, store: str | Path | None = None, scattered: bool = False, force: bool = False) -> Plan:
    """Return what a sweep will cost; compiles and times a few lanes, writes nothing.

    Args:
        sweep: what to run.
        store: folder in which a part of it may be known.
        scattered: as in `run.opened`.
        force: as in `run`.

    Raises:
        ValueError: the store holds another sweep.
    """
    check_sweep(sweep)
    forget()
    sweep = replace(sweep)  # without the programs of the last run
    known, tile = (0, None) if store is None else _known(sweep, files.folder_of(store), force)
    tile = tile or tile_shape(sweep, scattered)
    whole = tuple(np.arange(length) for length in sweep.shape)
    parts = list(sweep.size_classes(whole[:-1]))
    at = sorted({round(k) for k in np.linspace(0, len(parts) - 1, min(_MEASURED, len(parts)))})
    measured = [_measure(SizeClass(sweep, parts[k][0], whole, parts[k][1], tile)) for k in at]
    memory, compiling, seconds = np.transpose(measured)
    sizes = np.array([np.prod([len(i) for i in part]) for _, part in parts]) * len(whole[-1])
    running = float(sizes @ np.interp(np.arange(len(parts)), at, seconds))
    left = 1 - known / sweep.trajectories
    unit, disk = files.unit_shape(sweep, tile), files.size_on_disk(sweep)
    return Plan(
        cells=int(np.prod(sweep.shape[:-1])),
        seeds=sweep.shape[-1],
        trajectories=sweep.trajectories,
        known=known,
        units=int(np.prod([-(-n // width) for n, width in zip(sweep.shape, unit, strict=True)])),
        classes=len(parts),
        memory=int(max(memory) + 2 * disk * np.prod(unit) / sweep.trajectories),
        free=free_memory(),
        rate=float(sizes.sum() / running),
        seconds=left * running + (float(np.mean(compiling)) * len(parts) if left else 0.0),
        disk=disk,
    )


def in_words(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


def _known(sweep: Sweep, folder: Path, force: bool) -> tuple[int, tuple[int, ...] | None]:
    """Return how many trajectories of the sweep a folder has, and its tile."""
    if not (folder / "data.zarr").exists():
        files.check_folder(folder)
        return 0, None
    files.check_same(sweep, folder, force)
    kept = files.load(sweep, folder, "r")
    return files.known(sweep, kept), kept.tile


def _measure(size: SizeClass) -> tuple[float, float, float]:
    """Return bytes of a call on all devices, seconds to compile, and seconds a trajectory after that."""
    group = next(size.groups())
    arguments = size.arguments(group)
    start = time.perf_counter()
    compiled = size.compiled  # the sweep itself does not compile it again
    compiling = time.perf_counter() - start
    used = call_bytes(compiled) or size.bytes
    jax.block_until_ready(compiled(*arguments))
    start = time.perf_counter()
    jax.block_until_ready(compiled(*arguments))
    lanes = len(group) * int(np.prod(size.tile))
    return used * len(size.devices), compiling, (time.perf_counter() - start) / lanes
