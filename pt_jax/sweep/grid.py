"""What to run: a function, a base point, the axes along which it varies, and the seeds.

    function(key, point, static, data) -> NamedTuple of arrays

is pure; `point` is a NamedTuple of numbers, `static` any hashable value, `data` a pytree shared by all trajectories.
Every cell of the grid is run with every seed, key = `jax.random.key(seed)`, so cells are paired.

A `static` may help the engine with members, all optional: `validate(point)` raises ValueError; `size_class(point,
moving)` returns the static for a point of a sweep along the fields `moving`, so that padding fits its sizes;
`attributes(name)` gives units and long name of a field or result; `partial` lists the fields that only a part of the
work depends on; `lanes` is how many trajectories fit the cache of a CPU core; `dims` and `labels` are defaults of the
sweep's own.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pt_jax.sweep import accepted
from pt_jax.sweep.accepted import Axis
from pt_jax.sweep.program import Program, hash_of, trace


@dataclass(frozen=True, eq=False)
class Sweep:
    """What to run: a function at every combination of the values of the axes, with each seed.

    Attributes:
        function: a pure function (key, point, static, data) -> NamedTuple, see Your own function.
        point: base values of all fields.
        axes: values of each axis. `{"u": (k,)}` varies a field; `{"sigma1,sigma2": (k,)}` moves both together, and
            values (k, 2) move them along a path. The dimension is called by the first field. Or a plain list of
            points: then the only dimension is `point`, and the base point is not used.
        seeds: how many, from 0 on; or which ones.
        outputs: results kept; None keeps all. Work that no kept result needs is not done. `diverged` is always kept.
        static: third argument of the function, by default its own default; its maxima are chosen by the sweep.
        data: fourth argument of the function.
        dims: names of the own dimensions of results that are arrays, by the result's name or the part of it before a
            dot.
        labels: coordinate values of such dimensions, by name.
        derived: quantities for display, name -> (fields it comes from, function of their values,
            attributes); they become coordinates of the dataset along the axes on which these fields are.
        lanes: trajectories in one vectorised group; None is 32 on a CPU, fewer where the static says so, and 4096
            elsewhere. Results are equal bit for bit at one value only.

    Raises:
        ValueError: on a field, axis, seed or output that is not accepted.
    """

    function: Callable[..., Any]
    point: Any
    axes: Mapping[str, Any] | Sequence[Any]
    seeds: int | Sequence[int] = 16
    outputs: Sequence[str] | None = None
    static: Any = None
    data: Any = None
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    derived: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    lanes: int | None = None

    def __post_init__(self):
        changed = {
            "static": accepted.static(self.function, self.static),
            "point": accepted.point(self.point),
            "lanes": accepted.lanes(self.lanes),
            "outputs": accepted.outputs(self.outputs),
            **accepted.described(self.dims, self.labels, self.derived),
            "data": accepted.data(self.data),
        }
        for name, value in changed.items():
            object.__setattr__(self, name, value)
        named = [name for axis in self.grid for name in axis.fields]
        for name in [*named, *(name for fields, *_ in self.derived.values() for name in fields)]:
            if name not in self.point._fields:
                raise ValueError(
                    f"{name!r} is not a field of {type(self.point).__name__}: use one of {_list(self.point._fields)}."
                )
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"{name} is on two axes: name each field once.")
        self.seed_values  # noqa: B018 - checked here, kept for later
        accepted.check_names(self.grid, {}, self.derived, {})
        if hasattr(self.static, "validate"):
            self.static.validate(self._mesh())
        for axis in self.grid:
            accepted.check_finite(axis)

    def __getstate__(self):
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # without what follows from them

    @cached_property
    def grid(self) -> tuple[Axis, ...]:
        """The axes, checked."""
        if isinstance(self.axes, Mapping):
            return tuple(accepted.axis(names, values) for names, values in self.axes.items())
        try:
            values = np.array([[float(getattr(p, name)) for name in self.point._fields] for p in self.axes])
        except (AttributeError, TypeError, ValueError):
            name = type(self.point).__name__
            raise ValueError(f"axes = {self.axes!r} is not accepted: use name: values, or a list of {name}s.") from None
        return (replace(accepted.axis(",".join(self.point._fields), values), name="point"),)

    @cached_property
    def seed_values(self) -> Sequence[int]:
        """The seeds, one by one."""
        return accepted.seeds(self.seeds, math.prod(len(axis) for axis in self.grid))

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes, then the number of seeds."""
        return (*(len(axis) for axis in self.grid), len(self.seed_values))

    @property
    def trajectories(self) -> int:
        """Number of calls of the function that the sweep stands for."""
        return math.prod(self.shape)

    def program(self, static: Any) -> Program:
        """Return the function traced for one static. The sweep keeps it; a run takes a new sweep.

        Raises:
            ValueError: an output is not among the results, a name is taken, or the function refuses its arguments.
        """
        known = self._programs
        if static not in known:
            outputs = None if self.outputs is None else tuple(sorted(self.outputs))
            made = trace(self.function, static, self.point, self.data, outputs)
            dims = {name: self.own_dims(name, len(kind.shape)) for name, kind in made.kinds.items()}
            own = {name: dict(zip(dims[name], kind.shape, strict=True)) for name, kind in made.kinds.items()}
            accepted.check_names(self.grid, own, self.derived, self._labels)
            first = next(iter(known.values()), made).kinds
            for name in {**first, **made.kinds}:
                if first.get(name) != made.kinds.get(name):
                    raise ValueError(
                        f"The result {name} is {first.get(name)} in one size class and {made.kinds.get(name)} in "
                        "another: its shape and dtype must be the same in all."
                    )
            known[static] = made
        return known[static]

    def results(self, static: Any) -> dict[str, jax.ShapeDtypeStruct]:
        """Return name, shape and dtype of the results that are kept; errors as in `program`."""
        kinds = self.program(static).kinds
        first = [] if self.outputs is None else self.outputs
        return {name: kinds[name] for name in dict.fromkeys((*first, *kinds))}

    def size_classes(self, cells: tuple[np.ndarray, ...]) -> Iterator[tuple[Any, tuple[np.ndarray, ...]]]:
        """Split a block, given by its indices on each axis, into product blocks whose points have one size class.

        Yields:
            static, and the positions within `cells` along each axis.
        """
        groups: list[list[np.ndarray]] = []
        for statics, indices in zip(self._statics, cells, strict=True):
            classes: dict[Any, list[int]] = {}
            for position, i in enumerate(indices):
                classes.setdefault(statics[i], []).append(position)
            groups.append([np.array(positions) for positions in classes.values()])
        for index in np.ndindex(*(len(group) for group in groups)):
            part = tuple(group[i] for group, i in zip(groups, index, strict=True))
            yield self._static({a: c[p] for a, c, p in zip(self.grid, cells, part, strict=True)}), part

    def about(self, name: str) -> dict[str, str]:
        """Return units and long name of a field or result, where the static knows them."""
        return self.static.attributes(name) if hasattr(self.static, "attributes") else {}

    def own_dims(self, name: str, rank: int) -> list[str]:
        """Return the names of a result's own dimensions."""
        known = {**getattr(self.static, "dims", {}), **self.dims}
        own = known.get(name) or known.get(name.split(".")[0]) or [f"{name}_{i}" for i in range(rank)]
        if len(own) != rank:
            raise ValueError(f"dims = {list(own)} of {name} is not accepted: it has {rank} dimensions of its own.")
        return list(own)

    def coordinates(self) -> dict[str, tuple[Any, np.ndarray, dict[str, str]]]:
        """Return dimensions, values and attributes of the coordinates by name."""
        found: dict[str, tuple[Any, np.ndarray, dict[str, str]]] = {
            "seed": ("seed", np.array(self.seed_values), {"units": "1", "long_name": "seed"})
        }
        for axis in self.grid:
            for name, values in zip(axis.fields, axis.values.T, strict=True):
                found[name] = (axis.name, values, self.about(name))
        for name, (fields, function, about) in self.derived.items():
            along = [axis for axis in self.grid if set(axis.fields) & set(fields)]
            values = self.point._asdict()
            for i, axis in enumerate(along):
                shape = [-1 if i == j else 1 for j in range(len(along))]
                values |= {f: v.reshape(shape) for f, v in zip(axis.fields, axis.values.T, strict=True)}
            found[name] = ([axis.name for axis in along], function(*(values[f] for f in fields)), dict(about))
        for name, values in self._labels.items():
            found[name] = (name, np.asarray(values), {})
        return found

    @property
    def _labels(self) -> dict[str, Sequence[Any]]:
        return {**getattr(self.static, "labels", {}), **self.labels}

    @cached_property
    def data_hash(self) -> str | None:
        """Hash of the data by value, None where there are none."""
        leaves = jax.tree.leaves(self.data)
        # As the engine has them: the same numbers in another precision are the same.
        return hash_of([np.asarray(x).astype(jnp.result_type(x), copy=False) for x in leaves]) if leaves else None

    @cached_property
    def _programs(self) -> dict[Any, Program]:
        return {}

    def classes(self) -> list[int]:
        """Return the number of size classes along each axis."""
        return [len(set(statics)) for statics in self._statics]

    @cached_property
    def _statics(self) -> list[list[Any]]:
        """The static of each value of each axis, all else at the base point."""
        return [[self._static({axis: [i]}) for i in range(len(axis))] for axis in self.grid]

    def _mesh(self) -> Any:
        """Return the base point with the values of each axis along a dimension of their own."""
        point = self.point
        for i, axis in enumerate(self.grid):
            shape = [1] * i + [-1] + [1] * (len(self.grid) - 1 - i)
            point = point._replace(**{f: x.reshape(shape) for f, x in zip(axis.fields, axis.values.T, strict=True)})
        return point

    def static_of(self, point: Any) -> Any:
        """Return the static for a point of the sweep: its size class."""
        if not hasattr(self.static, "size_class"):
            return self.static
        # Points of a list share nothing, and most of their fields move: the class of each depends on it alone.
        moving = [name for axis in self.grid for name in axis.fields] if isinstance(self.axes, Mapping) else []
        return self.static.size_class(point, moving)

    def _static(self, chosen: Mapping[Axis, Any]) -> Any:
        """Return the static for the base point moved along some axes to the values with these indices."""
        point = self.point
        for axis, indices in chosen.items():
            point = point._replace(**dict(zip(axis.fields, axis.values[indices].T, strict=True)))
        return self.static_of(point)


def check_sweep(given: Any) -> None:
    """Raise ValueError where something is no sweep."""
    if not isinstance(given, Sweep):
        raise ValueError(f"sweep = {given!r} is not accepted: use a Sweep.")


def _list(names: Any) -> str:
    return ", ".join(names)
