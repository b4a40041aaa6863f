"""The page of `pt-jax explore --theory`: any map as theory predicts it, and its simulation.

All maps have one compiled program: predictions are independent, and computed in batches over all devices.
"""

import hashlib
import json
import math
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import jax
import numpy as np
import xarray as xr

from pt_jax.app.ending import in_a_line
from pt_jax.app.progress import Bar
from pt_jax.inputs.field import part_of
from pt_jax.report.explorer import page
from pt_jax.signal_noise import theory
from pt_jax.signal_noise.derived import DERIVED
from pt_jax.signal_noise.design import RANGES
from pt_jax.signal_noise.fields import FIELDS
from pt_jax.signal_noise.point import Point, Static, validate
from pt_jax.signal_noise.trajectory import simulate
from pt_jax.sweep.dataset import load
from pt_jax.sweep.devices import SPLIT, spread
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.lanes import CPU_OPTIONS
from pt_jax.sweep.run import run

_RESULTS = ("gain", "error", "error_scratch")
_SIZES = (11, 41)  # values of an axis: of the first picture, of the map
_SEEDS = 16
_BATCH, _LANES = 48, 8  # predictions of a device in a call, and together
_SLIDERS: Mapping[str, tuple[float, float]] = {**RANGES, "m": (2, 20), "angle": (0, 180), "lr_ratio": (0, 2)}
_DIGITS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)  # of the values of a logarithmic slider
_LOGARITHMIC = ("d", "init_scale", "sigma1", "sigma2", "lr1", "lr2")
_STATIC = Static(n1=int(FIELDS["n1"].high), n2=int(FIELDS["n2"].high), m=20, steps1=400, steps2=400)


class Asked(NamedTuple):
    """A map: its fields across and up, the ends of their axes, and a value of every field."""

    x: str
    y: str
    ends: Mapping[str, tuple[float, float]]
    fields: Mapping[str, float]


FIRST = Asked("u", "v2", {"u": (0, 4), "v2": (0, 4)}, {name: FIELDS[name].default for name in _SLIDERS})


class Maps:
    """What the page shows and asks: its pages and answers, for `serve`."""

    def __init__(self, folder: Path):
        """Take the folder of the stores of simulations."""
        self._folder, self._pool = folder, ThreadPoolExecutor(1)
        self._one, self._starting = threading.Lock(), threading.Lock()  # a map at a time, a simulation at a time
        self._simulations: dict[str, Future] = {}  # by address
        self.pages = {"/": lambda: (self._first, False)}
        self.answers = {"/predict": self.predict, "/simulate": self.simulate}

    @cached_property
    def _program(self) -> Any:
        """The compiled program (points) -> predictions, of `_batch` points."""
        each = partial(jax.lax.map, partial(theory.predict, static=_STATIC), batch_size=_LANES)
        devices = tuple(jax.local_devices())
        program = jax.jit(spread(each, (SPLIT,), SPLIT, devices), compiler_options=CPU_OPTIONS)
        batch = jax.ShapeDtypeStruct((_BATCH * len(devices),), float)
        return program.lower(Point(*[batch] * len(Point._fields))).compile()

    @cached_property
    def _first(self) -> str:
        """The page, with a coarse map."""
        *_, (ds, _) = self._filled(FIRST, _SIZES[0])
        fields = {
            name: {
                "label": f"{FIELDS[name].meaning}{f' [{unit}]' if (unit := FIELDS[name].unit) != '1' else ''}",
                "values": _round_values(name),
            }
            for name in _SLIDERS
        }
        return page.page(ds, served={"theory": {"fields": fields, "asked": FIRST._asdict(), "seeds": _SEEDS}})

    def predict(self, asked: Any) -> Iterator[dict[str, Any]]:
        """Yield how much is done, then the map; first a coarse one."""
        for size in _SIZES:
            for found, done in self._filled(_read(asked), size):  # noqa: B007 - the last one is the map
                yield {"done": done, "size": size}
            about, numbers = page.content(found)
            yield {"about": about, "numbers": numbers}

    def _filled(self, asked: Asked, size: int) -> Iterator[tuple[xr.Dataset, float]]:
        """Yield the map and the part of it that is done, after each batch."""
        sweep = _sweep(theory.predicted, asked, size, 1, _STATIC)
        across, up = np.meshgrid(*(axis.values[:, 0] for axis in sweep.grid), indexing="ij")
        point = Point(**{**asked.fields, asked.x: across, asked.y: up})
        validate(point, _STATIC)
        leaves = [np.broadcast_to(leaf, across.shape).ravel().astype(float) for leaf in point]
        dims = (*sweep.axes, "seed")
        about = {name: (dims, np.full((*across.shape, 1), np.nan), sweep.about(name)) for name in _RESULTS}
        ds = xr.Dataset(about, sweep.coordinates(), {"predicted": True})
        with self._one:
            batch = _BATCH * jax.local_device_count()
            for start in range(0, across.size, batch):
                at = np.minimum(np.arange(start, start + batch), across.size - 1)
                found = self._program(Point(*(np.asarray(leaf[at], jax.numpy.result_type(float)) for leaf in leaves)))
                for name in _RESULTS:
                    ds[name].values.ravel()[at] = np.asarray(getattr(found, name))
                yield ds, min(1.0, (start + batch) / across.size)

    def simulate(self, asked: Any) -> Iterator[dict[str, Any]]:
        """Start or continue the simulation of a map into its store, and yield the address of its page."""
        at = _read(asked)
        sweep = _sweep(simulate, at, _SIZES[1], _SEEDS, None)
        said = json.dumps([at.x, at.y, at.ends, {**at.fields, at.x: None, at.y: None}], sort_keys=True)
        name = f"{at.x}-{at.y}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
        folder, address = self._folder / name, f"/{name}"
        with self._starting:
            known = self._simulations.get(address)
            if known is None or (known.done() and known.exception() is not None):
                if not all(one.done() for one in self._simulations.values()):
                    raise ValueError("Another map is being simulated: wait for it.")
                self._start(sweep, folder, address, f"/#{quote(json.dumps({'asked': at._asdict()}))}")
        yield {"address": address, "folder": str(folder)}

    def _start(self, sweep: Sweep, folder: Path, address: str, back: str) -> None:
        """Start a simulation, and wait until its page has a store to show; `back` is where its prediction is."""
        bar = Bar("trajectories simulated")
        running = self._pool.submit(run, sweep, bar, folder)
        running.add_done_callback(_report)
        while not (folder / "data.zarr").is_dir() and not running.done():
            time.sleep(0.05)
        if running.done():
            running.result()

        def live() -> tuple[str, bool]:
            if running.done() and (error := running.exception()) is not None:
                raise ValueError(f"The simulation ended: {in_a_line(error)} What is done is in {folder}.")
            ended = running.done()  # before the store is read
            return page.page(load(folder), served={"note": "" if ended else str(bar), "back": back}), not ended

        self._simulations[address], self.pages[address] = running, live


