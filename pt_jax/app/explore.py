"""The command `pt-jax explore`: a page on which the maps of a folder are explored in a browser."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from pt_jax.app import draw, flags, show, startup

if TYPE_CHECKING:
    import xarray as xr

_EXAMPLES = """
  pt-jax explore results/demo                                        results/demo/explore.html
  pt-jax explore results/demo --value gain,error --theory --out maps.html
  pt-jax explore results/demo --serve                                live, while it is computed"""


def run(args: list[str]) -> None:
    """Run the command with its arguments."""
    flags.parse(_explore, "explore", args, _EXAMPLES)


def _explore(
    folder: flags.Folder,
    /,
    value: Annotated[str | None, tyro.conf.arg(metavar="NAME,...")] = None,
    theory: flags.Switch = False,
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.html")] = None,
    serve: flags.Switch = False,
    port: Annotated[int, tyro.conf.arg(metavar="INT")] = 0,
) -> None:
    """Write one file that shows every result over any two axes in a browser, without a network; needs plotly.

    With --serve no file is written: the page is shown live while the store is written, to this machine alone.

    Args:
        folder: written by pt-jax map or a script.
        value: results that it holds, as gain,error; by default all.
        theory: draw over maps of the gain where theory puts its boundary.
        out: the file; by default explore.html in the folder.
        serve: show the page at an address of this machine, until Ctrl-C; it is loaded again until all is computed.
        port: of that address; 0 takes a free one.
    """
    if serve and out is not None:
        raise ValueError("--out is not accepted with --serve, which writes no file: leave one of the two out.")
    if theory:
        startup.set_up()
    from pt_jax.report.explore import page

    ds, folder = show.opened(folder)
    values = None if value is None else [show.value_of(ds, name) for name in value.split(",")]
    lines = None
    if theory:
        draw.check_theory(ds["done"].ndim - 1, "gain" if "gain" in (values or ds) else "")
        from pt_jax.app import atlas

        lines = atlas.theory_of(ds)

    def live() -> tuple[str, bool]:
        now = show.opened(folder)[0]
        return page.page(now, values, lines), _lacks(now)

    try:
        if serve:
            return _serve(live, port)
        path = page.explore(ds, out or folder / "explore.html", values, lines)
    except ImportError as error:
        raise ValueError(str(error)) from None
    except OSError as error:
        raise ValueError(
            f"{error.filename} cannot be written ({error.strerror}): name another file with --out."
        ) from None
    if _lacks(ds):
        print(f"{show.progress(ds)} are computed")
    print(f"page: {path}")


def _lacks(ds: "xr.Dataset") -> bool:
    """Return whether a part of a dataset is not computed."""
    return not bool((ds["done"] == 1).all())


def _serve(live: Callable[[], tuple[str, bool]], port: int) -> None:
    """Serve a page until the process ends.

    Raises:
        ValueError: the port cannot be had, or there is no page.
    """
    from pt_jax.app.serve import serve

    live()  # what is wrong is said at once
    try:
        server = serve(live, port)
    except (OSError, OverflowError):
        raise ValueError(f"--port = {port} cannot be had: use another one, or leave it out.") from None
    print(f"http://127.0.0.1:{server.server_port}, until Ctrl-C", flush=True)
    server.serve_forever()
