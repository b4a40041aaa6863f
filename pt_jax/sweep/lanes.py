"""How a sweep is run: tiles of fixed shape, nested vmaps, all local devices.

The grid x seeds is cut into tiles of one shape. A tile is computed by nested vmaps, one for each axis and one for the
seeds, each over its own leaf alone: what does not depend on a field is computed once along its axis, by itself. Tiles
are widest along the fields that the least work depends on (`static.partial`). The shape of a tile is fixed, so that a
trajectory has the same bits wherever in the grid it stands; tiles at the end are filled by repetition.

Every device works through its share of tiles one after the other (`jax.lax.map`): on a CPU a group that fits its
caches is fastest, and one virtual device per core is twice as fast as XLA's own threads.
"""

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
import numpy as np
import xarray as xr
from jax.sharding import AxisType, PartitionSpec

from pt_jax.sweep.grid import Axis, Sweep, flatten

_CALL = 512  # lanes a device computes in one call: about a second of the signal-noise world on a CPU core


def use_all_cores() -> None:
    """Make one virtual CPU device per core; before jax is first used.

    Raises:
        RuntimeError: jax has already started.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        if len(jax.devices("cpu")) != cores:
            raise RuntimeError("use_all_cores comes too late: call it before anything runs in jax.") from None


def run(sweep: Sweep, report: Callable[[int, int], None] | None = None) -> xr.Dataset:
    """Run a sweep in memory.

    Args:
        sweep: what to run.
        report: called as report(done, total) with numbers of trajectories while it runs.

    Returns:
        A dataset with the axes, then `seed`, then a result's own dimensions; units and long names are set.
    """
    shape, done = sweep.shape, 0
    arrays: dict[str, np.ndarray] = {}
    for static, indices in sweep.size_classes():
        kinds = sweep.results(static)
        for name, kind in kinds.items():
            arrays.setdefault(name, np.empty((*shape, *kind.shape), kind.dtype))
        for cells, values in _run_class(sweep, static, indices, tuple(kinds)):
            for name, value in values.items():
                arrays[name][cells] = value
            done += int(np.prod([len(i.ravel()) for i in cells]))
            if report is not None:
                report(done, sweep.trajectories)
    return _dataset(sweep, arrays)


def _run_class(sweep: Sweep, static: Any, indices: tuple[np.ndarray, ...], names: tuple[str, ...]) -> Iterator:
    """Yield (indices of the cells and seeds, results by name) of each tile of one size class."""
    lengths = (*(len(i) for i in indices), len(sweep.seed_values))
    widths = _widths(sweep, lengths)
    tiles = list(np.ndindex(*(-(-length // width) for length, width in zip(lengths, widths, strict=True))))
    devices = tuple(jax.local_devices())
    share = min(-(-len(tiles) // len(devices)), max(1, _CALL // int(np.prod(widths))))
    call = _compiled(sweep.function, static, tuple(axis.fields for axis in sweep.grid), names, devices)

    def index(tile: tuple[int, ...]) -> list[np.ndarray]:
        wanted = [np.arange(i * width, (i + 1) * width) for i, width in zip(tile, widths, strict=True)]
        return [np.minimum(w, length - 1) for w, length in zip(wanted, lengths, strict=True)]

    def launch(part: list[tuple[int, ...]]) -> Any:
        filled = part + part[-1:] * (share * len(devices) - len(part))
        *on_axes, on_seeds = (np.stack(column) for column in zip(*map(index, filled), strict=True))
        axes = tuple(axis.values[i[j]] for axis, i, j in zip(sweep.grid, indices, on_axes, strict=True))
        return part, call(sweep.point, sweep.data, axes, np.asarray(sweep.seed_values)[on_seeds])

    def collect(part: list[tuple[int, ...]], results: dict[str, jax.Array]) -> Iterator:
        host = {name: np.asarray(value) for name, value in results.items()}
        for position, tile in enumerate(part):
            inside = [np.unique(i) for i in index(tile)]
            cells = np.ix_(*(i[j] for i, j in zip(indices, inside, strict=False)), inside[-1])
            kept = tuple(slice(len(i)) for i in inside)
            yield cells, {name: value[position][kept] for name, value in host.items()}

    size = share * len(devices)
    running = None
    for start in range(0, len(tiles), size):
        previous, running = running, launch(tiles[start : start + size])  # one call ahead of the host
        if previous is not None:
            yield from collect(*previous)
    yield from collect(*running)  # type: ignore[misc]


def _widths(sweep: Sweep, lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a tile: at most `lanes` trajectories, widest along the fields that the least work depends on."""
    cap = sweep.lanes or (32 if jax.default_backend() == "cpu" else 4096)
    partial = tuple(getattr(sweep.static, "partial", ()))

    def rank(axis: Axis) -> int:
        return max(partial.index(name) if name in partial else len(partial) + 1 for name in axis.fields)

    ranks = [*(rank(axis) for axis in sweep.grid), len(partial)]  # seeds before the fields that all work depends on
    widths = [1] * len(lengths)
    for i in sorted(range(len(lengths)), key=lambda i: ranks[i]):
        pieces = -(-lengths[i] // cap)
        widths[i] = -(-lengths[i] // pieces)
        cap = max(1, cap // widths[i])
    return tuple(widths)


@cache
def _compiled(
    function: Callable, static: Any, fields: tuple[tuple[str, ...], ...], names: tuple[str, ...], devices: tuple
) -> Callable:
    """Return the function (point, data, values of each axis, seeds) -> results of a stack of tiles, on all devices.

    Kept for the life of the process: the same sweep with other values, seeds or base point does not compile again.
    """

    def trajectory(point: Any, data: Any, seed: jax.Array, *values: jax.Array) -> dict[str, jax.Array]:
        for axis, value in zip(fields, values, strict=True):
            point = point._replace(**{name: value[i] for i, name in enumerate(axis)})
        found = flatten(function(jax.random.key(seed), point, static, data))
        return {name: found[name] for name in names}

    tile = jax.vmap(trajectory, (None, None, 0, *[None] * len(fields)))
    for i in reversed(range(len(fields))):
        tile = jax.vmap(tile, (None, None, None, *(0 if i == j else None for j in range(len(fields)))))

    def share(point: Any, data: Any, axes: tuple, seeds: jax.Array) -> dict[str, jax.Array]:
        return jax.lax.map(lambda x: tile(point, data, x[1], *x[0]), (axes, seeds))

    mesh = jax.make_mesh((len(devices),), ("lane",), (AxisType.Auto,), devices=devices)
    whole, split = PartitionSpec(), PartitionSpec("lane")
    spread = jax.shard_map(share, mesh=mesh, in_specs=(whole, whole, split, split), out_specs=split, check_vma=False)
    return jax.jit(spread)


def _dataset(sweep: Sweep, arrays: dict[str, np.ndarray]) -> xr.Dataset:
    """Label the results."""
    about: Callable[[str], dict] = getattr(sweep.static, "attributes", lambda name: {})
    axes = [axis.name for axis in sweep.grid]
    coordinates: dict[str, Any] = {"seed": ("seed", np.array(sweep.seed_values), {"units": "1", "long_name": "seed"})}
    for axis in sweep.grid:
        for name, values in zip(axis.fields, axis.values.T, strict=True):
            coordinates[name] = (axis.name, values, about(name))
    variables = {}
    for name, array in arrays.items():
        own = sweep.dims.get(name, tuple(f"{name}_{i}" for i in range(array.ndim - len(axes) - 1)))
        variables[name] = ((*axes, "seed", *own), array, about(name))
    return xr.Dataset(variables, coordinates)
