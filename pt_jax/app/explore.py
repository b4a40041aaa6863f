"""The command `pt-jax explore`: a page on which the maps of a folder are explored in a browser."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from pt_jax.app import draw, flags, show, startup

if TYPE_CHECKING:
    import xarray as xr

    from pt_jax.app import predicting
    from pt_jax.app.serve import Answers, Pages

_EXAMPLES = """
  pt-jax explore results/demo                                        results/demo/explore.html
  pt-jax explore results/demo results/other                          both, with linked maps
  pt-jax explore results/demo --value gain,error --theory --out maps.html
  pt-jax explore results/demo --serve                                live, while it is computed
  pt-jax explore --theory                                            any map as theory predicts it, without a run"""


def run(args: list[str]) -> None:
    """Run the command with its arguments."""
    flags.parse(_explore, "explore", args, _EXAMPLES)


def _explore(
    folder: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[DIR]")] = None,
    beside: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[OTHER]")] = None,
    /,
    value: Annotated[str | None, tyro.conf.arg(metavar="NAME,...")] = None,
    theory: flags.Switch = False,
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None,
    serve: flags.Switch = False,
    port: Annotated[int, tyro.conf.arg(metavar="INT")] = 0,
) -> None:
    """Write one file that shows every result over any two axes in a browser, without a network; needs plotly.

    With --serve no file is written: the page is shown live while the store is written, to this machine alone. With
    --theory and no folder the page shows, in the same way, any map as theory predicts it, and simulates it if asked to.

    Args:
        folder: written by pt-jax map or a script.
        beside: another one, whose results can be shown beside; linked along axes of one name, at the nearest values.
        value: results that are shown, as gain,error; by default all.
        theory: draw over maps of the gain where theory puts its boundary; without a folder, maps of theory alone.
        out: the file; by default explore.html in the folder. Without a folder, where maps are simulated into, by
            default results/explore.
        serve: show the page at an address of this machine, until Ctrl-C; it is loaded again until all is computed.
        port: of that address; 0 takes a free one.
    """
    if folder is None:
        maps = _predicted(theory, value, out)
        return _serve(maps.pages, port, maps.answers)
    if serve and out is not None:
        raise ValueError("--out is not accepted with --serve, which writes no file: leave one of the two out.")
    if theory:
        startup.set_up()
    from pt_jax.report.explorer import page

    def others() -> dict[str, "xr.Dataset"]:
        return {} if beside is None else {there.resolve().name: ds for ds, there in [show.opened(beside)]}

    ds, folder = show.opened(folder)
    values = None if value is None else [show.value_of(ds, name) for name in value.split(",")]
    lines = None
    if theory:
        draw.check_theory(ds["done"].ndim - 1, "gain" if "gain" in (values or ds) else "")
        from pt_jax.app import atlas

        lines = atlas.theory_of(ds)

    def live() -> tuple[str, bool]:
        now, also = show.opened(folder)[0], others()
        note = f"{show.progress(now)} are computed" if _lacks(now) else ""
        return page.page(now, values, lines, also, {"note": note}), any(map(_lacks, (now, *also.values())))

    try:
        if serve:
            return _serve({"/": live}, port)
        path = page.explore(ds, out or folder / "explore.html", values, lines, others())
    except ImportError as error:
        raise ValueError(str(error)) from None
    except OSError as error:
        raise ValueError(
            f"{error.filename} cannot be written ({error.strerror}): name another file with --out."
        ) from None
    if _lacks(ds):
        print(f"{show.progress(ds)} are computed")
    print(f"page: {path}")


def _predicted(theory: bool, value: str | None, out: Path | None) -> "predicting.Maps":
    """Return the page of maps that theory predicts, without a folder.

    Raises:
        ValueError: a folder is missing, or a result is named.
    """
    if not theory:
        raise ValueError("A folder is missing: give one, or --theory alone for maps that theory predicts.")
    if value is not None:
        raise ValueError("--value is not accepted without a folder: leave it out.")
    print("compiling the prediction: the address follows", file=sys.stderr, flush=True)
    startup.set_up()
    from pt_jax.app import predicting

    return predicting.Maps(out or Path("results/explore"))


def _lacks(ds: "xr.Dataset") -> bool:
    """Return whether a part of a dataset is not computed."""
    return not bool((ds["done"] == 1).all())


def _serve(pages: "Pages", port: int, answers: "Answers | None" = None) -> None:
    """Serve pages until the process ends.

    Raises:
        ValueError: the port cannot be had, or there is no page.
    """
    from pt_jax.app.serve import serve

    try:
        pages["/"]()  # what is wrong is said at once
    except ImportError as error:
        raise ValueError(str(error)) from None
    try:
        server = serve(pages, port, answers)
    except OverflowError:
        raise ValueError(f"--port = {port} is not accepted: use one from 0 to 65535, or leave it out.") from None
    except OSError:
        raise ValueError(f"--port = {port} cannot be had: use another one, or leave it out.") from None
    print(f"http://127.0.0.1:{server.server_port}, until Ctrl-C", flush=True)
    server.serve_forever()
