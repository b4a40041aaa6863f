"""What is refused, in one sentence, with every trajectory that was there still there.

The tables of fields, axes, seeds and flags are in test_point, test_grid and test_cli; here: stores, functions, spread.
"""

import resource
import shutil
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from pt_jax.sweep import store
from pt_jax.sweep.dataset import load
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.plan import plan
from pt_jax.sweep.run import run
from tests.sweep.cases import Dice, throw, throw_sweep

GOOD = throw_sweep({"shift": [0.0, 1.0, 2.0], "scale": [1.0, 2.0, 4.0, 8.0]}, lanes=4)


class One(NamedTuple):
    """A result."""

    total: Any


class Sized(NamedTuple):
    """A static with a size class for each shift."""

    size: int = 0

    def size_class(self, point, moving):
        return Sized(int(np.max(point.shift)))


def raises(key, point, static, data):
    raise RuntimeError("no dice")


def twice(key, point, static, data):
    found = throw(key, point, static, data)
    return found._replace(total=2 * found.total)


def as_dict(key, point, static, data):
    return {"total": point.shift}


def as_text(key, point, static, data):
    return One("six")


def as_complex(key, point, static, data):
    return One(point.shift * 1j)


def as_sizes(key, point, static, data):
    return One(jnp.zeros(static.size))


def as_kinds(key, point, static, data):
    return One(jnp.zeros((), int if static.size else float))


def chunk(name, *index):
    return lambda folder: folder / "data.zarr" / name / "c" / "/".join(map(str, index))


def truncated(path):
    def spoil(folder):
        path(folder).write_bytes(path(folder).read_bytes()[:7])

    return spoil


def flipped(path):
    def spoil(folder):
        data = bytearray(path(folder).read_bytes())
        data[-7] ^= 255
        path(folder).write_bytes(bytes(data))

    return spoil


def deleted(name):
    def spoil(folder):
        path = folder / "data.zarr" / name
        path.unlink() if path.is_file() else shutil.rmtree(path)

    return spoil


def foreign(folder):
    shutil.rmtree(folder / "data.zarr")
    xr.Dataset({"total": ("x", [1.0])}).to_zarr(folder / "data.zarr", consolidated=False)


def a_file(folder):
    shutil.rmtree(folder / "data.zarr")
    (folder / "data.zarr").write_text("mine")


def a_mask(folder):
    """Half of a unit is done, so that its results are read again."""
    import zarr

    zarr.open_group(folder / "data.zarr", mode="r+")["done"][0, 0, 0] = 0


def both(*spoils):
    return lambda folder: [spoil(folder) for spoil in spoils]


DAMAGED = {  # what was done to the store, and what the sentence says
    "truncated done": (truncated(chunk("done", 0, 0, 0)), "done is damaged in chunk 0/0/0 .*delete done/c/0/0/0"),
    "garbled done": (flipped(chunk("done", 0, 0, 0)), "done is damaged in chunk 0/0/0"),
    "truncated result": (both(a_mask, truncated(chunk("total", 0, 0, 0))), "total is damaged in chunk 0/0/0"),
    "garbled result": (both(a_mask, flipped(chunk("total", 0, 0, 0))), "total is damaged in chunk 0/0/0"),
    "garbled array": (both(a_mask, flipped(chunk("each", 0, 0, 0, 0))), "each is damaged in chunk 0/0/0"),
    "no coordinate": (deleted("shift"), "shift is missing; restore it, or use --fresh"),
    "no seeds": (deleted("seed"), "seed is missing"),
    "no result": (deleted("total"), "total is missing"),
    "no done": (deleted("done"), "done is missing"),
    "no metadata": (deleted("zarr.json"), "another program wrote it, or it is damaged"),
    "another program": (foreign, "another program wrote it"),
    "a file": (a_file, "holds no data.zarr"),
}


@pytest.fixture(autouse=True)
def _many_small_units(monkeypatch):
    monkeypatch.setattr(store, "_UNIT", 16)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_UNIT", 16)
        run(GOOD, store=tmp_path_factory.mktemp("made"))
    return tmp_path_factory.getbasetemp() / "made0"


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "store")


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.parent != folder}


def refused(words, call, kind=ValueError):
    """The call is refused in one sentence that has these words."""
    with pytest.raises(kind, match=words) as error:
        call()
    assert "\n" not in str(error.value) and len(str(error.value)) < 1000


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_store_is_refused_and_left_alone(folder, name):
    spoil, words = DAMAGED[name]
    spoil(folder)
    before = contents(folder)
    refused(words, lambda: run(GOOD, store=folder))
    assert contents(folder) == before
    if name != "a file":  # which is not ours to delete
        assert run(GOOD, store=folder, fresh=True).equals(run(GOOD))


def test_what_the_sentence_says_mends_a_damaged_chunk(folder):
    both(a_mask, flipped(chunk("total", 0, 0, 0)))(folder)
    chunk("done", 0, 0, 0)(folder).unlink()
    calls = []
    assert run(GOOD, lambda *call: calls.append(call), store=folder).equals(run(GOOD))
    assert calls[-1][3] == 1  # one unit


