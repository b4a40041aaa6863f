"""One small file a run beside the store: who computed how much, from when to when; replaced as a whole at each unit."""

import datetime
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from pt_jax.sweep.provenance import machine


class Journal:
    """The file of this run, `DIR/runs/START-HOST-PID.json`."""

    def __init__(self, folder: Path, shard: tuple[int, int]):
        """Note the start; nothing is written before the first `note`."""
        self._start, start = time.monotonic(), now()
        self._path = folder / "runs" / f"{start.replace(':', '')}-{socket.gethostname()}-{os.getpid()}.json"
        self._record: dict[str, Any] = {"start": start, "shard": f"{shard[0]}/{shard[1]}", **machine()}

    def note(self, computed: int) -> None:
        """Write how many trajectories are computed by now."""
        self._record |= {"end": now(), "computed": computed, "seconds": round(time.monotonic() - self._start, 3)}
        self._path.parent.mkdir(exist_ok=True)
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(self._record, indent=1) + "\n")
        beside.replace(self._path)


def runs(folder: Path) -> list[dict[str, Any]]:
    """Return the records of all runs into a store, in the order of their starts."""
    return [json.loads(path.read_text()) for path in sorted((folder / "runs").glob("*.json"))]


def spent(known: list[dict[str, Any]]) -> dict[str, Any]:
    """Return start, end and seconds of some runs, nothing where there are none."""
    if not known:
        return {}
    seconds = round(sum(one["seconds"] for one in known), 1)
    return {"start": known[0]["start"], "end": max(one["end"] for one in known), "seconds": seconds}


def now() -> str:
    """Return the time, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
