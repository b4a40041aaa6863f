"""The arrays of a store in units: written and read with a check that binds every trajectory to its place.

A unit is one chunk of every result. It is computed as a whole, its results are written, and then its part of `done`,
one byte a trajectory. `check` has a checksum of each trajectory over the store's identity, its values on the axes, its
seed and its results: a chunk that is lost, exchanged, or written by a run of another sweep is found out, and its
trajectories count as not done.
"""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

import numpy as np

from pt_jax.sweep import layout
from pt_jax.sweep.grid import Sweep

Unit = tuple[slice, ...]  # along each axis, then along the seeds


@lru_cache(2)  # units that are done have one and the same content
def _decode(chunk: bytes) -> bytes:
    from numcodecs.zstd import Zstd  # as zarr, where a store is used

    return Zstd().decode(chunk)


class Chunks:
    """Arrays over axes and seeds, in memory or on disk, by units.

    Attributes:
        values: of each dimension, (length, fields): values on an axis, then the seeds.
        unit: shape of a unit.
        arrays: the results, `done` and, on disk, `check` by name, all indexed by a unit.
        names: of the results.
        about: on disk, what the store says about itself, see `layout.create`.
        folder: on disk, where it is.
    """

    def __init__(
        self,
        values: list[np.ndarray],
        unit: tuple[int, ...],
        arrays: Any,
        names: list[str],
        about: Mapping[str, Any] | None = None,
        folder: Path | None = None,
    ):
        """Use `store.load` or `store.in_memory`."""
        self.values, self.unit, self.arrays, self.names = values, unit, arrays, names
        self.about, self.folder, self.shape = about, folder, tuple(map(len, values))
        # Of each result that has chunks, what their names begin and end with: its own dimensions are not divided.
        sized = [name for name in (*names, "check") if name in arrays and arrays[name].size]
        self._around = [(f"{folder}/data.zarr/{name}/c/", "/0" * (arrays[name].ndim - len(unit))) for name in sized]

    def units(self) -> Iterator[Unit]:
        """Yield the chunks, as slices along each axis and along the seeds."""
        counts = [-(-length // width) for length, width in zip(self.shape, self.unit, strict=True)]
        for index in np.ndindex(*counts):
            yield tuple(slice(k * w, min((k + 1) * w, n)) for k, w, n in zip(index, self.unit, self.shape, strict=True))

    def missing(self, unit: Unit, asked: list[np.ndarray], where: np.ndarray | None) -> np.ndarray:
        """Return which trajectories of a unit are wanted and not done, bool in the shape of the unit.

        Args:
            unit: which.
            asked: for each dimension of the store, the position in the sweep asked for, or -1.
            where: which trajectories of that sweep are wanted; None is all.
        """
        left = self.done(unit) == 0
        if not left.any():
            return left
        places = [a[s] for a, s in zip(asked, unit, strict=True)]
        left &= reduce(np.logical_and.outer, [p >= 0 for p in places])
        if where is not None:
            left &= where[np.ix_(*places)]
        return left

    def done(self, unit: Unit) -> np.ndarray:
        """Return which trajectories of a unit are computed, 0 or 1; none where a chunk of a result is gone."""
        if self.folder is None:
            return self._read("done", unit)
        index = self._index(unit)
        found = self._done(unit, index)
        return found if not found.any() or self._whole(index) else np.zeros_like(found)

    def read(self, unit: Unit) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the results of a unit by name, and which of its trajectories are computed: those that fit their check.

        Raises:
            ValueError: a chunk cannot be read.
        """
        done = self.done(unit)  # first: what another process writes meanwhile is then only more
        if not done.any():
            kinds = {name: (self.arrays[name].shape[len(unit) :], self.arrays[name].dtype) for name in self.names}
            return {name: np.full((*done.shape, *own), np.nan, dtype) for name, (own, dtype) in kinds.items()}, done
        arrays = {name: self._read(name, unit) for name in self.names}
        if self.about is not None:
            done = done & (self._read("check", unit) == self._checks(unit, arrays))
        return arrays, done

    def write(self, unit: Unit, arrays: dict[str, np.ndarray], done: np.ndarray) -> None:
        """Write the results of a unit and its checks, then which trajectories are done.

        Raises:
            OSError: the store in the folder is another one by now.
        """
        self.check_number()
        arrays = {name: np.asarray(arrays[name], self.arrays[name].dtype) for name in self.names}  # as it is read again
        for name in self.names:
            self.arrays[name][unit] = arrays[name]
        if self.about is not None:
            self.arrays["check"][unit] = self._checks(unit, arrays)
        self.check_number()
        self.arrays["done"][unit] = done

    def put(self, index: tuple[np.ndarray, ...], arrays: dict[str, np.ndarray], done: np.ndarray) -> None:
        """Write the results of trajectories anywhere in the store, given by their positions along each dimension."""
        for name in self.names:
            self.arrays[name].oindex[index] = arrays[name]
        self.arrays["check"].oindex[index] = self._checks(index, arrays)
        self.arrays["done"].oindex[index] = done

    def check_number(self) -> None:
        """Raise OSError where the store in the folder is another one by now."""
        if self.folder is not None and self.about is not None and layout.number_of(self.folder) != self.about["id"]:
            raise OSError("the store was deleted, moved or made again while this run was going on")

    def _checks(self, index: tuple[Any, ...], arrays: dict[str, np.ndarray]) -> np.ndarray:
        assert self.about is not None
        values = [x[i] for x, i in zip(self.values, index, strict=True)]
        return checks([arrays[name] for name in self.names], values, self.about["identity"])

    def repair(self, unit: Unit) -> None:
        """Mark trajectories that do not fit their check as not done, so that they are computed again."""
        said = self._read("done", unit)  # first: what another process writes meanwhile is not said and lost
        _, sound = self.read(unit)
        lost = (said == 1) & (sound == 0)
        if lost.any():
            self.check_number()
            self.arrays["done"][unit] = np.where(lost, 0, self._read("done", unit))

    def _done(self, unit: Unit, index: str) -> np.ndarray:
        """Read what a unit says to be done from its file: zarr takes many times as long for each of 100,000 chunks."""
        shape = tuple([s.stop - s.start for s in unit])
        try:
            with open(f"{self.folder}/data.zarr/done/c/{index}", "rb", buffering=0) as file:
                chunk = np.frombuffer(_decode(file.read()), np.uint8).reshape(self.unit)
        except FileNotFoundError:
            return np.zeros(shape, np.uint8)
        except Exception:  # the codec has one each for what a damaged file can be
            return self._read("done", unit)  # says what is damaged
        return chunk if chunk.shape == shape else chunk[tuple(map(slice, shape))]

    def _whole(self, index: str) -> bool:
        """Whether each chunk of a unit is there; after a loss of power its file may be empty."""
        try:
            return all([os.stat(first + index + last).st_size for first, last in self._around])
        except OSError:
            return False

    def _index(self, unit: Unit) -> str:
        """Return the name of a chunk."""
        return "/".join([str(s.start // width) for s, width in zip(unit, self.unit, strict=True)])

    def _read(self, name: str, unit: Unit) -> np.ndarray:
        try:
            return np.array(self.arrays[name][unit])
        except Exception as error:  # zarr and its codecs have one each for what a damaged file can be
            chunk = self._index(unit)
            raise ValueError(
                f"{self.folder}/data.zarr/{name} is damaged in chunk {chunk} ({layout.in_a_line(error)}): delete "
                f"done/c/{chunk} there and run again; only this unit is computed anew."
            ) from None


class Store(Chunks):
    """The chunks of a sweep: `sweep` is the whole stored grid, `tile` the shape in which lanes are computed."""

    def __init__(
        self,
        sweep: Sweep,
        tile: tuple[int, ...],
        unit: tuple[int, ...],
        arrays: Any,
        about: Mapping[str, Any] | None = None,
        folder: Path | None = None,
    ):
        """Use `store.load` or `store.in_memory`."""
        known = sweep.results(sweep.static_of(sweep.point))
        values = [*(axis.values for axis in sweep.grid), np.array(sweep.seed_values)[:, None]]
        super().__init__(values, unit, arrays, [name for name in arrays if name in known], about, folder)
        self.sweep, self.tile = sweep, tile


def checks(results: list[np.ndarray], values: list[np.ndarray], identity: Mapping[str, Any]) -> np.ndarray:
    """Return the CRC-32 of each trajectory, uint32.

    Args:
        results: arrays of shape (lengths of all dimensions, then a result's own).
        values: of each dimension, (length, fields): values on an axis, seeds.
        identity: of the store.
    """
    shape = tuple(map(len, values))
    start = zlib.crc32(json.dumps(identity, sort_keys=True).encode())
    columns = []
    for i, x in enumerate(values):
        along = np.asarray(x, float).reshape([-1 if j == i else 1 for j in range(len(shape))] + [x.shape[1]])
        columns.append(np.broadcast_to(along, (*shape, x.shape[1])))
    count = int(np.prod(shape))
    rows = np.concatenate(
        [np.ascontiguousarray(x).reshape(count, -1).view(np.uint8) for x in [*columns, *results]], axis=1
    )
    return np.array([zlib.crc32(row, start) for row in rows], np.uint32).reshape(shape)
