"""What sweeps will cost, before they are run: trajectories, compilations, memory, time and size on disk.

A plan costs little beside the run: its time comes from the runs before into the store, or from one block of the program
that has most of the work, which the run need not compile again. The other programs are taken to be as much faster as
they have fewer operations; they are timed as well while the plan stays below a tenth of the run.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from pt_jax.sweep import cost, devices
from pt_jax.sweep import store as files
from pt_jax.sweep.grid import Sweep, check_sweep
from pt_jax.sweep.journal import runs
from pt_jax.sweep.lanes import SizeClass, call_bytes, parts, shares_memory, tile_shape
from pt_jax.sweep.program import forget

_SHARE = 0.1  # of the expected run that a plan may take, after the first program
_OPERATIONS = 1e11  # a second, by `cost.of`, of a small machine
_LEAST_BLOCKS = 8  # of a run; one of fewer is not timed


class Plan(NamedTuple):
    """The cost of a sweep.

    Attributes:
        cells: of the grid.
        seeds: in each cell.
        trajectories: cells x seeds.
        known: trajectories that the store has already.
        units: chunks of the store; a kill costs one.
        classes: size classes, each compiled once.
        memory: bytes that a call needs on all devices, with the results of a unit; at least, where `compiled` is less
            than `classes`.
        free: bytes free now.
        compiled: size classes that were compiled and timed for the plan.
        rate: trajectories a second, after compilation, all classes together; NaN where it is not known.
        basis: where the rate comes from, in words.
        seconds: expected until the end, compilations included; NaN where it is not known.
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
    compiled: int
    rate: float
    basis: str
    seconds: float
    disk: int

    def __str__(self) -> str:
        """Return the table that `--plan` prints."""
        least = "at least " if self.compiled < self.classes else ""
        rows = {
            "cells": f"{self.cells:,}",
            "seeds": f"{self.seeds:,}",
            "trajectories": f"{self.trajectories:,}, of which {self.known:,} are known",
            "units": f"{self.units:,}",
            "size classes": f"{self.classes:,}, each compiled once",
            "memory": f"{least}{self.memory / 1e6:,.0f} MB beside jax itself, {self.free / 1e6:,.0f} MB free",
            "rate": f"{rate_in_words(self.rate)} after compilation, {self.basis}",
            "time": in_words(self.seconds),
            "disk": f"at most {self.disk / 1e6:,.1f} MB",
        }
        return "\n".join(f"{name:<13} {text}" for name, text in rows.items())


def plan(
    sweep: Sweep,
    store: str | Path | None = None,
    scattered: bool = False,
    force: bool = False,
    report: Any = None,
) -> Plan:
    """Return what a sweep will cost; compiles one program and times a block of it, writes nothing.

    Args:
        sweep: what to run.
        store: folder in which a part of it may be known, and how long that took.
        scattered: whether the wanted cells will lie scattered over the grid, as those of `run_until` and `boundary`.
        force: as in `run`.
        report: its method `phase` is told what comes next, in words; None shows nothing. The default of
            `pt_jax.plan` is a bar.

    Raises:
        ValueError: the store holds another sweep, or a call needs more memory than is free.
    """
    return plans({"": sweep}, {} if store is None else {"": store}, scattered, force, report)[""]


def plans(
    sweeps: Mapping[str, Sweep],
    stores: Mapping[str, str | Path],
    scattered: bool = False,
    force: bool = False,
    report: Any = None,
) -> dict[str, Plan]:
    """Return what sweeps that are run one after the other will cost, by name; arguments as in `plan`."""
    start, say = time.perf_counter(), getattr(report, "phase", lambda _: None)
    say("tracing")
    forget()
    made = {name: _opened(sweep, stores.get(name), scattered, force) for name, sweep in sweeps.items()}
    _time([job for one in made.values() for job in one.jobs if one.left and not one.before], start, say)
    return {name: _summed(one) for name, one in made.items()}


def roughly(sweep: Sweep) -> float:
    """Return about how many seconds a sweep takes, from its largest point alone: nothing is compiled.

    Loops whose length is known only when they run make as many steps as the largest of its fields `steps...`.
    """
    most = ((axis.fields, axis.values[axis.values.sum(1).argmax()]) for axis in sweep.grid)
    point = sweep.point._replace(**{name: float(x) for names, row in most for name, x in zip(names, row, strict=True)})
    steps = max((float(getattr(point, name)) for name in point._fields if name.startswith("steps")), default=0.0)
    needed = cost.of(sweep.program(sweep.static_of(point)), max(steps, cost.UNKNOWN))
    return sweep.trajectories * needed.work / _OPERATIONS


def in_words(seconds: float) -> str:
    """Return a time as a person says it."""
    if np.isnan(seconds):
        return "not known"
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


def rate_in_words(rate: float) -> str:
    """Return trajectories a second as a person says it."""
    if np.isnan(rate) or rate == 0:
        return "not known"
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:,.1f} s each"


