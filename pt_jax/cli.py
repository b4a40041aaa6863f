"""The command line `pt-jax`.

    pt-jax map --x u=0:4:25 --y v2=0.5:5:25 --col alpha=0.25,0.5,1 --seeds 16 --out DIR

Flags come from `FIELDS` and `OPTIONS`. Everything is checked before anything is written.
"""

import json
import os
import sys
import time
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from pt_jax.signal_noise.point import FIELDS, OPTIONS, RESULTS, Point, Static, validate

if TYPE_CHECKING:
    import xarray as xr

_MOST_VALUES = 10_000  # on one axis
_MARK = "pt_jax.json"  # in every folder that this program has written


def main(args: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 where the input is not accepted."""
    args = sys.argv[1:] if args is None else args
    if args[:1] != ["map"]:
        wants_help = args[:1] in (["--help"], ["-h"])
        print(
            "usage: pt-jax map [OPTIONS]\n\nmap  run a sweep over one, two or three axes and draw it: pt-jax map --help"
        )
        return 0 if wants_help else 2
    options = dict(vars(tyro.cli(_options(), prog="pt-jax map", description=_map.__doc__, args=args[1:])))
    try:
        _map(options)
    except (ValueError, OSError) as error:
        print(f"pt-jax: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pt-jax: interrupted, no result was written.", file=sys.stderr)
        return 130
    return 0


def _options() -> type:
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
        flag("out", str, "results/map", "Folder for the figure, the numbers and the dataset.", "results/map"),
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


def _map(options: dict[str, Any]) -> None:
    """Run a sweep over one, two or three axes and write figure, numbers and dataset into a folder."""
    given = {name: options[name] for name in FIELDS if options[name] is not None}
    point = Point(**given)
    static = Static(**{name: options[name] for name in OPTIONS})
    static.validate(point)
    specs = {place: options[place] for place in ("x", "y", "col", "row") if options[place] is not None}
    if "x" not in specs or len(specs) > 3:
        raise ValueError(f"{len(specs)} axes are not accepted: give --x, and at most two of --y, --col and --row.")
    if len(specs) > 1 and "y" not in specs:
        raise ValueError("--col and --row need --x and --y.")
    axes = {place: axis(spec, point, static) for place, spec in specs.items()}
    for names, _ in axes.values():
        for name in names.split(","):
            if name in given:
                raise ValueError(f"{name} is an axis and also given as --{name.replace('_', '-')}: give it once.")
    folder = _folder(options["out"])

    import matplotlib

    matplotlib.use("Agg")
    import pt_jax

    pt_jax.use_all_cores()
    panels = int(np.prod([len(values) for place, (_, values) in axes.items() if place in ("col", "row")]))
    pt_jax.plot.check_panels(panels)
    value = options["value"]
    grid = dict(axes.values())
    if len(grid) < len(axes):
        raise ValueError("Two axes have one name: name each field once.")
    outputs = tuple(dict.fromkeys([value, "error", "error_scratch", "gain"]))
    sweep = pt_jax.Sweep(pt_jax.simulate, point, grid, options["seeds"], outputs, static)
    sweep.results(static)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()  # before the work, so that a folder that cannot be written is found now

    start = time.perf_counter()
    ds = _run(sweep)
    seconds = time.perf_counter() - start
    picture = _draw(ds, sweep, value, {place: names.split(",")[0] for place, (names, _) in axes.items()}, folder)
    _report(ds, sweep.trajectories, seconds, value, picture)


def _folder(out: str) -> Path:
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


def _run(sweep: Any) -> "xr.Dataset":
    """Run with a progress bar on a terminal, and a line every ten seconds otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    import pt_jax

    console = Console(stderr=True)
    console.print(f"{sweep.trajectories:,} trajectories: compiling ...", highlight=False)
    if console.is_terminal:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("trajectories, left:"), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("run", total=sweep.trajectories)
            return pt_jax.run(sweep, lambda done, _: bar.update(task, completed=done))
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > 10 or done == total:
            last = time.monotonic()
            console.print(f"{done:,} of {total:,} trajectories", highlight=False)

    return pt_jax.run(sweep, report)


def _draw(ds: "xr.Dataset", sweep: Any, value: str, places: dict[str, str], folder: Path) -> Path:
    """Write the dataset, the figure, the plotted numbers and where they come from."""
    import pt_jax

    cells, origin = pt_jax.summary(ds, value), pt_jax.provenance(sweep)
    ds.to_zarr(folder / "data.zarr", mode="w", consolidated=False)
    if "y" in places:
        figure = pt_jax.plot.phase_diagram(cells, value, **places)  # type: ignore[arg-type]
    else:
        figure = pt_jax.plot.comparison(ds) if value == "gain" else pt_jax.plot.curve(ds, (value,))
    (folder / _MARK).write_text(json.dumps(origin, indent=1) + "\n")
    return pt_jax.plot.save(figure, cells, origin, folder / "figure")


def _report(ds: "xr.Dataset", trajectories: int, seconds: float, value: str, picture: Path) -> None:
    """Print the short summary."""
    import pt_jax

    rate = f"{trajectories / seconds:,.0f} a second, compilation included"
    print(f"{trajectories:,} trajectories in {seconds:.1f} s, {rate}")
    share = pt_jax.shares(pt_jax.summary(ds, "gain"))
    print(
        f"transfer helps in {share['helps']:.0%} of the cells, hurts in {share['hurts']:.0%}, "
        f"unclear in {share['unclear']:.0%} (paired 95% interval over {ds.sizes['seed']} seeds)"
    )
    print(f"after false-discovery control at 5%: helps in {share['helps_fdr']:.0%}, hurts in {share['hurts_fdr']:.0%}")
    if share["diverged"]:
        print(f"diverged in {share['diverged']:.0%} of the cells: these have no mean and are crossed out")
    print(f"figure: {picture}")
