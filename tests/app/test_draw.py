"""`pt-jax plot`: sections, limits, formats and names of files; where theory is drawn and where it is refused."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import QuadMesh

import pt_jax
from pt_jax.app import atlas, draw, startup
from pt_jax.app.cli import main
from pt_jax.app.section import cut
from pt_jax.report import plot
from pt_jax.sweep.record import traced
from tests.app.worlds import sweep

AXES = {"x": [0.0, 1.0, 2.0], "y": [0.5, 1.0, 2.0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The store of a map."""
    path = tmp_path_factory.mktemp("draw")
    pt_jax.run(sweep(AXES), store=path, report=None)
    return path


@pytest.fixture
def figures(monkeypatch):
    """The figures that were saved."""
    found, save = [], plot.save
    monkeypatch.setattr(startup, "set_up", lambda: None)
    monkeypatch.setattr(plot, "save", lambda figure, *how: (found.append(figure), save(figure, *how))[1])
    return found


def test_a_section_of_a_map_is_a_curve_with_its_numbers_and_place(folder, figures, tmp_path):
    assert main(["plot", str(folder), "--at", "y=1", "--limits", "-1.5,2", "--out", str(tmp_path)]) == 0
    (figure,) = figures
    upper, lower = figure.axes
    assert figure.get_suptitle() == "y = 1" and lower.get_ylim() == (-1.5, 2) and upper.get_ylim() != (-1.5, 2)
    table = pd.read_csv(tmp_path / "figure-y=1.csv")
    expected = pt_jax.stats.summary(pt_jax.load(folder).sel(y=1.0))
    assert table["x"].tolist() == AXES["x"] and (table["y"] == 1).all()
    for name in ("mean", "low", "high", "se"):
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-5)  # six digits are written
    told = json.loads((tmp_path / "figure-y=1.json").read_text())
    assert told["value"] == "gain" and told["at"] == {"y": 1.0}
    assert main(["rerun", str(tmp_path / "figure-y=1.json"), "--out", str(tmp_path / "b"), "--allow", "tests"]) == 0


def test_a_section_of_three_axes_is_a_map_with_limits_of_its_colours(figures, tmp_path):
    pt_jax.run(sweep(AXES | {"z": [1.0, 2.0]}, 2), store=tmp_path, report=None)
    assert main(["plot", str(tmp_path), "--at", "z=2", "--limits", "-0.5,0.5", "--value", "gain"]) == 0
    (mesh,) = [each for each in figures[0].axes[0].collections if isinstance(each, QuadMesh)]
    assert (mesh.norm.vmin, mesh.norm.vmax) == (-0.5, 0.5) and (tmp_path / "figure-z=2.png").exists()


@pytest.mark.parametrize(
    "args, names",
    [
        (["--out", "mine.svg"], ["mine.csv", "mine.json", "mine.svg"]),
        (["--out", "below/paper.v2.PDF"], ["paper.v2.csv", "paper.v2.json", "paper.v2.pdf"]),
        (["--out", "a", "--format", "pdf"], ["figure-error.csv", "figure-error.json", "figure-error.pdf"]),
        (["--at", "x=1", "--out", "b"], ["figure-error-x=1.csv", "figure-error-x=1.json", "figure-error-x=1.png"]),
    ],
)
def test_files_are_called_as_asked_and_else_by_result_and_place(folder, tmp_path, monkeypatch, args, names):
    monkeypatch.chdir(tmp_path)
    assert main(["plot", str(folder), "--value", "error", *args]) == 0
    found = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [path.name for path in found] == names
    begins = {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}
    (picture,) = [path for path in found if path.suffix in begins]
    assert picture.read_bytes().startswith(begins[picture.suffix])


@pytest.mark.parametrize(
    "args, words",
    [
        ("--limits 1", "--limits 1 is not accepted: use LOW,HIGH with LOW below HIGH"),
        ("--limits 2,1", "--limits 2,1 is not accepted"),
        ("--limits nan,1", "--limits nan,1 is not accepted"),
        ("--format jpg", "--format = jpg is not accepted: use png, svg, pdf."),
        ("--format png --out a.svg", "--format = png is not accepted with --out a.svg: leave one of the two out."),
        ("--at x=1,y=1", "There is no axis left to draw: name fewer with --at, or use pt-jax show"),
        ("--theory", "There is no theory for tests.app.worlds.world: leave --theory out."),
        ("--theory --value error", "--theory draws boundaries over a map of the gain"),
        ("--theory --at x=1", "--theory draws boundaries over a map of the gain"),
        ("--x y --at y=1", "'y' is not an axis of"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(folder, figures, capsys, args, words):
    assert main(["plot", str(folder), *args.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"pt-jax: {words}") and err.count("\n") == 1 and not figures


def test_theory_is_had_over_the_grid_of_a_map(monkeypatch, tmp_path):
    point = pt_jax.Point(d=40, n1=8, n2=8, m=3, steps1=4, steps2=4, u=9.0, v2=9.0)
    grid = {"v2": [1.0, 2.0], "lr1,lr2": [0.1, 0.5], "u": [0.0, 1.0, 2.0]}
    static = pt_jax.Static(n_directions=16, record=(0, 4))
    made = pt_jax.Sweep(pt_jax.simulate, point, grid, 2, ("gain",), static, derived=pt_jax.DERIVED)
    nothing = pt_jax.run(made, store=tmp_path, report=None, shard=(1, 2))  # the store alone: its only unit is another's
    gain, asked = np.array([[-1.0, 0.0, 1.0], [-2.0, 1.0, 3.0]]), []  # in place of the prediction, slow to compile

    def predicted(sweep):
        asked.append(sweep)
        return xr.Dataset({"gain": (("v2", "u", "seed"), gain[..., None])})

    monkeypatch.setattr(atlas, "run", predicted)
    lines, (sweep,) = atlas.theory_of(cut(nothing, "lr1=0.5")[0]), asked
    assert sweep.function is pt_jax.theory.predicted and [axis.name for axis in sweep.grid] == ["v2", "u"]
    assert [axis.values[:, 0].tolist() for axis in sweep.grid] == [grid["v2"], grid["u"]]
    assert sweep.point._replace(u=9.0, v2=9.0) == point._replace(lr1=0.5, lr2=0.5)
    assert sweep.static.fixed and (sweep.static.n1, sweep.static.steps2, sweep.static.m) == (8, 4, 3)
    np.testing.assert_array_equal(lines["mean-field prediction"], gain)
    for cell in lines["criterion G"].stack(cell=("v2", "u")).transpose("cell"):
        at = point._replace(lr1=0.5, lr2=0.5, u=cell["u"].item(), v2=cell["v2"].item())
        np.testing.assert_allclose(cell, pt_jax.theory.criterion(at) - pt_jax.theory.phase(at), rtol=1e-5)


@pytest.mark.parametrize("option", [{"noise": "isotropic"}, {"bias": True}, {"choose": "signal"}])
def test_options_without_theory_are_refused(option):
    point, static = pt_jax.Point(d=40, n1=8, n2=8, m=3, steps1=4, steps2=4), pt_jax.Static(n_directions=16, **option)
    with pytest.raises(ValueError, match=f"{next(iter(option))} = .* is not covered by predict: use "):
        traced(atlas.prediction(point, {"u": np.array([0.0, 1.0])}, static))


def test_names_of_layers_stay_in_one_folder():
    assert draw.name_of("gain", {}) == "figure" and draw.name_of("cka", {"layer": "a/b"}) == "figure-cka-layer=a_b"
