"""How a sweep is run: tiles of fixed shape, nested vmaps, all local devices.

The grid x seeds is cut into tiles of one shape. A tile is computed by nested vmaps, one for each axis and one for the
seeds, each over its own leaf alone: what does not depend on a field is computed once along its axis, by itself. Tiles
are widest along the fields that the least work depends on (`static.partial`). The shape of a tile is fixed, so that a
trajectory has the same bits wherever in the grid it stands; tiles at the end are filled by repetition.

Every device works through its share of tiles one after the other: on a CPU a group that fits its
caches is fastest, and one virtual device per core is twice as fast as XLA's own threads.
"""

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
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


def run_in_memory(sweep: Sweep, report: Callable[[int, int], None] | None = None) -> xr.Dataset:
    """Run a sweep in memory; see `store.run`.

    Args:
        sweep: what to run.
        report: called as report(done, total) with numbers of trajectories while it runs.

    Returns:
        A dataset with the axes, then `seed`, then a result's own dimensions; units and long names are set.
    """
    whole = tuple(np.arange(length) for length in sweep.shape)
    total, done = sweep.trajectories, 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if report is not None:
            report(done, total)

    return dataset(sweep, compute(sweep, whole, tile_shape(sweep), count))


def compute(
    sweep: Sweep, cells: tuple[np.ndarray, ...], tile: tuple[int, ...], count: Callable[[int], None]
) -> dict[str, np.ndarray]:
    """Compute a block of a sweep.

    Args:
        sweep: what to run.
        cells: indices along each axis, then along the seeds; the block is their product.
        tile: shape of a tile, see `tile_shape`.
        count: told the number of trajectories of each tile that is done.

    Returns:
        Results by name, each with the shape of the block, then its own dimensions.
    """
    arrays: dict[str, np.ndarray] = {}
    for static, part in sweep.size_classes(cells[:-1]):
        kinds = sweep.results(static)
        for name, kind in kinds.items():
            arrays.setdefault(name, np.empty((*map(len, cells), *kind.shape), kind.dtype))
        for position, values in _run_class(
            sweep, static, (*part, np.arange(len(cells[-1]))), cells, tile, tuple(kinds)
        ):
            for name, value in values.items():
                arrays[name][np.ix_(*position)] = value
            count(int(np.prod([len(i) for i in position])))
    return arrays


