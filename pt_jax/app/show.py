"""The commands of `pt-jax` that only read a folder: show and plot; and the figure of a dataset."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    import xarray as xr

PLACES = ("x", "y", "col", "row")


def run(command: str, args: list[str]) -> None:
    """Run one command with its arguments."""
    tyro.cli({"show": _show, "plot": _plot}[command], prog=f"pt-jax {command}", args=args)


def _show(folder: tyro.conf.Positional[Path], /) -> None:
    """Tell what a folder holds: how much is done, the configuration and where it comes from; also while it is written.

    Args:
        folder: written by pt-jax map or a script.
    """
    from pt_jax.sweep.dataset import open_dataset
    from pt_jax.sweep.journal import runs
    from pt_jax.sweep.provenance import provenance
    from pt_jax.sweep.run import locked

    folder = folder.expanduser()
    ds = open_dataset(folder)
    print(f"{_progress(ds)}, {'being written' if locked(folder) else 'nobody writes'}")
    print("axes: " + ", ".join(f"{name} ({size})" for name, size in ds["done"].sizes.items()))
    for one in runs(folder):
        rate = one["computed"] / max(one["seconds"], 1e-9)
        print(
            f"run {one['start']} to {one['end']}, shard {one['shard']}, {one['device']}: "
            f"{one['computed']:,} computed, {rate:,.0f} a second, compilation included"
        )
    for name, value in provenance(ds).items():
        text = json.dumps(value)
        print(f"{name}: {text if len(text) < 200 else text[:200] + ' ...'}")


def _progress(ds: "xr.Dataset") -> str:
    """Say how much of a dataset is computed."""
    return f"{int((ds['done'] == 1).sum()):,} of {ds['done'].size:,} trajectories"


def _plot(
    folder: tyro.conf.Positional[Path],
    /,
    x: str | None = None,
    y: str | None = None,
    col: str | None = None,
    row: str | None = None,
    value: str = "gain",
    out: Path | None = None,
) -> None:
    """Draw a folder again, computing nothing.

    Args:
        folder: written by pt-jax map or a script.
        x: field along the plane, or a quantity derived from one axis.
        y: field up the plane.
        col: field of the panels side by side.
        row: field of the panels below each other.
        value: result that is drawn.
        out: folder of the figure and its numbers; by default the same.
    """
    from pt_jax.sweep.dataset import open_dataset

    folder = folder.expanduser()
    ds = open_dataset(folder)
    if value not in ds.data_vars:
        raise ValueError(f"--value = {value} is not accepted: use one of {', '.join(map(str, ds.data_vars))}.")
    given = {place: name for place, name in zip(PLACES, (x, y, col, row), strict=True) if name}
    usable = [str(c) for c in ds.coords if ds[c].ndim == 1 and c != "seed"]
    for name in given.values():
        if name not in usable:
            raise ValueError(f"{name!r} is not an axis of {folder}: use {', '.join(usable)}.")
        if list(given.values()).count(name) > 1:
            raise ValueError(f"{name!r} is given twice: use each of {', '.join(usable)} once.")
    place = folder if out is None else out.expanduser()
    try:
        place.mkdir(parents=True, exist_ok=True)
        picture = draw(ds, value, given, place)
    except OSError as error:
        raise ValueError(f"{place} cannot be written ({error.strerror}): name another folder with --out.") from None
    if picture is None:
        raise ValueError(f"{value} over {', '.join(map(str, ds[value].dims))} does not fit a figure.")
    print(f"figure: {picture}")


def draw(ds: "xr.Dataset", value: str, places: dict[str, str], folder: Path) -> Path | None:
    """Write the figure, the plotted numbers and where they come from; None where it has too many axes.

    They are called figure, or figure-VALUE where the result is not the gain. What is missing is said in the figure.
    """
    import matplotlib

    matplotlib.use("Agg")
    from pt_jax.report import plot
    from pt_jax.sweep import stats
    from pt_jax.sweep.provenance import provenance

    cells = stats.summary(ds, value)
    axes = [str(name) for name in cells["mean"].dims]
    taken = {ds[name].dims[0] for name in places.values()}
    free = [place for place in PLACES if place not in places]
    rest = [name for name in axes if name not in taken]
    if not 1 <= len(axes) <= len(PLACES) or ds[value].ndim > len(axes) + 1:
        return None
    places = places | dict(zip(free, rest, strict=False))
    if len(axes) > 1:
        figure = plot.phase_diagram(cells, value, **places)  # type: ignore[arg-type]
    else:
        paired = {"gain", "error", "error_scratch"} <= set(ds.data_vars) and value == "gain"
        (x,) = places.values()  # whatever place was asked for
        figure = plot.comparison(ds, x) if paired else plot.curve(ds, (value,), x)
    if not bool((ds["done"] == 1).all()):
        print(f"{_progress(ds)} are computed")
    path = folder / ("figure" if value == "gain" else f"figure-{value}")
    return plot.save(figure, path, cells, provenance(ds) | {"value": value})
