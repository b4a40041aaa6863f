"""Scripts: numbers, findings and figure, flags, quick versions, and figures drawn again from their numbers."""

import json
import runpy
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import pt_jax
from pt_jax import study
from pt_jax.app import startup
from pt_jax.report import settings
from pt_jax.report.findings import Finding
from pt_jax.vision import datasets
from tests.report.legible import troubles
from tests.sweep.cases import throw_sweep

ROOT = Path(__file__).parents[2]
SIMS = sorted((ROOT / "sims").glob("*.py"))
FIGURES = ROOT / "figures"
SWEEP = throw_sweep({"shift": [0.0, 1.0], "scale": [1.0, 2.0, 3.0]})


@pytest.fixture(autouse=True)
def _devices_as_they_are(monkeypatch):
    # In this process jax has started, with as many devices as it then had.
    monkeypatch.setattr(startup, "set_up", lambda: None)


@pytest.fixture(scope="module", autouse=True)
def _images_are_read_once():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("mnist", "digits"):
            patch.setattr(datasets, name, cache(getattr(datasets, name)))
        yield


@cache
def given(path):
    """Return what a script hands to `study.main`, without running it."""
    found = []

    def main(doc, sweeps, numbers, draw, seeds, findings=None, images=()):
        # What a script needs not have fetched are its first images.
        found.append((doc, cache(partial(sweeps, images=images[0]) if images else sweeps), draw, seeds))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(study, "main", main)
        patched.setattr("pt_jax.app.ending.listen", lambda name: None)  # Ctrl-C stays this process's own
        patched.setattr(sys, "path", [str(path.parent), *sys.path])
        runpy.run_path(str(path), run_name="__main__")
    return found[0]


def test_a_script_keeps_numbers_findings_and_figure(tmp_path, monkeypatch, capsys):
    def findings(found):
        effect = found["map"]["total"].isel(shift=1, scale=0) - found["map"]["total"].isel(shift=0, scale=0)
        yield Finding("shifts help", "arXiv 0", "total, shifted - not", effect, 0.1)

    def draw(table):
        figure = pt_jax.plot.phase_diagram(pt_jax.stats.cells(table, "total", ["shift", "scale"]))
        figure.suptitle("It helps")
        return figure

    monkeypatch.setattr(sys, "argv", ["mine.py", "--out", str(tmp_path), "--store", str(tmp_path / "store")])
    arguments = (
        "A script.",
        lambda quick, seeds: {"map": SWEEP},
        lambda found: pt_jax.stats.table(found["map"], ["total"]),
    )
    study.main(*arguments, draw, 4, findings)
    assert "shifts help; total, shifted - not" in capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "mine.findings.csv")
    assert list(rows.claim) == ["shifts help"] and rows.seeds[0] == SWEEP.seeds
    assert {path.name for path in tmp_path.glob("mine.*")} == {
        f"mine.{x}" for x in ("png", "csv", "json", "findings.csv")
    }


def test_a_script_on_other_images_has_another_figure(tmp_path, monkeypatch, capsys):
    asked = []

    def sweeps(quick, seeds, images):
        asked.append((images, seeds))
        return {"map": SWEEP}

    def draw(table):
        table = table[table.seeds > 0]
        figure = pt_jax.plot.phase_diagram(pt_jax.stats.cells(table, "total", ["shift", "scale"]))
        figure.suptitle(f"On {table.images[0]}")
        return figure

    def findings(found):
        yield Finding("shifts help", "arXiv 0", "total", found["map"]["total"].isel(shift=1, scale=0), 0.1)

    def script(*flags, images=("digits 8x8", "cifar10 32x32")):
        monkeypatch.setattr(sys, "argv", ["sims/mine.py", "--store", str(tmp_path / "store"), *flags])
        monkeypatch.chdir(tmp_path)
        study.main(None, sweeps, numbers, draw, 4, findings, images)

    def numbers(found):
        return pt_jax.stats.table(found["map"], ["total"])

    script()
    script("--images", "cifar10")
    names = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert names == {"mine", "mine_cifar10"} == {path.name for path in (tmp_path / "store").iterdir()}
    for name, images in (("mine", "digits 8x8"), ("mine_cifar10", "cifar10 32x32")):
        assert set(pd.read_csv(tmp_path / "figures" / f"{name}.findings.csv").images) == {images}
        record = json.loads((tmp_path / "figures" / f"{name}.json").read_text())
        assert (record["images"], record["finding"]) == (images, f"On {images}")
    for path in (tmp_path / "figures").glob("*.png"):
        path.unlink()
    script("--redraw")
    assert len(list((tmp_path / "figures").glob("*.png"))) == 2
    first, other = ("digits 8x8", 4), ("cifar10 32x32", 16)
    assert asked == [first, other, first, ("digits 8x8", 16)]  # no images are fetched to draw again
    script("--images", "cifar10", "--quick")
    assert asked[-1] == ("cifar10 32x32", 3)
    lines = (tmp_path / "figures" / "mine.csv").read_text().splitlines()
    for ending, text in (
        (".json", ""),
        (".csv", ""),
        (".csv", lines[0]),
        (".csv", (tmp_path / "figures" / "mine_cifar10.csv").read_text()),
        (".csv", "\n".join(line.replace("shift", "sift") for line in lines)),
        (".csv", "\n".join(line.replace("seeds", "seed") for line in lines)),
        (".csv", pd.read_csv(tmp_path / "figures" / "mine.csv").assign(mean="none").to_csv(index=False)),
    ):
        kept = tmp_path / "figures" / f"mine{ending}"
        before = kept.read_text()
        kept.write_text(text)
        with pytest.raises(SystemExit):
            script("--redraw")
        said = capsys.readouterr().err
        assert f"figures/mine{ending} is not accepted: " in said
        assert "Traceback" not in said and said.splitlines()[-1].startswith("mine: ")
        kept.write_text(before)
    for flag, value in (("--until-se", "0.1"), ("--seeds", "3"), ("--shard", "1/2")):
        with pytest.raises(SystemExit):
            script("--redraw", flag, value)
        assert f"{flag} has no effect with --redraw, which computes nothing." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        script("--until-se", "nan")
    assert "--until-se = nan is not accepted: use a standard error above 0." in capsys.readouterr().err
    for images, use in ((("digits 8x8", "cifar10 32x32"), "one of digits, cifar10"), ((), "this script without it")):
        with pytest.raises(SystemExit):
            script("--images", "mnist", images=images)
        assert f"--images = mnist is not accepted: use {use}." in capsys.readouterr().err


