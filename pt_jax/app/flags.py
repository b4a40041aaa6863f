"""What the command line accepts: flags made from `FIELDS` and `OPTIONS`, and the small languages inside them."""

import inspect
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from pt_jax.app.study import Flags
from pt_jax.inputs.field import one_of, part_of
from pt_jax.signal_noise.fields import FIELDS, OPTIONS, OUTPUTS
from pt_jax.signal_noise.point import Point, Static, validate

# What the commands that read a folder take.
Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
Name = Annotated[str | None, tyro.conf.arg(metavar="NAME")]
Place = Annotated[str | None, tyro.conf.arg(metavar="NAME=VALUE,...")]
Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]

WHOLE_NUMBERS = ("record", "hidden")  # options that are several
_MOST_VALUES = 10_000  # on one axis
_MOST_SEEDS = 2**24
_CURVES = "transfer, scratch or upstream, and loss, error, gamma or rho"


def parse(kind: Any, command: str, args: list[str], examples: str, description: str | None = None) -> Any:
    """Read the flags of a command into `kind`, a record or the function to call; its help ends with examples."""
    text = None if description is None else inspect.cleandoc(description)
    try:
        return tyro.cli(kind, prog=f"pt-jax {command}", description=text, args=args)
    except SystemExit as stop:
        if not stop.code:
            print(f"examples:{examples}")
        raise


def flag(name: str, kind: Any, default: Any, text: str, shown: str) -> tuple:
    """Return one field of a record of flags, with its help."""
    hint = f"(default: {shown})"
    shape = {float | None: "NUMBER", int: "INT", int | None: "INT", bool: None, Switch: None}.get(kind, "TEXT")
    return (
        name,
        Annotated[kind, tyro.conf.arg(help=text, help_behavior_hint=hint, metavar=shape)],
        field(default=default),
    )


def of_fields() -> list[tuple]:
    """Return the flags of all fields of a point."""
    rows = []
    for name, about in FIELDS.items():
        text = f"{about.meaning[0].upper()}{about.meaning[1:]}; {about.accepted}. Unit: {about.unit}."
        rows.append(flag(name, float | None, None, text, f"{about.default:g}"))
    return rows


def advice() -> type:
    """Return the record of the flags of `pt-jax advise`."""
    npz = "npz with x, vectors (n, d) or patches (n, p, d), and y, labels of two classes (n,)"
    rows = [
        flag("source", str | None, None, f"Sample of the upstream task: {npz}.", "none"),
        flag("target", str | None, None, "Sample of the downstream task, alike.", "none"),
    ]
    return make_dataclass("Advice", [*rows, *of_fields()])


def options() -> type:
    """Return the record of the flags of `pt-jax map`, made from the tables."""
    how = (
        "NAME=a,b,c or NAME=start:stop:count, both ends included, :log for even steps in the logarithm, as u=0:4:25 or "
        "d=100:10000:5:log; a range of a whole number is rounded; NAME,NAME=... moves both, as sigma1,sigma2=0.5,1,2"
    )
    results = f"{', '.join(OUTPUTS)}; with --record also curves.transfer.loss and the like: {_CURVES}"
    rows = [
        flag("x", str | None, None, f"First axis: {how}.", "required"),
        flag("y", str | None, None, "Second axis, as v2=0,1,2; without it a curve is drawn.", "none"),
        flag("col", str | None, None, "Third axis, as alpha=0.25,0.5,1: one panel a value, side by side.", "none"),
        flag("row", str | None, None, "The same, with the panels below each other.", "none"),
        flag("value", str, "gain", f"Result that is drawn: {results}.", "gain"),
        flag("one_program", Switch, False, "Compile once, for the largest sizes, not for each size class.", "no"),
        flag("theory", Switch, False, "Draw over the map where theory puts gain 0.", "no"),
        flag("seeds", int, 16, "Trajectories in each cell; seeds are 0, 1, 2, ...", "16"),
        flag(
            "out", str, "results/map", "Folder for the figure and the dataset; a run in it is continued.", "results/map"
        ),
    ]
    rows += of_fields()
    for option in fields(Static):
        if option.name in OPTIONS:
            choice = OPTIONS[option.name]
            kind, default = _kind(option.name, option.default), option.default
            text = f"{choice.meaning[0].upper()}{choice.words[1:]}."
            said = "none" if default in (None, ()) else str(default)
            if option.name in WHOLE_NUMBERS:
                text, default = f"{text} As 0 50 200 or 0,50,200.", tuple(map(str, default))  # type: ignore[arg-type]
                said = " ".join(default) or "none"
            rows.append(flag(option.name, kind, default, text, said))
    return make_dataclass("Options", rows, bases=(Flags,))


