"""A sweep on disk that survives anything: zarr v3, read by plain `xarray.open_zarr(DIR/"data.zarr")`.

The grid is sorted and labelled; what is not computed yet is NaN. A unit is one chunk of every result: it is computed as
a whole, its results are written, and then its part of `done`, one byte a trajectory. A run that is killed loses the
unit in hand. Metadata and coordinates are written once, in a temporary folder that is renamed into place.

The same sweep again continues. With more seeds, or more values inside or outside an axis, a larger store is written
beside, what is known is copied, and it is renamed; every known trajectory is kept. A sweep that differs in anything
else is refused with the names of what differs.
"""

import json
import os
import shutil
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.lanes import tile_shape
from pt_jax.sweep.provenance import identity, provenance

_UNIT = 4096  # trajectories in a unit, about: seconds of work, and no more is lost


class Store:
    """An open store: `sweep` is the whole stored grid, which may be larger than the one asked for."""

    def __init__(self, folder: Path, sweep: Sweep, tile: tuple[int, ...], unit: tuple[int, ...]):
        """Use `open_store`."""
        self.folder, self.sweep, self.tile, self.unit = folder, sweep, tile, unit
        self.group: Any = _open(folder / "data.zarr", "r+")
        self.names: list[str] = self.group.attrs["outputs"]

    def units(self) -> list[tuple[slice, ...]]:
        """Return the chunks, as slices along each axis and along the seeds."""
        counts = [-(-length // width) for length, width in zip(self.sweep.shape, self.unit, strict=True)]
        return [
            tuple(slice(k * w, min((k + 1) * w, n)) for k, w, n in zip(index, self.unit, self.sweep.shape, strict=True))
            for index in np.ndindex(*counts)
        ]

    def missing(self, unit: tuple[slice, ...], wanted: list[np.ndarray]) -> np.ndarray:
        """Return which trajectories of a unit are wanted and not done, bool in the shape of the unit."""
        asked = [np.isin(np.arange(s.start, s.stop), w) for s, w in zip(unit, wanted, strict=True)]
        mask = reduce(np.logical_and.outer, asked)
        return mask & (np.asarray(self.group["done"][unit]) == 0)

    def read(self, unit: tuple[slice, ...]) -> dict[str, np.ndarray]:
        """Return the results of a unit by name, NaN where nothing is computed."""
        return {name: np.asarray(self.group[name][unit]) for name in self.names}

    def write(self, unit: tuple[slice, ...], arrays: dict[str, np.ndarray], computed: np.ndarray) -> None:
        """Write the results of a unit, then mark the trajectories computed as done."""
        for name, array in arrays.items():
            self.group[name][unit] = array
        self.group["done"][unit] = np.asarray(self.group["done"][unit]) | computed

    def dataset(self) -> xr.Dataset:
        """Open the whole store, lazily."""
        return xr.open_zarr(self.folder / "data.zarr", consolidated=False, chunks=None)


def check_folder(folder: Path) -> None:
    """Raise ValueError where the folder cannot be a store."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is not accepted: it is a file; name a folder.")
    ours = {"lock", "data.zarr"}
    if folder.is_dir() and os.listdir(folder) and not ours & set(os.listdir(folder)):
        raise ValueError(f"{folder} is not accepted: it holds files of another program; name another folder.")


def prepare(sweep: Sweep, folder: Path, fresh: bool, force: bool) -> None:
    """Make the store, or enlarge it to hold the sweep's cells and seeds as well."""
    data, old, new = folder / "data.zarr", folder / "old.zarr", folder / "new.zarr"
    if old.exists() and not data.exists():  # killed between two renames
        old.rename(data)
    for leftover in (old, new, *([data] if fresh else [])):
        shutil.rmtree(leftover, ignore_errors=True)
    if not data.exists():
        tile = tile_shape(sweep)
        _write(
            replace(
                sweep,
                axes={",".join(a.fields): a.values[_order(a.values)] for a in sweep.grid},
                seeds=sorted(sweep.seed_values),
            ),
            new,
            tile,
        )
        new.rename(data)
        return
    stored = _stored(sweep, folder)
    check_same(sweep, folder, force)
    union = _union(stored, sweep)
    if union.shape == stored.shape:
        return
    before = _open(data)
    tile = tuple(before.attrs["tile"])
    _write(union, new, tile)
    after = _open(new, "r+")
    at = positions(union, stored)
    for name in [*before.attrs["outputs"], "done"]:
        after[name].oindex[tuple(at)] = before[name][...]
    data.rename(old)
    new.rename(data)
    shutil.rmtree(old)


def _write(sweep: Sweep, path: Path, tile: tuple[int, ...]) -> None:
    """Write an empty store: metadata, coordinates, and no chunk."""
    unit = _unit_shape(sweep, tile)
    statics = [static for static, _ in sweep.size_classes(tuple(np.arange(len(a)) for a in sweep.grid))]
    kinds = sweep.results(statics[0])
    dims = [*(axis.name for axis in sweep.grid), "seed"]
    group = zarr.create_group(path)
    group.attrs.update(
        outputs=list(kinds), tile=list(tile), unit=list(unit), identity=identity(sweep), provenance=provenance(sweep)
    )

    def add(name: str, shape: tuple, dtype: Any, names: list[str], chunks: tuple, fill: Any, attrs: dict) -> zarr.Array:
        return group.create_array(
            name, shape=shape, dtype=dtype, chunks=chunks, fill_value=fill, dimension_names=names, attributes=attrs
        )

    for name, kind in kinds.items():
        own = sweep.own_dims(name, len(kind.shape))
        dtype = kind.dtype if np.issubdtype(kind.dtype, np.floating) else np.float32  # NaN says: not computed
        add(name, (*sweep.shape, *kind.shape), dtype, dims + own, (*unit, *kind.shape), np.nan, sweep.about(name))
    add("done", sweep.shape, np.uint8, dims, unit, 0, {"long_name": "whether the trajectory is computed"})
    for axis in sweep.grid:
        for name, values in zip(axis.fields, axis.values.T, strict=True):
            add(name, (len(axis),), float, [axis.name], (len(axis),), np.nan, sweep.about(name))[:] = values
    seeds = np.array(sweep.seed_values)
    add("seed", (len(seeds),), seeds.dtype, ["seed"], (len(seeds),), 0, {"units": "1", "long_name": "seed"})[:] = seeds


def _unit_shape(sweep: Sweep, tile: tuple[int, ...]) -> tuple[int, ...]:
    """Grow the tile along the seeds, then the axes from the last, to a unit of about `_UNIT` trajectories."""
    unit, room = list(tile), max(1, _UNIT // int(np.prod(tile)))
    single = [sweep.classes(axis) > 1 for axis in sweep.grid] + [False]
    for i in reversed(range(len(unit))):
        pieces = -(-sweep.shape[i] // tile[i])
        factor = 1 if single[i] else min(room, pieces)
        unit[i] = min(tile[i] * factor, sweep.shape[i])
        room = max(1, room // factor)
    return tuple(unit)


def _open(path: Path, mode: Any = "r") -> Any:
    return zarr.open_group(path, mode=mode)


def load(sweep: Sweep, folder: Path) -> Store:
    """Open the store of a sweep."""
    attrs = _open(folder / "data.zarr").attrs
    return Store(folder, _stored(sweep, folder), tuple(attrs["tile"]), tuple(attrs["unit"]))


def _stored(sweep: Sweep, folder: Path) -> Sweep:
    """Return the sweep with the axes and seeds of the store."""
    group = _open(folder / "data.zarr")
    axes = {
        ",".join(a.fields): np.stack([np.asarray(group[name][:]) for name in a.fields], axis=1)
        for a in sweep.grid
        if all(f in group for f in a.fields)
    }
    return (
        replace(sweep, axes=axes, seeds=[int(s) for s in np.asarray(group["seed"][:])])
        if len(axes) == len(sweep.grid)
        else sweep
    )


def check_same(sweep: Sweep, folder: Path, force: bool) -> None:
    """Raise ValueError with the names of what differs from the sweep in the store."""
    before = dict(_open(folder / "data.zarr").attrs["identity"])
    now = json.loads(json.dumps(identity(sweep)))
    changed = [
        f"{name} ({before.get(name)} there, {now.get(name)} here)" for name in now if before.get(name) != now[name]
    ]
    if changed and not force:
        raise ValueError(f"{folder} holds another sweep: {'; '.join(changed)}. Use another folder, --fresh or --force.")


def covers(sweep: Sweep, folder: Path) -> bool:
    """Return whether the store has all cells and seeds of the sweep."""
    stored = _stored(sweep, folder)
    return _union(stored, sweep).shape == stored.shape


def _union(a: Sweep, b: Sweep) -> Sweep:
    """Return the sweep over the values and seeds of both, sorted."""
    axes = {}
    for one, two in zip(a.grid, b.grid, strict=True):
        both = np.concatenate([one.values, two.values])
        _, first = np.unique(both.astype(np.float32), axis=0, return_index=True)
        kept = both[np.sort(first)]
        axes[",".join(one.fields)] = kept[_order(kept)]
    return replace(a, axes=axes, seeds=sorted({*a.seed_values, *b.seed_values}))


def _order(values: np.ndarray) -> np.ndarray:
    return np.lexsort(values.T[::-1])


def positions(whole: Sweep, part: Sweep) -> list[np.ndarray]:
    """Return where the values of each axis, and the seeds, of a part stand in the whole."""
    seeds = [np.array(sweep.seed_values)[:, None] for sweep in (whole, part)]
    pairs = [(a.values, b.values) for a, b in zip(whole.grid, part.grid, strict=True)]
    return [_positions(a, b) for a, b in [*pairs, (seeds[0], seeds[1])]]


def _positions(all_values: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Return where the rows of `some` stand among `all_values`, equal in float32."""
    index = {tuple(row): i for i, row in enumerate(all_values.astype(np.float32).tolist())}
    return np.array([index[tuple(row)] for row in some.astype(np.float32).tolist()])