def test_every_script_takes_the_flags_of_all():
    path = ROOT / "sims" / "map_u_v2.py"
    done = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for flag in ("--seeds", "--quick", "--redraw", "--plan", "--shard", "--until-se", "--out", "--store", "--yes"):
        assert flag in done.stdout


@pytest.mark.parametrize("path", SIMS, ids=lambda path: path.name)
def test_every_script_has_a_smaller_quick_version(path):
    doc, sweeps, _, seeds = given(path)
    whole, quick = (sum(one.trajectories for one in sweeps(short, 2).values()) for short in (False, True))
    assert quick <= whole and seeds >= 10 and f"python sims/{path.name}" in doc


FROM = {  # figures by the script that draws them: those of other images have their name after that of the script
    name: path
    for path in SIMS
    for name in (path.stem, *(f"{path.stem}_{images}" for images in ("cifar10", "fashion", "mnist")))
    if (FIGURES / f"{name}.csv").exists()
}


def drawn_as_another(name):
    """Whether its script, or the code of all maps, draws another figure, too."""
    return f"{name}_cifar10" in FROM or (name.startswith("map_") and name not in ("map_u_v2", "map_n1_n2"))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if drawn_as_another(name) else []) for name in FROM]
)
def test_every_figure_is_drawn_again_from_its_numbers(name):
    _, sweeps, draw, _ = given(FROM[name])
    table = study.read(FIGURES / name, sweeps(False, 2))
    figure = draw(table)
    record = json.loads((FIGURES / f"{name}.json").read_text())
    settings.explain(figure, record)
    plt.close(figure)  # it can be looked at still
    figure.dpi = 120  # as it is saved
    assert figure.get_suptitle() and troubles(figure) == []
    assert "seeds a cell" in figure.texts[-1].get_text()
    parts = [record] if "function" in record else record.values()
    assert {part["finding"] for part in parts} == {" ".join(figure.get_suptitle().split())}
    assert (FIGURES / f"{name}.csv").stat().st_size < 300_000
    assert (FIGURES / f"{name}.png").stat().st_size < 400_000


@pytest.mark.long
def test_a_script_draws_from_its_store(tmp_path, monkeypatch, capsys):
    script = str(ROOT / "sims" / "feature_growth.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, "--quick", "--seeds", "2"])
    monkeypatch.setattr("pt_jax.app.ending.listen", lambda name: None)  # as above
    for said in ("4 computed in", "all known before"):
        runpy.run_path(script, run_name="__main__")
        assert said in capsys.readouterr().out
    made = {path.name for path in (tmp_path / "results" / "feature_growth-quick").iterdir()}
    assert made == {"runs", "feature_growth.png", "feature_growth.csv", "feature_growth.json"}


@pytest.mark.long
def test_the_benchmark_of_an_accelerator_runs_small_on_the_processor(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "accelerator.py", "--small", "--out", tmp_path / "numbers.json"]
    # It runs on the processor, too, so that it is ready when there is an accelerator.
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "numbers.json").read_text())
    assert {"limits", "lanes", "law", "map", "networks"} <= set(found)
    assert found["law"]["error"]["off"] < 1e-5  # the same seeds on the same device
    wrong = subprocess.run([*command, "--sections", "speed"], capture_output=True, text=True, timeout=600)
    assert wrong.returncode == 2 and "use some of limits,lanes" in wrong.stderr
