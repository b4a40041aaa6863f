"""Where results are kept: in memory, or on disk in a form that survives anything.

On disk it is zarr v3, read by plain `xarray.open_zarr(DIR/"data.zarr")`. The grid is sorted and labelled; what is not
computed yet is NaN. `chunks` says how a unit is written: a run that is killed loses the unit in hand. Metadata and
coordinates are written once, in a temporary folder that is synced and renamed into place.

The same sweep again continues. With more seeds, or more values inside or outside an axis, a larger store is written
beside, what is known is copied, and it is renamed; every known trajectory is kept. A sweep that differs in anything
else is refused with the names of what differs. A store has a number of its own, new when it is made or enlarged: a run
writes only into the store that it has opened.
"""

import contextlib
import math
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pt_jax.sweep import layout
from pt_jax.sweep.chunks import Store
from pt_jax.sweep.devices import check_memory
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.identity import differences, identity
from pt_jax.sweep.lanes import tile_shape, tiles_of
from pt_jax.sweep.overlap import positions, union_of, with_values

_UNIT = 4096  # trajectories in a unit, about: seconds of work, and no more is lost
_UNITS = 2**14  # in a large store, about: a kill costs a tiny share of it, and its files can be listed
_UNIT_WORK = 2**40  # operations in a unit by `cost.of`, at most, where a tile for each device allows: minutes
_UNIT_BYTES = 2**25  # of its results, at most, where a tile allows
_OURS = re.compile(r"(data|old|gone|new.*)\.zarr|lock(-.*)?")  # names of this program's own
_LOGS = (".log", ".out", ".err")


def folder_of(path: Any, name: str = "store") -> Path:
    """Return the folder that a user names, whether or not it is there; ~ is the home.

    Args:
        path: what the user gave.
        name: what for, for the sentence.

    Raises:
        ValueError: it cannot be a path.
    """
    try:
        found = Path(path).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            found.lstat()
    except (TypeError, RuntimeError, ValueError, OSError):  # no path, no such user, a null byte, a name too long
        given = repr(str(path) if isinstance(path, Path) else path)[:100]
        raise ValueError(f"{name} = {given} is not accepted: use the path of a folder.") from None
    return found


def in_memory(sweep: Sweep, scattered: bool, whole: bool) -> Store:
    """Return an empty store that is never written to disk: one unit if `whole`.

    Raises:
        ValueError: it does not fit into memory.
    """
    check_memory(f"A dataset of {sweep.trajectories:,} trajectories in memory", size_on_disk(sweep))
    arrays: dict[str, np.ndarray] = {}
    for name, (shape, dtype) in layout.kinds(sweep).items():
        arrays[name] = np.full((*sweep.shape, *shape), np.nan, dtype)
    arrays["done"] = np.zeros(sweep.shape, np.uint8)
    tile = tile_shape(sweep, scattered)
    return Store(sweep, tile, sweep.shape if whole else unit_shape(sweep, tile), arrays)


def load(sweep: Sweep, folder: Path, mode: Any = "r+") -> Store:
    """Open the store of a sweep, made by `prepare`."""
    arrays, about = layout.opened(folder, mode)
    stored = _stored(sweep, layout.values_of(arrays, about))
    return Store(stored, tuple(about["tile"]), tuple(about["unit"]), arrays, about, folder)


