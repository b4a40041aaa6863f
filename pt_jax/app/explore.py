"""The command `pt-jax explore`: a page on which the maps of a folder are explored in a browser."""

from pathlib import Path
from typing import Annotated

import tyro

from pt_jax.app import draw, flags, show, startup

_EXAMPLES = """
  pt-jax explore results/demo                                        results/demo/explore.html
  pt-jax explore results/demo --value gain,error --theory --out maps.html"""


def run(args: list[str]) -> None:
    """Run the command with its arguments."""
    flags.parse(_explore, "explore", args, _EXAMPLES)


def _explore(
    folder: flags.Folder,
    /,
    value: Annotated[str | None, tyro.conf.arg(metavar="NAME,...")] = None,
    theory: flags.Switch = False,
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.html")] = None,
) -> None:
    """Write one file that shows every result over any two axes in a browser, without a network; needs plotly.

    Args:
        folder: written by pt-jax map or a script.
        value: results that it holds, as gain,error; by default all.
        theory: draw over maps of the gain where theory puts its boundary.
        out: the file; by default explore.html in the folder.
    """
    if theory:
        startup.set_up()
    from pt_jax.report.explore.page import explore

    ds, folder = show.opened(folder)
    values = None if value is None else [show.value_of(ds, name) for name in value.split(",")]
    lines = None
    if theory:
        draw.check_theory(ds["done"].ndim - 1, "gain" if "gain" in (values or ds) else "")
        from pt_jax.app import atlas

        lines = atlas.theory_of(ds)
    try:
        page = explore(ds, out or folder / "explore.html", values, lines)
    except ImportError as error:
        raise ValueError(str(error)) from None
    except OSError as error:
        raise ValueError(
            f"{error.filename} cannot be written ({error.strerror}): name another file with --out."
        ) from None
    if not bool((ds["done"] == 1).all()):
        print(f"{show.progress(ds)} are computed")
    print(f"page: {page}")