def _report(running: Future) -> None:
    """Say on the terminal why a simulation ended early."""
    if (error := running.exception()) is not None:
        print(f"The simulation ended: {in_a_line(error)}", file=sys.stderr)


def _round_values(name: str) -> list[float]:
    """Return where the slider of a field goes: ten values a decade, or steps of a power of ten, at least a hundred."""
    low, high = _SLIDERS[name]
    if name in _LOGARITHMIC:
        each = [float(f"{digits}e{power}") for power in range(-3, 6) for digits in _DIGITS]
        return [value for value in each if low <= value <= high]
    step = 10.0 ** math.floor(math.log10((high - low) / 100))
    count = round((high - low) / (max(1, step) if FIELDS[name].whole else step)) + 1
    return np.linspace(low, high, count).round(3).tolist()


def _read(asked: Any) -> Asked:
    """Return what a page asks for, checked.

    Raises:
        ValueError: it is not a map, or a value is not accepted.
    """
    try:
        names, fields = {asked["x"], asked["y"]}, {name: float(value) for name, value in asked["fields"].items()}
        ends = {name: (float(low), float(high)) for name in names for low, high in [asked["ends"][name]]}
        good = len(names) == 2 and names <= set(_SLIDERS) == set(fields)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        good = False
    if not good:
        raise ValueError("This is not a map: load the page again.")
    for name, (low, high) in ends.items():
        if not low < high:
            raise ValueError(f"{name} from {low:g} to {high:g} is not accepted: use two numbers, the lower one first.")
    validate(Point(**fields | ends))
    for name in ("m", "steps1", "steps2"):
        if (most := np.max((fields | ends)[name])) > (high := getattr(_STATIC, name)):
            raise ValueError(f"{name} = {most:g} is not accepted here: the prediction is compiled for at most {high}.")
    return Asked(asked["x"], asked["y"], ends, fields)


def _sweep(function: Any, asked: Asked, size: int, seeds: int, static: Static | None) -> Sweep:
    """Return the sweep over a map with so many values on an axis, fewer where they are whole numbers or fractions."""
    point = Point(**asked.fields)
    axes = {}
    for name in (asked.x, asked.y):
        low, high = asked.ends[name]
        values = (np.geomspace if name in _LOGARITHMIC and low > 0 else np.linspace)(low, high, size)
        if FIELDS[name].whole:
            values = np.unique(np.round(values))
        if name == "alpha" and "m" not in (asked.x, asked.y):  # fractions that can be inherited
            values = np.unique(part_of(values, point.m) / point.m)
        axes[name] = values
    outputs = _RESULTS if seeds > 1 else None
    return Sweep(function, point, axes, seeds, outputs, static, derived=DERIVED if seeds > 1 else {})