def check_folder(folder: Path) -> None:
    """Raise ValueError where the folder cannot be a store: a file, another program's files, or not to be written."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is not accepted: it is a file; name a folder.")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    # What a shell or git leaves in a folder made by hand cannot be mistaken for another program's work.
    foreign = [name for name in names if not name.startswith(".") and not _is_log(name)]
    if foreign and not any(map(_OURS.fullmatch, foreign)):
        raise ValueError(f"{folder} is not accepted: it holds files of another program; name another folder.")
    exists = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not exists.is_dir() or not os.access(exists, os.W_OK):
        raise ValueError(f"{folder} is not accepted: {exists} cannot be written; name another folder.")


def prepare(
    sweep: Sweep, folder: Path, fresh: bool, force: bool, scattered: bool = False, shared: bool = False
) -> None:
    """Make the store, or enlarge it to hold the sweep's cells and seeds as well.

    `shared` says that others may do the same at this moment, where locks are not granted: the first one wins.
    """
    data, old, gone = (folder / f"{name}.zarr" for name in ("data", "old", "gone"))
    new = folder / (f"new-{uuid.uuid4().hex}.zarr" if shared else "new.zarr")
    if old.exists() and not data.exists():  # killed between two renames
        old.rename(data)
    made, linked = data.exists(), ValueError(f"{data} is a link and cannot be replaced: name the folder it points to.")
    if fresh and data.is_symlink():
        raise linked
    for leftover in () if shared else (old, gone, *folder.glob("new*.zarr")):
        if leftover.exists():
            shutil.rmtree(leftover)
    if fresh or not made:
        union = union_of(sweep, sweep)
        tile = tile_shape(sweep, scattered)
        layout.create(union, new, tile, unit_shape(union, tile))
        layout.sync(new)
        if made:
            data.rename(gone)  # a kill while it is deleted must not leave half of it
        try:
            _put(new, data)
        except OSError:
            if not (shared and data.exists()):
                raise
            shutil.rmtree(new)
        if made:
            shutil.rmtree(gone)
        return
    check_same(sweep, folder, force)
    if covers(sweep, folder):
        return
    if data.is_symlink():
        raise linked
    before = load(sweep, folder)
    union = union_of(before.sweep, sweep)
    layout.create(union, new, before.tile, unit_shape(union, before.tile))
    _copy(before, union, new)
    layout.sync(new)
    before.check_number()
    data.rename(old)
    _put(new, data)
    shutil.rmtree(old)


def check_same(sweep: Sweep, folder: Path, force: bool) -> None:
    """Raise ValueError with the names of what differs from the sweep in the store."""
    about = layout.opened(folder)[1]
    changed = differences(about["identity"], identity(sweep, _base(sweep, about)))
    listed = "; ".join(changed.values())
    if changed and not force:
        raise ValueError(f"{folder} holds another sweep: {listed}. Use another folder, --fresh or --force.")
    if {"axes", "outputs"} & set(changed):
        raise ValueError(f"{folder} has another layout: {listed}. Use another folder or --fresh.")


def covers(sweep: Sweep, folder: Path) -> bool:
    """Return whether the store has all cells and seeds of the sweep."""
    stored = load(sweep, folder, "r").sweep
    return union_of(stored, sweep).shape == stored.shape


def known(sweep: Sweep, kept: Store) -> int:
    """Return how many trajectories of the sweep are done."""
    union = union_of(kept.sweep, sweep)
    shared = [np.isin(a, b) for a, b in zip(positions(union, kept.sweep), positions(union, sweep), strict=True)]
    asked = [np.where(inside, 0, -1) for inside in shared]
    missing = sum(int(kept.missing(unit, asked, None).sum()) for unit in kept.units())
    return math.prod(int(inside.sum()) for inside in shared) - missing


def size_on_disk(sweep: Sweep) -> int:
    """Return the bytes of a finished store before compression."""
    each = 5 + sum(np.dtype(dtype).itemsize * int(np.prod(shape)) for shape, dtype in layout.kinds(sweep).values())
    return each * sweep.trajectories


def unit_shape(sweep: Sweep, tile: tuple[int, ...]) -> tuple[int, ...]:
    """Grow the tile along the seeds, then the axes from the last, to a unit.

    It has about `_UNIT` trajectories or less; in a sweep of many, enough for about `_UNITS` units.
    """
    most = max(1, _UNIT_BYTES * sweep.trajectories // size_on_disk(sweep))
    unit, in_tile = list(tile), int(np.prod(tile))
    *_, (largest, _) = sweep.size_classes(tuple(np.arange(length) for length in sweep.shape[:-1]))
    worked = max(tiles_of(sweep.program(largest), tile, _UNIT_WORK), jax.local_device_count())
    wanted = max(min(_UNIT // in_tile, worked), sweep.trajectories // _UNITS // in_tile)
    room = max(1, min(wanted, most // in_tile))
    classes = [*sweep.classes(), 1]
    for i in reversed(range(len(unit))):
        pieces = -(-sweep.shape[i] // tile[i])
        factor = 1 if classes[i] > 1 else min(room, pieces)
        unit[i] = min(tile[i] * factor, sweep.shape[i])
        room = max(1, room // factor)
    return tuple(unit)


def _is_log(name: str) -> bool:
    return name.endswith(_LOGS) or name == "log.txt"


def _put(new: Path, data: Path) -> None:
    """Rename a synced store into its place, so that a loss of power leaves the whole of it or nothing."""
    new.rename(data)
    layout.sync_one(data.parent)


def _copy(before: Store, union: Sweep, new: Path) -> None:
    """Write what is known into a larger store, unit by unit of the smaller one."""
    arrays, about = layout.opened(new.parent, "r+", new.name)
    after = Store(union, before.tile, tuple(about["unit"]), arrays, about)
    at = positions(union, before.sweep)
    for unit in before.units():
        found, done = before.read(unit)
        after.put(tuple(a[s] for a, s in zip(at, unit, strict=True)), found, done)


def _base(sweep: Sweep, about: dict[str, Any]) -> dict[str, float]:
    moving = {name for axis in sweep.grid for name in axis.fields}
    return {name: value for name, value in about["base"].items() if name in moving}


def _stored(sweep: Sweep, values: list[np.ndarray]) -> Sweep:
    """Return the sweep with the axes and seeds of the store."""
    axes = {axis.name: x for axis, x in zip(sweep.grid, values[:-1], strict=True)}
    return with_values(sweep, axes, [int(seed) for seed in values[-1][:, 0]])
