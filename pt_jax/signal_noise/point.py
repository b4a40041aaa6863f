"""What a trajectory is a function of: `Point` (what varies) and `Static` (what changes shapes or code).

This file imports no jax.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from pt_jax.inputs.field import LARGEST, attributes, check, listing, shown
from pt_jax.signal_noise import options
from pt_jax.signal_noise.fields import DATA_FIELDS, FIELDS, OPTIONS, RESULTS, RULE_FIELDS, RULES

_PREFERRED = (10, 12, 14, 16, 18, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100)


@listing(FIELDS)
class Point(NamedTuple):
    """The hyper-parameters of one trajectory.

    Every field is a number, or an array under `jax.vmap`: sizes, d and step counts too, of any real dtype.

    Attributes:
        TABLE
    """

    d: Any = FIELDS["d"].default
    n1: Any = FIELDS["n1"].default
    n2: Any = FIELDS["n2"].default
    m: Any = FIELDS["m"].default
    u: Any = FIELDS["u"].default
    v1: Any = FIELDS["v1"].default
    v2: Any = FIELDS["v2"].default
    angle: Any = FIELDS["angle"].default
    sigma1: Any = FIELDS["sigma1"].default
    sigma2: Any = FIELDS["sigma2"].default
    flip1: Any = FIELDS["flip1"].default
    flip2: Any = FIELDS["flip2"].default
    alpha: Any = FIELDS["alpha"].default
    lr1: Any = FIELDS["lr1"].default
    lr2: Any = FIELDS["lr2"].default
    lr_ratio: Any = FIELDS["lr_ratio"].default
    init_scale: Any = FIELDS["init_scale"].default
    steps1: Any = FIELDS["steps1"].default
    steps2: Any = FIELDS["steps2"].default
    momentum1: Any = FIELDS["momentum1"].default
    momentum2: Any = FIELDS["momentum2"].default
    weight_decay1: Any = FIELDS["weight_decay1"].default
    weight_decay2: Any = FIELDS["weight_decay2"].default
    label_noise1: Any = FIELDS["label_noise1"].default
    label_noise2: Any = FIELDS["label_noise2"].default
    sam1: Any = FIELDS["sam1"].default
    sam2: Any = FIELDS["sam2"].default
    stop_loss1: Any = FIELDS["stop_loss1"].default
    stop_loss2: Any = FIELDS["stop_loss2"].default
    stop_error1: Any = FIELDS["stop_error1"].default
    stop_error2: Any = FIELDS["stop_error2"].default
    agree1: Any = FIELDS["agree1"].default
    agree2: Any = FIELDS["agree2"].default
    spread1: Any = FIELDS["spread1"].default
    spread2: Any = FIELDS["spread2"].default
    angle_xor: Any = FIELDS["angle_xor"].default
    spectrum: Any = FIELDS["spectrum"].default


@listing(OPTIONS)
@dataclass(frozen=True)
class Static:
    """What fixes shapes or code: hashable, one compilation for each value.

    Attributes:
        n1, n2, m, steps1, steps2: maxima of the fields of `Point` with these names; arrays are padded to them.
        d: maximum of d where all of R^d is drawn: dense engine, noise of a spectrum. Else no cost depends on d.
        rules: the rule fields that may be above 0, as ("momentum2",); the others are left out of the program. A sweep
            and `covering` set it.
        paired: train transfer and scratch together: faster unless transfer runs share a scratch run. A sweep sets it.
        fixed: a sweep keeps these maxima for all points, one compilation, in place of maxima that fit each point.
        TABLE

    Raises:
        ValueError: an option is not accepted, or needs the dense engine.
    """

    n1: int = FIELDS["n1"].default  # type: ignore[assignment]
    n2: int = FIELDS["n2"].default  # type: ignore[assignment]
    m: int = FIELDS["m"].default  # type: ignore[assignment]
    steps1: int = FIELDS["steps1"].default  # type: ignore[assignment]
    steps2: int = FIELDS["steps2"].default  # type: ignore[assignment]
    d: int = FIELDS["d"].default  # type: ignore[assignment]
    engine: str = "span"
    model: Any = "cnn"
    hidden: tuple[int, ...] = (32,)
    data: Any = "two_patches"
    data2: Any = None
    patches: int = 3
    classes: int = 3
    noisy: str = "rest"
    noise: str = "projected"
    bias: bool = False
    init: str = "normal"
    inherit: str = "filters"
    choose: str = "first"
    upper: str = "units"
    n_directions: int = 128
    n_test: int = 1024
    record: tuple[int, ...] = ()
    optimizer: str | Callable = "sgd"
    optimizer2: str | Callable | None = None
    upper_optimizer: str | Callable | None = None
    batch: int | None = None
    batch2: int | None = None
    activation: str | Callable = "relu"
    loss: str | Callable = "logistic"
    schedule: str = "constant"
    nesterov: bool = False
    rules: tuple[str, ...] = ()
    paired: bool = True
    fixed: bool = False

    maxima: ClassVar[tuple[str, ...]] = ("n1", "n2", "m", "steps1", "steps2", "d")
    dims: ClassVar[Mapping[str, tuple[str, ...]]] = {"curves": ("step",)}
    rare: ClassVar[tuple[str, ...]] = tuple(DATA_FIELDS)  # fields that most data do not read
    # Fields that only a part of the work depends on, cheapest first: a sweep shares the rest along them.
    partial: ClassVar[tuple[str, ...]] = (
        *("alpha", "lr_ratio"),  # neither the upstream nor the scratch run
        *("v2", "angle", "sigma2", "flip2", "lr2", "steps2", "agree2", "spread2"),  # not the upstream run
        *(f"{rule}2" for rule in RULES),
        *("v1", "sigma1", "flip1", "lr1", "steps1", "agree1", "spread1"),  # not the scratch run
        *(f"{rule}1" for rule in RULES),
    )

    def __post_init__(self):
        for name, value in options.checked(self).items():
            object.__setattr__(self, name, value)

    @property
    def two_patches(self) -> bool:
        """Whether both tasks are the default ones: one patch +-mu, one of noise."""
        return {self.data, self.data2} <= {"two_patches", None} and self.noisy == "rest"

    @property
    def by_directions(self) -> bool:
        """Whether test errors are integrals over directions, see `risk`, and not over samples, see `fresh`."""
        return self.two_patches and self.model in ("cnn", "cnn_trained")

    @property
    def carries(self) -> tuple[bool, ...]:
        """Whether a patch carries noise, for each."""
        return options.carries(self.data, self)

    @property
    def full(self) -> bool:
        """Whether all of R^d is drawn, up to the maximum of d."""
        return self.engine == "dense" or self.noise == "power"

    @property
    def lanes(self) -> int:
        """How many trajectories train within 1 MB, about the fast cache of a CPU core, each on its own data."""
        samples, filters = max(self.n1, self.n2), 4 * self.m  # transfer and scratch together
        n = samples * sum(self.carries)
        numbers = n * n + 3 * n * filters if self.engine == "span" else self.d * (n + 3 * filters)
        if not self.two_patches:
            numbers += 3 * samples * len(self.carries) * filters
        return max(1, 2**20 // (4 * numbers))

    @property
    def labels(self) -> dict[str, tuple[int, ...]]:
        """The training steps of the curves."""
        return {"step": self.record} if self.record else {}

    @classmethod
    def covering(cls, points: Point | Iterable[Point], **options: Any) -> "Static":
        """Return a Static whose maxima are the largest sizes among the points; `options` sets its other fields."""
        points = list(points) if isinstance(points, Iterable) and not isinstance(points, Point) else [points]
        if not points:
            raise ValueError("points = [] is not accepted: give at least one Point.")
        for point in points:
            validate(point)
        maxima = {name: max(_largest(getattr(p, name)) for p in points) for name in cls.maxima}
        return cls(**{"rules": _rules(points), **maxima, **options})

    def size_class(self, point: Point, moving: Collection[str] = ()) -> "Static":
        """Return this Static for a point of a sweep along some fields; its maxima depend on the point alone.

        They are its sizes rounded up to preferred numbers. Round numbers waste nothing, others at most a fifth.
        """
        names = () if self.fixed else self.maxima if self.full else self.maxima[:-1]
        maxima: dict[str, Any] = {name: min(_preferred(_largest(getattr(point, name))), int(LARGEST)) for name in names}
        if not isinstance(self.model, str) and not self.fixed:
            maxima["m"] = _largest(point.m)  # a network of somebody's own has no units that count for nothing
        rules = self.rules if self.fixed else _rules([point], moving)
        return replace(self, paired=self.paired and not {"alpha", "lr_ratio"} & set(moving), rules=rules, **maxima)

    def validate(self, point: Point) -> None:
        """Check a Point's values, which may be arrays, and that the options have an effect there; see `validate`."""
        validate(point, self if self.fixed else None)
        options.check_read(point, self)
        options.check_used(point, self)

    def attributes(self, name: str) -> dict[str, str]:
        """Return units, long name and symbol of a field of Point or of a result, as a dataset stores them."""
        return attributes(name, FIELDS, RESULTS)


