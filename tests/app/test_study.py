"""What every script and command does with its flags: plans, questions, rounds of seeds, shards and files read back."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import pytest
import xarray as xr

import pt_jax
from pt_jax import study
from pt_jax.app import startup
from pt_jax.app.cli import main
from tests.app.test_cli import MAPS, TINY
from tests.sweep.cases import FILE, throw_sweep
from tests.sweep.test_adaptive import hill, noisy

SWEEP = throw_sweep({"shift": [0.0, 1.0], "scale": [1.0, 2.0, 3.0]})


@pytest.fixture(autouse=True)
def _devices_as_they_are(monkeypatch):
    # In this process jax has started, with as many devices as it then had.
    monkeypatch.setattr(startup, "set_up", lambda: None)


def carry_out(folder, sweep=SWEEP, **flags):
    return study.carry_out({"map": sweep}, {"map": folder}, study.Flags(**flags))


def test_sweeps_are_kept_and_continued(tmp_path, capsys):
    first = carry_out(tmp_path)["map"].load()
    assert "24 trajectories: 24 computed in" in capsys.readouterr().out
    again = carry_out(tmp_path)["map"]
    assert "all known before" in capsys.readouterr().out and again.equals(first)


def test_a_curve_is_drawn_whatever_place_its_axis_is_given(tmp_path):
    carry_out(tmp_path, throw_sweep({"shift": [0.0, 1.0]}))
    for place in ("--x", "--y", "--col"):
        assert main(["plot", str(tmp_path), place, "shift", "--value", "total"]) == 0


def test_ctrl_c_when_all_is_computed_says_that_nothing_is_left(tmp_path, monkeypatch):
    run = pt_jax.run

    def interrupted(*args, **how):
        ds = run(*args, **how)
        signal.raise_signal(signal.SIGINT)
        return ds

    monkeypatch.setattr("pt_jax.sweep.run.run", interrupted)
    with pytest.raises(study.Stopped, match=r"24 of 24 .*: that is all, and the same command draws it.$"):
        carry_out(tmp_path)
    with pytest.raises(study.Stopped, match=r"24 of 24 .*: the same command continues.$"):
        study.carry_out({"a": SWEEP, "b": SWEEP}, {"a": tmp_path, "b": tmp_path / "b"}, study.Flags())


def test_a_plan_computes_nothing(tmp_path, capsys):
    with pytest.raises(study.Stopped) as stop:
        carry_out(tmp_path / "new", plan=True)
    out = capsys.readouterr().out
    assert stop.value.code == 0 and "24, of which 0 are known" in out and not (tmp_path / "new").exists()
    with pytest.raises(study.Stopped):
        study.carry_out({"a": SWEEP, "b": SWEEP}, {k: tmp_path / k for k in "ab"}, study.Flags(plan=True))
    assert capsys.readouterr().out.endswith("2 sweeps, all together: not known\n") and not list(tmp_path.iterdir())


def test_more_than_an_hour_is_asked_for(tmp_path, monkeypatch, capsys):
    long = throw_sweep(SWEEP.axes, seeds=256)
    monkeypatch.setattr(study, "_SHORT", 0.0)
    monkeypatch.setattr(study, "_LONG", 0.0)
    with pytest.raises(ValueError, match=r"will take about \d+ seconds: add --yes, or --plan to see more"):
        carry_out(tmp_path / "new", long)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    with pytest.raises(study.Stopped, match="nothing was computed"):
        carry_out(tmp_path / "new", long)
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert (
        carry_out(tmp_path / "a", long)["map"]["done"].all()
        and carry_out(tmp_path / "b", long, yes=True)["map"]["done"].all()
    )


def by_layer(key, point, static, data):
    found = hill(key, point, static, data)
    return found._replace(gain=jnp.stack([found.gain] * 2))


def test_seeds_up_to_a_standard_error(tmp_path):
    ds = study.carry_out({"map": noisy(256)}, {"map": tmp_path}, study.Flags(until_se=0.1))["map"]
    seeds = pt_jax.stats.summary(ds)["seeds"].values
    assert seeds[0] == seeds[1] == 32 < seeds[2] < seeds[3] == 256
    with pytest.raises(ValueError, match="cannot be spread over shards"):
        carry_out(tmp_path, until_se=0.1, shard="0/2")
    total = study.carry_out({"map": SWEEP}, {"map": tmp_path / "total"}, study.Flags(until_se=10.0))["map"]
    assert "gain" not in total and total["done"].all()
    layers = replace(noisy(256), function=by_layer)  # none but `diverged` has one number a trajectory
    with pytest.raises(ValueError, match="value = 'gain' is not accepted: no result of this sweep has one number"):
        study.carry_out({"map": layers}, {"map": tmp_path / "layers"}, study.Flags(until_se=0.1))


def test_shards_stop_until_all_are_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("pt_jax.sweep.store._UNIT", 8)
    with pytest.raises(study.Stopped, match="run the other shards") as stop:
        carry_out(tmp_path, shard="1/2")
    assert stop.value.code == 0 and "of 24 trajectories are kept in" in capsys.readouterr().out
    assert carry_out(tmp_path, shard="0/2")["map"]["done"].all()


@pytest.mark.parametrize("shard", ["9/8", "-1/2", "1", "a/b", "1/2/3"])
def test_a_wrong_shard_is_refused(tmp_path, shard):
    with pytest.raises(ValueError, match=f"--shard = {shard} is not accepted: use i/n"):
        carry_out(tmp_path, shard=shard)


def test_a_file_is_run_again(tmp_path, capsys):
    sweep = throw_sweep({"shift": [0.0, 1.0], "scale": [1.0, 2.0]}, outputs=("total",))
    record = json.loads(json.dumps(pt_jax.provenance(pt_jax.run(sweep))))
    (tmp_path / "one.json").write_text(json.dumps(record))
    (tmp_path / "two.json").write_text(json.dumps({"a": record, "b": record | {"seeds": [7]}}))
    (tmp_path / "hand.toml").write_text(FILE)
    for file, folders in (("one.json", ["."]), ("two.json", ["a", "b"]), ("hand.toml", ["."])):
        out = tmp_path / file.split(".")[0]
        assert main(["rerun", str(tmp_path / file), "--out", str(out), "--value", "total", "--allow", "tests"]) == 0
        for folder in folders:
            ds = xr.open_zarr(out / folder / "data.zarr", consolidated=False)
            same = pt_jax.run(throw_sweep(sweep.axes, [7] if folder == "b" else 4, outputs=("total",)))
            assert ds["total"].equals(same["total"]) and (out / folder / "figure-total.png").exists()
    assert (
        main(["rerun", str(tmp_path / "one.json"), "--out", str(tmp_path / "c"), "--allow", "tests"]) == 2
    )  # there is no gain
    assert "--value = gain is not accepted: use one of total" in capsys.readouterr().err


def test_all_parts_of_a_file_are_checked_before_the_first_is_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("raise SystemExit('imported')")
    good = {"axes": {"u": [0.0]}, "point": {"n1": 4, "n2": 4, "m": 2, "d": 20, "steps1": 2, "steps2": 2}, "seeds": 2}
    for name, bad in {
        "second": good | {"seeds": 0},
        "third": good | {"outputs": ["error"]},  # there is no gain
        "fourth": good | {"point_type": "os.system"},
        "fifth": good | {"function": "mine.f"},
        "../sixth": good,
        "/seventh": good,
        "eighth": good | {"value": "profit"},
    }.items():
        parts = {name: bad, "good": good} if "value" in bad else {"good": good, name: bad}
        (tmp_path / "a.json").write_text(json.dumps(parts))
        assert main(["rerun", "a.json", "--out", "out"]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and "is not accepted: " in err, name
        assert {path.name for path in tmp_path.iterdir()} == {"a.json", "mine.py"}


def test_a_figure_says_which_result_it_shows_and_is_run_again_with_it(tmp_path, capsys):
    carry_out(tmp_path / "a", throw_sweep({"shift": [0.0, 1.0]}, outputs=("total", "half.first")))
    for value in ("total", "half.first"):
        assert main(["plot", str(tmp_path / "a"), "--value", value]) == 0
        record = json.loads((tmp_path / "a" / f"figure-{value}.json").read_text())
        assert record["value"] == value
    numbers = [(tmp_path / "a" / f"figure-{value}.csv").read_text() for value in ("total", "half.first")]
    assert numbers[0] != numbers[1]
    assert (
        main(["rerun", str(tmp_path / "a" / "figure-total.json"), "--out", str(tmp_path / "b"), "--allow", "tests"])
        == 0
    )
    assert (tmp_path / "b" / "figure-total.csv").read_text() == numbers[0]


def test_a_folder_that_cannot_be_written_is_drawn_elsewhere(tmp_path, capsys, monkeypatch):
    def full(self, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    carry_out(tmp_path / "a", throw_sweep({"shift": [0.0, 1.0]}))
    before = sorted((tmp_path / "a").rglob("*"))
    assert main(["plot", str(tmp_path / "a"), "--value", "total", "--out", str(tmp_path / "new" / "b")]) == 0
    made = {path.name for path in (tmp_path / "new" / "b").iterdir()}
    assert made == {"figure-total.png", "figure-total.csv", "figure-total.json"}
    assert sorted((tmp_path / "a").rglob("*")) == before
    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        assert main(["plot", str(tmp_path / "a"), "--value", "total"]) == 2
    assert "a cannot be written (Read-only file system): name another folder with --out." in capsys.readouterr().err


def test_a_part_of_a_store_is_drawn_with_how_much_is_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pt_jax.sweep.store._UNIT", 8)
    sweep = throw_sweep(SWEEP.axes, lanes=4)
    with pytest.raises(study.Stopped):
        carry_out(tmp_path, sweep, shard="0/2")
    capsys.readouterr()
    assert main(["plot", str(tmp_path), "--value", "total"]) == 0
    assert "of 24 trajectories are computed\nfigure: " in capsys.readouterr().out
    assert carry_out(tmp_path, sweep)["map"]["done"].all()
    capsys.readouterr()
    assert main(["plot", str(tmp_path), "--value", "total"]) == 0
    assert "computed" not in capsys.readouterr().out


@pytest.mark.parametrize("places", ["--x shift --y shift", "--x shift --col shift", "--x seed", "--y nothing"])
def test_axes_that_cannot_be_drawn_are_one_sentence(tmp_path, places, capsys):
    carry_out(tmp_path)
    capsys.readouterr()
    assert main(["plot", str(tmp_path), "--value", "total", *places.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and re.search("use (each of )?(shift, scale|scale, shift)", err)


def test_the_home_folder_is_meant_by_a_tilde(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert main(["map", *MAPS["one"], *TINY, "--out=~/a"]) == 0  # a program that test_cli.py has, too
    assert main(["show", "~/a"]) == 0 and main(["plot", "~/a", "--out", "~/b"]) == 0
    assert main(["rerun", "~/a/figure.json", "--out", "~/c"]) == 0
    assert {path.name for path in (tmp_path / "home").glob("[!.]*")} == {"a", "b", "c"}  # matplotlib makes others
    assert not (tmp_path / "~").exists()
    assert main(["show", "~nobody-of-this-name/a"]) == 2
    assert main(["advise", "--source", "~/none.npz", "--target", "~/none.npz"]) == 2
    assert str(tmp_path / "home" / "none.npz") in capsys.readouterr().err
    figure = pt_jax.plot.curve(pt_jax.run(throw_sweep({"shift": [0.0, 1.0]})), ("total",))
    assert pt_jax.plot.save(figure, "~/b/mine") == tmp_path / "home" / "b" / "mine.png"


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("no.json", None, "is not there: use the JSON beside a figure, or a TOML"),
        ("bad.json", "{", "bad.json is not accepted"),
        ("bad.toml", "a = ", "bad.toml is not accepted"),
        ("list.json", "[1]", "it holds no fields"),
        ("empty.json", "{}", "it holds no fields"),
        ("axes.toml", '[axes]\nu = "0:1"\n', "The axis 'u=0:1' is not accepted"),
        ("field.toml", "[axes]\nw = [1]\n", "'w' is not a field of Point"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, capsys, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text)
    assert main(["rerun", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [None, "mine"])
def test_compiled_programs_are_kept(tmp_path, given):
    code = "import jax; from pt_jax.app import startup; startup.set_up(); print(jax.config.jax_compilation_cache_dir)"
    env = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    env |= {"XDG_CACHE_HOME": str(tmp_path)} | ({"JAX_COMPILATION_CACHE_DIR": given} if given else {})
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=600).stdout
    folder = Path(out.strip())
    assert str(folder) == given or (folder.parent == tmp_path / "pt_jax" and len(folder.name) == 8)
