"""Where results are kept: in memory, or on disk in a form that survives anything.

On disk it is zarr v3, read by plain `xarray.open_zarr(DIR/"data.zarr")`. The grid is sorted and labelled; what is not
computed yet is NaN. A unit is one chunk of every result: it is computed as a whole, its results are written, and then
its part of `done`, one byte a trajectory. A run that is killed loses the unit in hand. Metadata and coordinates are
written once, in a temporary folder that is renamed into place. Chunks carry a checksum.

The same sweep again continues. With more seeds, or more values inside or outside an axis, a larger store is written
beside, what is known is copied, and it is renamed; every known trajectory is kept. A sweep that differs in anything
else is refused with the names of what differs.
"""

import json
import os
import shutil
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.lanes import tile_shape
from pt_jax.sweep.overlap import positions, union_of, with_values
from pt_jax.sweep.provenance import describe, identity, machine

_UNIT = 4096  # trajectories in a unit, about: seconds of work, and no more is lost
_UNIT_BYTES = 2**25  # of its results, at most, where a tile allows


class Store:
    """An open store: `sweep` is the whole stored grid, which may be larger than the one asked for."""

    def __init__(
        self, sweep: Sweep, tile: tuple[int, ...], unit: tuple[int, ...], arrays: Any, folder: Path | None = None
    ):
        """Use `load` or `in_memory`; `arrays` has the results and `done` by name, all indexed by a unit."""
        self.sweep, self.tile, self.unit, self.arrays, self.folder = sweep, tile, unit, arrays, folder
        self.names = list(_kinds(sweep))

    def units(self) -> list[tuple[slice, ...]]:
        """Return the chunks, as slices along each axis and along the seeds."""
        counts = [-(-length // width) for length, width in zip(self.sweep.shape, self.unit, strict=True)]
        return [
            tuple(slice(k * w, min((k + 1) * w, n)) for k, w, n in zip(index, self.unit, self.sweep.shape, strict=True))
            for index in np.ndindex(*counts)
        ]

    def missing(self, unit: tuple[slice, ...], asked: list[np.ndarray], where: np.ndarray | None) -> np.ndarray:
        """Return which trajectories of a unit are wanted and not done, bool in the shape of the unit.

        Args:
            unit: which.
            asked: for each dimension of the store, the position in the sweep asked for, or -1.
            where: which trajectories of that sweep are wanted; None is all.
        """
        places = [a[s] for a, s in zip(asked, unit, strict=True)]
        mask = reduce(np.logical_and.outer, [p >= 0 for p in places])
        if where is not None:
            mask &= where[np.ix_(*places)]
        return mask & (self.done(unit) == 0)

    def done(self, unit: tuple[slice, ...]) -> np.ndarray:
        """Return which trajectories of a unit are computed, 0 or 1."""
        return self._read("done", unit)

    def read(self, unit: tuple[slice, ...]) -> dict[str, np.ndarray]:
        """Return the results of a unit by name, NaN where nothing is computed."""
        return {name: self._read(name, unit) for name in self.names}

    def write(self, unit: tuple[slice, ...], arrays: dict[str, np.ndarray], computed: np.ndarray) -> None:
        """Write the results of a unit, then mark the trajectories computed as done."""
        for name, array in arrays.items():
            self.arrays[name][unit] = array
        self.arrays["done"][unit] = self.done(unit) | computed

    def dataset(self) -> xr.Dataset:
        """Return the whole store, opened lazily where it is on disk."""
        if self.folder is not None:
            return open_dataset(self.folder)
        variables: dict[str, Any] = {}
        for name, array in self.arrays.items():
            variables[name] = (_dims(self.sweep, name, array), array, _about(self.sweep, name))
        return xr.Dataset(variables, self.sweep.coordinates())

    @property
    def machine(self) -> dict[str, Any]:
        """What the store was made with."""
        return machine() if self.folder is None else json.loads(self.arrays.attrs["provenance"])

    def _read(self, name: str, unit: tuple[slice, ...]) -> np.ndarray:
        try:
            return np.array(self.arrays[name][unit])
        except (ValueError, RuntimeError) as error:
            chunk = "/".join(str(s.start // w) for s, w in zip(unit, self.unit, strict=True))
            raise ValueError(
                f"{self.folder}/data.zarr/{name} is damaged in chunk {chunk} ({error}): delete done/c/{chunk} there "
                "and run again; only this unit is computed anew."
            ) from None


def in_memory(sweep: Sweep, scattered: bool, whole: bool) -> Store:
    """Return an empty store that is never written to disk: one unit if `whole`."""
    arrays: dict[str, np.ndarray] = {}
    for name, (shape, dtype) in _kinds(sweep).items():
        arrays[name] = np.full((*sweep.shape, *shape), np.nan, dtype)
    arrays["done"] = np.zeros(sweep.shape, np.uint8)
    tile = tile_shape(sweep, scattered)
    return Store(sweep, tile, sweep.shape if whole else unit_shape(sweep, tile), arrays)


def load(sweep: Sweep, folder: Path) -> Store:
    """Open the store of a sweep, made by `prepare`."""
    group, layout = _open(folder, "r+")
    return Store(_stored(sweep, group), tuple(layout["tile"]), tuple(layout["unit"]), group, folder)


def open_dataset(folder: Path) -> xr.Dataset:
    """Open a folder lazily, without knowing the sweep.

    Raises:
        ValueError: it is not a store of this program, or it is damaged.
    """
    _open(folder)
    try:
        ds = xr.open_zarr(folder / "data.zarr", consolidated=False, chunks=None)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"{folder}/data.zarr is damaged: {error}.") from None
    return ds.assign_attrs(provenance=ds.attrs["provenance"])


def check_folder(folder: Path) -> None:
    """Raise ValueError where the folder cannot be a store: a file, another program's files, or not to be written."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is not accepted: it is a file; name a folder.")
    if (
        folder.is_dir()
        and any(folder.iterdir())
        and not any((folder / name).exists() for name in ("lock", "data.zarr"))
    ):
        raise ValueError(f"{folder} is not accepted: it holds files of another program; name another folder.")
    exists = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not exists.is_dir() or not os.access(exists, os.W_OK):
        raise ValueError(f"{folder} is not accepted: {exists} cannot be written; name another folder.")


def prepare(sweep: Sweep, folder: Path, fresh: bool, force: bool, scattered: bool = False) -> None:
    """Make the store, or enlarge it to hold the sweep's cells and seeds as well."""
    data, old, new, gone = (folder / f"{name}.zarr" for name in ("data", "old", "new", "gone"))
    if old.exists() and not data.exists():  # killed between two renames
        old.rename(data)
    if fresh and data.exists():
        data.rename(gone)  # a kill while it is deleted must not leave half of it
    for leftover in (old, new, gone, *([folder / "runs"] if fresh else [])):
        if leftover.exists():
            shutil.rmtree(leftover)
    if not data.exists():
        _write(union_of(sweep, sweep), new, tile_shape(sweep, scattered))
        new.rename(data)
        return
    check_same(sweep, folder, force)
    if covers(sweep, folder):
        return
    before = load(sweep, folder)
    union = union_of(before.sweep, sweep)
    _write(union, new, before.tile)
    after: Any = zarr.open_group(new, mode="r+")
    at = positions(union, before.sweep)
    for unit in before.units():
        for name, values in {**before.read(unit), "done": before.done(unit)}.items():
            after[name].oindex[tuple(a[s] for a, s in zip(at, unit, strict=True))] = values
    data.rename(old)
    new.rename(data)
    shutil.rmtree(old)


def check_same(sweep: Sweep, folder: Path, force: bool) -> None:
    """Raise ValueError with the names of what differs from the sweep in the store."""
    before = _open(folder)[1]["identity"]
    now = json.loads(json.dumps(identity(sweep)))
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    changed = "; ".join(f"{name} ({before.get(name)} there, {now.get(name)} here)" for name in names)
    if names and not force:
        raise ValueError(f"{folder} holds another sweep: {changed}. Use another folder, --fresh or --force.")
    if {"axes", "outputs"} & set(names):
        raise ValueError(f"{folder} has another layout: {changed}. Use another folder or --fresh.")


def covers(sweep: Sweep, folder: Path) -> bool:
    """Return whether the store has all cells and seeds of the sweep."""
    stored = _stored(sweep, _open(folder)[0])
    return union_of(stored, sweep).shape == stored.shape


def known(sweep: Sweep, folder: Path) -> int:
    """Return how many trajectories of the sweep are done."""
    group, _ = _open(folder)
    stored = _stored(sweep, group)
    union = union_of(stored, sweep)
    shared = [np.isin(a, b) for a, b in zip(positions(union, stored), positions(union, sweep), strict=True)]
    return int(np.asarray(group["done"][...])[np.ix_(*shared)].sum())


def size_on_disk(sweep: Sweep) -> int:
    """Return the bytes of a finished store before compression."""
    each = 1 + sum(np.dtype(dtype).itemsize * int(np.prod(shape)) for shape, dtype in _kinds(sweep).values())
    return each * sweep.trajectories


def unit_shape(sweep: Sweep, tile: tuple[int, ...]) -> tuple[int, ...]:
    """Grow the tile along the seeds, then the axes from the last, to a unit of about `_UNIT` trajectories."""
    most = max(1, _UNIT_BYTES * sweep.trajectories // size_on_disk(sweep))
    unit, room = list(tile), max(1, min(_UNIT, most) // int(np.prod(tile)))
    classes = [*sweep.classes(), 1]
    for i in reversed(range(len(unit))):
        pieces = -(-sweep.shape[i] // tile[i])
        factor = 1 if classes[i] > 1 else min(room, pieces)
        unit[i] = min(tile[i] * factor, sweep.shape[i])
        room = max(1, room // factor)
    return tuple(unit)


def _write(sweep: Sweep, path: Path, tile: tuple[int, ...]) -> None:
    """Write an empty store: metadata, coordinates, and no chunk."""
    unit, kinds, coordinates = unit_shape(sweep, tile), _kinds(sweep), sweep.coordinates()
    layout = {"outputs": list(kinds), "tile": tile, "unit": unit, "identity": identity(sweep)}
    group = zarr.create_group(path)
    dims = {axis.name for axis in sweep.grid} | {"seed"}
    # JSON in text, so that the attributes fit netCDF too; `coordinates` is xarray's own way to name them.
    group.attrs["pt_jax"], group.attrs["provenance"] = json.dumps(layout), json.dumps(describe(sweep) | machine())
    group.attrs["coordinates"] = " ".join(name for name in coordinates if name not in dims)

    def add(name: str, shape: tuple, dtype: Any, names: list[str], chunks: tuple, fill: Any, about: Any) -> zarr.Array:
        return group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            chunks=chunks,
            fill_value=fill,
            dimension_names=names,
            attributes=about,
            compressors=ZstdCodec(checksum=True),
        )

    for name, (own, dtype) in kinds.items():
        shape = (*sweep.shape, *own)
        add(name, shape, dtype, _dims(sweep, name, shape), (*unit, *own), np.nan, _about(sweep, name))
    add("done", sweep.shape, np.uint8, _dims(sweep, "done", sweep.shape), unit, 0, _about(sweep, "done"))
    for name, (along, values, about) in coordinates.items():
        values, names = np.asarray(values), [along] if isinstance(along, str) else list(along)
        text = values.dtype.kind == "U"  # numpy's own text has no place in zarr's specification
        kind, fill = (str, "") if text else (values.dtype, 0)
        add(name, values.shape, kind, names, values.shape, fill, about)[...] = values.astype(object) if text else values


def _kinds(sweep: Sweep) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return shape and dtype of each result; floating, so that NaN says: not computed."""
    static, _ = next(sweep.size_classes(tuple(np.arange(len(axis)) for axis in sweep.grid)))

    def kept(dtype: Any) -> Any:
        if np.issubdtype(dtype, np.floating):
            return dtype
        return np.float32 if np.issubdtype(dtype, np.bool_) else np.float64

    return {name: (kind.shape, kept(kind.dtype)) for name, kind in sweep.results(static).items()}


def _dims(sweep: Sweep, name: str, shape: Any) -> list[str]:
    first = [*(axis.name for axis in sweep.grid), "seed"]
    return first + sweep.own_dims(name, len(getattr(shape, "shape", shape)) - len(first))


def _about(sweep: Sweep, name: str) -> dict[str, str]:
    return {"units": "1", "long_name": "whether the trajectory is computed"} if name == "done" else sweep.about(name)


def _open(folder: Path, mode: Any = "r") -> tuple[Any, dict[str, Any]]:
    """Return the zarr group of a folder and what this program wrote about it."""
    if not (folder / "data.zarr").is_dir():
        raise ValueError(f"{folder} is not accepted: it holds no data.zarr.")
    try:
        group = zarr.open_group(folder / "data.zarr", mode=mode)
        layout = json.loads(str(group.attrs["pt_jax"]))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        raise ValueError(f"{folder}/data.zarr is not accepted: another program wrote it, or it is damaged.") from None
    for name in (*layout["outputs"], "done", "seed", *",".join(layout["identity"]["axes"]).split(",")):
        if name and name not in group:
            raise ValueError(f"{folder}/data.zarr is damaged: {name} is missing; restore it, or use --fresh.")
    return group, layout


def _stored(sweep: Sweep, group: Any) -> Sweep:
    """Return the sweep with the axes and seeds of the store."""
    values = {a.name: np.stack([np.asarray(group[name][:]) for name in a.fields], axis=1) for a in sweep.grid}
    return with_values(sweep, values, [int(s) for s in np.asarray(group["seed"][:])])