OTHER = {
    "another base value": (lambda s: replace(s, point=s.point._replace(share=0.5)), {}, "point.share"),
    "other axes": (lambda s: replace(s, axes={"shift": [0.0]}), {}, "axes"),
    "other axes by force": (lambda s: replace(s, axes={"shift": [0.0]}), {"force": True}, "another layout: .*axes"),
    "other outputs by force": (lambda s: replace(s, outputs=("each",)), {"force": True}, "another layout: .*outputs"),
    "another function": (lambda s: replace(s, function=twice), {}, "program .* there, .* here"),
    "other data": (lambda s: replace(s, data={"offset": 1.0, "table": np.ones(2)}), {}, "data"),
    "a larger grid in shards": (lambda s: replace(s, seeds=9), {"shard": (0, 2)}, "smaller grid"),
    "shard 9/8": (lambda s: s, {"shard": (9, 8)}, "shard = 9/8 is not accepted"),
    "shard 0.5/2": (lambda s: s, {"shard": (0.5, 2)}, "shard = 0.5/2 is not accepted"),
    "shard -1/2": (lambda s: s, {"shard": (-1, 2)}, "shard = -1/2 is not accepted"),
    "fresh in shards": (lambda s: s, {"shard": (0, 2), "fresh": True}, "fresh is not accepted with shards"),
    "data of another shape": (lambda s: replace(s, data={"offset": 0.0, "table": np.ones((2, 1))}), {}, "data"),
    "a name for an executor": (lambda s: s, {"executor": "dask"}, "executor = 'dask'"),
}


@pytest.mark.parametrize("name", OTHER)
def test_another_wish_is_refused_and_nothing_is_lost(folder, name):
    change, options, words = OTHER[name]
    before = contents(folder)
    refused(words, lambda: run(change(GOOD), store=folder, **options))
    assert contents(folder) == before


FUNCTIONS = {
    "raises": (raises, "no dice", RuntimeError),
    "a dict": (as_dict, "returns a dict: use a NamedTuple", ValueError),
    "text": (as_text, "total is a str: use real numbers", ValueError),
    "complex": (as_complex, "total is dtype.'complex64'.: use real numbers", ValueError),
    "sizes that differ": (as_sizes, "total is .* in one size class and .* in another", ValueError),
    "dtypes that differ": (as_kinds, "total is .* in one size class and .* in another", ValueError),
    "two arguments": (lambda key, point: None, "use a function of .key, point, static, data", ValueError),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_cannot_be_swept_is_refused_and_nothing_is_written(tmp_path, name):
    function, words, kind = FUNCTIONS[name]
    static = None if name == "two arguments" else Sized()
    with pytest.raises(kind, match=words):
        run(Sweep(function, Dice(), {"shift": [0.0, 1.0]}, 2, static=static), store=tmp_path / "new")
    assert not (tmp_path / "new" / "data.zarr").exists()


@pytest.mark.parametrize("key", ["jax_default_prng_impl", "jax_default_matmul_precision"])
def test_another_generator_or_precision_is_refused(folder, key):
    value = {"jax_default_prng_impl": "rbg", "jax_default_matmul_precision": "bfloat16"}[key]
    before, there = getattr(jax.config, key), contents(folder)
    try:
        jax.config.update(key, value)
        refused(f"{value}.* here", lambda: run(replace(GOOD, seeds=9), store=folder))
    finally:
        jax.config.update(key, before)
    assert contents(folder) == there


def test_shards_need_a_store():
    worked = []
    refused("0/2 is not accepted: .* and a store", lambda: run(GOOD, lambda *at: worked.append(at), shard=(0, 2)))
    assert not worked


def test_a_disk_that_takes_no_more_keeps_what_is_done(tmp_path):
    big = replace(GOOD, seeds=32)  # chunks of some kilobytes, and metadata of less

    def fill_up(done, total, unit, units):
        if unit == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match=r"cannot be written \(.*File too large.*\): what is done is kept, run again"):
            run(big, fill_up, store=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    part = load(tmp_path).load()
    assert 0 < int(part["done"].sum()) < big.trajectories
    assert np.isfinite(part["total"].values[part["done"].values == 1]).all()
    assert run(big, store=tmp_path).equals(run(big))


@pytest.mark.parametrize("name", ["no coordinate", "no metadata", "another program", "a file"])
def test_looking_at_a_damaged_store_is_refused_too(folder, name):
    spoil, words = DAMAGED[name]
    spoil(folder)
    before = contents(folder)
    refused(words, lambda: load(folder))
    if name != "a file":
        refused(words, lambda: plan(GOOD, folder))
    assert contents(folder) == before


def test_looking_into_a_folder_that_holds_no_store_makes_none(tmp_path):
    refused("holds no data.zarr", lambda: load(tmp_path))
    assert not list(tmp_path.iterdir())


def test_results_of_a_store_go_to_netcdf_and_pandas(folder, tmp_path):
    ds = run(GOOD, store=folder)
    ds.to_netcdf(tmp_path / "all.nc")
    back = xr.open_dataset(tmp_path / "all.nc")
    np.testing.assert_array_equal(back["total"], ds["total"])
    assert back.attrs["provenance"] == ds.attrs["provenance"]
    assert len(ds["total"].to_dataframe()) == GOOD.trajectories