def _kind(name: str, default: Any) -> Any:
    """Return the type of the flag of an option, from its default."""
    if name in WHOLE_NUMBERS:
        return tuple[str, ...]
    if default is None:
        return (int if name.startswith("batch") else str) | None
    return type(default)


def axis(spec: str, point: Point, static: Static) -> tuple[str, np.ndarray]:
    """Read an axis; ranges of whole fields are rounded, alpha to fractions that can be inherited.

    Raises:
        ValueError: the text is not an axis, a field is unknown, or two values fall together.
    """
    names, separator, _ = spec.partition("=")
    names = names.replace("-", "_")  # as the flags are written
    parts = names.split(",")
    for name in parts:
        if name not in FIELDS:
            raise ValueError(f"The axis {spec!r} is not accepted: for {name!r} use {one_of(name, FIELDS)}.")
        if not separator:
            raise ValueError(f"The axis {spec!r} is not accepted: use {name}=start:stop:count or {name}=a,b,c.")
    values = numbers(spec)
    if ":" in spec and any(FIELDS[name].whole for name in parts):
        values = np.round(values)
    validate(Point(**dict.fromkeys(parts, values)))
    if "alpha" in parts and static.inherit == "filters":
        values = part_of(values, point.m) / point.m
    if len(np.unique(values.astype(np.float32))) < len(values):
        raise ValueError(
            f"The axis {spec!r} repeats a value once rounded: {', '.join(f'{v:g}' for v in values)}; use fewer values."
        )
    return names, values


def axes(part: dict[str, Any]) -> dict[str, Any]:
    """Return the axes of a part of a file, those that are texts read as numbers; nothing where it has none."""
    given = part.get("axes")
    if not isinstance(given, dict):
        return {}
    read = {name: numbers(f"{name}={x}").tolist() for name, x in given.items() if isinstance(x, str)}
    return {"axes": given | read}


def whole_numbers(name: str, given: tuple[str, ...]) -> tuple[int, ...]:
    """Read the whole numbers of --record or --hidden, with commas or blanks between them.

    Raises:
        ValueError: one is not a whole number.
    """
    try:
        return tuple(int(number) for text in given for number in text.split(","))
    except ValueError:
        raise ValueError(
            f"--{name} = {' '.join(given)} is not accepted: use whole numbers, 0 5 10 or 0,5,10."
        ) from None


def check_seeds(seeds: int) -> None:
    """Raise ValueError where nobody can mean so many seeds."""
    if seeds > _MOST_SEEDS:
        raise ValueError(f"--seeds = {seeds} is not accepted: use at most {_MOST_SEEDS}.")


def numbers(spec: str) -> np.ndarray:
    """Read the values of an axis.

    Raises:
        ValueError: the text is not an axis.
    """
    try:
        return _numbers(spec.partition("=")[2])
    except (ValueError, OverflowError):
        raise ValueError(
            f"The axis {spec!r} is not accepted: after = use start:stop:count, start:stop:count:log or a,b,c."
        ) from None


def _numbers(text: str) -> np.ndarray:
    if ":" not in text:
        return np.array([float(part) for part in text.split(",")])
    start, stop, count, *log = text.split(":")
    if (
        log not in ([], ["log"])
        or not 1 <= int(count) <= _MOST_VALUES
        or (log and not (float(start) > 0 and float(stop) > 0))
    ):
        raise ValueError
    return (np.geomspace if log else np.linspace)(float(start), float(stop), int(count))
