"""The commands of `pt-jax` that compute: map, rerun and advise.

Everything is checked before anything is written.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from pt_jax.app import flags, show, startup, study
from pt_jax.signal_noise.point import FIELDS, OPTIONS, Point, Static

if TYPE_CHECKING:
    import xarray as xr

    from pt_jax.sweep.grid import Sweep


def run(command: str, args: list[str]) -> None:
    """Run one command with its arguments."""
    prog = f"pt-jax {command}"
    if command == "map":
        _map(tyro.cli(flags.options(), prog=prog, description=_map.__doc__, args=args))
    elif command == "rerun":
        _rerun(tyro.cli(_Rerun, prog=prog, args=args))
    else:
        _advise(tyro.cli(flags.advice(), prog=prog, description=_advise.__doc__, args=args))


def _map(options: Any) -> None:
    """Run a sweep over one, two or three axes and write figure, numbers and dataset into a folder.

    The same command again continues; more seeds or other values of the axes extend what is there.
    """
    given = _given(options)
    point = Point(**given)
    static = Static(**{name: getattr(options, name) for name in OPTIONS} | {"record": flags.steps(options.record)})
    static.validate(point)
    flags.check_seeds(options.seeds)
    specs = {place: getattr(options, place) for place in show.PLACES if getattr(options, place) is not None}
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
    folder = Path(options.out).expanduser()

    from pt_jax.report import plot
    from pt_jax.signal_noise.derived import DERIVED
    from pt_jax.signal_noise.trajectory import simulate
    from pt_jax.sweep.grid import Sweep
    from pt_jax.sweep.store import check_folder

    if not (folder / "data.zarr").is_dir():  # a finished store need not be written
        check_folder(folder)
    startup.set_up()
    plot.check_panels(int(np.prod([len(values) for place, (_, values) in axes.items() if place in ("col", "row")])))
    sweep = Sweep(simulate, point, grid, options.seeds, None, static, derived=DERIVED)
    places = {place: names.split(",")[0] for place, (names, _) in axes.items()}
    _carry_out({"": sweep}, {"": folder}, options, options.value, places)


@dataclass(kw_only=True)
class _Rerun(study.Flags):
    """Run again what a file says: the JSON beside a figure, or a TOML of the same fields, of which only axes must be.

    Attributes:
        file: JSON or TOML.
        out: Folder for the figure and the dataset; a run in it is continued.
        value: Result that is drawn; by default the one that the file shows, else gain.
        allow: Module of yours from which the file may name function, point and static; may be given several times.
    """

    file: tyro.conf.Positional[Path]
    out: Path
    value: str | None = None
    allow: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="MODULE")] = ()


def _rerun(options: _Rerun) -> None:
    """Run the sweeps of a file, all of which are checked first."""
    from pt_jax.signal_noise.derived import DERIVED
    from pt_jax.sweep import record

    if options.allow:
        sys.path.append(os.getcwd())  # the user's own module; last, so that it takes the place of none
    parts = record.read(options.file.expanduser())
    value = options.value or next(iter(parts.values())).get("value") or "gain"
    startup.set_up()
    sweeps = {}
    for name, part in parts.items():
        sweeps[name] = record.restore(part | flags.axes(part), options.allow, DERIVED)
        _print_changes(part, sweeps[name])
    out = options.out.expanduser()
    _carry_out(sweeps, {name: out / name for name in sweeps}, options, value)


def _print_changes(part: dict[str, Any], sweep: "Sweep") -> None:
    """Print what has changed since the file was written."""
    from pt_jax.sweep.provenance import describe, machine

    now = json.loads(json.dumps(describe(sweep) | machine()))
    for key in ("source", "versions", "float", "matmul_precision"):
        if part.get(key, now[key]) != now[key]:
            print(f"{key} differs: {json.dumps(part[key])[:500]} in the file, {now[key]} here")


def _carry_out(
    sweeps: dict[str, "Sweep"],
    folders: dict[str, Path],
    how: study.Flags,
    value: str,
    places: dict[str, str] | None = None,
) -> None:
    """Run sweeps into folders, draw each and print the short summary."""
    from pt_jax.sweep.record import traced
    from pt_jax.sweep.store import check_folder

    for name, sweep in sweeps.items():
        results = traced(sweep)
        if value not in results:
            raise ValueError(f"--value = {value} is not accepted: use one of {', '.join(results)}.")
        if not (folders[name] / "data.zarr").is_dir():
            check_folder(folders[name])
    shown = {name: name or folder.name for name, folder in folders.items()}
    found = study.carry_out(
        {shown[name]: sweep for name, sweep in sweeps.items()},
        {shown[name]: folder for name, folder in folders.items()},
        how,
        value,
    )
    for name, folder in folders.items():
        ds = found[shown[name]]
        _report(ds, value)
        try:
            picture = show.draw(ds, value, places or {}, folder)
        except OSError as error:  # all is computed and kept
            print(f"no figure: {folder} cannot be written ({error.strerror}): use pt-jax plot {folder} --out FOLDER")
            continue
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
    samples = [None if path is None else load(os.path.expanduser(path)) for path in (options.source, options.target)]
    said = advise(Point(**given), *samples)
    at = said.point
    sizes = f"|u| = {at.u:.3g}, |v1| = {at.v1:.3g}, |v2| = {at.v2:.3g}, angle {at.angle:.0f}, sigma1 = {at.sigma1:.3g}"
    print(f"{'given' if samples[0] is None else 'estimated'}: {sizes}, sigma2 = {at.sigma2:.3g}, d = {at.d:g}")
    if said.positive is not None:
        print(f"the label {said.positive} counts as +1 in both samples")
    print(f"{said.verdict}: at alpha = {at.alpha:g} transfer helps with probability {said.certainty:.2f}")
    print(f"expected gain {said.gain:+.4f}; the best alpha is {said.best_alpha:g}, expected gain {said.best_gain:+.4f}")
    if said.verdict == "undecided":
        print(f"neither answer reaches a probability of {SURE:g}: more samples would help, or the gain is close to 0")
    if not said.in_regime:
        print("outside the regime of the theory (d at least 10 times the samples, 10 filters): take it as a guess")


def _report(ds: "xr.Dataset", value: str) -> None:
    """Print the short summary."""
    from pt_jax.sweep import stats

    if value == "gain":
        share = stats.shares(stats.summary(ds, value))
        print(
            f"transfer helps in {share['helps']:.0%} of the cells, hurts in {share['hurts']:.0%}, "
            f"unclear in {share['unclear']:.0%} (paired 95% interval over {ds.sizes['seed']} seeds)"
        )
        fdr = f"helps in {share['helps_fdr']:.0%}, hurts in {share['hurts_fdr']:.0%}"
        print(f"after false-discovery control at 5%: {fdr}")
        if share["diverged"]:
            print(f"diverged in {share['diverged']:.0%} of the cells: these have no mean and are crossed out")
