"""Two writers, and a store that is replaced under a run."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pt_jax.sweep import journal, locks, store
from pt_jax.sweep.dataset import load
from pt_jax.sweep.run import locked, run
from tests.sweep.cases import Dice, throw_sweep
from tests.sweep.stores import AXES, SWEEP, counted, in_memory, small_units, stored  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]

REPLACED = {
    "moved and made again": lambda folder, other: (folder.rename(folder.parent / "away"), other(folder)),
    "deleted and made again": lambda folder, other: (shutil.rmtree(folder), other(folder)),
    "deleted": lambda folder, other: shutil.rmtree(folder),
    "data.zarr deleted": lambda folder, other: shutil.rmtree(folder / "data.zarr"),
}


@pytest.mark.parametrize("name", REPLACED)
def test_a_run_writes_only_into_the_store_that_it_has_opened(tmp_path, name):
    other = throw_sweep(AXES, lanes=4)
    other = replace(other, point=Dice(share=1.0))
    truth = run(other)

    def report(done, total, unit, units):
        if unit == 2 and not replaced:
            replaced.append(True)
            REPLACED[name](tmp_path / "store", lambda folder: run(other, store=folder))

    replaced = []
    with pytest.raises(OSError, match="was deleted, moved or made again while this run was going on"):
        run(SWEEP, report, store=tmp_path / "store")
    if "made again" in name:
        assert load(tmp_path / "store").equals(truth)


def test_a_second_writer_is_refused_where_locks_are_not_granted(tmp_path, monkeypatch, whole):
    def not_granted(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", not_granted)

    def report(done, total, unit, units):
        if unit == 1 and not said:
            assert locked(tmp_path)
            for sweep, options in ((SWEEP, {}), (replace(SWEEP, seeds=9), {}), (SWEEP, {"shard": (0, 2)})):
                with pytest.raises(ValueError, match=r"being written by another process: .* showed a sign of life"):
                    run(sweep, store=tmp_path, **options)
            said.append(True)

    said = []
    assert run(SWEEP, report, store=tmp_path).equals(whole) and said
    assert not locked(tmp_path)
    parts = [counted(replace(SWEEP, seeds=8), tmp_path)[1]]
    assert parts == [32]


def test_shards_do_not_refuse_each_other_where_locks_are_not_granted(tmp_path, monkeypatch, whole):
    monkeypatch.setattr(locks.fcntl, "flock", lambda *_: None)

    def report(done, total, unit, units):
        if not inside:
            inside.append(counted(SWEEP, tmp_path, shard=(1, 2))[1])

    inside = []
    run(SWEEP, report, store=tmp_path, shard=(0, 2))
    ds, computed = counted(SWEEP, tmp_path)
    assert inside == [16] and computed == 0 and ds.equals(whole)


def test_what_another_shard_writes_while_a_store_is_read_through_is_kept(folder, monkeypatch):
    kept = store.load(SWEEP, folder)
    unit = next(kept.units())
    kept.arrays["done"][unit] = 0
    read = kept.read

    def read_and_write(unit):
        found = read(unit)
        kept.arrays["done"][unit] = 1  # of another process, meanwhile
        return found

    monkeypatch.setattr(kept, "read", read_and_write)
    kept.repair(unit)
    assert kept.done(unit).all()


@pytest.mark.filterwarnings("default")  # threads stand for processes, and share the filters that the store sets
def test_shards_that_start_together_where_locks_are_not_granted_make_one_store(tmp_path, monkeypatch, whole):
    monkeypatch.setattr(locks.fcntl, "flock", lambda *_: None)
    for round_number in range(3):
        folder = tmp_path / str(round_number)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda i, folder=folder: run(SWEEP, store=folder, shard=(i, 3)), range(3)))
        ds, computed = counted(SWEEP, folder)
        assert computed == 0 and ds.equals(whole)


@pytest.mark.filterwarnings("default")
def test_shards_that_start_together_wait_for_the_one_that_makes_the_store(tmp_path, monkeypatch, whole):
    def slow(function, seconds):
        return lambda *args, **options: (time.sleep(seconds), function(*args, **options))

    monkeypatch.setattr(store, "prepare", slow(store.prepare, 1.2))  # longer than a second writer is waited for
    monkeypatch.setattr(store, "check_same", slow(store.check_same, 0.1))
    with ThreadPoolExecutor(3) as threads:
        parts = list(threads.map(lambda i: run(SWEEP, store=tmp_path, shard=(i, 3)), range(3)))
    assert len(parts) == 3 and load(tmp_path).equals(whole)


def test_a_run_that_died_or_is_silent_does_not_stop_the_next(folder, monkeypatch):
    (mine,) = (folder / "runs").glob("*.json")
    record = json.loads(mine.read_text()) | {"at_work": True}
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine.write_text(json.dumps(record | {"pid": dead.pid}))
    assert counted(SWEEP, folder)[1] == 0  # a process of this host that is no more
    mine.write_text(json.dumps(record | {"host": "elsewhere"}))
    os.utime(mine, (time.time() - 3600,) * 2)
    assert counted(SWEEP, folder)[1] == 0  # a process of another host that has been silent for an hour


@pytest.mark.parametrize("lives", [True, False])
def test_a_run_of_another_host_is_waited_for_until_it_lives_or_is_dead(folder, monkeypatch, lives):
    monkeypatch.setattr(journal, "_BEAT", 0.05)
    monkeypatch.setattr(journal, "_SILENT", 600 if lives else 1)
    (other,) = (folder / "runs").glob("*.json")
    other.write_text(json.dumps(json.loads(other.read_text()) | {"at_work": True, "host": "elsewhere"}))

    class Bar:
        def __call__(self, *_):
            pass

        def phase(self, words):
            said.append(words)
            if lives and len(said) == 3:
                os.utime(other)

    said = []
    with pytest.raises(ValueError, match="elsewhere showed a sign of life") if lives else contextlib.nullcontext():
        run(SWEEP, Bar(), store=folder)
    assert said[0].startswith("waiting for a run on elsewhere, silent for ")


def test_a_run_at_work_shows_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "_BEAT", 0.02)

    def report(done, total, unit, units):
        if unit == 1:
            (mine,) = (tmp_path / "runs").glob("*.json")
            os.utime(mine, (0, 0))
            last = time.monotonic() + 30
            while mine.stat().st_mtime == 0 and time.monotonic() < last:
                time.sleep(0.01)
            seen.append(mine.stat().st_mtime > 0)

    seen = []
    run(SWEEP, report, store=tmp_path)
    assert seen and all(seen)


def test_a_forked_child_does_not_keep_the_lock_of_its_parent(tmp_path):
    # In a process without threads, which may fork. The child waits for its own end to be told.
    code = f"""
import os, pathlib, time
from pt_jax.sweep import locks
path = pathlib.Path({str(tmp_path / "lock")!r})
with locks.lock(path):
    begun, ended = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.write(begun[1], b"1")
        os.read(ended[0], 1)
        os._exit(0)
    os.read(begun[0], 1)
print(locks.held(path))
os.write(ended[1], b"1")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900, cwd=ROOT)
    assert done.stdout.strip() == "False", done.stderr
