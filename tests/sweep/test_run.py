"""A sweep on disk: resumed = uninterrupted, extended = computed at once, and nothing lost to wrong input."""

import fcntl
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr
import zarr

import pt_jax
from pt_jax.sweep import lanes, store
from pt_jax.sweep.devices import in_words
from pt_jax.sweep.journal import runs
from pt_jax.sweep.run import locked, run
from pt_jax.sweep.units import blocks
from tests.sweep.cases import throw_sweep

SMALL = {"shift": [0.0, 1.0, 2.0], "scale": [1.0, 2.0, 4.0, 8.0]}
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _many_small_units(monkeypatch):
    monkeypatch.setattr(store, "_UNIT", 8)


def counted(sweep, folder, **options):
    """Run into a store; return the dataset and how many trajectories were computed."""
    calls = []
    ds = run(sweep, lambda done, *_: calls.append(done), store=folder, **options)
    return ds.load(), calls[-1] - calls[0]


def assert_same(ds, expected):
    """Every result of the second dataset is in the first, bit for bit."""
    for name in expected.data_vars:
        np.testing.assert_array_equal(ds[name].values, expected[name].values, err_msg=str(name))


def test_blocks_split_a_mask_into_disjoint_products():
    generator = np.random.default_rng(0)
    for share in (0.0, 0.3, 0.9, 1.0):
        mask = generator.random((4, 3, 5)) < share
        seen = np.zeros(mask.shape, int)
        for block in blocks(mask):
            seen[np.ix_(*block)] += 1
        np.testing.assert_array_equal(seen, mask)
    l_shape = np.ones((6, 6), bool)
    l_shape[:3, :3] = False
    assert len(list(blocks(l_shape))) == 2


def test_store_equals_memory_and_plain_xarray_reads_it(tmp_path):
    sweep = throw_sweep(SMALL, dims={"each": ("die",)})
    ds, computed = counted(sweep, tmp_path / "a")
    assert computed == sweep.trajectories
    memory = pt_jax.run(sweep)
    assert_same(ds, memory)
    plain = xr.open_zarr(tmp_path / "a" / "data.zarr", consolidated=False)
    assert plain["total"].dims == ("shift", "scale", "seed") and plain["each"].dims[-1] == "die"
    assert plain["shift"].values.tolist() == SMALL["shift"] and bool((plain["done"] == 1).all())
    assert len(plain["total"].to_dataframe()) == sweep.trajectories


def test_a_finished_sweep_computes_nothing(tmp_path):
    sweep = throw_sweep(SMALL)
    first, _ = counted(sweep, tmp_path)
    again, computed = counted(sweep, tmp_path)
    assert computed == 0
    assert_same(again, first)


def test_a_stopped_sweep_is_nan_where_nothing_is_done_and_continues(tmp_path):
    sweep, asked = throw_sweep(SMALL, lanes=4), []

    def stop():
        asked.append(1)
        return len(asked) > 2

    part, computed = counted(sweep, tmp_path, stop=stop)
    assert 0 < computed < sweep.trajectories
    np.testing.assert_array_equal(np.isfinite(part["total"]), part["done"] == 1)
    whole, rest = counted(sweep, tmp_path)
    assert computed + rest == sweep.trajectories
    assert_same(whole, pt_jax.run(sweep))


def test_extending_computes_exactly_what_is_missing(tmp_path):
    def grid(u, seeds):
        return throw_sweep({"shift": np.linspace(0, 1, u), "scale": np.arange(1.0, 5.0)}, seeds)

    old, computed = counted(grid(4, 8), tmp_path)
    assert computed == 4 * 4 * 8
    stamp = old.copy(deep=True)
    new, computed = counted(grid(7, 16), tmp_path)  # values inside the axis, and seeds
    assert computed == 7 * 4 * 16 - 4 * 4 * 8
    for name in ("total", "each", "half.first"):
        kept = new[name].sel(shift=stamp["shift"], seed=stamp["seed"])
        np.testing.assert_array_equal(kept, stamp[name])
    assert_same(new, pt_jax.run(grid(7, 16)))
    back, computed = counted(grid(4, 8), tmp_path)  # the smaller sweep is still there
    assert computed == 0
    assert_same(back, stamp.drop_vars("done"))