def tile_shape(sweep: Sweep) -> tuple[int, ...]:
    """Return the shape of a tile: at most `lanes` trajectories, widest along the fields that the least work depends on.

    Along an axis that changes the size class it is 1: its values are compiled apart.
    """
    cap = sweep.lanes or (32 if jax.default_backend() == "cpu" else 4096)
    partial = tuple(getattr(sweep.static, "partial", ()))

    def rank(axis: Axis) -> int:
        return max(partial.index(name) if name in partial else len(partial) + 1 for name in axis.fields)

    ranks = [*(rank(axis) for axis in sweep.grid), len(partial)]  # seeds before the fields that all work depends on
    lengths = [1 if sweep.classes(axis) > 1 else len(axis) for axis in sweep.grid] + [len(sweep.seed_values)]
    widths = [1] * len(lengths)
    for i in sorted(range(len(lengths)), key=lambda i: ranks[i]):
        pieces = -(-lengths[i] // cap)
        widths[i] = -(-lengths[i] // pieces)
        cap = max(1, cap // widths[i])
    return tuple(widths)


def _run_class(
    sweep: Sweep,
    static: Any,
    part: tuple[np.ndarray, ...],
    cells: tuple[np.ndarray, ...],
    tile: tuple[int, ...],
    names: tuple[str, ...],
) -> Iterator[tuple[list[np.ndarray], dict[str, np.ndarray]]]:
    """Yield (positions in the block along each dimension, results by name) of each tile of one size class."""
    tiles = list(np.ndindex(*(-(-len(i) // width) for i, width in zip(part, tile, strict=True))))
    devices = tuple(jax.local_devices())
    share = max(1, _CALL // int(np.prod(tile)))
    call = _compiled(sweep.function, static, tuple(axis.fields for axis in sweep.grid), names, devices)
    values = [axis.values for axis in sweep.grid] + [np.asarray(sweep.seed_values, np.int32)]

    def positions(index: tuple[int, ...]) -> list[np.ndarray]:
        return [i[k * width : (k + 1) * width] for k, i, width in zip(index, part, tile, strict=True)]

    def launch(group: list[tuple[int, ...]]) -> Any:
        count = -(-len(group) // len(devices))
        slots = [
            group[min(k * count + min(i, count - 1), len(group) - 1)] for k in range(len(devices)) for i in range(share)
        ]
        filled = [
            [np.pad(i, (0, width - len(i)), "edge") for i, width in zip(positions(s), tile, strict=True)] for s in slots
        ]
        leaves = [v[c[np.stack(i)]] for v, c, i in zip(values, cells, zip(*filled, strict=True), strict=True)]
        return group, count, call(sweep.point, sweep.data, tuple(leaves[:-1]), leaves[-1], count)

    def collect(group: list[tuple[int, ...]], count: int, results: dict[str, jax.Array]) -> Iterator:
        host = {name: np.asarray(value) for name, value in results.items()}
        for i, index in enumerate(group):
            where, slot = positions(index), (i // count) * share + i % count
            kept = tuple(slice(len(w)) for w in where)
            yield where, {name: value[slot][kept] for name, value in host.items()}

    running = None
    for start in range(0, len(tiles), share * len(devices)):
        previous, running = running, launch(tiles[start : start + share * len(devices)])  # one call ahead of the host
        if previous is not None:
            yield from collect(*previous)
    if running is not None:
        yield from collect(*running)


@cache
def _compiled(
    function: Callable, static: Any, fields: tuple[tuple[str, ...], ...], names: tuple[str, ...], devices: tuple
) -> Callable:
    """Return the function (point, data, values of each axis, seeds, count) -> results of the tiles, on all devices.

    Each device computes the first `count` tiles of its stack. Kept for the life of the process: the same sweep with
    other values, seeds or base point does not compile again.
    """

    def trajectory(point: Any, data: Any, seed: jax.Array, *values: jax.Array) -> dict[str, jax.Array]:
        for axis, value in zip(fields, values, strict=True):
            point = point._replace(**{name: value[i] for i, name in enumerate(axis)})
        found = flatten(function(jax.random.key(seed), point, static, data))
        return {name: found[name] for name in names}

    tile = jax.vmap(trajectory, (None, None, 0, *[None] * len(fields)))
    for i in reversed(range(len(fields))):
        tile = jax.vmap(tile, (None, None, None, *(0 if i == j else None for j in range(len(fields)))))

    def stack(point: Any, data: Any, axes: tuple, seeds: jax.Array, count: jax.Array) -> dict[str, jax.Array]:
        def one(i: Any) -> dict[str, jax.Array]:
            values, own_seeds = jax.tree.map(
                lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), (axes, seeds)
            )
            return tile(point, data, own_seeds, *values)

        def store(i: Any, filled: dict[str, jax.Array]) -> dict[str, jax.Array]:
            return jax.tree.map(lambda x, new: jax.lax.dynamic_update_index_in_dim(x, new, i, 0), filled, one(i))

        empty = jax.tree.map(lambda x: jnp.zeros((len(seeds), *x.shape), x.dtype), jax.eval_shape(one, 0))
        return jax.lax.fori_loop(0, count, store, empty)

    mesh = jax.make_mesh((len(devices),), ("lane",), (AxisType.Auto,), devices=devices)
    whole, split = PartitionSpec(), PartitionSpec("lane")
    in_specs = (whole, whole, split, split, whole)
    spread = jax.shard_map(stack, mesh=mesh, in_specs=in_specs, out_specs=split, check_vma=False)
    return jax.jit(spread)


def dataset(sweep: Sweep, arrays: dict[str, np.ndarray]) -> xr.Dataset:
    """Label the results of a whole sweep."""
    axes = [axis.name for axis in sweep.grid]
    coordinates: dict[str, Any] = {"seed": ("seed", np.array(sweep.seed_values), {"units": "1", "long_name": "seed"})}
    for axis in sweep.grid:
        for name, values in zip(axis.fields, axis.values.T, strict=True):
            coordinates[name] = (axis.name, values, sweep.about(name))
    variables = {}
    for name, array in arrays.items():
        own = sweep.own_dims(name, array.ndim - len(axes) - 1)
        variables[name] = ((*axes, "seed", *own), array, sweep.about(name))
    return xr.Dataset(variables, coordinates)
