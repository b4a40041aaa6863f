"""The command line `pt-jax`: its door, which loads a command only when it is asked for.

pt-jax map --x u=0:4:25 --y v2=0.5:5:25 --col alpha=0.25,0.5,1 --seeds 16 --out DIR
"""

import signal
import sys

from pt_jax import __version__

_COMMANDS = {
    "map": "run a sweep over one, two or three axes and draw it; the same command again continues",
    "show": "tell what a folder holds, also while it is written",
    "plot": "draw a folder again, computing nothing",
    "explore": "write a page on which the maps of a folder are explored in a browser",
    "rerun": "run again what the JSON beside a figure says, or a TOML of the same fields",
    "advise": "say whether to inherit, how much, and how sure that is, from two small samples or from measured norms",
}


def main(args: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0; 2 where the input is not accepted; 130 where interrupted."""
    given = sys.argv[1:] if args is None else args
    if args is None:  # the process is ours: Ctrl-C ends it, without a word until `exits` has one
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pt_jax.app.ending import exits

    try:
        with exits("pt-jax", alone=args is None):
            _run(given[0] if given else "", given[1:])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def _run(command: str, args: list[str]) -> None:
    if command in ("", "--help", "-h"):
        listed = "\n".join(f"{name:<7} {text}" for name, text in _COMMANDS.items())
        print(f"usage: pt-jax COMMAND [OPTIONS]\n\n{listed}\n\npt-jax COMMAND --help lists the options.")
        raise SystemExit(0 if command else 2)
    if command == "--version":
        print(f"pt_jax {__version__}")
        return
    if command not in _COMMANDS:
        from pt_jax.inputs.field import one_of

        raise ValueError(f"{command!r} is an unknown command: use {one_of(command, _COMMANDS)}.")
    if command == "show":
        from pt_jax.app import show

        show.run(args)
    elif command == "plot":
        from pt_jax.app import draw

        draw.run(args)
    elif command == "explore":
        from pt_jax.app import explore

        explore.run(args)
    else:
        from pt_jax.app import commands

        commands.run(command, args)
