"""Nothing that is lost, exchanged, replaced or written by somebody else is taken for a result."""

import os
import shutil
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from pt_jax.sweep import dataset
from pt_jax.sweep.dataset import load
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.journal import runs
from pt_jax.sweep.plan import plan
from pt_jax.sweep.run import run
from tests.sweep import fuzz
from tests.sweep.cases import Dice, throw_sweep
from tests.sweep.stores import AXES, SWEEP, chunks, counted, in_memory, small_units, stored  # noqa: F401 - fixtures

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
    seen = load(folder)
    assert int(seen["done"].sum()) == 32 - count
    assert np.isnan(seen["total"].values[seen["done"].values == 0]).all()
    assert plan(SWEEP, folder).known >= 32 - count  # what is exchanged is seen when it is read
    ds, computed = counted(SWEEP, folder)
    assert computed == count and ds.equals(whole)
    assert load(folder).equals(whole)


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
    for wrong in (3, ["a"], "~nobody-of-this-name/a", "a" * 300, "a\0b", Path("a\0b")):
        with pytest.raises(ValueError, match=r"store = .* is not accepted: use the path of a folder"):
            run(SWEEP, store=wrong)
    with pytest.raises(ValueError, match=r"^folder = '~nobody-of-this-name/a' is not accepted"):
        load(Path("~nobody-of-this-name/a"))
    assert load("~/maps/a").equals(whole)


@pytest.mark.parametrize("name", ["locks", "news.txt", "data.zarr.txt"])
def test_a_folder_with_almost_our_names_is_somebody_elses(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match="it holds files of another program"):
        run(SWEEP, store=tmp_path)


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
                ds = load(folder)
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
