"""The command line `pt-jax`.

    pt-jax map --x u=0:4:25 --y v2=0.5:5:25 --col alpha=0.25,0.5,1 --seeds 16 --out DIR

Everything is checked before anything is written.
"""

import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

from pt_jax import flags
from pt_jax.signal_noise.point import FIELDS, OPTIONS, Point, Static

if TYPE_CHECKING:
    import xarray as xr

_COMMANDS = """map   run a sweep over one, two or three axes and draw it; the same command again continues
show  tell what a folder holds, also while it is written
plot  draw a folder again, computing nothing"""


def main(args: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0; 2 where the input is not accepted; 130 where interrupted."""
    args = sys.argv[1:] if args is None else args
    command = args[0] if args else ""
    if command not in ("map", "show", "plot"):
        print(f"usage: pt-jax COMMAND [OPTIONS]\n\n{_COMMANDS}\n\npt-jax COMMAND --help lists the options.")
        return 0 if command in ("--help", "-h") else 2
    try:
        if command == "map":
            options: Any = tyro.cli(flags.options(), prog="pt-jax map", description=_map.__doc__, args=args[1:])
            return _map(dict(vars(options)))
        tyro.cli({"show": _show, "plot": _plot}[command], prog=f"pt-jax {command}", args=args[1:])
    except (ValueError, OSError) as error:
        print(f"pt-jax: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pt-jax: interrupted; what was computed is kept.", file=sys.stderr)
        return 130
    return 0


def _map(options: dict[str, Any]) -> int:
    """Run a sweep over one, two or three axes and write figure, numbers and dataset into a folder.

    The same command again continues; more seeds or other values of the axes extend what is there.
    """
    given = {name: options[name] for name in FIELDS if options[name] is not None}
    point = Point(**given)
    static = Static(**{name: options[name] for name in OPTIONS})
    static.validate(point)
    specs = {place: options[place] for place in ("x", "y", "col", "row") if options[place] is not None}
    if "x" not in specs or len(specs) > 3:
        raise ValueError(f"{len(specs)} axes are not accepted: give --x, and at most two of --y, --col and --row.")
    if len(specs) > 1 and "y" not in specs:
        raise ValueError("--col and --row need --x and --y.")
    axes = {place: flags.axis(spec, point, static) for place, spec in specs.items()}
    for names, _ in axes.values():
        for name in names.split(","):
            if name in given:
                raise ValueError(f"{name} is an axis and also given as --{name.replace('_', '-')}: give it once.")
    grid, value = dict(axes.values()), options["value"]
    if len(grid) < len(axes):
        raise ValueError("Two axes have one name: name each field once.")
    shard = flags.shard(options["shard"])
    folder = flags.folder_to_write(options["out"])

    import matplotlib

    matplotlib.use("Agg")
    import pt_jax

    pt_jax.use_all_cores()
    pt_jax.plot.check_panels(
        int(np.prod([len(values) for place, (_, values) in axes.items() if place in ("col", "row")]))
    )
    sweep = pt_jax.Sweep(pt_jax.simulate, point, grid, options["seeds"], None, static)
    names_of_results = sweep.results(static)
    if value not in names_of_results:
        raise ValueError(f"--value = {value} is not accepted: use one of {', '.join(names_of_results)}.")

    folder.mkdir(parents=True, exist_ok=True)  # a folder that cannot be written is found before the work
    stopped = threading.Event()
    ds = _run(sweep, stopped, store=folder, shard=shard, fresh=options["fresh"], force=options["force"])
    if not bool(ds["done"].all()):
        kept = f"{int(ds['done'].sum()):,} of {sweep.trajectories:,} trajectories are kept in {folder}"
        print(f"{kept}: {'the same command continues' if shard[1] == 1 else 'run the other shards, then pt-jax plot'}")
        return 130 if stopped.is_set() else 0
    places = {place: names.split(",")[0] for place, (names, _) in axes.items()}
    picture = _draw(ds, pt_jax.provenance(sweep), value, places, folder)
    _report(ds, picture)
    return 0


def _show(folder: tyro.conf.Positional[Path], /) -> None:
    """Tell what a folder holds: how much is done, the configuration and where it comes from; also while it is written.

    Args:
        folder: written by pt-jax map.
    """
    from pt_jax.sweep.run import locked

    ds = _opened(folder)
    done, total = int(ds["done"].sum()), ds["done"].size
    print(f"{done:,} of {total:,} trajectories, {'being written' if locked(folder) else 'nobody writes'}")
    print("axes: " + ", ".join(f"{name} ({size})" for name, size in ds["done"].sizes.items()))
    for name, value in ds.attrs["provenance"].items():
        text = json.dumps(value)
        print(f"{name}: {text if len(text) < 200 else text[:200] + ' ...'}")


def _plot(
    folder: tyro.conf.Positional[Path],
    /,
    x: str | None = None,
    y: str | None = None,
    col: str | None = None,
    row: str | None = None,
    value: str = "gain",
) -> None:
    """Draw a folder again, computing nothing.

    Args:
        folder: written by pt-jax map.
        x: field along the plane.
        y: field up the plane.
        col: field of the panels side by side.
        row: field of the panels below each other.
        value: result that is drawn.
    """
    import matplotlib

    matplotlib.use("Agg")
    ds = _opened(folder)
    if value not in ds:
        raise ValueError(f"--value = {value} is not accepted: use one of {', '.join(map(str, ds.data_vars))}.")
    axes = [str(name) for name in ds["done"].dims if name != "seed"]
    chosen = {place: name for place, name in zip(("x", "y", "col", "row"), (x, y, col, row), strict=True) if name}
    for name in chosen.values():
        if name not in axes:
            raise ValueError(f"{name!r} is not an axis of {folder}: use {', '.join(axes)}.")
    for place, name in zip(
        [p for p in ("x", "y", "col", "row") if p not in chosen],
        [a for a in axes if a not in chosen.values()],
        strict=False,
    ):
        chosen[place] = name
    print(f"figure: {_draw(ds, ds.attrs['provenance'], value, chosen, folder)}")


def _opened(folder: Path) -> "xr.Dataset":
    import xarray as xr

    if not (folder / "data.zarr").is_dir():
        raise ValueError(f"{folder} is not accepted: it holds no data.zarr written by pt-jax map.")
    return xr.open_zarr(folder / "data.zarr", consolidated=False, chunks=None)


def _run(sweep: Any, stopped: threading.Event, **where: Any) -> "xr.Dataset":
    """Run with a progress bar, or a line every ten seconds off a terminal; Ctrl-C ends after the unit in hand."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    import pt_jax

    console = Console(stderr=True)
    console.print(f"{sweep.trajectories:,} trajectories: compiling ...", highlight=False)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("trajectories, left:"), TimeRemainingColumn())
    start = last = time.monotonic()
    known: list[int] = []

    def report(done: int, total: int) -> None:
        nonlocal last
        known.append(done)
        bar.update(task, completed=done, total=total)
        if not console.is_terminal and (time.monotonic() - last > 10 or done == total):
            last = time.monotonic()
            console.print(f"{done:,} of {total:,} trajectories", highlight=False)

    def interrupt(*_: Any) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        console.print("finishing the unit in hand; Ctrl-C again ends at once", highlight=False)

    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, interrupt) if main_thread else None
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("run", total=sweep.trajectories)
            ds = pt_jax.run(sweep, report, stop=stopped.is_set, **where)
        seconds, new = time.monotonic() - start, known[-1] - known[0]
        rate = f"{new:,} computed in {seconds:.1f} s, {new / seconds:,.0f} a second, compilation included"
        print(f"{sweep.trajectories:,} trajectories: {rate if new else 'all known before'}")
        return ds
    finally:
        if main_thread:
            signal.signal(signal.SIGINT, before)