@dataclass
class _Job:
    """One program of a sweep.

    Attributes:
        size: the size class.
        trajectories: of the sweep that it computes.
        cost: of one of them.
        seconds: for one of them.
        compiling: seconds to compile.
        memory: bytes of a call on all devices.
        timed: whether the last three were measured.
    """

    size: SizeClass
    trajectories: int
    cost: cost.Cost
    seconds: float = np.nan
    compiling: float = np.nan
    memory: int = 0
    timed: bool = False

    @property
    def work(self) -> float:
        """Arithmetic operations of the whole run."""
        return self.trajectories * self.cost.work

    @property
    def expected(self) -> float:
        """Seconds of the whole run."""
        return self.trajectories * self.seconds + self.compiling

    @property
    def block(self) -> list[tuple[int, ...]]:
        """The smallest call: one tile on each device."""
        return next(self.size.groups())[: len(self.size.devices)]

    @property
    def block_size(self) -> int:
        """Trajectories of this call."""
        return self.size.trajectories(self.block)

    def measure(self, say: Callable[[str], None]) -> None:
        """Compile the program and time one block of it."""
        say(f"compiling for {devices.in_words()}")
        start = time.perf_counter()
        compiled = self.size.compiled  # the sweep itself does not compile it again
        self.compiling, self.timed = time.perf_counter() - start, True
        self.memory = max(self.memory, call_bytes(compiled) * shares_memory(self.size.devices))
        say(f"timing {self.block_size:,} on {devices.in_words()}")
        start = time.perf_counter()
        jax.block_until_ready(compiled(*self.size.arguments(self.block)))
        self.seconds = (time.perf_counter() - start) / self.block_size

    def estimate(self, other: "_Job") -> None:
        """Scale another program's times by the operations."""
        self.seconds = other.seconds * self.cost.work / max(other.cost.work, 1)
        self.compiling = other.compiling * self.cost.size / max(other.cost.size, 1)


def _time(jobs: list[_Job], start: float, say: Callable[[str], None]) -> None:
    """Measure the program with most work, and more where there is time for it; estimate the others."""
    jobs = sorted(jobs, key=lambda job: -job.work)
    if not jobs or sum(job.trajectories for job in jobs) < _LEAST_BLOCKS * jobs[0].block_size:
        return
    for k, job in enumerate(jobs):
        after = time.perf_counter() - start + job.compiling + job.block_size * job.seconds
        if k and after > _SHARE * sum(one.expected for one in jobs):
            return
        job.measure(say)
        for other in jobs[k + 1 :]:
            other.estimate(job)


class _Opened(NamedTuple):
    """A sweep whose programs are traced, and what its store knows: trajectories, and seconds of each, or 0."""

    sweep: Sweep
    tile: tuple[int, ...]
    known: int
    before: float
    jobs: list[_Job]

    @property
    def left(self) -> int:
        """Trajectories to compute."""
        return self.sweep.trajectories - self.known


def _opened(sweep: Sweep, store: str | Path | None, scattered: bool, force: bool) -> _Opened:
    check_sweep(sweep)
    sweep = replace(sweep)  # without the programs of the last run
    folder = None if store is None else files.folder_of(store)
    known, tile, before = (0, None, 0.0) if folder is None else _known(sweep, folder, force)
    tile = tile or tile_shape(sweep, scattered)
    whole = tuple(np.arange(length) for length in sweep.shape)
    jobs = []
    for size in parts(sweep, whole, tile):
        needed = cost.of(size.program)
        least = needed.memory * shares_memory(size.devices)
        jobs.append(_Job(size, int(np.prod([len(i) for i in size.part])), needed, memory=least))
    return _Opened(sweep, tile, known, before, jobs)


def _known(sweep: Sweep, folder: Path, force: bool) -> tuple[int, tuple[int, ...] | None, float]:
    """Return how many trajectories of the sweep a folder has, its tile, and seconds of each on such devices, or 0."""
    if not (folder / "data.zarr").exists():
        files.check_folder(folder)
        return 0, None, 0.0
    files.check_same(sweep, folder, force)
    kept = files.load(sweep, folder, "r")
    here = [run for run in runs(folder) if run["device"] == devices.in_words()]
    computed = sum(run["computed"] for run in here)
    return files.known(sweep, kept), kept.tile, sum(run["seconds"] for run in here) / max(computed, 1)


def _summed(one: _Opened) -> Plan:
    sweep, jobs, unit = one.sweep, one.jobs, files.unit_shape(one.sweep, one.tile)
    disk, timed = files.size_on_disk(sweep), sum(job.timed for job in jobs)
    running = sum(job.trajectories * job.seconds for job in jobs)
    if one.before:
        running, basis = one.before * sweep.trajectories, "as in the runs before, compilation included"
    elif np.isnan(running):
        basis = f"a run of fewer than {_LEAST_BLOCKS} blocks is not timed" if one.left else "nothing is left to compute"
    elif timed:
        basis = f"{timed} of {len(jobs)} programs timed, others by their operations" if timed < len(jobs) else "timed"
    else:
        basis = "by the operations, from another program that was timed"
    compiling = 0.0 if one.before else sum(job.compiling for job in jobs)
    return Plan(
        cells=int(np.prod(sweep.shape[:-1])),
        seeds=sweep.shape[-1],
        trajectories=sweep.trajectories,
        known=one.known,
        units=int(np.prod([-(-n // width) for n, width in zip(sweep.shape, unit, strict=True)])),
        classes=len(jobs),
        memory=int(max(job.memory for job in jobs) + 2 * disk * np.prod(unit) / sweep.trajectories),
        free=devices.free_memory(),
        compiled=timed,
        rate=sweep.trajectories / running if running else np.nan,
        basis=basis,
        seconds=running * one.left / sweep.trajectories + compiling if one.left else 0.0,
        disk=disk,
    )