def test_a_larger_store_is_synced_once(tmp_path, monkeypatch):
    run(throw_sweep(SMALL), store=tmp_path)
    synced, sync = [], store.layout.sync
    monkeypatch.setattr(store.layout, "sync", lambda folder: (synced.append(folder.name), sync(folder)))
    run(throw_sweep(SMALL, seeds=8), store=tmp_path)
    assert synced == ["new.zarr"]


def test_large_seeds_stay_apart(tmp_path):
    seeds = [20240103, 20240104]  # one number in float32
    apart = [pt_jax.run(throw_sweep({"shift": [0.0]}, seeds=[seed]))["total"].item() for seed in seeds]
    for folder in (None, tmp_path):
        ds = run(throw_sweep({"shift": [0.0]}, seeds=seeds), store=folder)
        assert ds["seed"].values.tolist() == seeds and ds["total"][0].values.tolist() == apart


def test_fresh_forgets_the_runs_before(tmp_path):
    for _ in range(2):
        counted(throw_sweep(SMALL), tmp_path, fresh=True)
    assert [one["computed"] for one in runs(tmp_path)] == [throw_sweep(SMALL).trajectories]


@pytest.mark.filterwarnings("default")  # threads stand for processes, and share the filters that the store sets
def test_shards_of_different_partitions_may_meet_in_a_unit(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_UNIT", 64)
    whole = throw_sweep({"shift": [0.0]}, seeds=8)
    run(whole, store=tmp_path, stop=lambda: True)
    slowly = store.Store.write

    def write(*args):
        time.sleep(0.3)
        slowly(*args)

    monkeypatch.setattr(store.Store, "write", write)
    parts = [(replace(whole, seeds=[0, 1, 2, 3]), (0, 2)), (replace(whole, seeds=[4, 5, 6, 7]), (0, 3))]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda part: run(part[0], store=tmp_path, shard=part[1]), parts))
    ds, computed = counted(whole, tmp_path)
    assert computed == 0
    assert_same(ds, pt_jax.run(whole))


