"""From a store to a labelled dataset: in memory up to a stated size, else read when it is needed."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from pt_jax.sweep import layout
from pt_jax.sweep.chunks import Chunks, Store
from pt_jax.sweep.store import folder_of

LOADED = 2**28  # bytes up to which a dataset is loaded when it is opened
_ATTEMPTS = 20  # to read a store that is enlarged or made again meanwhile


def load(folder: str | Path) -> xr.Dataset:
    """Return what the store in a folder holds, as a labelled dataset, also while it is written.

    Up to 256 MB it is loaded, and what does not fit its check counts as not done. A larger one is read when it is
    needed; then it is an error that the store has been enlarged, replaced or moved since.

    Args:
        folder: written by `pt_jax.run(sweep, store=folder)`, `pt-jax map --out folder` or a script; ~ is the home.

    Returns:
        The axes, then `seed`, then a result's own dimensions; NaN where nothing is computed, `done` is 0 there.

    Raises:
        ValueError: it is not a store of this program, or it is damaged.
    """
    folder = folder_of(folder, "folder")
    for attempt in range(_ATTEMPTS):
        number = layout.number_of(folder)
        try:
            ds = _open(folder)
        except ValueError:
            if attempt and layout.number_of(folder) == number:
                raise
        else:
            if layout.number_of(folder) == number:
                return ds
        time.sleep(0.05)
    raise ValueError(f"{folder} is being written anew by another process: wait for it.")


def dataset(kept: Store) -> xr.Dataset:
    """Return all that the store of a run holds, as a labelled dataset; in memory or not as `load` says.

    Raises:
        OSError: the store in the folder is another one by now.
    """
    arrays = kept.arrays if kept.folder is None else _held(kept, kept.folder)
    kept.check_number()
    variables: dict[str, Any] = {}
    for name in (*kept.names, "done"):
        dims = layout.dims_of(kept.sweep, name, arrays[name].ndim)
        variables[name] = xr.Variable(dims, arrays[name], layout.said_of(kept.sweep, name))
    said = {} if kept.about is None else {"provenance": kept.about["provenance"]}
    return xr.Dataset(variables, kept.sweep.coordinates(), said)


def _open(folder: Path) -> xr.Dataset:
    arrays, about = layout.opened(folder)
    try:
        ds = xr.open_zarr(folder / "data.zarr", consolidated=False, chunks=None)
        ds.coords.to_dataset().load()
        coords = ds.coords
        variables = {name: ds[name].variable for name in (*about["outputs"], "done")}
    except Exception as error:  # zarr, its codecs and xarray have one each for what a damaged file can be
        raise ValueError(
            f"{folder}/data.zarr is damaged ({layout.in_a_line(error)}): restore it, or use --fresh."
        ) from None
    chunks = Chunks(layout.values_of(arrays, about), tuple(about["unit"]), arrays, about["outputs"], about, folder)
    held = _held(chunks, folder)
    kept = {name: xr.Variable(variable.dims, held[name], variable.attrs) for name, variable in variables.items()}
    return xr.Dataset(kept, coords, {"provenance": about["provenance"]})


def _held(kept: Chunks, folder: Path) -> dict[str, Any]:
    """Return the results and `done` of a store by name: in memory, or where they are large, read when needed."""
    arrays = {name: kept.arrays[name] for name in (*kept.names, "done")}
    if sum(array.size * np.dtype(array.dtype).itemsize for array in arrays.values()) <= LOADED:
        return _read(kept)
    assert kept.about is not None
    number = kept.about["id"]
    return {name: indexing.LazilyIndexedArray(_Guarded(array, folder, number)) for name, array in arrays.items()}


def _read(kept: Chunks) -> dict[str, Any]:
    """Return the results and `done`; what does not fit its check is NaN and not done."""
    found = {name: np.empty(kept.arrays[name].shape, kept.arrays[name].dtype) for name in (*kept.names, "done")}
    for unit in kept.units():
        arrays, done = kept.read(unit)
        for name in kept.names:
            own = (1,) * (arrays[name].ndim - done.ndim)
            found[name][unit] = np.where(done.reshape(done.shape + own), arrays[name], np.nan)
        found["done"][unit] = done
    return found


class _Guarded(BackendArray):
    """An array of a store that is never read from another store in its place."""

    def __init__(self, array: Any, folder: Path, number: str):
        self.array, self.folder, self.number = array, folder, number
        self.shape, self.dtype = array.shape, np.dtype(array.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.typing.ArrayLike:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple) -> np.ndarray:
        values = self.array.oindex[key]
        if layout.number_of(self.folder) != self.number:
            raise ValueError(
                f"{self.folder} was enlarged, replaced or moved since this dataset was opened: open it anew."
            )
        return values
