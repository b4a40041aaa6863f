"""Nothing that is lost, exchanged, replaced or written by somebody else is taken for a result."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from pt_jax.sweep import dataset, journal, locks, store, units
from pt_jax.sweep.dataset import open_dataset
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.journal import runs
from pt_jax.sweep.plan import plan
from pt_jax.sweep.run import locked, run
from tests.sweep import fuzz
from tests.sweep.cases import Dice, throw, throw_sweep

AXES = {"shift": [0.0, 1.0], "scale": [1.0, 2.0, 4.0, 8.0]}
SWEEP = throw_sweep(AXES, lanes=4)
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _small_units(monkeypatch):
    monkeypatch.setattr(store, "_UNIT", 8)


@pytest.fixture
def folder(tmp_path):
    run(SWEEP, store=tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture(scope="module")
def whole():
    return run(SWEEP)


def counted(sweep, folder, **options):
    """Run into a store; return the dataset and how many trajectories were computed."""
    calls = []
    ds = run(sweep, lambda done, *_: calls.append(done), store=folder, **options)
    return ds, calls[-1] - calls[0]


def chunks(folder, name):
    return sorted(path for path in (folder / "data.zarr" / name / "c").rglob("*") if path.is_file())


# What is lost or exchanged on the disk.


def lost_array(folder):
    shutil.rmtree(folder / "data.zarr" / "total" / "c")


def lost_chunk(folder):
    chunks(folder, "each")[1].unlink()


def empty_chunk(folder):  # after a loss of power
    chunks(folder, "total")[0].write_bytes(b"")


def lost_check(folder):
    chunks(folder, "check")[0].unlink()


def exchanged(folder):
    one, two = chunks(folder, "total")[:2]
    one.rename(folder / "kept")
    two.rename(one)
    (folder / "kept").rename(two)


def of_another_sweep(folder):
    other = replace(SWEEP, point=SWEEP.point._replace(share=0.5))
    run(other, store=folder.parent / "other")
    for name in ("total", "check"):
        shutil.copy(chunks(folder.parent / "other", name)[0], chunks(folder, name)[0])


LOST = {f.__name__: (f, n) for f, n in [(lost_array, 32), (lost_chunk, 8), (empty_chunk, 8), (lost_check, 8)]}
LOST |= {f.__name__: (f, n) for f, n in [(exchanged, 16), (of_another_sweep, 8)]}


@pytest.mark.parametrize("name", LOST)
def test_what_is_lost_or_exchanged_counts_as_missing_and_is_computed_again(folder, whole, name):
    spoil, count = LOST[name]
    spoil(folder)
    seen = open_dataset(folder)
    assert int(seen["done"].sum()) == 32 - count
    assert np.isnan(seen["total"].values[seen["done"].values == 0]).all()
    assert plan(SWEEP, folder).known >= 32 - count  # what is exchanged is seen when it is read
    ds, computed = counted(SWEEP, folder)
    assert computed == count and ds.equals(whole)
    assert open_dataset(folder).equals(whole)


class Kinds(NamedTuple):
    """Results of every dtype, and one that is nowhere a number."""

    flag: Any
    whole: Any
    half: Any
    brain: Any
    never: Any
    nothing: Any


def kinds(key, point, static, data):
    x = jnp.asarray(point.shift)
    halves = (x.astype(jnp.float16), x.astype(jnp.bfloat16))
    return Kinds(x > 0, x.astype(int), *halves, x * jnp.nan, jnp.zeros((0,)))


def test_results_of_every_dtype_are_kept_and_found_again(tmp_path):
    sweep = Sweep(kinds, Dice(), {"shift": [0.0, 1.5]}, 3)
    first, computed = counted(sweep, tmp_path)
    again, none = counted(sweep, tmp_path)
    assert (computed, none) == (6, 0) and again.equals(first) and first.equals(run(sweep))
    values = [first[name][:, 0].values.tolist() for name in ("flag", "whole", "half", "brain")]
    assert values == [[0, 1], [0, 1], [0, 1.5], [0, 1.5]]
    assert np.isnan(first["never"]).all() and first["nothing"].shape == (2, 3, 0)


def test_enlarging_keeps_what_is_sound_and_computes_the_rest(folder):
    exchanged(folder)
    larger = throw_sweep(AXES | {"shift": [-1.0, 0.0, 0.5, 1.0]}, 5, lanes=4)
    ds, computed = counted(larger, folder)
    assert computed == 4 * 4 * 5 - 16
    assert ds.equals(run(larger))


def test_a_part_of_the_fuzz(tmp_path):
    # all of it: python -m tests.sweep.fuzz
    made = fuzz.make(tmp_path / "whole")
    expected = run(fuzz.SWEEP)["total"].values
    trials = list(fuzz.trials(made))
    assert len(trials) >= 400
    for file, way in trials[:: len(trials) // 12]:
        fuzz.trial(made, expected, file, way, ("show", "run"))


# Bookkeeping, folders and disks.


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"start": 1}', "\x00", "[" * 100_000])
def test_bookkeeping_that_cannot_be_read_stops_nothing(folder, whole, text):
    for name in ("1.json", "._2026.json"):
        (folder / "runs" / name).write_text(text)
    assert len(runs(folder)) == 1
    assert counted(SWEEP, folder)[1] == 0
    assert counted(replace(SWEEP, seeds=5), folder)[1] == 8


@pytest.mark.parametrize("name", ["log.txt", "slurm-17.out", "run.log", ".gitkeep", ".DS_Store"])
def test_a_folder_made_by_hand_is_accepted_with_what_a_shell_leaves(tmp_path, whole, name):
    (tmp_path / name).write_text("compiling ...")
    assert run(SWEEP, store=tmp_path).equals(whole)
    assert (tmp_path / name).read_text() == "compiling ..."


def test_home_is_expanded_once_for_all(tmp_path, monkeypatch, whole):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    run(SWEEP, store="~/maps/a")
    assert (tmp_path / "home" / "maps" / "a" / "data.zarr").is_dir() and not (tmp_path / "~").exists()
    assert plan(SWEEP, "~/maps/a").known == 32
    with pytest.raises(ValueError, match=r"point.share"):
        run(replace(SWEEP, point=SWEEP.point._replace(share=0.5)), store="~/maps/a")
    for wrong in (3, ["a"], "~nobody-of-this-name/a"):
        with pytest.raises(ValueError, match=r"store = .* is not accepted: use the path of a folder"):
            run(SWEEP, store=wrong)


def test_a_finished_store_on_a_disk_that_is_only_read_is_returned(folder, whole, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert run(SWEEP, store=folder).equals(whole)
    with pytest.raises(ValueError, match="cannot be written"):
        run(replace(SWEEP, seeds=9), store=folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_link_is_read_and_continued_but_never_replaced(folder, whole, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "data.zarr").symlink_to(folder / "data.zarr")
    assert counted(SWEEP, tmp_path / "linked")[1] == 0
    for options, sweep in (({"fresh": True}, SWEEP), ({}, replace(SWEEP, seeds=9))):
        with pytest.raises(ValueError, match="is a link and cannot be replaced"):
            run(sweep, store=tmp_path / "linked", **options)
    assert run(SWEEP, store=folder).equals(whole)


def test_plain_xarray_reads_a_store_without_a_warning(folder, whole):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = xr.open_zarr(folder / "data.zarr")
        np.testing.assert_array_equal(plain["total"], whole["total"])


# Datasets that a run has returned.


CHANGES = {
    "enlarged": lambda folder: run(throw_sweep(AXES | {"shift": [-1.0, 0.0, 1.0]}, lanes=4), store=folder),
    "made anew": lambda folder: run(replace(SWEEP, point=Dice(share=1.0)), store=folder, fresh=True),
    "moved": lambda folder: shutil.move(folder, folder.parent / "moved"),
    "deleted": shutil.rmtree,
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("large", [False, True])
def test_a_dataset_keeps_its_numbers_or_says_that_they_are_gone(folder, whole, monkeypatch, name, large):
    monkeypatch.setattr(dataset, "LOADED", 0 if large else 2**28)
    held = run(SWEEP, store=folder)
    assert held.equals(whole)
    held = run(SWEEP, store=folder)
    CHANGES[name](folder)
    if large:
        with pytest.raises(ValueError, match="was enlarged, replaced or moved since this dataset was opened"):
            held["total"].load()
    else:
        assert held.equals(whole)


def test_reads_while_a_store_is_enlarged_and_made_anew_are_whole(folder):
    shifts = np.linspace(0, 1, 9)
    ended, seen, wrong = threading.Event(), [], []

    def read():
        while not ended.is_set():
            try:
                ds = open_dataset(folder)
            except ValueError as error:
                wrong.append(str(error)) if "being written anew" not in str(error) else None
                continue
            done = ds["done"].values == 1
            expected = run(throw_sweep({"shift": ds["shift"].values, "scale": ds["scale"].values}, 4, lanes=4))
            seen.append(bool((ds["total"].values[done] == expected["total"].values[done]).all()))

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for i in range(2, 10, 2):
            run(throw_sweep(AXES | {"shift": shifts[:i]}, lanes=4), store=folder, fresh=i == 6)
        ended.set()
        reading.result()
    assert seen and all(seen) and not wrong


# Two writers, and a store that is replaced under a run.


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
        assert open_dataset(tmp_path / "store").equals(truth)


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


@pytest.mark.filterwarnings("default")  # threads stand for processes, and share the filters that the store sets
def test_shards_that_start_together_where_locks_are_not_granted_make_one_store(tmp_path, monkeypatch, whole):
    monkeypatch.setattr(locks.fcntl, "flock", lambda *_: None)
    for round_number in range(3):
        folder = tmp_path / str(round_number)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda i, folder=folder: run(SWEEP, store=folder, shard=(i, 3)), range(3)))
        ds, computed = counted(SWEEP, folder)
        assert computed == 0 and ds.equals(whole)


def test_a_run_that_died_or_is_silent_does_not_stop_the_next(folder, monkeypatch):
    (mine,) = (folder / "runs").glob("*.json")
    record = json.loads(mine.read_text()) | {"at_work": True}
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine.write_text(json.dumps(record | {"pid": dead.pid}))
    assert counted(SWEEP, folder)[1] == 0  # a process of this host that is no more
    mine.write_text(json.dumps(record | {"host": "elsewhere"}))
    with pytest.raises(ValueError, match="elsewhere showed a sign of life"):
        run(SWEEP, store=folder)
    os.utime(mine, (time.time() - 3600,) * 2)
    assert counted(SWEEP, folder)[1] == 0  # a process of another host that has been silent for an hour


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


# What is sent to workers.


class Counting:
    """An executor of one worker elsewhere: each task is unpickled, and it is counted what was sent."""

    def __init__(self):
        self.sent, self.holds = [], {}

    def submit(self, function, *args):
        packed = cloudpickle.dumps((function, args))
        self.sent.append(len(packed))
        future = Future()
        here, units._HOLDS = units._HOLDS, self.holds
        try:
            function, args = cloudpickle.loads(packed)
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        finally:
            units._HOLDS = here
        return future


def test_data_are_sent_once_to_each_worker():
    data = {"offset": np.float32(0.0), "table": np.ones(250_000, np.float32)}
    sweep = throw_sweep(AXES, lanes=4, data=data)
    pools = [Counting(), Counting()]
    for pool in pools:
        assert run(sweep, executor=pool).equals(run(sweep))
        assert len(pool.sent) >= 4 and sum(pool.sent) < 1.1 * data["table"].nbytes


def test_a_worker_that_dies_before_it_is_sent_the_sweep_holds_nothing_up():
    class Dying(Counting):
        def submit(self, function, *args):
            if self.sent:
                return super().submit(function, *args)
            self.sent.append(0)
            future = Future()
            future.set_result("a worker that lacks the sweep, and is never heard of again")
            return future

    assert run(SWEEP, executor=Dying()).equals(run(SWEEP))


def test_a_worker_with_other_code_is_refused(monkeypatch):
    here, calls = units.identity, []

    def elsewhere(*args):
        calls.append(args)
        return here(*args) | ({"jaxlib": "0.0.1"} if len(calls) > 1 else {})

    monkeypatch.setattr(units, "identity", elsewhere)
    with pytest.raises(RuntimeError, match=r"would compute another sweep: jaxlib \(.* there, 0.0.1 here\)"):
        run(SWEEP, executor=Counting())


def test_a_function_of_a_notebook_is_refused_with_processes():
    code = """
        import linecache, sys, __main__
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from tests.sweep.cases import *
        import pt_jax
        def world(key, point, static, data):
            return throw(key, point, None, None)
        try:
            pool = lambda: ProcessPoolExecutor(1, mp_context=get_context("spawn"))
            pt_jax.run(Sweep(world, Dice(), {"shift": [0.0]}), executor=pool)
        except ValueError as error:
            print(error)
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=900, cwd=ROOT)
    assert "world is not accepted with worker processes, which cannot import it" in done.stdout, done.stderr


def test_a_function_within_another_is_refused_with_processes():
    sweep = Sweep(lambda *args: throw(*args), Dice(), {"shift": [0.0]})
    with pytest.raises(ValueError, match=r"lambda.* is not accepted with worker processes"):
        run(sweep, executor=lambda: ProcessPoolExecutor(1, mp_context=get_context("spawn")))
