"""The page of theory alone: what is predicted, what is refused, its simulation."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

import pt_jax
from pt_jax.app import predicting
from pt_jax.signal_noise.point import Point, Static
from tests.compiling import SOON, jit
from tests.report.pages import arrays

ASKED = predicting.FIRST._asdict()


def plane(points):
    """A gain that theory does not know: fast, and without compilation."""
    gain = np.asarray(points.u - points.v2 + points.alpha)
    return SimpleNamespace(gain=gain, error=1 - gain, error_scratch=np.ones_like(gain))


@pytest.fixture
def maps(monkeypatch, tmp_path):
    """Maps of `plane`, and simulations of few steps."""
    monkeypatch.setattr(predicting.Maps, "_program", staticmethod(plane))
    return predicting.Maps(tmp_path)


def last(maps, **changed):
    """The map that is told last, its arrays in the places of their offsets, and all parts of it that were done."""
    told = list(maps.predict(ASKED | changed))
    return arrays(told[-1]["about"], told[-1]["numbers"]), [one["done"] for one in told if "done" in one]


def test_it_is_the_prediction(monkeypatch, tmp_path):
    monkeypatch.setattr(predicting, "CPU_OPTIONS", SOON)
    monkeypatch.setattr(predicting, "_STATIC", static := Static(m=20, steps1=3, steps2=3))
    monkeypatch.setattr(predicting, "_SIZES", (5,))
    fields = ASKED["fields"] | {"steps1": 3, "steps2": 3, "lr1": 1, "lr2": 1}
    about, _ = last(predicting.Maps(tmp_path), fields=fields)
    expected = jit(pt_jax.theory.predict, static_argnums=1)(Point(**fields | {"u": 3.0, "v2": 2.0}), static)
    for one in about["results"]:
        np.testing.assert_allclose(one["mean"][3, 2], getattr(expected, one["name"]), atol=1e-3)
    assert [one["name"] for one in about["results"]] == ["gain", "error", "error_scratch"]


def test_a_map_over_any_two_fields_comes_in_parts(maps):
    about, done = last(maps, x="alpha", y="n1", ends={"alpha": [0, 1], "n1": [10, 20]})
    assert list(about["axes"]) == ["alpha", "n1"] and about["predicted"]
    np.testing.assert_allclose(about["axes"]["alpha"]["at"], np.arange(21) / 20, atol=1e-12)  # what can be inherited
    assert about["axes"]["n1"]["at"] == list(range(10, 21))
    gain = about["results"][0]
    np.testing.assert_allclose(gain["mean"], np.tile(np.arange(21)[:, None] / 20, (1, 11)), atol=1e-6)
    assert (gain["state"] == 3).all()
    assert done[-1] == 1 and len(done) > 2 and done.index(1) < len(done) - 1  # the coarse map comes before


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": "v2"}, "This is not a map"),
        ({"fields": {}}, "This is not a map"),
        ({"ends": {"u": [4, 0], "v2": [0, 4]}}, "u from 4 to 0 is not accepted"),
        ({"ends": {"u": [float("nan"), 0], "v2": [0, 4]}}, "u from nan to 0 is not accepted"),
        ({"ends": {"u": [-1, 0], "v2": [0, 4]}}, "u = -1 is not accepted"),
        ({"fields": ASKED["fields"] | {"m": 21}}, "m = 21 is above the maximum 20"),
    ],
)
def test_what_is_no_map_is_refused(maps, changed, words):
    with pytest.raises(ValueError, match=words):
        last(maps, **changed)


def test_a_simulation_is_a_store_with_a_page(maps, tmp_path, monkeypatch):
    started, finish = [], threading.Event()

    def run(sweep, report, folder):
        started.append(sweep)
        (folder / "data.zarr").mkdir(parents=True)
        finish.wait(60)

    monkeypatch.setattr(predicting, "run", run)
    (told,) = maps.simulate(ASKED)
    assert told["address"].startswith("/u-v2-") and str(tmp_path) in told["folder"] and told["address"] in maps.pages
    assert started[0].function is pt_jax.simulate and started[0].shape[:2] == (41, 41)
    assert list(maps.simulate(ASKED)) == [told] and len(started) == 1
    with pytest.raises(ValueError, match="Another map is being simulated"):
        list(maps.simulate(ASKED | {"y": "v1", "ends": {"u": [0, 4], "v1": [0, 4]}}))
    finish.set()
