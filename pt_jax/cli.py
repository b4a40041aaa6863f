"""The command line `pt-jax`.

    pt-jax map --x u=0:4:25 --y v2=0.5:5:25 --col alpha=0.25,0.5,1 --seeds 16 --out DIR

Everything is checked before anything is written.
"""

import json
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

from pt_jax import flags, startup, study
from pt_jax.signal_noise.point import FIELDS, OPTIONS, Point, Static

if TYPE_CHECKING:
    import xarray as xr

_COMMANDS = """map    run a sweep over one, two or three axes and draw it; the same command again continues
show   tell what a folder holds, also while it is written
plot   draw a folder again, computing nothing
rerun  run again what the JSON beside a figure says, or a TOML of the same fields
advise say whether to inherit, how much, and how sure that is, from two small samples or from measured norms"""
_PLACES = ("x", "y", "col", "row")


def main(args: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0; 2 where the input is not accepted; 130 where interrupted."""
    args = sys.argv[1:] if args is None else args
    command = args[0] if args else ""
    if command not in ("map", "show", "plot", "rerun", "advise"):
        print(f"usage: pt-jax COMMAND [OPTIONS]\n\n{_COMMANDS}\n\npt-jax COMMAND --help lists the options.")
        return 0 if command in ("--help", "-h") else 2
    try:
        with study.exits("pt-jax"):
            if command == "map":
                _map(tyro.cli(flags.options(), prog="pt-jax map", description=_map.__doc__, args=args[1:]))
            elif command == "advise":
                _advise(tyro.cli(flags.advice(), prog="pt-jax advise", description=_advise.__doc__, args=args[1:]))
            elif command == "rerun":
                _rerun(tyro.cli(_Rerun, prog="pt-jax rerun", args=args[1:]))
            else:
                tyro.cli({"show": _show, "plot": _plot}[command], prog=f"pt-jax {command}", args=args[1:])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def _map(options: Any) -> None:
    """Run a sweep over one, two or three axes and write figure, numbers and dataset into a folder.

    The same command again continues; more seeds or other values of the axes extend what is there.
    """
    given = _given(options)
    point = Point(**given)
    static = Static(**{name: getattr(options, name) for name in OPTIONS})
    static.validate(point)
    specs = {place: getattr(options, place) for place in _PLACES if getattr(options, place) is not None}
    if "x" not in specs or len(specs) > 3:
        raise ValueError(f"{len(specs)} axes are not accepted: give --x, and at most two of --y, --col and --row.")
    if len(specs) > 1 and "y" not in specs:
        raise ValueError("--col and --row need --x and --y.")
    axes = {place: flags.axis(spec, point, static) for place, spec in specs.items()}
    for names, _ in axes.values():
        for name in names.split(","):
            if name in given:
                raise ValueError(f"{name} is an axis and also given as --{name.replace('_', '-')}: give it once.")
    grid = dict(axes.values())
    if len(grid) < len(axes):
        raise ValueError("Two axes have one name: name each field once.")
    study.read_shard(options.shard)
    folder = Path(options.out)

    import pt_jax
    from pt_jax.sweep.store import check_folder

    check_folder(folder)
    startup.set_up()
    pt_jax.plot.check_panels(
        int(np.prod([len(values) for place, (_, values) in axes.items() if place in ("col", "row")]))
    )
    sweep = pt_jax.Sweep(pt_jax.simulate, point, grid, options.seeds, None, static, derived=pt_jax.DERIVED)
    _carry_out(
        sweep, folder, options, options.value, {place: names.split(",")[0] for place, (names, _) in axes.items()}
    )


@dataclass(kw_only=True)
class _Rerun(study.Flags):
    """Run again what a file says: the JSON beside a figure, or a TOML of the same fields, of which only axes must be.

    Attributes:
        file: JSON or TOML.
        out: Folder for the figure and the dataset; a run in it is continued.
        value: Result that is drawn.
    """

    file: tyro.conf.Positional[Path]
    out: Path
    value: str = "gain"


def _rerun(options: _Rerun) -> None:
    """Run the sweeps of a file."""
    import pt_jax
    from pt_jax.sweep.provenance import describe, machine, restore

    try:
        text = options.file.read_text()
        record = tomllib.loads(text) if options.file.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise ValueError(f"{options.file} is not accepted: {error}.") from None
    if not isinstance(record, dict) or not record:
        raise ValueError(f"{options.file} is not accepted: it holds no fields.")
    startup.set_up()
    one = "axes" in record or not all(isinstance(part, dict) for part in record.values())
    for name, part in ({"": record} if one else record).items():  # a figure of several sweeps names each
        if isinstance(part.get("axes"), dict):
            part["axes"] = {
                key: flags.numbers(f"{key}={v}") if isinstance(v, str) else v for key, v in part["axes"].items()
            }
        sweep = restore(part)
        derived = {key: pt_jax.DERIVED[key] for key in part.get("derived", ()) if key in pt_jax.DERIVED}
        sweep = replace(sweep, derived=derived)
        now = json.loads(json.dumps(describe(sweep) | machine()))
        for key in ("source", "versions", "float", "matmul_precision"):
            if part.get(key, now[key]) != now[key]:
                print(f"{key} differs: {part[key]} in the file, {now[key]} here")
        _carry_out(sweep, options.out / name, options, options.value)


def _carry_out(sweep: Any, folder: Path, how: study.Flags, value: str, places: dict[str, str] | None = None) -> None:
    """Run a sweep into a folder, draw it and print the short summary."""
    results = sweep.results(sweep.static)
    if value not in results:
        raise ValueError(f"--value = {value} is not accepted: use one of {', '.join(results)}.")
    ds = study.carry_out({folder.name: sweep}, {folder.name: folder}, how, value)[folder.name]
    _report(ds, value)
    picture = _draw(ds, value, places or {}, folder)
    print(f"figure: {picture}" if picture else "no figure: too many axes")


def _given(options: Any) -> dict[str, float]:
    """Return the fields of a point that were given."""
    return {name: getattr(options, name) for name in FIELDS if getattr(options, name) is not None}


def _advise(options: Any) -> None:
    """Say whether to inherit, how much, and how sure that is.

    Two samples give d, the sizes, norms, noise levels and, where the signal is free of noise, the flips; the other
    fields say how training is done. Without samples all fields are taken as given.
    """
    startup.set_up()
    from pt_jax.signal_noise.advise import SURE, advise, load

    given = _given(options)
    samples = [None if path is None else load(path) for path in (options.source, options.target)]
    said = advise(Point(**given), *samples)
    at = said.point
    sizes = f"|u| = {at.u:.3g}, |v1| = {at.v1:.3g}, |v2| = {at.v2:.3g}, angle {at.angle:.0f}, sigma1 = {at.sigma1:.3g}"
    print(f"{'given' if samples[0] is None else 'estimated'}: {sizes}, sigma2 = {at.sigma2:.3g}, d = {at.d:g}")
    print(f"{said.verdict}: at alpha = {at.alpha:g} transfer helps with probability {said.certainty:.2f}")
    print(f"expected gain {said.gain:+.4f}; the best alpha is {said.best_alpha:g}, expected gain {said.best_gain:+.4f}")
    if said.verdict == "undecided":
        print(f"neither answer reaches a probability of {SURE:g}: more samples would help, or the gain is close to 0")
    if not said.in_regime:
        print("outside the regime of the theory (d at least 10 times the samples, 10 filters): take it as a guess")


def _show(folder: tyro.conf.Positional[Path], /) -> None:
    """Tell what a folder holds: how much is done, the configuration and where it comes from; also while it is written.

    Args:
        folder: written by pt-jax map or a script.
    """
    import pt_jax
    from pt_jax.sweep.dataset import open_dataset
    from pt_jax.sweep.journal import runs
    from pt_jax.sweep.run import locked

    ds = open_dataset(folder)
    done, total = int(ds["done"].sum()), ds["done"].size
    print(f"{done:,} of {total:,} trajectories, {'being written' if locked(folder) else 'nobody writes'}")
    print("axes: " + ", ".join(f"{name} ({size})" for name, size in ds["done"].sizes.items()))
    for one in runs(folder):
        rate = one["computed"] / max(one["seconds"], 1e-9)
        print(
            f"run {one['start']} to {one['end']}, shard {one['shard']}, {one['device']}: "
            f"{one['computed']:,} computed, {rate:,.0f} a second, compilation included"
        )
    for name, value in pt_jax.provenance(ds).items():
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
        folder: written by pt-jax map or a script.
        x: field along the plane, or a quantity derived from one axis.
        y: field up the plane.
        col: field of the panels side by side.
        row: field of the panels below each other.
        value: result that is drawn.
    """
    from pt_jax.sweep.dataset import open_dataset

    ds = open_dataset(folder)
    if value not in ds.data_vars:
        raise ValueError(f"--value = {value} is not accepted: use one of {', '.join(map(str, ds.data_vars))}.")
    given = {place: name for place, name in zip(_PLACES, (x, y, col, row), strict=True) if name}
    for name in given.values():
        if name not in ds.coords or ds[name].ndim != 1 or name == "seed":
            usable = [str(c) for c in ds.coords if ds[c].ndim == 1 and c != "seed"]
            raise ValueError(f"{name!r} is not an axis of {folder}: use {', '.join(usable)}.")
    picture = _draw(ds, value, given, folder)
    if picture is None:
        raise ValueError(f"{value} over {', '.join(map(str, ds[value].dims))} does not fit a figure.")
    print(f"figure: {picture}")


def _draw(ds: "xr.Dataset", value: str, places: dict[str, str], folder: Path) -> Path | None:
    """Write the figure, the plotted numbers and where they come from; None where it has too many axes."""
    import matplotlib

    matplotlib.use("Agg")
    import pt_jax

    cells = pt_jax.stats.summary(ds, value)
    axes = [str(name) for name in cells["mean"].dims]
    taken = {ds[name].dims[0] for name in places.values()}
    free = [place for place in _PLACES if place not in places]
    rest = [name for name in axes if name not in taken]
    if not 1 <= len(axes) <= len(_PLACES) or ds[value].ndim > len(axes) + 1:
        return None
    places = places | dict(zip(free, rest, strict=False))
    if len(axes) > 1:
        figure = pt_jax.plot.phase_diagram(cells, value, **places)  # type: ignore[arg-type]
    else:
        paired = {"gain", "error", "error_scratch"} <= set(ds.data_vars) and value == "gain"
        (x,) = places.values()  # whatever place was asked for
        figure = pt_jax.plot.comparison(ds, x) if paired else pt_jax.plot.curve(ds, (value,), x)
    return pt_jax.plot.save(figure, folder / "figure", cells, pt_jax.provenance(ds))


def _report(ds: "xr.Dataset", value: str) -> None:
    """Print the short summary."""
    import pt_jax

    if value == "gain":
        share = pt_jax.stats.shares(pt_jax.stats.summary(ds, value))
        print(
            f"transfer helps in {share['helps']:.0%} of the cells, hurts in {share['hurts']:.0%}, "
            f"unclear in {share['unclear']:.0%} (paired 95% interval over {ds.sizes['seed']} seeds)"
        )
        fdr = f"helps in {share['helps_fdr']:.0%}, hurts in {share['hurts_fdr']:.0%}"
        print(f"after false-discovery control at 5%: {fdr}")
        if share["diverged"]:
            print(f"diverged in {share['diverged']:.0%} of the cells: these have no mean and are crossed out")
