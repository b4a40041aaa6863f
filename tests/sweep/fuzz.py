"""A small store, damaged file by file in every way, and all that reads it: works as before, or says one sentence.

python -m tests.sweep.fuzz      # every trial; the tests take a part of them
"""

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pt_jax.app.cli import main as command
from pt_jax.sweep import store
from pt_jax.sweep.plan import plan
from pt_jax.sweep.run import run
from tests.sweep.cases import throw_sweep

SWEEP = throw_sweep({"shift": [0.0, 1.0], "scale": [1.0, 2.0, 4.0]}, lanes=4, dims={"each": ("die",)})


def flip(at: float) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = bytearray(path.read_bytes())
        if data:
            data[int(at * (len(data) - 1))] ^= 0x11
            path.write_bytes(bytes(data))

    return spoil


def truncate(share: float) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)]) and None


def delete(path: Path) -> None:
    path.unlink()


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_text(path: Path) -> None:
    path.write_text("mine\n")


def as_link(target: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.unlink()
        path.symlink_to(path if target == "itself" else target)

    return spoil


def as_json(value: object) -> Callable[[Path], None]:
    """Put another value in the place of everything that a JSON file holds at its top."""

    def spoil(path: Path) -> None:
        try:
            record = json.loads(path.read_text())
        except ValueError:
            record = {}
        path.write_text(json.dumps(dict.fromkeys(record, value) if isinstance(record, dict) else value))

    return spoil


WAYS: dict[str, Callable[[Path], None]] = {
    **{f"flip at {at}": flip(at) for at in (0.0, 0.3, 0.6, 1.0)},
    **{f"truncate to {share}": truncate(share) for share in (0.0, 0.5)},
    "delete": delete,
    "a folder": as_folder,
    "text": as_text,
    "a link to nowhere": as_link("/nowhere/at/all"),
    "a link to itself": as_link("itself"),
    "null": as_json(None),
    "a list": as_json([]),
}


def make(folder: Path) -> Path:
    """Make the store that is damaged, in units of 8 trajectories."""
    store._UNIT = 8
    run(SWEEP, store=folder)
    return folder


def trials(whole: Path) -> Iterator[tuple[str, str]]:
    """Yield the file and the way of each trial."""
    for path in sorted(path for path in whole.rglob("*") if path.is_file()):
        for way in WAYS:
            yield str(path.relative_to(whole)), way


COMMANDS = ("show", "plot", "plan", "run", "more")


def trial(whole: Path, expected: np.ndarray, file: str, way: str, commands: tuple[str, ...] = COMMANDS) -> list[str]:
    """Damage one file of a copy and use it; return what each command said, raise where one fails in another way."""
    said = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in commands:
            folder = Path(scratch) / name
            shutil.copytree(whole, folder)
            WAYS[way](folder / file)
            said.append(f"{name}: {_use(name, folder, expected)}")
    return said


def _use(name: str, folder: Path, expected: np.ndarray) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if name in ("show", "plot"):
            code = command([name, str(folder), *(["--value", "total"] if name == "plot" else [])])
            assert code in (0, 2), code
            assert "Traceback" not in err.getvalue(), err.getvalue()
            return err.getvalue().strip() if code else "works"
        try:
            if name == "plan":
                plan(SWEEP, folder)
                return "works"
            sweep = (
                SWEEP
                if name == "run"
                else throw_sweep({"shift": [0.0, 1.0], "scale": [1.0, 2.0, 4.0]}, 5, lanes=4, dims={"each": ("die",)})
            )
            ds = run(sweep, store=folder)
        except (ValueError, OSError) as error:
            assert "\n" not in str(error) and len(str(error)) < 1000, error
            return str(error)
        np.testing.assert_array_equal(ds["total"].sel(seed=range(4)), expected)
        assert bool((ds["done"] == 1).all())
        return "works"


def everything() -> None:
    """Make all trials and print how many there were."""
    with tempfile.TemporaryDirectory() as folder:
        whole = make(Path(folder) / "whole")
        expected = run(SWEEP)["total"].values
        count = worked = 0
        for file, way in trials(whole):
            said = trial(whole, expected, file, way)
            count, worked = count + 1, worked + sum(text.endswith(": works") for text in said)
        print(
            f"{count} damages, {5 * count} commands: {worked} work, {5 * count - worked} say one sentence, no traceback"
        )


if __name__ == "__main__":
    everything()
