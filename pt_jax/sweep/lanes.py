"""How a block of a sweep is computed: tiles of fixed shape, nested vmaps, all local devices.

The grid x seeds is cut into tiles of one shape. A tile is computed by nested vmaps, one for each axis and one for the
seeds, each over its own leaf alone: what does not depend on a field is computed once along its axis, by itself. Tiles
are widest along the fields that the least work depends on (`static.partial`). The shape of a tile is fixed, so that a
trajectory has the same bits wherever in the grid it stands; tiles at the end are filled by repetition.

Every device works through its share of tiles one after the other: on a CPU a group that fits its
caches is fastest, and one virtual device per core is twice as fast as XLA's own threads.
"""

import math
import os
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pt_jax.sweep import cost
from pt_jax.sweep.accepted import Axis
from pt_jax.sweep.devices import SPLIT, WHOLE, check_memory, free_memory, in_words, spread
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.program import Program

_CALL = 512  # lanes a device computes in one call: about a second of the signal-noise world on a CPU core
_CALL_WORK = 2**38  # operations of a device in one call by `cost.of`, at most, where a tile allows
_LEVEL = "xla_backend_optimization_level"
# LLVM at level 1: a second less to compile, and as fast: the work is in library products and plain loops. A level that
# the user sets stays.
CPU_OPTIONS = {} if _LEVEL in os.environ.get("XLA_FLAGS", "") else {_LEVEL: 1}
_SHARE_OF_MEMORY = 8  # the results of one call take at most this part of the free memory

# Told how many trajectories are done, and what comes next: "" where that goes on.
Tell = Callable[[int, str], None]


def compute(sweep: Sweep, cells: tuple[np.ndarray, ...], tile: tuple[int, ...], tell: Tell) -> dict[str, np.ndarray]:
    """Compute a block of a sweep.

    Args:
        sweep: what to run.
        cells: indices along each axis, then along the seeds; the block is their product.
        tile: shape of a tile, see `tile_shape`.
        tell: told the number of trajectories of each tile that is done, and before each call what it is.

    Returns:
        Results by name, each with the shape of the block, then its own dimensions.
    """
    arrays: dict[str, np.ndarray] = {}
    for size in parts(sweep, cells, tile):
        for name, kind in size.kinds.items():
            arrays.setdefault(name, np.empty((*map(len, cells), *kind.shape), kind.dtype))
        for position, values in size.run(tell):
            for name, value in values.items():
                arrays[name][np.ix_(*position)] = value
            tell(int(np.prod([len(i) for i in position])), "")
    return arrays


def parts(sweep: Sweep, cells: tuple[np.ndarray, ...], tile: tuple[int, ...]) -> Iterator["SizeClass"]:
    """Yield the parts of a block, one for each size class; arguments as in `compute`."""
    for static, part in sweep.size_classes(cells[:-1]):
        yield SizeClass(sweep, static, cells, part, tile)


def tiles_of(program: Program, tile: tuple[int, ...], work: int) -> int:
    """Return how many tiles come to an amount of work, as `cost.of` counts it."""
    return int(work / max(1, cost.of(program).work * math.prod(tile)))


