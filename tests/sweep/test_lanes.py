"""A sweep is a plain Python loop, only faster: the same numbers in any tiling, and shared work done once."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.sweep import lanes, store
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.run import run
from tests.sweep.cases import Dice, by_loop, throw, throw_sweep

AXES = {"shift": [0.0, 1.0, 2.5, 4.0, 7.0], "scale": [1.0, 2.0, 0.25]}

# Engine, with a function of one's own. Sums and products of quarters are exact in float32, so all is compared exactly.


def test_a_sweep_is_a_loop_over_seeds_and_cells():
    sweep = throw_sweep(AXES, seeds=[3, 0, 8])
    ds = run(sweep)
    assert ds["total"].dims == ("shift", "scale", "seed")
    np.testing.assert_array_equal(ds["total"], by_loop(sweep))
    np.testing.assert_array_equal(ds["seed"], [3, 0, 8])
    np.testing.assert_array_equal(ds["half.first"], ds["each"][..., 0])


def test_a_coupled_axis_is_a_loop_along_a_path():
    sweep = throw_sweep({"shift,scale": [[0.0, 1.0], [2.0, 0.5], [2.0, 3.0]], "share": [0.25, 1.0]})
    ds = run(sweep)
    np.testing.assert_array_equal(ds["total"], by_loop(sweep))
    assert ds["total"].dims == ("shift", "share", "seed")
    assert ds["scale"].dims == ("shift",)
    np.testing.assert_array_equal(ds["scale"], [1.0, 0.5, 3.0])


def test_no_axis_is_one_cell():
    sweep = throw_sweep({}, seeds=3)
    ds = run(sweep)
    assert ds["total"].dims == ("seed",)
    np.testing.assert_array_equal(ds["total"], by_loop(sweep))


def test_whole_numbers_on_an_axis_are_numbers():
    sweep = throw_sweep({"scale": [1, 2, 3]})
    np.testing.assert_array_equal(run(sweep)["total"], by_loop(sweep))


@pytest.mark.parametrize("width", [1, 2, 5, 7, 64])
def test_any_lane_width_gives_every_cell(width):
    sweep = throw_sweep(AXES, seeds=3, lanes=width)
    np.testing.assert_array_equal(run(sweep)["total"], by_loop(sweep))


def test_more_cells_than_fit_one_call_are_the_whole(monkeypatch):
    sweep = throw_sweep(AXES, seeds=5, lanes=4)
    whole = run(sweep)
    monkeypatch.setattr(lanes, "_CALL", 8)
    parts = []
    ds = run(sweep, lambda done, *_: parts.append(done))
    assert ds.equals(whole)
    assert len(parts) > 5


def test_report_is_called_up_to_the_total(monkeypatch):
    monkeypatch.setattr(lanes, "_CALL", 8)
    calls = []
    run(throw_sweep(AXES, seeds=5, lanes=4), lambda *call: calls.append(call))
    done = [call[0] for call in calls]
    assert {call[1] for call in calls} == {75} and len(set(done)) > 5
    assert done[0] == 0 and done[-1] == 75 and done == sorted(done)
    assert calls[0][2:] == (0, 1) and calls[-1][2:] == (1, 1)  # in memory all is one unit


def test_data_reaches_the_function_as_a_pytree():
    data = {"offset": np.float32(100.0), "table": np.arange(4.0, dtype=np.float32)}
    plain, shifted = (run(throw_sweep(AXES, data=d))["total"] for d in (None, data))
    np.testing.assert_array_equal(shifted, plain + 106.0)


def test_results_that_are_arrays_carry_named_dimensions():
    ds = run(throw_sweep({"scale": [1.0, 2.0]}, seeds=3, dims={"each": ("die",)}))
    assert ds["each"].dims == ("scale", "seed", "die") and ds["each"].shape == (2, 3, 5)
    dice = jax.random.randint(jax.random.key(1), (5,), 1, 7)
    np.testing.assert_array_equal(ds["each"].sel(scale=2.0, seed=1), 2.0 * dice)
    unnamed = run(throw_sweep({"scale": [1.0, 2.0]}, seeds=3))["each"]
    assert unnamed.dims[:2] == ("scale", "seed") and unnamed.shape == (2, 3, 5)


def test_only_the_named_outputs_are_kept_and_diverged_always():
    class Result(NamedTuple):
        total: Any
        square: Any
        diverged: Any

    def function(key, point, static, data):
        del key, static, data
        return Result(point.shift, point.shift**2, point.shift > 1.0)

    sweep = Sweep(function, Dice(), {"shift": [0.0, 2.0]}, 2, ("square",))
    ds = run(sweep)
    assert set(ds.data_vars) == {"square", "diverged", "done"}
    np.testing.assert_array_equal(ds["diverged"], [[False, False], [True, True]])
    assert set(run(throw_sweep({"shift": [1.0]}, outputs=("total",))).data_vars) == {"total", "done"}


def test_an_unknown_output_is_refused():
    with pytest.raises(ValueError, match="'profit'"):
        run(throw_sweep({"shift": [1.0]}, outputs=("profit",)))


class Counted(NamedTuple):
    """What a function ends with that has a part which `scale` cannot change."""

    total: Any


class Hints(NamedTuple):
    """A static that says so."""

    partial: tuple[str, ...] = ("scale",)


def test_work_that_an_axis_cannot_change_is_done_once_along_it():
    calls = []

    def upstream(shift):
        calls.append(float(shift))
        return np.float32(shift)

    def function(key, point, static, data):
        del key, static, data
        kind = jax.ShapeDtypeStruct((), jnp.float32)
        start = jax.pure_callback(upstream, kind, jnp.float32(point.shift), vmap_method="sequential")
        return Counted(start + point.scale)

    grid = {"scale": np.arange(8.0), "shift": np.arange(3.0)}
    ds = run(Sweep(function, Dice(), grid, 4, static=Hints(), lanes=8))
    jax.effects_barrier()
    expected = np.add.outer(grid["scale"], grid["shift"])
    np.testing.assert_array_equal(ds["total"].isel(seed=3), expected)
    # 96 trajectories in tiles of 8 along `scale`: one call a tile, 12; a device without a tile repeats one.
    assert 12 <= len(calls) < 12 + len(jax.local_devices())


class Descent(NamedTuple):
    """Where gradient descent ends."""

    end: Any
    diverged: Any


def test_a_lane_that_diverges_leaves_the_others_bit_equal():
    def function(key, point, static, data):
        del static, data

        def step(_, w):
            return w - point.scale * jnp.sin(w) * w**2

        end = jax.lax.fori_loop(0, 50, step, 1.0 + jax.random.normal(key, (3,)))
        return Descent(end, ~jnp.all(jnp.isfinite(end)))

    good, bad = (run(Sweep(function, Dice(), {"scale": [0.01, s, 0.02]}, 4)) for s in (0.03, np.float32(1e30)))
    assert bad["diverged"][1].all() and not good["diverged"].any()
    for i in (0, 2):
        np.testing.assert_array_equal(good["end"][i], bad["end"][i])


def heavy(key, point, static, data):
    """Throw dice beside a product of 2^36 operations and a few more, which is never carried out."""
    x = jnp.full((2**12, 2**11), point.shift)
    thrown = throw(key, point, static, data)
    return thrown._replace(total=thrown.total + (x @ x.T).sum())


@pytest.mark.parametrize(
    ("function", "unit", "call"), [(throw, (2, 64), 512), (heavy, (1, 15), 3)], ids=["light", "heavy"]
)
def test_units_and_calls_hold_minutes_of_work(function, unit, call):
    sweep, cells = Sweep(function, Dice(), {"shift": [1.0, 2.0]}, 64, lanes=1), (np.arange(2), np.arange(64))
    devices = jax.local_device_count()
    assert lanes.tile_shape(sweep) == (1, 1) and store.unit_shape(sweep, (1, 1)) == (unit[0], max(unit[1], devices))
    (size,) = lanes.parts(sweep, cells, (1, 1))
    assert len(next(size.groups())) == min(128, call * devices)


def test_a_sweep_of_a_billion_is_not_a_billion_files():
    sweep = throw_sweep({"shift": np.arange(1000.0), "scale": np.arange(1000.0)}, seeds=1000)
    unit = store.unit_shape(sweep, lanes.tile_shape(sweep))
    assert np.prod([-(-n // width) for n, width in zip(sweep.shape, unit, strict=True)]) < 2 * 2**14
