"""Named sweeps carried out as every command does it: plan, question, store, progress, Ctrl-C; then a figure.

    def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]: ...
    def numbers(found: dict[str, xarray.Dataset]) -> pandas.DataFrame: ...
    def draw(table: pandas.DataFrame) -> matplotlib.figure.Figure: ...

    study.main(__doc__, sweeps, numbers, draw, seeds=64)

makes a script with the flags of `Script`. Each sweep is kept in a store, so that the same command continues. A figure
is always drawn from its CSV, so that anybody can draw it again without computing anything.
"""

import inspect
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from pt_jax.app import startup
from pt_jax.app.ending import Stopped, exits
from pt_jax.app.version import Version, versions

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from pt_jax.report.findings import Finding
    from pt_jax.sweep.grid import Sweep

_LONG = 3600.0  # seconds; what takes longer is asked for
_SHORT = 10.0  # seconds by `plan.roughly`; what takes less is not timed before it is run
_QUICK_SEEDS = 16
_OTHER_SEEDS = 16, 3  # of images other than a script's first, whole and quick: those are larger
_OF_REDRAW = ("quick", "redraw", "images", "out", "store")  # a quick figure lies in its store
_MOST_POINTS = 20  # of a plain list, written beside a figure


@dataclass
class Flags:
    """How sweeps are carried out.

    Attributes:
        plan: Print what it will cost, and compute nothing.
        yes: Do not ask before more than an hour.
        shard: i/n: compute every n-th unit from the i-th on, for job arrays.
        until_se: Standard error wanted, of the gain or else the first result: a cell gets seeds until it is reached,
            --seeds at most.
        fresh: Delete what the store holds and start anew.
        force: Continue although the configuration has changed.
    """

    plan: bool = False
    yes: bool = False
    shard: Annotated[str, tyro.conf.arg(metavar="I/N")] = "0/1"
    until_se: float | None = None
    fresh: bool = False
    force: bool = False


@dataclass
class Script(Flags):
    """Flags of a script.

    Attributes:
        seeds: Trajectories in each cell; by default the script's own number, 16 on other images than its first.
        quick: A coarser map, by default with 16 seeds, 3 on other images.
        redraw: Draw again from the CSV in --out, and compute nothing.
        images: What to run on, where a script knows several; without it the first, or with --redraw all there are.
        out: Folder of the figures, their numbers and provenance; by default figures, with --quick the store's.
        store: Folder of the stores, one for each script.
    """

    seeds: int | None = None
    quick: bool = False
    redraw: bool = False
    images: str | None = None
    out: Path | None = None
    store: Path = Path("results")


def main(
    doc: str | None,
    sweeps: Callable[..., Mapping[str, "Sweep"]],
    numbers: Callable[[dict[str, "xr.Dataset"]], "pd.DataFrame"],
    draw: Callable[["pd.DataFrame"], "Figure"],
    seeds: int,
    findings: Callable[[dict[str, "xr.Dataset"]], Iterable["Finding"]] | None = None,
    images: Sequence[str] = (),
) -> None:
    """Run a script: read its flags, carry out its sweeps, keep the numbers that are plotted, and draw them.

    Args:
        doc: of the script, the text of --help.
        sweeps: of (quick, seeds), by name; of (quick, seeds, images) where there are several.
        numbers: what is plotted, from the datasets by name; see `stats.table`.
        draw: the figure of these numbers as they are read back from the CSV; its title is its finding.
        seeds: in each cell by default, on the first of the images.
        findings: published ones, and the effects that decide them; kept in NAME.findings.csv for the gallery.
        images: those that the script can be run on, such as "cifar10 32x32", by their first word; the default first.
            Its numbers and findings say in `images` which they are of, and others than the default add the word to the
            names of figure and store.
    """
    name = Path(sys.argv[0]).stem
    with exits(name):
        flags = tyro.cli(Script, description=inspect.cleandoc(doc or ""))
        unread = [one for one in fields(Script) if one.name not in _OF_REDRAW]
        idle = [one.name for one in unread if flags.redraw and getattr(flags, one.name) != one.default]
        if idle:
            raise ValueError(f"--{idle[0].replace('_', '-')} has no effect with --redraw, which computes nothing.")
        for version in versions(name, flags, images):
            _run(version, flags, sweeps, numbers, draw, seeds, findings)