def tile_shape(sweep: Sweep, scattered: bool = False) -> tuple[int, ...]:
    """Return the shape of a tile: at most `lanes` trajectories, widest along the fields that the least work depends on.

    Along an axis that changes the size class it is 1: its values are compiled apart. Where the cells to come are
    scattered over the grid, seeds come first. On a CPU, lanes that share no work are at most `static.lanes`.
    """
    cap = alone = sweep.lanes or (32 if jax.default_backend() == "cpu" else 4096)
    if sweep.lanes is None and jax.default_backend() == "cpu":
        whole = tuple(np.arange(len(axis)) for axis in sweep.grid)
        alone = min(getattr(static, "lanes", cap) for static, _ in sweep.size_classes(whole))
    partial = tuple(getattr(sweep.static, "partial", ()))

    def rank(axis: Axis) -> int:
        return max(partial.index(name) if name in partial else len(partial) + 1 for name in axis.fields)

    seeds = -1 if scattered else len(partial)  # before the fields that all work depends on
    ranks = [*(rank(axis) for axis in sweep.grid), seeds]
    lengths = [1 if many > 1 else len(axis) for axis, many in zip(sweep.grid, sweep.classes(), strict=True)]
    lengths.append(len(sweep.seed_values))
    widths = [1] * len(lengths)
    for i in sorted(range(len(lengths)), key=lambda i: ranks[i]):
        shares = 0 <= ranks[i] < len(partial)
        pieces = -(-lengths[i] // (cap if shares else min(cap, alone)))
        widths[i] = -(-lengths[i] // pieces)
        cap = max(1, cap // widths[i])
        alone = alone if shares else max(1, alone // widths[i])
    return tuple(widths)


class SizeClass:
    """The part of a block that has one static, as calls of one compiled program."""

    def __init__(
        self, sweep: Sweep, static: Any, cells: tuple[np.ndarray, ...], part: tuple[np.ndarray, ...], tile: tuple
    ):
        """Take `cells` and `tile` as in `compute`, and the positions `part` within the cells along each axis."""
        self.program = sweep.program(static)
        self.kinds = kinds = self.program.kinds
        self.cells, self.tile = cells, tile
        self.part = (*part, np.arange(len(cells[-1])))
        self.devices = tuple(jax.local_devices())
        each = sum(kind.dtype.itemsize * int(np.prod(kind.shape)) for kind in kinds.values())
        self.bytes = max(1, int(np.prod(tile)) * each)
        room = free_memory() // (_SHARE_OF_MEMORY * len(self.devices) * self.bytes)
        self.share = max(1, min(_CALL // int(np.prod(tile)), room, tiles_of(self.program, tile, _CALL_WORK)))
        at = {name: i for i, name in enumerate(sweep.point._fields)}
        self.fields = tuple(tuple(at[name] for name in axis.fields) for axis in sweep.grid)
        self.shared = (*np.asarray(sweep.point, float), *jax.tree.leaves(sweep.data))
        self.values = [axis.values for axis in sweep.grid] + [np.asarray(sweep.seed_values, np.int32)]

    @property
    def compiled(self) -> Any:
        """The compiled program: the same for all parts of a sweep that have this static.

        Raises:
            ValueError: a call of it needs more memory than is free.
        """
        return _compiled(self.program, self.fields, self.devices, self.tile, self.share)

    def lowered(self, platforms: tuple[str, ...] | None = None) -> Any:
        """Return the program before it is compiled, for the platform of the devices here or for others, as "cuda"."""
        return _traced(self.program, self.fields, self.devices, self.tile, self.share).lower(
            lowering_platforms=platforms
        )

    def run(self, tell: Tell) -> Iterator[tuple[list[np.ndarray], dict[str, np.ndarray]]]:
        """Yield, for each tile, its positions in the block along each dimension, and its results by name."""
        tell(0, f"compiling for {in_words()}")
        running, compiled = None, self.compiled
        for group in self.groups():
            tell(0, f"computing {self.trajectories(group):,} on {in_words()}")
            previous, running = running, (group, compiled(*self.arguments(group)))  # one call ahead of the host
            if previous is not None:
                yield from self._collect(*previous)
        if running is not None:
            yield from self._collect(*running)

    def groups(self) -> Iterator[list[tuple[int, ...]]]:
        """Yield the tiles of each call, by their index along each dimension."""
        counts = [-(-len(i) // width) for i, width in zip(self.part, self.tile, strict=True)]
        tiles, whole = iter(np.ndindex(*counts)), self.share * len(self.devices)
        return iter(lambda: list(islice(tiles, whole)), [])

    def arguments(self, group: list[tuple[int, ...]]) -> tuple[Any, ...]:
        """Return what the program takes: each device computes the first `count` of its slots."""
        count = self._count(group)
        device, slot = np.divmod(np.arange(len(self.devices) * self.share), self.share)
        # Slots that are not computed, and tiles at the end of a dimension, are filled by repetition.
        tiles = np.array(group)[np.minimum(device * count + np.minimum(slot, count - 1), len(group) - 1)]
        leaves = []
        for k, (values, cells, part, width) in enumerate(
            zip(self.values, self.cells, self.part, self.tile, strict=True)
        ):
            at = np.minimum(tiles[:, k, None] * width + np.arange(width), len(part) - 1)
            leaves.append(values[cells[part[at]]])
        return self.shared, tuple(leaves[:-1]), leaves[-1], np.int32(count)

    def trajectories(self, group: list[tuple[int, ...]]) -> int:
        """Return how many trajectories a call computes, those that fill its tiles up apart."""
        ends = [len(i) for i in self.part] - np.multiply(group, self.tile)
        return int(np.minimum(ends, self.tile).prod(axis=1).sum())

    def _count(self, group: list[tuple[int, ...]]) -> int:
        return -(-len(group) // len(self.devices))

    def _positions(self, index: tuple[int, ...]) -> list[np.ndarray]:
        return [i[k * width : (k + 1) * width] for k, i, width in zip(index, self.part, self.tile, strict=True)]

    def _collect(self, group: list[tuple[int, ...]], results: dict[str, jax.Array]) -> Iterator:
        host, count = {name: np.asarray(value) for name, value in results.items()}, self._count(group)
        for i, index in enumerate(group):
            where, slot = self._positions(index), (i // count) * self.share + i % count
            kept = tuple(slice(len(w)) for w in where)
            yield where, {name: value[slot][kept] for name, value in host.items()}


@cache
def _compiled(
    program: Program, fields: tuple[tuple[int, ...], ...], devices: tuple, tile: tuple[int, ...], share: int
) -> Any:
    """Return the compiled program of `_traced`, where it fits into memory: what cannot is not even compiled.

    Kept for the life of the process: a sweep that computes the same with other values, seeds or base point does not
    compile again.
    """
    what, sharing = f"A group of {math.prod(tile)} trajectories of this size", shares_memory(devices)
    check_memory(what, cost.of(program).memory * sharing, free_memory())
    made = _traced(program, fields, devices, tile, share).lower().compile()
    check_memory(what, call_bytes(made) * sharing, free_memory())
    return made


def _traced(
    program: Program, fields: tuple[tuple[int, ...], ...], devices: tuple, tile: tuple[int, ...], share: int
) -> Any:
    """Return the program (leaves, values of each axis, seeds, count) -> results of the tiles, on all devices.

    Each device computes the first `count` tiles of its stack of `share`; `fields` are the positions of each axis among
    the leaves.
    """

    def trajectory(leaves: tuple, seed: jax.Array, *values: jax.Array) -> dict[str, jax.Array]:
        moved = {k: value[i] for axis, value in zip(fields, values, strict=True) for i, k in enumerate(axis)}
        return program(jax.random.key(seed), [moved.get(k, leaf) for k, leaf in enumerate(leaves)])

    lanes = jax.vmap(trajectory, (None, 0, *[None] * len(fields)))
    for i in reversed(range(len(fields))):
        lanes = jax.vmap(lanes, (None, None, *(0 if i == j else None for j in range(len(fields)))))

    def stack(leaves: tuple, axes: tuple, seeds: jax.Array, count: jax.Array) -> dict[str, jax.Array]:
        def one(i: Any) -> dict[str, jax.Array]:
            values, own_seeds = jax.tree.map(
                lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), (axes, seeds)
            )
            return lanes(leaves, own_seeds, *values)

        def store(i: Any, filled: dict[str, jax.Array]) -> dict[str, jax.Array]:
            return jax.tree.map(lambda x, new: jax.lax.dynamic_update_index_in_dim(x, new, i, 0), filled, one(i))

        empty = jax.tree.map(lambda x: jnp.zeros((len(seeds), *x.shape), x.dtype), jax.eval_shape(one, 0))
        return jax.lax.fori_loop(0, count, store, empty)

    spread_out = spread(stack, (WHOLE, SPLIT, SPLIT, WHOLE), SPLIT, devices)
    cpu = devices[0].platform == "cpu"
    tiles, number = len(devices) * share, jnp.result_type(float)
    axes = tuple(
        jax.ShapeDtypeStruct((tiles, width, len(axis)), number) for width, axis in zip(tile, fields, strict=False)
    )
    seeds, count = (jax.ShapeDtypeStruct(shape, jnp.int32) for shape in ((tiles, tile[-1]), ()))
    shapes = (tuple(program.leaves), axes, seeds, count)
    return jax.jit(spread_out, compiler_options=CPU_OPTIONS if cpu else None).trace(*shapes)


def shares_memory(devices: tuple) -> int:
    """Return how many devices take their memory from one."""
    return len(devices) if devices[0].platform == "cpu" else 1


def call_bytes(compiled: Any) -> int:
    """Return the bytes that one device needs to run a compiled program, 0 where that is not known."""
    need = compiled.memory_analysis()
    return need.temp_size_in_bytes + need.argument_size_in_bytes + need.output_size_in_bytes if need else 0