def validate(point: Point, static: Static | None = None, skip: Collection[str] = ()) -> None:
    """Check every value of a Point before anything is traced, but for the fields in `skip`.

    Raises:
        ValueError: what is given is no Point, a value is not a finite number in its range, is above its maximum in
            `static`, or the leaves do not broadcast. The sentence names field, value and what is accepted.
    """
    check_type(point)
    for name, value in point._asdict().items():
        if name in skip:
            continue
        most = check(name, value, FIELDS[name]).max()
        over = static is not None and name in static.maxima and (name != "d" or static.full)
        if static is not None and name == "m" and not isinstance(static.model, str) and np.any(value != static.m):
            raise ValueError(f"m = {shown(value)} is not the {static.m} of Static, as a network of your own needs it.")
        if over and most > getattr(static, name):
            largest = f"{name} = {shown(most)} is above the maximum {getattr(static, name)} in Static"
            raise ValueError(f"{largest}: use Static.covering(point), or a larger {name} there.")
        if static is not None and name in RULE_FIELDS and most > 0 and name not in static.rules:
            raise ValueError(
                f"{name} = {shown(most)} is above 0 and not in the rules of Static: use Static.covering(point)."
            )
    common_shape(point)


def check_type(point: Any) -> None:
    """Raise ValueError unless this is a Point."""
    if not isinstance(point, Point):
        raise ValueError(f"point = {shown(point)} is not accepted: use a pt_jax.Point, Point(u=2.0, alpha=0.5).")


def common_shape(point: Point) -> tuple[int, ...]:
    """Return the shape that the leaves broadcast to, or raise the ValueError that says that they do not."""
    shapes = {name: np.shape(value) for name, value in point._asdict().items()}
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        arrays = ", ".join(f"{name} {shape}" for name, shape in shapes.items() if shape)
        raise ValueError(f"The fields of Point do not broadcast: {arrays} need shapes that fit each other.") from None


def _rules(points: Iterable[Point], moving: Collection[str] = ()) -> tuple[str, ...]:
    """Return the rule fields that are above 0 at one of the points, or that move."""
    points = list(points)
    return tuple(n for n in RULE_FIELDS if n in moving or any(np.any(np.asarray(getattr(p, n))) for p in points))


def _largest(size: Any) -> int:
    return int(np.asarray(size).max())  # in NumPy: in somebody's jitted function jax would trace it


def _preferred(size: int) -> int:
    """Round up to the next preferred number: all up to 10, then sixteen a decade."""
    if size <= _PREFERRED[0]:
        return size
    decade = 10 ** (len(str(size)) - 2)
    return decade * next(p for p in _PREFERRED if p * decade >= size)