def _draw(ds: "xr.Dataset", origin: dict[str, Any], value: str, places: dict[str, str], folder: Path) -> Path:
    """Write the figure, the plotted numbers and where they come from."""
    import pt_jax

    cells = pt_jax.summary(ds, value)
    if "y" in places:
        figure = pt_jax.plot.phase_diagram(cells, value, **places)  # type: ignore[arg-type]
    else:
        figure = pt_jax.plot.comparison(ds) if value == "gain" else pt_jax.plot.curve(ds, (value,))
    return pt_jax.plot.save(figure, cells, origin, folder / "figure")


def _report(ds: "xr.Dataset", picture: Path) -> None:
    """Print the short summary."""
    import pt_jax

    share = pt_jax.shares(pt_jax.summary(ds, "gain"))
    print(
        f"transfer helps in {share['helps']:.0%} of the cells, hurts in {share['hurts']:.0%}, "
        f"unclear in {share['unclear']:.0%} (paired 95% interval over {ds.sizes['seed']} seeds)"
    )
    print(f"after false-discovery control at 5%: helps in {share['helps_fdr']:.0%}, hurts in {share['hurts_fdr']:.0%}")
    if share["diverged"]:
        print(f"diverged in {share['diverged']:.0%} of the cells: these have no mean and are crossed out")
    print(f"figure: {picture}")
