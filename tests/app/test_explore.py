"""`pt-jax explore`: the page of a folder, and what is refused."""

import json
import sys

import pytest

import pt_jax
from pt_jax.app.cli import main
from tests.app.worlds import sweep
from tests.report.pages import part, read, result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The store of a map."""
    path = tmp_path_factory.mktemp("explore")
    pt_jax.run(sweep({"x": [0.0, 1.0], "y": [0.5, 2.0]}), store=path, report=None)
    return path


def test_a_page_of_all_results_is_in_the_folder_or_elsewhere(folder, tmp_path, capsys):
    assert main(["explore", str(folder)]) == 0
    assert capsys.readouterr().out == f"page: {folder / 'explore.html'}\n"
    assert len(read(folder / "explore.html")["results"]) == 4
    assert main(["explore", str(folder / "data.zarr"), "--value", "error,gain", "--out", str(tmp_path / "a.html")]) == 0
    about = read(tmp_path / "a.html")
    assert [one["name"] for one in about["results"]] == ["gain", "error"]
    cells = pt_jax.stats.summary(pt_jax.load(folder), "gain")
    assert (result(about, "gain")["mean"] == cells["mean"].astype("f4")).sum() == cells["mean"].notnull().sum()


def test_another_folder_is_shown_beside(folder, tmp_path, capsys, monkeypatch):
    pt_jax.run(sweep({"x": [0.0, 1.0], "y": [0.5, 2.0]}, seeds=2), store=tmp_path / "old", report=None)
    assert main(["explore", str(folder), str(tmp_path / "old"), "--value", "gain", "--out", f"{tmp_path}/a.html"]) == 0
    gain, old = read(tmp_path / "a.html")["results"]
    assert (gain["name"], old["name"]) == ("gain", "gain in old")
    assert gain["seeds"].max() == 8 and old["seeds"].max() == 2
    monkeypatch.chdir(tmp_path / "old")
    for here in (".", "data.zarr"):  # which have no name of their own
        assert main(["explore", str(folder), here, "--value", "gain", "--out", f"{tmp_path}/a.html"]) == 0
        assert read(tmp_path / "a.html")["results"][1]["name"] == "gain in old"
    pt_jax.run(sweep({"z": [0.0, 1.0]}, seeds=2), store=tmp_path / "far", report=None)
    assert main(["explore", str(folder), str(tmp_path / "far")]) == 2
    assert "far cannot be shown beside: it has none of the axes x, y" in capsys.readouterr().err


def test_without_a_folder_there_is_theory_alone(capsys):
    for args, words in (([], "A folder is missing"), (["--theory", "--value", "gain"], "--value is not accepted")):
        assert main(["explore", *args]) == 2
        assert words in capsys.readouterr().err


def test_theory_alone_says_at_once_what_one_waits_for(capsys, monkeypatch):
    def later():
        assert capsys.readouterr().err == "compiling the prediction: the address follows\n"
        raise ValueError("enough")

    monkeypatch.setattr("pt_jax.app.startup.set_up", later)
    assert main(["explore", "--theory"]) == 2
    assert "enough" in capsys.readouterr().err


def test_a_live_page_says_how_much_is_computed(folder, monkeypatch):
    pages, ds = {}, pt_jax.load(folder)
    monkeypatch.setattr("pt_jax.app.explore._serve", lambda given, port: pages.update(given))
    for done, note in ((1, ""), (0, "0 of 32 trajectories are computed")):
        monkeypatch.setattr("pt_jax.app.show.opened", lambda path, done=done: (ds.assign(done=ds["done"] * done), path))
        assert main(["explore", str(folder), "--serve"]) == 0
        text, changes = pages["/"]()
        assert json.loads(part(text, "about"))["note"] == note and changes == (not done)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--value", "gain,bla"], "--value = bla is not accepted"),
        (["--theory"], "There is no theory for tests.app.worlds.world"),
        (["--theory", "--value", "error"], "--theory draws boundaries over a map of the gain"),
        (["--out", "/none/page.html"], "path = /none/page.html is not accepted"),
        (["--out", "/proc/page.html"], "cannot be written"),
    ],
)
def test_wrong_input_is_answered_by_one_sentence(args, words, folder, capsys, monkeypatch):
    monkeypatch.setattr("pt_jax.app.startup.set_up", lambda: None)
    assert main(["explore", str(folder), *args]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_without_plotly_it_says_what_to_install(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert main(["explore", str(folder), "--out", str(tmp_path / "page.html")]) == 2
    assert "pip install 'pt_jax[explore]'" in capsys.readouterr().err and not list(tmp_path.iterdir())
