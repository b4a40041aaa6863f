"""The command `pt-jax plot`, and the figure of a dataset that every command writes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from pt_jax.app import flags, section, show, startup

if TYPE_CHECKING:
    import xarray as xr

PLACES = ("x", "y", "col", "row")
FORMATS = ("png", "svg", "pdf")
_EXAMPLES = """
  pt-jax plot results/demo --at v2=2 --value error --format svg      along u at one v2: figure-error-v2=2.svg
  pt-jax plot results/demo --theory --limits -0.1,0.1 --out paper.pdf"""


def run(args: list[str]) -> None:
    """Run the command with its arguments."""
    flags.parse(_plot, "plot", args, _EXAMPLES)


def _plot(
    folder: flags.Folder,
    /,
    x: flags.Name = None,
    y: flags.Name = None,
    col: flags.Name = None,
    row: flags.Name = None,
    value: flags.Name = None,
    at: flags.Place = None,
    limits: Annotated[str | None, tyro.conf.arg(metavar="LOW,HIGH")] = None,
    theory: flags.Switch = False,
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None,
    format: Annotated[str | None, tyro.conf.arg(metavar="png|svg|pdf")] = None,
) -> None:
    """Draw a folder again, computing nothing: a curve over one axis, a map over two, panels over three or four.

    Args:
        folder: written by pt-jax map or a script.
        x: field along the plane, or a quantity derived from one axis.
        y: field up the plane.
        col: field of the panels side by side.
        row: field of the panels below each other.
        value: result that is drawn; by default the gain, or the first result.
        at: cross-section, as v2=2 or alpha=0.5,v2=2, at the nearest computed values; the other axes are drawn.
        limits: of the colours, or of the result along a curve, as -0.1,0.1.
        theory: draw over a map of the gain where theory puts its boundary.
        out: folder of the figure and its numbers, by default the same; or a file in .png, .svg or .pdf.
        format: of the figure; by default that of --out, else png.
    """
    if theory:
        startup.set_up()
    ds, folder = show.opened(folder)
    value = show.value_of(ds, value)
    part, given = (ds, {}) if at is None else section.cut(ds, at)
    if part[value].dims == ("seed",):
        raise ValueError("There is no axis left to draw: name fewer with --at, or use pt-jax show for the numbers.")
    places = {place: name for place, name in zip(PLACES, (x, y, col, row), strict=True) if name}
    usable = section.axes(part)
    for name in places.values():
        if name not in usable:
            raise ValueError(f"{name!r} is not an axis of {folder}: use {', '.join(usable)}.")
        if list(places.values()).count(name) > 1:
            raise ValueError(f"{name!r} is given twice: use each of {', '.join(usable)} once.")
    path, form = _target(folder, out, format, value, given)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = draw(part, value, places, path, given, form, read_limits(limits), theory)
    except OSError as error:
        raise ValueError(
            f"{path.parent} cannot be written ({error.strerror}): name another folder with --out."
        ) from None
    if picture is None:
        raise ValueError(
            f"{value} over {', '.join(map(str, part[value].dims))} does not fit a figure: cut some with --at."
        )
    print(f"figure: {picture}")


def read_limits(text: str | None) -> tuple[float, float] | None:
    """Read the limits of colours or of an axis.

    Raises:
        ValueError: they are not two numbers in order.
    """
    if text is None:
        return None
    try:
        low, high = map(float, text.split(","))
        if low < high and abs(low) + abs(high) < float("inf"):
            return low, high
    except ValueError:
        pass
    raise ValueError(f"--limits {text} is not accepted: use LOW,HIGH with LOW below HIGH, as -0.1,0.1.")


def check_theory(axes: int, value: str) -> None:
    """Raise ValueError where there is no map of the gain to draw boundaries over."""
    if axes < 2 or value != "gain":
        raise ValueError("--theory draws boundaries over a map of the gain along two axes or more: leave it out here.")


def name_of(value: str, at: dict[str, float | str]) -> str:
    """Return what the figure of a result, and of a section, is called: figure, figure-error, figure-error-v2=2."""
    parts = [value] if value != "gain" else []
    places = [section.written({name: x}).replace(" ", "").replace("/", "_") for name, x in at.items()]
    return "-".join(["figure", *parts, *places])


def _target(
    folder: Path, out: Path | None, form: str | None, value: str, at: dict[str, float | str]
) -> tuple[Path, str]:
    """Return the path of the figure without its suffix, and its format."""
    from pt_jax.sweep.store import folder_of

    if form is not None and form not in FORMATS:
        raise ValueError(f"--format = {form} is not accepted: use {', '.join(FORMATS)}.")
    named = folder if out is None else folder_of(out, "--out")
    suffix = named.suffix[1:].lower()
    if suffix not in FORMATS or named.is_dir():
        return named / name_of(value, at), form or "png"
    if form not in (None, suffix):
        raise ValueError(f"--format = {form} is not accepted with --out {out}: leave one of the two out.")
    return named.with_suffix(""), suffix


def draw(
    ds: "xr.Dataset",
    value: str,
    places: dict[str, str],
    path: Path,
    at: dict[str, float | str] | None = None,
    form: str = "png",
    limits: tuple[float, float] | None = None,
    theory: bool = False,
) -> Path | None:
    """Write the figure, the plotted numbers and where they come from; None where it has too many axes.

    What is missing is said in the figure.

    Args:
        ds: result of a sweep, or a section of it.
        value: name of the result.
        places: x, y, col and row as far as they are asked for; the other axes follow.
        path: without suffix.
        at: where the section is.
        form: one of `FORMATS`.
        limits: of the colours, or of the result along a curve.
        theory: whether to draw the boundaries of theory over a map of the gain.

    Raises:
        ValueError: there is no theory for this dataset.
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
    if not 1 <= len(axes) <= len(PLACES):
        return None
    if theory:
        check_theory(len(axes), value)
    places = places | dict(zip(free, rest, strict=False))
    if len(axes) > 1:
        lines = None
        if theory:
            from pt_jax.app import atlas

            lines = atlas.theory_of(ds)
        figure = plot.phase_diagram(cells, value, **places, lines=lines, limits=limits)  # type: ignore[arg-type]
    else:
        paired = {"gain", "error", "error_scratch"} <= set(ds.data_vars) and value == "gain"
        (x,) = places.values()  # whatever place was asked for
        figure = plot.comparison(ds, x, limits=limits) if paired else plot.curve(ds, (value,), x, limits=limits)
    if at:
        symbols = {str(ds[name].attrs.get("symbol", name)): x for name, x in at.items()}
        figure.suptitle(section.written(symbols), fontsize="medium")
    if not bool((ds["done"] == 1).all()):
        print(f"{show.progress(ds)} are computed")
    origin = provenance(ds) | {"value": value} | ({"at": at} if at else {})
    return plot.save(figure, path, cells, origin, form)
