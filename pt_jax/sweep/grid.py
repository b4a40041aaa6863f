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

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from pt_jax.sweep.devices import WHOLE, spread


@dataclass(frozen=True, eq=False)
class Axis:
    """One dimension of the grid: `fields` of the point that move together, `values` (k, fields)."""

    name: str
    fields: tuple[str, ...]
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class Sweep:
    """A product grid x seeds.

    Attributes:
        function: what is swept, see the module.
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
        named = [name for axis in self.grid for name in axis.fields]
        for name in [*named, *(name for fields, *_ in self.derived.values() for name in fields)]:
            if name not in self.point._fields:
                raise ValueError(
                    f"{name!r} is not a field of {type(self.point).__name__}: use one of {_list(self.point._fields)}."
                )
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"{name} is on two axes: name each field once.")
        if self.static is None:
            third = list(inspect.signature(self.function).parameters.values())[2:3]
            if not third:
                name = getattr(self.function, "__name__", self.function)
                raise ValueError(f"{name} is not accepted: use a function of (key, point, static, data).")
            object.__setattr__(self, "static", None if third[0].default is third[0].empty else third[0].default)
        seeds: Any = self.seeds if np.ndim(self.seeds) == 1 else [self.seeds]
        if not all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in seeds):
            raise ValueError(f"seeds = {self.seeds!r} is not accepted: use a whole number, or a list of whole numbers.")
        values = self.seed_values
        if len(values) < 1 or len(set(values)) < len(values) or min(values) < 0 or max(values) >= 2**31:
            raise ValueError(
                f"seeds = {self.seeds!r} is not accepted: use at least 1, or different seeds of at least 0, below 2^31."
            )
        if self.lanes is not None and (not isinstance(self.lanes, int) or self.lanes < 1):
            raise ValueError(f"lanes = {self.lanes!r} is not accepted: use a whole number of at least 1, or None.")
        for name, leaf in self.point._asdict().items():
            if np.ndim(leaf) != 0:
                raise ValueError(f"{name} has shape {np.shape(leaf)} in the base point: give its values as an axis.")
        object.__setattr__(self, "point", type(self.point)(*map(float, self.point)))  # whole numbers would be int32
        try:
            hash(self.static)
        except TypeError:
            raise ValueError(f"static = {self.static!r} is not accepted: use a hashable value.") from None
        if hasattr(self.static, "validate"):
            self.static.validate(self._mesh())
        for axis in self.grid:
            if not np.isfinite(axis.values).all():
                value = axis.values[~np.isfinite(axis.values)][0]
                raise ValueError(f"The axis {','.join(axis.fields)} has the value {value}: use finite numbers.")

    @cached_property
    def grid(self) -> tuple[Axis, ...]:
        """The axes, checked."""
        if isinstance(self.axes, Mapping):
            return tuple(_axis(names, values) for names, values in self.axes.items())
        try:
            values = np.array([[float(getattr(p, name)) for name in self.point._fields] for p in self.axes])
        except (AttributeError, TypeError, ValueError):
            name = type(self.point).__name__
            raise ValueError(f"axes = {self.axes!r} is not accepted: use name: values, or a list of {name}s.") from None
        return (replace(_axis(",".join(self.point._fields), values), name="point"),)

    @cached_property
    def seed_values(self) -> tuple[int, ...]:
        """The seeds, one by one."""
        return tuple(range(self.seeds)) if np.ndim(self.seeds) == 0 else tuple(int(s) for s in self.seeds)  # type: ignore[arg-type, union-attr]

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes, then the number of seeds."""
        return (*(len(axis) for axis in self.grid), len(self.seed_values))

    @property
    def trajectories(self) -> int:
        """Number of calls of the function that the sweep stands for."""
        return int(np.prod(self.shape))

    def results(self, static: Any) -> dict[str, jax.ShapeDtypeStruct]:
        """Return name, shape and dtype of the results that are kept, tracing the function once.

        Raises:
            ValueError: an output is not among the results, or the function refuses its arguments.
        """
        if static in self._traced:
            return self._traced[static]
        point = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((), float), self.point)
        key = jax.eval_shape(lambda: jax.random.key(0))
        # Under the devices of the program: what of the function is jitted is then not traced again for it.
        call = spread(lambda k, p, d: self.function(k, p, static, d), WHOLE, WHOLE, tuple(jax.local_devices()))
        returned = jax.eval_shape(call, key, point, self.data)
        if not hasattr(returned, "_asdict"):
            raise ValueError(f"The function returns a {type(returned).__name__}: use a NamedTuple of arrays.")
        found = flatten(returned)
        for name, kind in found.items():
            if not (hasattr(kind, "dtype") and kind.dtype.kind in "biuf"):
                raise ValueError(
                    f"The result {name} is {getattr(kind, 'dtype', kind)!r}: use real numbers or booleans."
                )
        for name in self.outputs or ():
            if name not in found:
                raise ValueError(f"output {name!r} is not among the results: use some of {_list(found)}.")
        kept = list(found)
        if self.outputs is not None:
            kept = [*self.outputs, *({"diverged"} & set(found) - set(self.outputs))]
        results = {name: found[name] for name in kept}
        first = next(iter(self._traced.values()), results)
        for name in {**first, **results}:
            if first.get(name) != results.get(name):
                raise ValueError(
                    f"The result {name} is {first.get(name)} in one size class and {results.get(name)} in another: "
                    "its shape and dtype must be the same in all."
                )
        self._traced[static] = results
        return results

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
        for name, values in {**getattr(self.static, "labels", {}), **self.labels}.items():
            found[name] = (name, np.asarray(values), {})
        return found

    @cached_property
    def _traced(self) -> dict[Any, dict[str, jax.ShapeDtypeStruct]]:
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

    def _static(self, chosen: Mapping[Axis, Any]) -> Any:
        """Return the static for the base point moved along some axes to the values with these indices."""
        if not hasattr(self.static, "size_class"):
            return self.static
        point = self.point
        for axis, indices in chosen.items():
            point = point._replace(**dict(zip(axis.fields, axis.values[indices].T, strict=True)))
        return self.static.size_class(point, [name for axis in self.grid for name in axis.fields])


def flatten(result: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a (nested) NamedTuple by name, parts joined by dots; None leaves are left out."""
    leaves: dict[str, Any] = {}
    for name, value in result._asdict().items():
        if hasattr(value, "_asdict"):
            leaves |= flatten(value, f"{prefix}{name}.")
        elif value is not None:
            leaves[prefix + name] = value
    return leaves


def _axis(names: str, values: Any) -> Axis:
    fields = tuple(name.strip() for name in names.split(","))
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"The axis {names} has values of different lengths: use (k,) or (k, {len(fields)}).") from None
    if array.size == 0:
        raise ValueError(f"The axis {names} has no values: give at least one.")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"The axis {names} has values {values!r}: use numbers.")
    array = array.astype(float)
    if array.ndim == 1:
        array = np.repeat(array[:, None], len(fields), axis=1)
    if array.ndim != 2 or array.shape[1] != len(fields):
        raise ValueError(f"The axis {names} has values of shape {array.shape}: use (k,) or (k, {len(fields)}).")
    if len(np.unique(array.astype(np.float32), axis=0)) < len(array):
        raise ValueError(f"The axis {names} repeats a value: all must differ in float32.")
    return Axis(fields[0], fields, array)


def _list(names: Any) -> str:
    return ", ".join(names)
