"""A description reads back as the same sweep; what cannot be read back is refused by name."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pt_jax.signal_noise.derived import DERIVED
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.trajectory import simulate
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.journal import runs
from pt_jax.sweep.provenance import describe, machine, provenance
from pt_jax.sweep.record import restore
from pt_jax.sweep.run import run
from tests.sweep.cases import Dice, throw, throw_sweep

SWEEPS = {
    "product": Sweep(simulate, Point(u=1.5), {"n1": [10, 20], "sigma1,sigma2": [[1, 2], [3, 4.0]]}, [3, 5], ("gain",)),
    "points": Sweep(
        simulate, Point(), [Point(u=0.0), Point(u=1.0, d=100.0)], 4, static=Static(record=(0, 3), bias=True)
    ),
    "own": throw_sweep({"shift": [0.1, 0.2]}, lanes=4, dims={"each": ("die",)}, labels={"die": list("abcde")}),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_description_through_json_is_the_same_sweep(name):
    sweep = SWEEPS[name]
    record = json.loads(json.dumps(describe(sweep) | machine()))
    back = restore(record, ["tests"])
    assert back.function is sweep.function and type(back.point) is type(sweep.point)
    assert back.seed_values == sweep.seed_values and back.static == sweep.static
    for one, two in zip(back.grid, sweep.grid, strict=True):
        assert (one.name, one.fields) == (two.name, two.fields)
        np.testing.assert_array_equal(one.values, two.values)
    assert json.loads(json.dumps(describe(back))) == json.loads(json.dumps(describe(sweep)))


def test_what_is_not_said_is_default():
    sweep = restore({"axes": {"u": [0, 1]}})
    assert sweep.function is simulate and sweep.point == Point() and sweep.static == Static()


@pytest.mark.parametrize(
    "record, words",
    [
        ({"axes": {"u": [0]}, "momentum": 1}, ["momentum = 1", "use function, point_type"]),
        ({}, ["axes = None", "name: values"]),
        ({"axes": "u"}, ["axes = 'u'", "name: values"]),
        ({"axes": {"u": [0]}, "point": {"w": 1}}, ["point", "'w'", "fields of Point"]),
        ({"axes": {"u": [0]}, "static": {"speed": 1}}, ["static", "speed", "fields of Static"]),
        ({"axes": {"u": [0]}, "static": {"optimizer": "<function f at 0x1>"}}, ["optimizer", "cannot be read back"]),
        ({"axes": {"u": [0]}, "function": "nowhere.f"}, ["function = 'nowhere.f'", "allow its module with --allow"]),
        ({"axes": {"u": [0]}, "function": "__main__.f"}, ["function = '__main__.f'", "allow its module"]),  # python -c
        ({"axes": {"u": [0]}, "function": "f"}, ["function = 'f'", "allow its module"]),
        ({"axes": {"u": [0]}, "data": "abc"}, ["data", "from Python"]),
        ({"axes": {"u": [-1]}}, ["u = -1", "from 1e-18 to"]),
        ({"axes": {"u": [0]}, "seeds": 0}, ["seeds = 0"]),
    ],
)
def test_a_wrong_description_is_refused(record, words):
    with pytest.raises(ValueError) as error:
        restore(record)
    assert [word for word in words if word not in str(error.value)] == []


def test_a_dataset_says_where_it_comes_from_and_when(tmp_path):
    sweep = SWEEPS["own"]
    for ds in (run(sweep), run(sweep, store=tmp_path)):
        origin = provenance(ds)
        assert {"function", "seeds", "versions", "device", "command", "flags", "dirty", "lanes"} <= set(origin)
        assert origin["start"] <= origin["end"] and origin["trajectories"] == 8
        assert restore(origin, ["tests"]).shape == sweep.shape
    (one,) = runs(tmp_path)
    assert one["computed"] == 8 and one["shard"] == "0/1" and one["seconds"] >= 0
    run(replace(sweep, axes={"shift": [0.1, 0.2, 0.3]}), store=tmp_path)
    part = provenance(run(sweep, store=tmp_path))  # the store is larger by now: the picture is of this part
    assert part["axes"] == {"shift": [0.1, 0.2]} and part["start"] == one["start"]
    assert [r["computed"] for r in runs(tmp_path)] == [8, 4]


def test_derived_quantities_are_coordinates_along_their_axes(tmp_path):
    sweep = Sweep(simulate, Point(v2=3.0), {"u": [0.0, 4.0], "d": [100, 400], "alpha": [0.5]}, derived=DERIVED)
    found = sweep.coordinates()
    dims, values, about = found["snr"]
    assert dims == ["u", "d"] and about["long_name"]
    np.testing.assert_allclose(values, [[0.3, 0.15], [0.5, 0.25]])
    np.testing.assert_allclose(found["phase"][1], 40 * np.array([[3.0], [5.0]]) ** 4 / np.array([100, 400]))
    own = throw_sweep({"shift": [1.0, 2.0], "scale": [3.0]}, derived={"twice": (("shift",), lambda x: 2 * x, {})})
    for ds in (run(own), run(own, store=tmp_path)):
        assert ds.coords["twice"].dims == ("shift",) and ds["twice"].values.tolist() == [2.0, 4.0]
    with pytest.raises(ValueError, match="'size' is not a field of Dice"):
        throw_sweep({"shift": [1.0]}, derived={"a": (("size",), abs, {})})


def test_a_list_of_points_is_a_sweep_along_them(tmp_path):
    points = [Dice(shift=2.0), Dice(scale=4.0), Dice(share=1.0)]
    sweep = Sweep(throw, Dice(), points, 3)
    ds, kept = run(sweep), run(sweep, store=tmp_path)
    assert ds["total"].dims == ("point", "seed") and ds["scale"].dims == ("point",)
    for i, point in enumerate(points):
        alone = run(Sweep(throw, point, {}, 3))
        np.testing.assert_array_equal(ds["total"][i], alone["total"])
        np.testing.assert_array_equal(kept["total"][i], alone["total"])
    more = run(Sweep(throw, Dice(), [*points, Dice(shift=9.0)], 3), store=tmp_path)
    np.testing.assert_array_equal(more["total"][:3], ds["total"])
    with pytest.raises(ValueError, match="a list of Dices"):
        Sweep(throw, Dice(), [1.0, 2.0])


def test_dims_and_labels_of_results():
    ds = run(SWEEPS["own"])
    assert ds["each"].dims == ("shift", "seed", "die") and ds["die"].values.tolist() == list("abcde")
    sweep = Sweep(simulate, Point(), {"u": [1.0]}, static=Static(record=(0, 5)))
    assert sweep.own_dims("curves.transfer.loss", 1) == ["step"]
    assert sweep.coordinates()["step"][1].tolist() == [0, 5]
    with pytest.raises(ValueError, match=r"dims = \['a', 'b'\] of each .* 1 dimensions"):
        run(throw_sweep({"shift": [1.0]}, dims={"each": ("a", "b")}))
