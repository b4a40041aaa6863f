"""The commands of `pt-jax` that compute: map, rerun and advise.

Everything is checked before anything is written.
"""

import json
import math
import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from pt_jax.app import draw, flags, startup, study
from pt_jax.inputs.field import one_of
from pt_jax.inputs.reading import located
from pt_jax.signal_noise.fields import FIELDS, OPTIONS
from pt_jax.signal_noise.point import Point, Static, validate

if TYPE_CHECKING:
    import xarray as xr

    from pt_jax.sweep.grid import Sweep

_SOON = 10.0  # seconds; what takes longer is said
_MANY = 3  # programs; how to have one is said
_MAPS = """
  pt-jax map --x u=0:4:25 --y v2=0.5,1,2,4 --col alpha=0.25,0.5,1 --theory --out results/map
  pt-jax map --x sigma1,sigma2=0.1:10:9:log --seeds 64 --record 0 50 200 --until-se 0.005 --out results/noise"""
_RERUNS = """
  pt-jax rerun figures/phase_diagram.json --out results/again
  pt-jax rerun mine.toml --allow my_module --allow my_other_module --out results/mine"""
_ADVICE = """
  pt-jax advise --source source.npz --target target.npz --alpha 0.5
  pt-jax advise --u 2 --v2 1 --n1 200 --n2 40 --d 2000"""


def run(command: str, args: list[str]) -> None:
    """Run one command with its arguments."""
    if command == "map":
        _map(flags.parse(flags.options(), command, args, _MAPS, _map.__doc__))
    elif command == "rerun":
        _rerun(flags.parse(_Rerun, command, args, _RERUNS))
    else:
        _advise(flags.parse(flags.advice(), command, args, _ADVICE, _advise.__doc__))


def _map(options: Any) -> None:
    """Run a sweep over one, two or three axes and write figure, numbers and dataset into a folder.

    The same command again continues; more seeds or other values of the axes extend what is there.
    """
    given = _given(options)
    point = Point(**given)
    numbers = {name: flags.whole_numbers(name, getattr(options, name)) for name in flags.WHOLE_NUMBERS}
    static = Static(**{name: getattr(options, name) for name in OPTIONS} | numbers)
    validate(point)
    flags.check_seeds(options.seeds)
    axes = _axes(options, given, point, static)
    study.read_shard(options.shard)

    from pt_jax.report import plot
    from pt_jax.signal_noise.derived import DERIVED
    from pt_jax.signal_noise.trajectory import simulate
    from pt_jax.sweep.grid import Sweep
    from pt_jax.sweep.store import check_folder, folder_of

    folder = folder_of(options.out, "--out")
    if not (folder / "data.zarr").is_dir():  # a finished store need not be written
        check_folder(folder)
    startup.set_up()
    plot.check_panels(int(np.prod([len(values) for place, (_, values) in axes.items() if place in ("col", "row")])))
    if options.one_program:
        from pt_jax.app import atlas

        static = atlas.covering(point, dict(axes.values()), static)[1]
    sweep = Sweep(simulate, point, dict(axes.values()), options.seeds, None, static, derived=DERIVED)
    programs = math.prod(sweep.classes())
    if programs >= _MANY and not (folder / "data.zarr").is_dir():
        print(f"{programs} programs to compile, one for each size class; --one-program compiles one for the largest")
    if options.theory:
        from pt_jax.app import atlas
        from pt_jax.sweep.record import traced

        draw.check_theory(len(axes), options.value)
        traced(atlas.prediction(point, dict(axes.values()), static))  # refuses options that theory does not cover
    places = {place: names.split(",")[0] for place, (names, _) in axes.items()}
    _carry_out({"": sweep}, {"": folder}, options, options.value, places, options.theory)


def _axes(options: Any, given: Collection[str], point: Point, static: Static) -> dict[str, tuple[str, np.ndarray]]:
    """Return names and values of the axes by their place in the figure."""
    specs = {place: getattr(options, place) for place in draw.PLACES if getattr(options, place) is not None}
    if "x" not in specs:
        raise ValueError("--x is missing: give the first axis, as --x u=0:4:25.")
    if len(specs) > 3:
        raise ValueError(f"{len(specs)} axes are not accepted: give --x, and at most two of --y, --col and --row.")
    if len(specs) > 1 and "y" not in specs:
        raise ValueError("--col and --row need --x and --y.")
    axes = {place: flags.axis(spec, point, static) for place, spec in specs.items()}
    for names, _ in axes.values():
        for name in names.split(","):
            if name in given:
                raise ValueError(f"{name} is an axis and also given as --{name.replace('_', '-')}: give it once.")
    if len(dict(axes.values())) < len(axes):
        raise ValueError("Two axes have one name: name each field once.")
    return axes


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
    from pt_jax.sweep.store import folder_of

    if options.allow:
        sys.path.append(os.getcwd())  # the user's own module; last, so that it takes the place of none
    parts = record.read(located(options.file, "the JSON beside a figure, or a TOML"))
    value = options.value or next(iter(parts.values())).get("value") or "gain"
    out, sweeps = folder_of(options.out, "--out"), {}
    startup.set_up()
    for name, part in parts.items():
        sweeps[name] = record.restore(part | flags.axes(part), options.allow, DERIVED)
        _print_changes(part, sweeps[name])
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
    theory: bool = False,
) -> None:
    """Run sweeps into folders, draw each and print the short summary."""
    from pt_jax.sweep.record import traced
    from pt_jax.sweep.store import check_folder

    for name, sweep in sweeps.items():
        results = traced(sweep)
        if value not in results:
            raise ValueError(f"--value = {value} is not accepted: use {one_of(value, results)}.")
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
            path = folder / draw.name_of(value, {})
            picture = draw.draw(ds, value, places or {}, path, theory=theory)
        except OSError as error:  # all is computed and kept
            print(f"no figure: {folder} cannot be written ({error.strerror}): use pt-jax plot {folder} --out FOLDER")
            continue
        why = "too many axes" if ds[value].ndim > 1 else "no axis"
        print(
            f"figure: {picture}"
            if picture
            else f"no figure, {why}: pt-jax show {folder} --value {value} has the numbers"
        )


def _given(options: Any) -> dict[str, float]:
    """Return the fields of a point that were given."""
    return {name: getattr(options, name) for name in FIELDS if getattr(options, name) is not None}


def _advise(options: Any) -> None:
    """Say whether to inherit, how much, and how sure that is.

    Two samples give d, the sizes, norms, noise levels and, where the signal is free of noise, the flips; the other
    fields say how training is done. Without samples all fields are taken as given.
    """
    startup.set_up()
    from pt_jax.signal_noise.advise import SURE, advise, load, seconds
    from pt_jax.sweep.plan import in_words

    given = _given(options)
    validate(Point(**given))
    if seconds(Point(**given)) > _SOON:
        print(f"so many steps and filters take about {in_words(seconds(Point(**given)))}", file=sys.stderr)
    samples = [None if path is None else load(path) for path in (options.source, options.target)]
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
