"""What a store says about itself: arrays, dimensions and attributes; made once, and checked whenever it is opened.

zarr is imported where a store is used: a sweep in memory runs where it is not installed, and starts sooner.
"""

import json
import os
import time
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.identity import base_of, identity
from pt_jax.sweep.provenance import describe, machine

if TYPE_CHECKING:
    import zarr

_MOST = 2**26  # bytes of metadata that are read
_PATIENCE = 0.5  # seconds in which another process may put an enlarged store into its place


def create(sweep: Sweep, path: Path, tile: tuple[int, ...], unit: tuple[int, ...]) -> None:
    """Write an empty store: metadata, coordinates, and no chunk."""
    import zarr
    from zarr.codecs import ZstdCodec

    coordinates, base = sweep.coordinates(), base_of(sweep)
    about = {"id": uuid.uuid4().hex, "outputs": list(kinds(sweep)), "tile": tile, "unit": unit, "base": base}
    group = zarr.create_group(path)
    dims = {axis.name for axis in sweep.grid} | {"seed"}
    # JSON in text, so that the attributes fit netCDF too; `coordinates` is xarray's own way to name them.
    group.attrs["pt_jax"] = json.dumps(about | {"identity": identity(sweep, base)})
    group.attrs["provenance"] = json.dumps(describe(sweep) | machine())
    group.attrs["coordinates"] = " ".join(name for name in coordinates if name not in dims)

    def add(name: str, shape: tuple, dtype: Any, names: list[str], chunks: tuple, fill: Any, said: Any) -> "zarr.Array":
        return group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            chunks=tuple(max(1, width) for width in chunks),
            fill_value=fill,
            dimension_names=names,
            attributes=said,
            compressors=ZstdCodec(checksum=True),
            config={"write_empty_chunks": True},
        )

    for name, (own, dtype) in kinds(sweep).items():
        shape = (*sweep.shape, *own)
        add(name, shape, dtype, dims_of(sweep, name, len(shape)), (*unit, *own), np.nan, said_of(sweep, name))
    for name, dtype in (("done", np.uint8), ("check", np.uint32)):
        add(name, sweep.shape, dtype, dims_of(sweep, name, len(sweep.shape)), unit, 0, said_of(sweep, name))
    for name, (along, values, said) in coordinates.items():
        values, names = np.asarray(values), [along] if isinstance(along, str) else list(along)
        text = values.dtype.kind == "U"  # numpy's own text has no place in zarr's specification
        kind, fill = (str, "") if text else (values.dtype, 0)
        add(name, values.shape, kind, names, values.shape, fill, said)[...] = values.astype(object) if text else values
    with warnings.catch_warnings():  # zarr's specification has no word on it yet; without it, plain xarray warns
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(path)


def opened(folder: Path, mode: Any = "r", name: str = "data.zarr") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays of a store by name, and what this program wrote about it.

    Raises:
        ValueError: it is not a store of this program, or it is damaged; the sentence says which part.
    """
    data = folder / name
    _wait_for(folder)
    if not data.is_dir():
        raise ValueError(f"{folder} is not accepted: it holds no data.zarr; name a folder that a run has written.")
    try:
        group, about = _group(data, mode)
    except Exception as error:  # zarr has one each for what damaged metadata can be
        said = f"another program wrote it, or it is damaged ({in_a_line(error)})"
        raise ValueError(f"{data} is not accepted: {said}; restore zarr.json, or use --fresh.") from None
    fields = [[name for name in axis.split(",") if name] for axis in about["identity"]["axes"]]
    arrays: dict[str, Any] = {}
    for name in ("done", "check", *about["outputs"], "seed", *(name for axis in fields for name in axis)):
        if not (data / name).is_dir():
            raise ValueError(f"{data} is damaged: {name} is missing; restore it, or use --fresh.")
        try:
            with _every_chunk():
                arrays[name] = group[name]
            _check_array(arrays, name, fields, about)
        except Exception as error:
            said = f"{data}/{name} is damaged ({in_a_line(error)})"
            raise ValueError(f"{said}: restore its zarr.json, or use --fresh.") from None
    for name in ("seed", *(name for axis in fields for name in axis)):
        if not _filled(data / name / "c" / "0"):
            raise ValueError(f"{data}/{name} is damaged: its chunk is missing; restore it, or use --fresh.")
    return arrays, about


def values_of(arrays: dict[str, Any], about: dict[str, Any]) -> list[np.ndarray]:
    """Return the values of each dimension of a store, (length, fields): on its axes, then the seeds.

    Raises:
        ValueError: they are damaged.
    """
    try:
        axes = [axis.split(",") for axis in about["identity"]["axes"]]
        return [np.stack([np.asarray(arrays[name][:]) for name in axis], axis=1) for axis in [*axes, ["seed"]]]
    except Exception as error:  # zarr and its codecs have one each for what a damaged file can be
        said = f"The store has damaged axes or seeds ({in_a_line(error)})"
        raise ValueError(f"{said}: restore them, or use --fresh.") from None


def number_of(folder: Path) -> str | None:
    """Return the number of the store that is in a folder now, None where there is none."""
    try:
        with open(folder / "data.zarr" / "zarr.json") as file:
            return json.loads(json.loads(file.read(_MOST))["attributes"]["pt_jax"])["id"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def kinds(sweep: Sweep) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return shape and dtype of each result; floating, so that NaN says: not computed."""

    def kept(dtype: Any) -> Any:
        if np.issubdtype(dtype, np.floating):
            return dtype
        return np.float64 if np.issubdtype(dtype, np.integer) else np.float32

    static, _ = next(sweep.size_classes(tuple(np.arange(len(axis)) for axis in sweep.grid)))
    return {name: (kind.shape, kept(kind.dtype)) for name, kind in sweep.results(static).items()}


