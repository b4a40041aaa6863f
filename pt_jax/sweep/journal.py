"""One small file a run beside the store: who computed how much, from when to when, and whether it is still at work.

A run at work touches its file every few seconds. That is how a second writer is noticed where locks are not granted,
or not seen by another host. What cannot be read or written of this bookkeeping never stops a run.
"""

import contextlib
import datetime
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pt_jax.sweep.provenance import machine

_BEAT = 5.0  # seconds between two signs of life
_SILENT = 60.0  # seconds after which a run is taken for dead
_FORM: dict[str, Any] = {
    "start": str,
    "end": str,
    "shard": str,
    "device": str,
    "computed": int,
    "seconds": (int, float),
}


class Journal:
    """The file of this run, `DIR/runs/START-HOST-PID.json`."""

    def __init__(self, folder: Path, shard: tuple[int, int]):
        """Note the start; nothing is written before `at_work`."""
        self._start, start = time.monotonic(), now()
        name = f"{start.replace(':', '')}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:4]}.json"
        self._path = folder / "runs" / name
        self._record: dict[str, Any] = {"start": start, "shard": f"{shard[0]}/{shard[1]}", **machine()}
        self._record |= {"host": socket.gethostname(), "pid": os.getpid(), "computed": 0, "at_work": True}

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Show that this run is at work until the block is left; one that computed nothing leaves no file."""
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(ended,), daemon=True)
        self._write()
        beat.start()
        try:
            yield
        finally:
            ended.set()
            beat.join()
            self._record["at_work"] = False
            if not (self._record["computed"] and self._write()):
                with contextlib.suppress(OSError):
                    self._path.unlink()

    def note(self, computed: int) -> None:
        """Write how many trajectories are computed by now."""
        self._record["computed"] = computed
        self._write()

    @property
    def shard(self) -> str:
        """Which part of the units this run computes, i/n."""
        return self._record["shard"]

    def rival(self, alone: bool, say: Callable[[str], None]) -> dict[str, Any] | None:
        """Return the record of a run at work that must not write beside this one, None where there is none.

        One of another host may have died a moment ago, and its scheduler have started this one in its place: it is
        waited for until it shows a sign of life, or is taken for dead.

        Args:
            alone: whether no other run may write, not even another shard.
            say: told what is waited for, in words.
        """
        seen: dict[str, float] = {}
        while others := [one for one in self.others() if alone or one["shard"] in ("0/1", self.shard)]:
            for other in others:
                if other["host"] == socket.gethostname() or other["touched"] > seen.setdefault(
                    other["file"], other["touched"]
                ):
                    return other
            say(f"waiting for a run on {others[0]['host']}, silent for {others[0]['silent']:.0f} s")
            time.sleep(_BEAT / 5)
        return None

    def others(self) -> list[dict[str, Any]]:
        """Return the records of other runs that are at work on this store."""
        try:
            clock = self._path.stat().st_mtime  # that of the file system, not of this host
        except OSError:
            return []
        return [record for record in at_work(self._path.parent, clock) if record["file"] != str(self._path)]

    def forget_others(self) -> None:
        """Delete the records of all runs before."""
        for path, _ in _records(self._path.parent):
            if path != self._path:
                path.unlink(missing_ok=True)

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(_BEAT):
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def _write(self) -> bool:
        self._record |= {"end": now(), "seconds": round(time.monotonic() - self._start, 3)}
        beside = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            beside.write_text(json.dumps(self._record, indent=1) + "\n")
            beside.replace(self._path)
            return True
        return False


def at_work(folder: Path, clock: float) -> list[dict[str, Any]]:
    """Return the records in a folder of the runs that are at work: not ended, and silent for less than a minute."""
    found = []
    for path, record in _records(folder):
        with contextlib.suppress(OSError):
            touched = path.stat().st_mtime
            silent = max(0.0, clock - touched)
            if record.get("at_work") is True and silent < _SILENT and _lives(record):
                seen = {"file": str(path), "touched": touched, "silent": silent, "host": str(record.get("host"))}
                found.append(record | seen)
    return found


def runs(folder: Path) -> list[dict[str, Any]]:
    """Return the records of all runs into a store that can be read, in the order of their starts."""
    return [record for _, record in _records(folder / "runs")]


def spent(known: list[dict[str, Any]]) -> dict[str, Any]:
    """Return start, end and seconds of some runs, nothing where there are none."""
    if not known:
        return {}
    seconds = round(sum(one["seconds"] for one in known), 1)
    return {"start": known[0]["start"], "end": max(one["end"] for one in known), "seconds": seconds}


def now() -> str:
    """Return the time, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _records(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, RecursionError):
                record = json.loads(path.read_text())
                if isinstance(record, dict) and all(isinstance(record.get(k), kind) for k, kind in _FORM.items()):
                    yield path, record


def _lives(record: dict[str, Any]) -> bool:
    """Return whether the process of a record may live: on another host nobody knows."""
    if record.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(record["pid"]), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return True
    return True
