"""What a transfer on images is a function of: `Point` (what varies) and `Static` (what changes shapes or code).

`fields.py` has their tables. Importing this file imports no jax; making a `Static` does, which traces what it is given.
"""

from collections.abc import Callable, Collection, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from pt_jax.inputs.field import attributes, check, listing, shown
from pt_jax.vision import options
from pt_jax.vision.architecture import Architecture
from pt_jax.vision.fields import DIALS, FIELDS, OPTIONS, RESULTS, layer_names
from pt_jax.vision.samples import check_pair


@listing(FIELDS)
class Point(NamedTuple):
    """The hyper-parameters of one trajectory.

    Every field is a number, or an array under `jax.vmap`. Names end in 1 on the source and in 2 on the target.

    Attributes:
        TABLE
    """

    n1: Any = FIELDS["n1"].default
    n2: Any = FIELDS["n2"].default
    classes1: Any = FIELDS["classes1"].default
    classes2: Any = FIELDS["classes2"].default
    labels1: Any = 0
    labels2: Any = 0
    invert1: Any = 0
    invert2: Any = 0
    pixels1: Any = 0
    pixels2: Any = 0
    entries1: Any = 0
    entries2: Any = 0
    block1: Any = 0
    block2: Any = 0
    noise1: Any = 0
    noise2: Any = 0
    lr1: Any = FIELDS["lr1"].default
    lr2: Any = FIELDS["lr2"].default
    steps1: Any = FIELDS["steps1"].default
    steps2: Any = FIELDS["steps2"].default
    smoothing1: Any = 0
    shift1: Any = 0
    flip1: Any = 0
    alpha: Any = FIELDS["alpha"].default
    lr_ratio: Any = FIELDS["lr_ratio"].default
    layer: Any = 0


_READ = {"layer": ("layer", "skip"), "lr_ratio": ("full", "layer", "skip")}  # by which methods alone
_PADDED = (128, 1024, 8192)  # sizes of padded tasks: each is compiled apart


@listing(OPTIONS)
@dataclass(frozen=True)
class Static(Architecture):
    """What fixes shapes or code: hashable, one compilation for each value. `Static.covering(data)` reads the first 3.

    Attributes:
        counts1: training samples of each class of the source; its head has one output for each class.
        counts2: the same of the target.
        shape: of an image, (height, width, channels).
        width: channels of the first stage, twice as many in each further one; a vit has 2 width throughout.
        stages: with a pooling after each but the last of a resnet; a vit has stages times depth blocks.
        depth: layers or blocks a stage.
        n1, n2: maxima of the fields of `Point` with these names: training losses are taken over padded arrays.
        model: as below, or a network of the user's own: a flax.linen module for images (n, H, W, C), whose
            number of outputs is that of the classes of both tasks, or a function (static, classes, projection) that
            returns one. `own.py` says what is taken for its layers, its head and its features. A subclass of
            `models.Network` says so itself.
        TABLE

    Raises:
        ValueError: an option is not accepted, or a network or optimizer of the user's own does not work.
    """

    n1: int = FIELDS["n1"].default  # type: ignore[assignment]
    n2: int = FIELDS["n2"].default  # type: ignore[assignment]
    inherit: str = "filters"
    layers: tuple[str, ...] = ()
    loss1: str = "cross_entropy"
    optimizer: str | Callable = "adam"
    schedule: str = "constant"
    batch: int | None = 16
    cka: str = "plain"
    dials: tuple[str, ...] = DIALS

    # Fields that only a part of the work depends on, cheapest first: a sweep shares the rest along them.
    partial: ClassVar[tuple[str, ...]] = (
        *("alpha", "lr_ratio"),  # neither the upstream nor the scratch run
        *(name for name in FIELDS if name.endswith("2") or name == "layer"),  # not the upstream run
        *(name for name in FIELDS if name.endswith("1")),  # not the scratch run
    )
    maxima: ClassVar[tuple[str, ...]] = ("n1", "n2", "dials")  # that `size_class` chooses
    dims: ClassVar[Mapping[str, tuple[str, ...]]] = {
        name: ("layer_name",)
        for name in ("cka", "cka_scratch", "cka_runs", "distance", "distance_scratch", "transferability")
    }

    def __post_init__(self):
        for name in ("counts1", "counts2", "shape", "layers", "dials"):
            object.__setattr__(self, name, options.as_tuple(name, getattr(self, name)))
        if callable(self.model):
            from pt_jax.inputs.modules import hashable
            from pt_jax.vision import own

            own.forget()
            object.__setattr__(self, "model", hashable(self.model))
        options.check(self)
        options.check_code(self)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the target network's layers below the head, from the images upwards."""
        if callable(self.model):
            from pt_jax.vision import models

            return tuple(models.build(self, len(self.counts2), self.projection == "keep").names)
        return layer_names(self.model, self.stages, self.depth, self.projection == "keep")

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Coordinates of the results that have a value a layer."""
        return {"layer_name": self.layer_names}

    @property
    def lanes(self) -> int:
        """How many trajectories train within 1 MB, about the fast cache of a CPU core."""
        return max(1, 2**20 // (self._columns * (self.batch or max(self.n1, self.n2))))

    @property
    def alone(self) -> bool:
        """Whether lanes run one after the other: on a CPU, where one fills the fast cache of a core."""
        import jax

        return self.lanes == 1 and jax.default_backend() == "cpu"

    @property
    def at_once(self) -> int:
        """With how many samples at once a CPU core trains a convolution soonest: a power of 2, within about 2 MB."""
        return 2 ** max(1, (2**21 // self._columns).bit_length() - 1)

    @property
    def _columns(self) -> int:
        """Bytes of a sample's shifted images."""
        height, width, _ = self.shape
        return 4 * 9 * self.width * height * width

    @classmethod
    def covering(cls, data: Any, point: Point | None = None, **options: Any) -> "Static":
        """Return a Static for a `datasets.Pair` whose maxima are the sizes of a point; `options` are other fields."""
        check_pair(data)
        if chosen := {"counts1", "counts2", "shape", "n1", "n2"} & set(options):
            raise ValueError(f"{', '.join(sorted(chosen))} cannot be given: data and point say so; use Static(...).")
        counts = [tuple(np.bincount(np.asarray(d.train.labels)).tolist()) for d in (data.source, data.target)]
        made = cls(counts[0], counts[1], tuple(data.target.train.images.shape[1:]), **options)
        point = Point(classes1=len(counts[0]), classes2=len(counts[1])) if point is None else point
        if not isinstance(point, Point):
            raise ValueError(f"point is a {type(point).__name__}, which is not accepted: use a vision Point.")
        for name in ("n1", "n2", "classes1", "classes2"):  # the rest is checked where the point is used
            check(name, getattr(point, name), FIELDS[name])
        check_tested("source", data.source.test.labels, point.classes1)
        check_tested("target", data.target.test.labels, point.classes2)
        return replace(made, **_maxima(made, point, ()))

    def size_class(self, point: Point, moving: Collection[str] = ()) -> "Static":
        """Return this Static for a point of a sweep along some fields; it depends on these alone."""
        dials = tuple(name for name in DIALS if name in moving or np.any(np.asarray(getattr(point, name)) != 0))
        found = copy(self)  # without the checks: a network of the user's own would be traced for each value of an axis
        for name, value in {"dials": dials, **_maxima(self, point, moving)}.items():
            object.__setattr__(found, name, value)
        return found

    def validate(self, point: Point) -> None:
        """Check a Point's values, which may be arrays; see `validate`."""
        validate(point, self)

    def attributes(self, name: str) -> dict[str, str]:
        """Return units, long name and symbol of a field of Point or of a result, as a dataset stores them."""
        return attributes(name, FIELDS, RESULTS)


