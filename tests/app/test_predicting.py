"""The page of theory alone: what is predicted, what is refused, its simulation."""

import json
import queue
import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest

import pt_jax
from pt_jax.app import predicting
from pt_jax.signal_noise.point import Point, Static
from tests.compiling import SOON, jit
from tests.report.cases import dataset
from tests.report.pages import arrays, part

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


def test_sliders_have_round_values():
    values = {name: predicting._round_values(name) for name in predicting._SLIDERS}
    for name, (low, high) in predicting._SLIDERS.items():
        assert values[name] == sorted(set(values[name])) and (values[name][0], values[name][-1]) == (low, high)
        assert predicting.FIELDS[name].default in values[name]
    assert values["n1"] == list(range(10, 301)) and 2 in values["sigma1"] and values["flip1"][:3] == [0, 0.001, 0.002]
    assert values["d"][:11] == [100, 120, 150, 200, 250, 300, 400, 500, 600, 800, 1000]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": "v2"}, "This is not a map"),
        ({"x": ["u"]}, "This is not a map"),
        ({"x": "momentum1", "ends": {"momentum1": [0, 1], "v2": [0, 4]}}, "This is not a map"),
        ({"fields": {}}, "This is not a map"),
        ({"fields": ASKED["fields"] | {"d": 10**400}}, "This is not a map"),
        (
            {"fields": ASKED["fields"] | {"m": float("nan")}, "x": "alpha", "ends": {"alpha": [0, 1], "v2": [0, 4]}},
            "m = nan",
        ),
        ({"ends": {"u": [0, 1e300], "v2": [0, 4]}}, r"u = 1e\+300 is not accepted"),
        ({"x": "n1", "ends": {"n1": [10.5, 20], "v2": [0, 4]}}, "n1 = 10.5 is not accepted"),
        ({"ends": {"u": [4, 0], "v2": [0, 4]}}, "u from 4 to 0 is not accepted"),
        ({"ends": {"u": [float("nan"), 0], "v2": [0, 4]}}, "u from nan to 0 is not accepted"),
        ({"ends": {"u": [-1, 0], "v2": [0, 4]}}, "u = -1 is not accepted"),
        ({"fields": ASKED["fields"] | {"m": 21}}, "m = 21 is not accepted here: .* at most 20"),
        ({"x": "steps1", "ends": {"steps1": [1, 500], "v2": [0, 4]}}, "steps1 = 500 is not accepted here"),
    ],
)
def test_what_is_no_map_is_refused(maps, changed, words):
    for answer in (maps.predict, maps.simulate):
        with pytest.raises(ValueError, match=words):
            next(answer(ASKED | changed))


@pytest.mark.parametrize("asked", [None, [], 5, "u", {}, {"x": "u", "y": "v2", "ends": [], "fields": {}}])
def test_what_is_not_even_that_is_refused(maps, asked):
    with pytest.raises(ValueError, match="This is not a map"):
        next(maps.predict(asked))


@pytest.fixture
def simulated(monkeypatch):
    """Simulations that are started, and what lets them go on to their end, or to an error."""
    started, ends = [], queue.Queue()

    def run(sweep, report, folder):
        started.append(sweep)
        report(0, sweep.trajectories, 0, 1)
        report.phase("compiling")
        (folder / "data.zarr").mkdir(parents=True, exist_ok=True)
        if (error := ends.get(timeout=60)) is not None:
            raise error

    monkeypatch.setattr(predicting, "run", run)
    yield SimpleNamespace(started=started, ends=ends)
    ends.put(None)


def other(**ends):
    return ASKED | {"x": "u", "y": "v1", "ends": ASKED["ends"] | {"v1": [0, 4]} | ends}


def test_a_simulation_is_a_store_with_a_page(maps, tmp_path, simulated):
    (told,) = maps.simulate(ASKED)
    assert told["address"].startswith("/u-v2-") and str(tmp_path) in told["folder"] and told["address"] in maps.pages
    (sweep,) = simulated.started
    assert sweep.function is pt_jax.simulate and sweep.shape[:2] == (41, 41)
    with pytest.raises(ValueError, match="Another map is being simulated"):
        next(maps.simulate(other()))


def test_the_page_of_a_simulation_says_how_far_it_is_and_links_back(maps, tmp_path, simulated, monkeypatch):
    monkeypatch.setattr(predicting, "load", lambda folder: dataset("u", "v2"))
    asked = other(v1=[0, 3])
    told = next(maps.simulate(asked))

    def shown():
        text, changes = maps.pages[told["address"]]()
        return json.loads(part(text, "about")), changes

    about, changes = shown()
    assert changes and re.fullmatch(r"trajectories simulated: 0 of 26,896, 0:\d\d, compiling", about["note"])
    back = json.loads(unquote(about["back"].removeprefix("/#")))
    assert next(maps.simulate(back["asked"])) == told  # the same map
    simulated.ends.put(None)
    assert maps._simulations[told["address"]].result(60) is None
    about, changes = shown()
    assert not changes and about["note"] == "" and about["back"].startswith("/#")


def test_the_same_map_is_simulated_once(maps, simulated):
    # Where the axes of other maps end, and a value that an axis moves, are not in the map.
    same = ASKED | {"ends": ASKED["ends"] | {"d": [None, 3]}, "fields": ASKED["fields"] | {"u": 1.0}}
    with ThreadPoolExecutor(4) as browsers:
        told = list(browsers.map(lambda asked: next(maps.simulate(asked)), [ASKED, same, ASKED, same]))
    assert all(one == told[0] for one in told) and len(simulated.started) == 1


def test_a_simulation_that_ends_early_says_so_and_is_continued(maps, simulated, capsys):
    told = next(maps.simulate(ASKED))
    page = maps.pages[told["address"]]
    simulated.ends.put(OSError(28, "No space left", "data"))
    assert isinstance(maps._simulations[told["address"]].exception(60), OSError)
    with pytest.raises(ValueError, match=r"ended: data cannot be used \(No space left\).* done is in .*u-v2-"):
        page()
    assert "The simulation ended: data cannot be used" in capsys.readouterr().err
    simulated.ends.put(None)
    assert next(maps.simulate(ASKED)) == told
    assert maps._simulations[told["address"]].result(60) is None and len(simulated.started) == 2


def test_a_folder_that_cannot_be_written_is_named(maps, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file cannot be written"):
        next(predicting.Maps(tmp_path / "file").simulate(ASKED))