def dims_of(sweep: Sweep, name: str, rank: int) -> list[str]:
    """Return the names of the dimensions of an array."""
    first = [*(axis.name for axis in sweep.grid), "seed"]
    return first + sweep.own_dims(name, rank - len(first))


def said_of(sweep: Sweep, name: str) -> dict[str, str]:
    """Return unit and meaning of an array."""
    own = {"done": "whether the trajectory is computed", "check": "checksum of the trajectory at its place"}
    return {"units": "1", "long_name": own[name]} if name in own else sweep.about(name)


def sync(folder: Path) -> None:
    """Wait until all files below a folder, and the folder itself, are on the disk."""
    for path in (*folder.rglob("*"), folder):
        sync_one(path)


def sync_one(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _wait_for(folder: Path) -> None:
    """Give another process the moment in which it puts an enlarged store into its place."""
    last = time.monotonic() + _PATIENCE
    while not (folder / "data.zarr").is_dir() and any(
        (folder / f"{name}.zarr").exists() for name in ("old", "new", "gone")
    ):
        if time.monotonic() > last:
            return
        time.sleep(0.02)


def _group(data: Path, mode: Any) -> tuple[Any, dict[str, Any]]:
    """Return the group, and the attribute of this program; raise anything where it is not in its form."""
    import zarr

    if (data / "zarr.json").stat().st_size > _MOST:
        raise ValueError("its metadata are too large")
    group = zarr.open_group(data, mode=mode, use_consolidated=False)
    about = json.loads(str(group.attrs["pt_jax"]))
    about["provenance"] = str(group.attrs["provenance"])
    json.loads(about["provenance"]).items()
    rank = len(about["identity"]["axes"]) + 1
    for name in ("tile", "unit"):
        sizes = about[name]
        if len(sizes) != rank or not all(isinstance(size, int) and size >= 1 for size in sizes):
            raise ValueError(f"{name} = {sizes}")
    if not all(isinstance(name, str) for name in (about["id"], *about["outputs"], *about["identity"]["axes"])):
        raise ValueError("a name is no text")
    about["base"] = {str(name): float(value) for name, value in about["base"].items()}
    return group, about


def _check_array(arrays: dict[str, Any], name: str, fields: list[list[str]], about: dict[str, Any]) -> None:
    """Raise ValueError where an array has not the shape and dtype that this program gave it."""
    array, unit, shape = arrays[name], tuple(about["unit"]), arrays["done"].shape
    if name in ("done", "check", *about["outputs"]):
        kind = {"done": "u", "check": "u"}.get(name, "f")
        right = array.dtype.kind == kind and array.chunks[: len(unit)] == unit
        right = right and len(shape) == len(unit) and array.shape[: len(unit)] == shape
    else:
        axis = len(fields) if name == "seed" else next(i for i, names in enumerate(fields) if name in names)
        right = array.dtype.kind in "if" and array.shape == (shape[axis],)
    if not right:
        raise ValueError(f"it has {array.dtype} of shape {array.shape}, chunks {array.chunks}")


def _filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _every_chunk() -> Any:
    """Let zarr write chunks that hold nothing but NaN or 0, too: a chunk that is not there is one that was lost."""
    import zarr

    return zarr.config.set({"array.write_empty_chunks": True})


def in_a_line(error: Exception) -> str:
    """Return what an exception of a library says, on one line of a bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < 200 else text[:200] + " ..."
