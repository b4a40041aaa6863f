"""From a store to a labelled dataset: in memory up to a stated size, else read when it is needed."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from pt_jax.sweep import layout
from pt_jax.sweep.chunks import Store, checks

LOADED = 2**28  # bytes up to which a dataset is loaded when it is opened
_ATTEMPTS = 20  # to read a store that is enlarged or made again meanwhile


def open_dataset(folder: Path) -> xr.Dataset:
    """Open the store in a folder, without knowing the sweep.

    Up to 256 MB it is loaded, and what does not fit its check counts as not done. A larger one is read when it is
    needed; then it is an error that the store has been enlarged, replaced or moved since.

    Raises:
        ValueError: it is not a store of this program, or it is damaged.
    """
    for _ in range(_ATTEMPTS):
        arrays, about = layout.opened(folder)
        try:
            ds = xr.open_zarr(folder / "data.zarr", consolidated=False, chunks=None)
            large = ds.nbytes > LOADED
            ds = _guarded(ds, arrays, folder, about["id"]) if large else _loaded(ds, about)
        except Exception as error:  # zarr, its codecs and xarray have one each for what a damaged file can be
            if layout.number_of(folder) == about["id"]:
                said = layout.in_a_line(error)
                raise ValueError(f"{folder}/data.zarr is damaged ({said}): run the same sweep again.") from None
            time.sleep(0.05)
            continue
        if layout.number_of(folder) == about["id"]:
            return ds.drop_vars("check").assign_attrs(provenance=ds.attrs["provenance"])
    raise ValueError(f"{folder} is being written anew by another process: wait for it.")


def dataset(kept: Store) -> xr.Dataset:
    """Return all that a store holds, as a labelled dataset."""
    if kept.folder is not None:
        return open_dataset(kept.folder)
    variables: dict[str, Any] = {}
    for name, array in kept.arrays.items():
        dims = layout.dims_of(kept.sweep, name, array.ndim)
        variables[name] = (dims, array, layout.said_of(kept.sweep, name))
    return xr.Dataset(variables, kept.sweep.coordinates())


def _loaded(ds: xr.Dataset, about: dict[str, Any]) -> xr.Dataset:
    """Load a dataset; `done` first: what another process writes meanwhile is then only more."""
    ds["done"].load()
    ds = ds.load()
    fields = [axis.split(",") if axis else [] for axis in about["identity"]["axes"]]
    values = [np.stack([ds[name].values for name in axis], axis=1) for axis in fields]
    results = [ds[name].values for name in about["outputs"]]
    fits = checks(results, [*values, ds["seed"].values[:, None]], about["identity"]) == ds["check"].values
    sound = (ds["done"] == 1) & fits
    ds = ds.assign({name: ds[name].where(sound).assign_attrs(ds[name].attrs) for name in about["outputs"]})
    return ds.assign(done=sound.astype(np.uint8).assign_attrs(ds["done"].attrs))


def _guarded(ds: xr.Dataset, arrays: dict[str, Any], folder: Path, number: str) -> xr.Dataset:
    """Return a dataset whose large arrays are read when needed, from this very store."""
    variables = {}
    for name in ("done", *(str(name) for name in ds.data_vars if name in arrays)):
        lazy = indexing.LazilyIndexedArray(_Guarded(arrays[name], folder, number))
        variables[name] = (ds[name].dims, lazy, ds[name].attrs)
    return ds.assign(variables)


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