def test_who_looks_does_not_stop_who_starts(tmp_path):
    run(throw_sweep(SMALL), store=tmp_path, stop=lambda: True)
    with open(tmp_path / "lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        threading.Timer(0.3, file.close).start()
        _, computed = counted(throw_sweep(SMALL), tmp_path)
    assert computed == throw_sweep(SMALL).trajectories


def test_only_what_is_asked_for_is_computed(tmp_path):
    counted(throw_sweep({"shift": [0.0, 1.0]}, seeds=[0, 1]), tmp_path)
    ds, computed = counted(throw_sweep({"shift": [0.5]}, seeds=[5]), tmp_path)
    assert computed == 1 and ds.sizes == {"shift": 1, "seed": 1, "each_0": 5}
    assert zarr.open_group(tmp_path / "data.zarr")["total"].shape == (3, 3)


def test_unsorted_axes_are_stored_sorted_and_returned_as_asked(tmp_path):
    sweep = throw_sweep({"shift": [2.0, 0.0, 1.0]}, seeds=[3, 1])
    ds, _ = counted(sweep, tmp_path)
    assert ds["shift"].values.tolist() == [2, 0, 1] and ds["seed"].values.tolist() == [3, 1]
    assert_same(ds, pt_jax.run(sweep))


def test_shards_make_the_whole_and_a_dead_one_is_run_again(tmp_path):
    sweep = throw_sweep(SMALL, lanes=4)
    parts = [counted(sweep, tmp_path, shard=(i, 3))[1] for i in (2, 0, 1)]
    assert sum(parts) == sweep.trajectories and min(parts) > 0
    ds, computed = counted(sweep, tmp_path, shard=(1, 3))
    assert computed == 0
    assert_same(ds, pt_jax.run(sweep))


def test_data_arrays_are_part_of_the_identity(tmp_path):
    data = {"offset": np.float32(1.0), "table": np.ones(3, np.float32)}
    counted(throw_sweep(SMALL, data=data), tmp_path)
    with pytest.raises(ValueError, match="data"):
        counted(throw_sweep(SMALL, data=data | {"offset": np.float32(2.0)}), tmp_path)


CHANGED = {
    "point.share": lambda s: replace(s, point=s.point._replace(share=0.5)),
    "outputs": lambda s: replace(s, outputs=("total",)),
    "axes": lambda s: replace(s, axes={"shift": SMALL["shift"]}),
    "lanes": lambda s: replace(s, lanes=2),
    "static.value": lambda s: replace(s, static="other"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_another_sweep_is_refused_by_the_name_of_what_changed(tmp_path, name):
    sweep = throw_sweep(SMALL)
    first, _ = counted(sweep, tmp_path)
    with pytest.raises(ValueError, match=rf"holds another sweep: .*{re.escape(name)}.*--fresh or --force"):
        run(CHANGED[name](sweep), store=tmp_path)
    again, computed = counted(sweep, tmp_path)
    assert computed == 0
    assert_same(again, first)


def test_fresh_starts_anew_and_force_continues(tmp_path):
    sweep = throw_sweep(SMALL)
    changed = CHANGED["point.share"](sweep)
    counted(sweep, tmp_path)
    _, computed = counted(changed, tmp_path, force=True)
    assert computed == 0
    ds, computed = counted(changed, tmp_path, fresh=True)
    assert computed == sweep.trajectories
    assert_same(ds, pt_jax.run(changed))


def test_a_second_writer_is_refused(tmp_path):
    sweep = throw_sweep(SMALL)

    def report(*_):
        if not seen:
            seen.append(locked(tmp_path))
            for options in ({}, {"shard": (0, 2)}):
                with pytest.raises(ValueError, match="being written by another process"):
                    run(sweep, store=tmp_path, **options)

    seen = []
    run(sweep, report, store=tmp_path)
    assert seen == [True] and not locked(tmp_path)


def test_a_kill_between_the_two_renames_is_mended(tmp_path):
    first, _ = counted(throw_sweep(SMALL), tmp_path)
    (tmp_path / "data.zarr").rename(tmp_path / "old.zarr")
    shutil.copytree(tmp_path / "old.zarr", tmp_path / "new.zarr")
    again, computed = counted(throw_sweep(SMALL), tmp_path)
    assert computed == 0
    assert_same(again, first)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.zarr", "lock", "lock-write", "runs"]


def test_foreign_folders_and_wrong_shards_are_refused_untouched(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "notes.txt").write_text("mine")
    for folder, words in (("file", "is a file"), ("theirs", "another program")):
        with pytest.raises(ValueError, match=words):
            run(throw_sweep(SMALL), store=tmp_path / folder)
    for shard in ((9, 8), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match=rf"shard = {shard[0]}/{shard[1]} is not accepted"):
            run(throw_sweep(SMALL), store=tmp_path / "new", shard=shard)
    assert (tmp_path / "file").read_text() == (tmp_path / "theirs" / "notes.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "theirs"]


def test_progress_moves_within_a_unit_and_says_what_comes_next(monkeypatch):
    monkeypatch.setattr(lanes, "_CALL", 4)  # one tile a device and call
    told = []

    class Report:
        def __call__(self, *numbers):
            told.append(numbers)

        def phase(self, text):
            told.append(text)

    devices = len(jax.local_devices())
    sweep = throw_sweep({"shift": np.arange(2.0 * devices), "scale": [1.0]}, seeds=[1, 2, 3], lanes=4)
    run(sweep, Report())
    where = in_words()
    call = f"computing {3 * devices} on {where}"
    assert [text for text in told if isinstance(text, str)] == [f"compiling for {where}", call, call]
    counts = [numbers for numbers in told if not isinstance(numbers, str)]
    whole = 6 * devices
    assert counts == [(done, whole, 0, 1) for done in range(0, whole + 1, 3)] + [(whole, whole, 1, 1)]
    first = told.index(call)
    assert told.index(call, first + 1) == first + 1  # the next call is under way before the first is counted


@pytest.mark.long
def test_kills_leave_the_same_store():
    # benchmarks/kill.py compares bit for bit and exits with an error otherwise; a kill may come after the end.
    command = [sys.executable, str(ROOT / "benchmarks" / "kill.py"), "--kills", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert int(re.search(r"(\d+) hit a running process", done.stdout)[1]) >= 1
    assert "bit for bit" in done.stdout
