"""What a figure says of its settings: what its sweeps have in common."""

import json
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import pt_jax
from pt_jax import plot
from pt_jax.report import settings
from pt_jax.report.explorer.rerun import templates
from pt_jax.vision.point import Point as ImagePoint


class Task(NamedTuple):
    n: float = 20.0
    shift: float = 0.0
    weight: float = 0.5


class Result(NamedTuple):
    gain: jax.Array


def draw_one(key, point, static, data):
    return Result(gain=point.shift - jax.random.normal(key) / point.n)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def record(**changed):
    """What a sweep of the signal-noise world writes down."""
    types = {"point_type": "pt_jax.signal_noise.point.Point", "static_type": "pt_jax.signal_noise.point.Static"}
    point = {name: float(value) for name, value in pt_jax.Point()._asdict().items()}
    made = {"function": "pt_jax.signal_noise.trajectory.simulate", "point": point, "static": {"engine": "span"}}
    return made | types | {"axes": {"u": [0, 1]}, "seeds": [0, 1, 2]} | changed


def note(figure):
    return " ".join(figure.texts[-1].get_text().split())


@pytest.mark.parametrize("given", ["{", "[1]", "{}", 3, json.dumps(record(point=[1.0])), json.dumps(record(seeds=2))])
def test_a_provenance_that_no_sweep_wrote_counts_as_none(given):
    ds = xr.Dataset(attrs={"provenance": given})
    assert settings.origin(ds) == {} and settings.common(ds) == [] and templates(ds) == {}
    ds.attrs["provenance"] = json.dumps(record(point_type=None))
    assert settings.origin(ds)["point"] == record()["point"] and templates(ds) == {}


def test_a_function_of_the_users_own_is_explained_by_its_fields():
    ds = pt_jax.run(pt_jax.Sweep(draw_one, Task(), {"shift": [-1.0, 1.0], "n": [10.0, 20.0]}, seeds=4))
    assert note(plot.phase_diagram(ds)) == "weight = 0.5, 4 seeds a cell"
    assert note(plot.phase_diagram(pt_jax.stats.summary(ds))) == "weight = 0.5, 4 seeds a cell"
    one = plot.curve(ds.sel(n=10.0), ("gain",))
    assert note(one) == "weight = 0.5, n = 10, 4 seeds a cell, bars: 95% intervals over seeds"
    ds["done"][0, 0, 1:] = 0
    ds["done"][1, 1] = 0
    assert note(plot.phase_diagram(ds)) == "weight = 0.5, 1 to 4 seeds a cell"
    assert note(plot.curve(ds.isel(n=1), ("gain",))).endswith("bars: 95% intervals over seeds, 1 not computed")


def test_fields_that_are_fixed_have_their_symbols():
    pieces = settings.settings([record()])
    assert pieces[:2] == ["$d$ = 2000", "$N_1$ = 40"] and len(pieces) == 18
    assert not any(piece.startswith(r"$\|u\|$") for piece in pieces)


def test_options_in_words_are_said_where_they_are_not_the_default():
    static = {"engine": "dense", "noise": "projected", "bias": True, "fixed": True, "m": 20, "batch": None}
    assert settings.settings([record(static=static)])[18:] == ["engine = dense", "bias"]


def test_several_sweeps_say_what_they_share():
    point = record()["point"]
    more = {
        "a": record(point=point | {"m": 10.0}, static={"engine": "dense"}),
        "b": record(axes={"d,v2": [[10, 1]]}, static={"engine": "span"}),
        "theory": record(function="pt_jax.signal_noise.mean_field.predicted", point=point | {"n1": 7.0}, seeds=[0]),
    }
    names = {piece.split(" = ")[0] for piece in settings.settings(more.values())}
    assert len(names) == 19 - 4 and not names & {"$m$", "$d$", r"$\|v_2\|$", r"$\|u\|$", "engine"}
    figure, _ = plt.subplots(layout="constrained")
    settings.explain(figure, more)
    assert "$N_1$ = 40" in note(figure) and note(figure).endswith("3 seeds a cell")
    before = len(figure.texts)
    settings.explain(figure, more)
    assert len(figure.texts) == before


def test_points_of_a_plain_list_say_what_they_share():
    points = [pt_jax.Point(u=1.0)._asdict(), pt_jax.Point(n1=7)._asdict()]
    pieces = settings.settings([record(axes=points)])
    assert len(pieces) == 17 and "$N_2$ = 40" in pieces
    assert settings.settings([record(axes="2000 points, made by the script")]) == []


def test_dials_of_images_are_said_where_they_are_on():
    types = {"point_type": "pt_jax.vision.point.Point", "static_type": "pt_jax.vision.point.Static"}
    point = {name: float(value) for name, value in ImagePoint(labels1=0.5)._asdict().items()}
    pieces = settings.settings([record(**types, point=point, axes={}, static={"method": "probe", "model": "vgg"})])
    assert "$p_1$ = 0.5" in pieces and pieces[-1] == "method = probe"
    assert not any(piece.startswith("$p_2$") for piece in pieces)


@pytest.mark.parametrize("name", ["os.path", "pt_jax.app.cli.main", "pt_jax.nowhere.Static", "pt_jax..x", None])
def test_a_record_of_anything_else_says_its_names(name):
    pieces = settings.settings([record(point_type=name, static_type=name)])
    assert pieces[:2] == ["d = 2000", "n1 = 40"] and pieces[-1] == "engine = span"


def test_save_writes_the_note_and_folds_the_title(tmp_path):
    figure, ax = plt.subplots(figsize=(3, 3), layout="constrained")
    figure.suptitle("a title that is much too long for a figure of so few inches")
    plot.save(figure, tmp_path / "mine", provenance=record())
    assert figure.get_suptitle().count("\n") == 1 and note(figure).endswith("3 seeds a cell")
    assert np.isclose(figure.get_figheight() - 3, engine_room(figure)) and ax.get_position().y0 > 0
    assert json.loads((tmp_path / "mine.json").read_text()) == record()


def engine_room(figure):
    return figure.get_layout_engine().get()["rect"][1] * figure.get_figheight()