def validate(point: Point, static: Static, skip: Collection[str] = ()) -> None:
    """Check every value of a Point, but for the fields in `skip`, before anything is traced.

    Raises:
        ValueError: a value is not a finite number in its range, or does not fit the data or the network. The sentence
            names field, value and what is accepted.
    """
    if not isinstance(point, Point):
        raise ValueError(f"point is a {type(point).__name__}, which is not accepted: use a vision Point.")
    known = {name: check(name, x, FIELDS[name]) for name, x in point._asdict().items() if name not in skip}
    for k, counts in (("1", static.counts1), ("2", static.counts2)):
        _check_samples(known, k, counts)
    height, width, _ = static.shape
    if np.max(known.get("shift1", 0)) >= min(height, width):
        found = f"shift1 = {shown(np.max(known['shift1']))} moves images of {height} x {width} pixels out of sight"
        raise ValueError(f"{found}: use fewer pixels.")
    for name in {"block1", "block2"} & set(known):
        for size in np.ravel(known[name]):
            if size and (height % size or width % size):
                raise ValueError(
                    f"{name} = {shown(size)} is not accepted: use 0, or pixels that divide {height} x {width}."
                )
    if callable(static.model):
        from pt_jax.vision import own

        own.forget()
    layers = static.layer_names
    if "layer" in known and np.max(known["layer"]) >= max(len(layers), 1):  # 0, the default, is fine without any
        listed = ", ".join(f"{i} = {name}" for i, name in enumerate(layers))
        raise ValueError(f"layer = {shown(np.max(known['layer']))} does not exist in this network: use {listed}.")
    for name, methods in _READ.items():
        if static.method not in methods and np.any(known.get(name, FIELDS[name].default) != FIELDS[name].default):
            raise ValueError(
                f"{name} = {shown(np.ravel(known[name])[-1])} has no effect with method = {static.method}: use method "
                f"{' or '.join(methods)}."
            )


def check_tested(name: str, labels: Any, classes: Any) -> None:
    """Check that a test error can be computed: some test sample is of a class in use.

    Raises:
        ValueError: none is.
    """
    least = np.min(np.asarray(classes))
    if not np.any(np.asarray(labels) < least):
        raise ValueError(f"{name} has no test sample of the classes below {shown(least)}: use data that has some.")


def _check_samples(known: Mapping[str, np.ndarray], k: str, counts: tuple[int, ...]) -> None:
    classes, n = known.get(f"classes{k}"), known.get(f"n{k}")
    if classes is not None and np.max(classes) > len(counts):
        found = f"classes{k} = {shown(np.max(classes))} is above the {len(counts)} classes of the data, and of the head"
        raise ValueError(f"{found}: use at most {len(counts)}.")
    if classes is not None and n is not None:
        most = np.cumsum(counts)[np.asarray(classes, int) - 1]
        bad = n > most
        if np.any(bad):
            n, most = (np.broadcast_to(x, np.shape(bad))[bad][0] for x in (n, most))
            raise ValueError(f"n{k} = {shown(n)} is above the {most} training samples there are: use fewer.")


def _maxima(static: Static, point: Point, moving: Collection[str]) -> dict[str, Any]:
    """Return few different sizes: what is padded is only one evaluation, and each size is compiled apart.

    Along a field that moves, what fills up is not evaluated where lanes run alone: one size then, so that work is
    shared along that field.
    """
    found: dict[str, Any] = {}
    for name, counts in (("n1", static.counts1), ("n2", static.counts2)):
        size = int(np.max(np.asarray(getattr(point, name))))
        sizes = _PADDED[-1:] if name in moving and static.batch and static.alone else _PADDED
        found[name] = min([s for s in sizes if s >= size] + [max(size, sum(counts))])
    return found
