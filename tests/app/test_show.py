"""`pt-jax show --at`: the numbers of a cell, of a row, and one sentence for what is not there."""

import json

import numpy as np
import pytest
from scipy import stats

import pt_jax
from pt_jax.app.cli import main
from pt_jax.app.section import cut
from tests.app.worlds import Place, sweep

AXES = {"x": [0.0, 1.0, 2.0], "y": [0.5, 1.0, 2.0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The store of a map."""
    path = tmp_path_factory.mktemp("show")
    pt_jax.run(sweep(AXES), store=path, report=None)
    return path


@pytest.fixture
def show(capsys):
    """Return a function that runs the command and returns its lines, as lists of words."""

    def run(*args, code=0):
        assert main(["show", *map(str, args)]) == code
        out, err = capsys.readouterr()
        return (out if code == 0 else err).splitlines()

    return run


def test_a_cell_is_told_with_its_interval_seeds_and_both_errors(folder, show):
    at, header, *rows = show(folder, "--at", "x=2,y=0.5")
    assert at == "x = 2, y = 0.5"
    assert header.split() == ["result", "mean", "low", "high", "se", "seeds", "clear", "meaning"]
    told = {row.split()[0]: row.split()[1:] for row in rows[:3]}
    assert list(told) == ["gain", "error", "error_scratch"]
    values = pt_jax.load(folder)["gain"].sel(x=2, y=0.5).values.astype(float)
    se = values.std(ddof=1) / np.sqrt(8)
    low, high = stats.t.interval(0.95, 7, values.mean(), se)
    # Two digits of the standard error are written: half of the last one is off at most.
    np.testing.assert_allclose([float(x) for x in told["gain"][:4]], [values.mean(), low, high, se], atol=se / 20)
    assert told["gain"][4:] == ["8", "helps"] and len(told["gain"][3].lstrip("0.")) == 2
    assert told["error_scratch"][:5] == ["3", "3", "3", "0", "8"]
    points = {line.index(".") for line in [header, *rows] if line.startswith(("gain", "error "))}
    assert len(points) == 1  # decimal points below each other


@pytest.mark.parametrize(
    "at, word", [("x=0,y=1", "hurts"), ("x=1,y=1", "unclear"), ("x=2,y=1", "helps"), ("x=2,y=2", "diverged")]
)
def test_the_sign_of_a_cell_is_said(folder, show, at, word):
    lines = show(folder, "--at", at)
    assert lines[2].split()[6] == word
    lost = int(pt_jax.load(folder)["diverged"].sel(x=2, y=2).sum())
    assert (f"diverged: {lost} of 8 seeds; such a cell has no mean" in lines) == (word == "diverged")
    assert 0 < lost < 8


def test_the_axis_that_is_left_makes_a_table(folder, show):
    lines = show(folder, "--at", "x=2")
    assert lines[1].split() == ["y", "mean", "low", "high", "se", "seeds", "clear", "error", "error_scratch"]
    assert [line.split()[0] for line in lines[2:5]] == ["0.5", "1", "2"]
    assert lines[4].split()[1:] == ["-", "-", "-", "-", "8", "diverged", "-", "-"]
    errors = show(folder, "--at", "x=2", "--value", "error")
    assert errors[1].split()[-1] == "clear" and errors[2].split()[-1] == "clear"
    assert len(show(folder, "--value", "gain")) == 1 + 9 + 1


def test_json_has_all_digits_and_null_for_what_is_not_there(folder, show):
    told = json.loads("\n".join(show(folder, "--at", "x=2", "--json")))
    cells = pt_jax.stats.summary(pt_jax.load(folder).sel(x=2))
    assert told["at"] == {"x": 2.0} and [cell["y"] for cell in told["cells"]] == AXES["y"]
    for name in ("mean", "low", "high", "se"):
        assert [cell[name] for cell in told["cells"]] == [*cells[name].values[:2].tolist(), None]


def test_the_nearest_value_is_said(folder, show, capsys):
    assert main(["show", str(folder), "--at", "x=1.9,y=1.000001", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == "x = 1.9 is not computed: x = 2 is the nearest\n" and json.loads(out)["at"] == {"x": 2.0, "y": 1.0}


@pytest.mark.parametrize(
    "args, words",
    [
        (["--at", "x=3"], "x = 3 lies outside of its axis: use a value from 0 to 2."),
        (["--at", "x=nan"], "x = nan lies outside of its axis: use a value from 0 to 2."),
        (["--at", "x=two"], "x = two is not accepted: use a number."),
        (["--at", "z=1"], "'z' is not an axis here, z is 3 in every cell: use x, y."),
        (["--at", "w=1"], "'w' is not an axis here: use x, y."),
        (["--at", "seed=1"], "'seed' is not an axis here: use x, y."),
        *((["--at", text], f"--at {text} is not accepted: use NAME=VALUE") for text in ("x", "x=", "x=1,", "x=1,x=2")),
        (["--value", "profit"], "--value = profit is not accepted: use one of gain, error, error_scratch, diverged"),
    ],
)
def test_what_is_not_there_is_one_sentence(folder, show, args, words):
    (line,) = show(folder, *args, code=2)
    assert line.startswith(f"pt-jax: {words}")


def test_a_store_that_is_being_written_says_what_is_not_computed(tmp_path, show, monkeypatch):
    monkeypatch.setattr("pt_jax.sweep.store._UNIT", 8)
    pt_jax.run(sweep(AXES, lanes=4), store=tmp_path, report=None, shard=(0, 2))
    lines, done = show(tmp_path, "--at", "y=0.5"), pt_jax.load(tmp_path)["done"].sel(y=0.5).values
    assert 0 < done.sum() < 24 and lines[-1] == f"{done.sum()} of 24 trajectories are computed"
    for line, seeds in zip(lines[2:5], done.sum(axis=-1), strict=True):
        assert line.split()[5] == str(seeds) and ("not computed" in line) == (seeds == 0)


def test_axes_that_move_together_are_found_by_one_of_them_or_both(capsys):
    ds = pt_jax.run(sweep({"x,y": [[0.0, 0.5], [1.0, 0.6], [0.0, 0.7]], "z": [1.0, 2.0]}, 2))
    for spec, where in (("y=0.6", 1), ("x=1", 1), ("x=0,y=0.7", 2), ("x=0", [0, 2])):
        part, _ = cut(ds, f"{spec},z=2")
        assert part.equals(ds.isel(x=where, z=1)), spec
    same = pt_jax.run(sweep({"x,z": [0.5, 1.0, 2.0]}, 2))
    assert cut(same, "x,z=2")[1] == {"x": 2.0, "z": 2.0}
    assert capsys.readouterr() == ("", "")


def test_a_list_of_points_has_a_place_of_its_own():
    ds = pt_jax.run(pt_jax.Sweep(sweep({}).function, Place(), [Place(0.0, 1.0), Place(1.0, 1.0), Place(2.0, 0.0)], 2))
    assert cut(ds, "x=2")[0]["gain"].dims == ("seed",) and cut(ds, "y=1")[0].sizes["point"] == 2


def test_a_result_of_several_numbers_is_a_table(folder, show):
    lines = show(folder, "--at", "x=2,y=1", "--value", "curve")
    assert [line.split()[0] for line in lines[1:4]] == ["curve_0", "0", "1"]
    first, second = (float(line.split()[1]) for line in lines[2:4])
    np.testing.assert_allclose(second, 2 * first, rtol=0.1)  # two digits of the standard error


def test_labels_of_a_dimension_are_places_too(capsys, tmp_path):
    pt_jax.run(sweep({"x": [2.0]}, dims={"curve": ("part",)}, labels={"part": ["a", "b"]}), store=tmp_path, report=None)
    assert main(["show", str(tmp_path), "--at", "part=b,x=2", "--value", "curve"]) == 0
    assert capsys.readouterr().out.startswith("part = b, x = 2\nresult ")
    assert main(["show", str(tmp_path), "--at", "part=c"]) == 2
    assert capsys.readouterr().err == "pt-jax: part = c is not accepted: use one of a, b.\n"


def test_a_large_store_is_read_where_it_is_asked(folder, show, monkeypatch):
    whole = show(folder, "--at", "x=2")
    monkeypatch.setattr("pt_jax.sweep.dataset.LOADED", 0)
    assert show(folder, "--at", "x=2") == whole


def test_a_folder_of_stores_names_them_and_a_store_may_be_named_itself(folder, show):
    (line,) = show(folder.parent, code=2)
    assert line.startswith(f"pt-jax: {folder.parent} is not accepted: it holds stores in folders; use one of them, ")
    assert show(folder / "data.zarr", "--at", "x=2,y=1") == show(folder, "--at", "x=2,y=1")
    (line,) = show(folder / "runs", code=2)
    assert line.endswith("it holds no data.zarr; name a folder that a run has written.")
