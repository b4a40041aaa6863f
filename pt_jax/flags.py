"""What the command line accepts: flags made from `FIELDS` and `OPTIONS`, and the small languages inside them."""

import os
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from pt_jax.signal_noise.point import FIELDS, OPTIONS, RESULTS, Point, Static, validate

_MOST_VALUES = 10_000  # on one axis
_MARK = "lock"  # in every folder that this program has written


def options() -> type:
    """Return the record of all flags, made from the tables."""

    def flag(name: str, kind: Any, default: Any, text: str, shown: str) -> tuple:
        hint = f"(default: {shown})"
        shape = {float | None: "NUMBER", int: "INT", int | None: "INT", bool: None}.get(kind, "TEXT")
        return (
            name,
            Annotated[kind, tyro.conf.arg(help=text, help_behavior_hint=hint, metavar=shape)],
            field(default=default),
        )

    how = (
        "NAME=a,b,c or NAME=start:stop:count, both ends included, "
        ":log for even steps in the logarithm; NAME,NAME=... moves both"
    )
    rows = [
        flag("x", str | None, None, f"First axis: {how}.", "required"),
        flag("y", str | None, None, "Second axis; without it a curve is drawn.", "none"),
        flag("col", str | None, None, "Third axis: one panel a value, side by side.", "none"),
        flag("row", str | None, None, "Third axis: one panel a value, below each other.", "none"),
        flag("value", str, "gain", f"Result that is drawn: {', '.join(RESULTS)}, ...", "gain"),
        flag("seeds", int, 16, "Trajectories in each cell; seeds are 0, 1, 2, ...", "16"),
        flag(
            "out", str, "results/map", "Folder for the figure and the dataset; a run in it is continued.", "results/map"
        ),
        flag("shard", str, "0/1", "i/n: compute every n-th unit from the i-th on, for job arrays.", "0/1"),
        flag("fresh", bool, False, "Delete what the folder holds and start anew.", "off"),
        flag("force", bool, False, "Continue although the configuration has changed.", "off"),
    ]
    for name, about in FIELDS.items():
        text = f"{about.meaning[0].upper()}{about.meaning[1:]}, {about.accepted}. Unit: {about.unit}."
        rows.append(flag(name, float | None, None, text, f"{about.default:g}"))
    for option in fields(Static):
        if option.name in OPTIONS:
            choice = OPTIONS[option.name]
            kind = {"bias": bool, "n_directions": int, "batch": int | None, "record": tuple[int, ...]}.get(
                option.name, str
            )
            choices = f" One of: {', '.join(choice.choices)}." if choice.choices else ""
            text = choice.meaning[0].upper() + choice.meaning[1:] + "." + choices
            rows.append(flag(option.name, kind, option.default, text, str(option.default)))
    return make_dataclass("Options", rows)


def axis(spec: str, point: Point, static: Static) -> tuple[str, np.ndarray]:
    """Read an axis; whole fields are rounded, alpha to fractions that can be inherited.

    Raises:
        ValueError: the text is not an axis, a field is unknown, or two values fall together.
    """
    names, separator, text = spec.partition("=")
    parts = names.split(",")
    for name in parts:
        if name not in FIELDS or not separator:
            raise ValueError(
                f"The axis {spec!r} is not accepted: use NAME=start:stop:count or NAME=a,b,c, "
                f"NAME one of {', '.join(FIELDS)}."
            )
    try:
        values = _values(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"The axis {spec!r} is not accepted: after = use start:stop:count, start:stop:count:log or a,b,c."
        ) from None
    if any(FIELDS[name].whole for name in parts):
        values = np.round(values)
    validate(Point(**dict.fromkeys(parts, values)))
    if "alpha" in parts and static.inherit == "filters":
        values = np.floor(values * point.m + 0.5) / point.m
    if len(np.unique(values.astype(np.float32))) < len(values):
        raise ValueError(
            f"The axis {spec!r} repeats a value once rounded: {', '.join(f'{v:g}' for v in values)}; use fewer values."
        )
    return names, values


def _values(text: str) -> np.ndarray:
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


def shard(text: str) -> tuple[int, int]:
    """Read a shard, i/n."""
    i, _, n = text.partition("/")
    if not (i.isdecimal() and n.isdecimal() and int(i) < int(n)):
        raise ValueError(f"--shard = {text} is not accepted: use i/n with whole numbers 0 <= i < n.")
    return int(i), int(n)


def folder_to_write(out: str) -> Path:
    """Return the folder to write into, if it is free or ours."""
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out = {out} is not accepted: it is a file; name a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise ValueError(
            f"--out = {out} is not accepted: the folder holds files that pt-jax did not write; name another."
        )
    exists = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not exists.is_dir() or not os.access(exists, os.W_OK):
        raise ValueError(f"--out = {out} is not accepted: {exists} cannot be written; name another.")
    return folder