def _run(version: Version, flags: Script, sweeps: Any, numbers: Any, draw: Any, seeds: int, findings: Any) -> None:
    """Carry out a script on some images; arguments as in `main`."""
    from pt_jax.report import plot
    from pt_jax.sweep import record
    from pt_jax.sweep.provenance import provenance

    folder, path = version.store(flags), version.path(flags)
    usual, quick = (seeds, _QUICK_SEEDS) if version.images == version.default else _OTHER_SEEDS
    wanted = (quick if flags.quick else usual) if flags.seeds is None else flags.seeds
    # To draw again, units and names are needed alone: they are the same without the images of the others.
    images = version.default if flags.redraw else version.images
    made = sweeps(flags.quick, wanted, *([images] if images else []))
    if flags.redraw:
        origin = record.read(Path(f"{path}.json"))
    else:
        startup.set_up()
        found = carry_out(made, {key: folder / key for key in made}, flags)
        origin = {key: _in_short(provenance(ds)) for key, ds in found.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        version.said(numbers(found)).to_csv(f"{path}.csv", index=False, float_format="%.6g")
        if findings is not None:
            from pt_jax.report import findings as published

            published.keep(path, findings(published.whole(found)), version.images)
    table = read(path, made, version.images)
    try:
        figure = draw(table)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        if not flags.redraw:
            raise
        said = f"the figure cannot be drawn from it ({type(error).__name__}: {error})"
        raise ValueError(f"{path}.csv is not accepted: {said}; use the CSV beside a figure.") from error
    finding = " ".join(figure.get_suptitle().split())
    whole = {
        key: one | {"finding": finding} | ({"images": version.images} if version.images else {})
        for key, one in origin.items()
    }
    print(plot.save(figure, path, provenance=whole.popitem()[1] if len(whole) == 1 else whole))


def read(path: Path, sweeps: Mapping[str, "Sweep"], images: str = "") -> "pd.DataFrame":
    """Read the numbers of a figure back; units, names and symbols of its columns and results come from a sweep.

    Raises:
        ValueError: it is no table, or none of these images.
    """
    import pandas as pd

    try:
        table = pd.read_csv(f"{path}.csv")
    except ValueError as error:
        raise ValueError(f"{path}.csv is not accepted: {error}; use the CSV beside a figure.") from None
    if not len(table) or (images and set(table.get("images", ())) != {images}):
        said = f"it has no rows of {images}" if images else "it has no rows"
        raise ValueError(f"{path}.csv is not accepted: {said}; use the CSV beside a figure.")
    about = next(iter(sweeps.values())).about
    table.attrs = {key: about(key) for key in {*table.columns, *table.get("result", ())}}
    return table


def _in_short(origin: dict[str, Any]) -> dict[str, Any]:
    """Leave long lists of points to the script that draws them."""
    many = isinstance(origin["axes"], list) and len(origin["axes"]) > _MOST_POINTS
    return origin | ({"axes": f"{len(origin['axes'])} points, made by the script"} if many else {})


def carry_out(
    sweeps: Mapping[str, "Sweep"], folders: Mapping[str, Path], flags: Flags, value: str = "gain"
) -> dict[str, "xr.Dataset"]:
    """Run sweeps into stores, one after the other, and return their datasets.

    Raises:
        Stopped: after `--plan`, a shard or Ctrl-C.
        ValueError: an input is not accepted.
    """
    from pt_jax.app.progress import Bar
    from pt_jax.sweep import devices
    from pt_jax.sweep.adaptive import check_se, numbers_of, run_until
    from pt_jax.sweep.run import run

    shard = read_shard(flags.shard)
    if flags.until_se is not None:
        if shard[1] > 1:
            raise ValueError("--until-se adds seeds in rounds and cannot be spread over shards: use one of the two.")
        check_se("--until-se", flags.until_se)
    _ask(sweeps, folders, flags, shard[1])
    print(f"device: {devices.in_words()}", file=sys.stderr)  # a GPU that is not used: jax has said so before
    stopped, found = threading.Event(), {}
    how: dict[str, Any] = {"shard": shard, "fresh": flags.fresh, "force": flags.force, "stop": stopped.is_set}
    with _interrupts(stopped):
        for key, sweep in sweeps.items():
            with Bar(key, log=True) as bar:
                if flags.until_se is None:
                    ds = run(sweep, bar, folders[key], **how)
                else:
                    usable = numbers_of(sweep)
                    seen = value if value in usable else next(iter(usable), value)
                    ds = run_until(sweep, flags.until_se, seen, report=bar, store=folders[key], **how)
            found[key] = ds
            print(f"{sweep.trajectories:,} trajectories: {_spent(bar.new, bar.seconds)}")
            if stopped.is_set() or shard[1] > 1:
                done = f"{int(ds['done'].sum()):,} of {sweep.trajectories:,} trajectories are kept in {folders[key]}"
                if stopped.is_set():
                    whole = len(found) == len(sweeps) and all(bool(one["done"].all()) for one in found.values())
                    then = "that is all, and the same command" if whole else "the same command"
                    does = "draws it" if whole else "continues"
                    raise Stopped(f"{done}: {then}{' without --fresh' * flags.fresh} {does}.", 130)
                print(done)
    if shard[1] > 1 and not all(bool(ds["done"].all()) for ds in found.values()):
        raise Stopped("run the other shards; any command without --shard then draws.", 0)
    return found


def _spent(computed: int, seconds: float) -> str:
    from pt_jax.sweep.plan import rate_in_words

    if not computed:
        return "all known before"
    return f"{computed:,} computed in {seconds:.1f} s, {rate_in_words(computed / seconds)}, compilation included"


def read_shard(text: str) -> tuple[int, int]:
    """Read a shard, i/n."""
    i, _, n = text.partition("/")
    if not (i.isdecimal() and n.isdecimal() and int(i) < int(n)):
        raise ValueError(f"--shard = {text} is not accepted: use i/n with whole numbers 0 <= i < n.")
    return int(i), int(n)


def _ask(sweeps: Mapping[str, "Sweep"], folders: Mapping[str, Path], flags: Flags, shards: int) -> None:
    """Print the plan, or ask before a long run."""
    from pt_jax.app.progress import Bar
    from pt_jax.sweep.plan import in_words, plans, roughly

    # One after the other: each is traced for it, and most of what is long is so by the first.
    if not flags.plan and (flags.yes or all(done < _SHORT for done in accumulate(map(roughly, sweeps.values())))):
        return
    stores = {} if flags.fresh else folders
    with Bar("plan", log=True) as bar:
        found = plans(sweeps, stores, scattered=flags.until_se is not None, force=flags.force, report=bar)
    seconds = sum(one.seconds for one in found.values()) / shards
    if flags.plan:
        for key, one in found.items():
            print(f"{key}\n{one}" if len(found) > 1 else one)
        if len(found) > 1:
            print(f"{len(found)} sweeps, all together: {in_words(seconds)}")
        raise Stopped("", 0)
    if math.isnan(seconds):  # too few blocks to time one
        seconds = sum(map(roughly, sweeps.values())) / shards
    if seconds > _LONG:
        question = f"This will take about {in_words(seconds)}"
        if not sys.stdin.isatty():
            raise ValueError(f"{question}: add --yes, or --plan to see more.")
        if input(f"{question}. Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            raise Stopped("nothing was computed.", 0)


@contextmanager
def _interrupts(stopped: threading.Event) -> Iterator[None]:
    """Let Ctrl-C end after the unit in hand, and a second one at once."""

    def interrupt(*how: Any) -> None:
        if stopped.is_set() and callable(before):
            before(*how)
        stopped.set()
        print("finishing the unit in hand; Ctrl-C again ends at once", file=sys.stderr)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
