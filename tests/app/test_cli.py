"""The command line: what it refuses, in one sentence and with nothing touched, and what a tiny map leaves behind."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pt_jax.app import commands, startup
from pt_jax.app.cli import main
from pt_jax.app.flags import axis, whole_numbers
from pt_jax.signal_noise.point import Point, Static

SCRIPT = "from pt_jax.app.cli import main; raise SystemExit(main())"
SIZES = {"d": 50, "n1": 8, "n2": 8, "m": 3, "steps1": 5, "steps2": 5, "n-directions": 16, "seeds": 2}
TINY = [text for name, value in SIZES.items() for text in (f"--{name}", str(value))]
MAPS = {
    "one": ["--x", "sigma1,sigma2=0.5,1"],
    "two": ["--x", "u=0:2:3", "--y", "v2=0.1:10:3:log", "--theory"],
    "three": ["--x", "alpha=0,0.5,1", "--y", "v2=1:2:2", "--row", "u=1,3"],
}


@pytest.fixture(scope="module", autouse=True)
def in_a_process(tmp_path_factory):
    """A tiny map in a process that starts now and is waited for by a test at the end."""
    root = tmp_path_factory.mktemp("maps")
    (root / "one").mkdir()
    (root / "one" / "lock").touch()  # the mark of an earlier run: a folder that may be written again
    (root / "one" / "figure.csv").write_text("old\n")
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=root)
    command = [sys.executable, "-c", SCRIPT, "map", *MAPS["one"], *TINY, "--out", str(root / "one")]
    with subprocess.Popen(command, **pipes) as process:
        yield root, process
        process.kill()


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Return a function that runs bad input and returns what was written to stderr, after checking all else."""
    monkeypatch.chdir(tmp_path)
    # In this process jax has started, with as many devices as it then had; children of other tests do it for real.
    monkeypatch.setattr(startup, "set_up", lambda: None)
    monkeypatch.setattr("pt_jax.sweep.units.compute", lambda *_: pytest.fail("this input was accepted"))

    def run(*args):
        before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
        try:
            code = main(["map", *map(str, args)])
        except SystemExit as stop:
            code = stop.code
        written = capsys.readouterr()
        assert code == 2
        assert "Traceback" not in written.err + written.out
        assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
        return written.err

    return run


def words_missing(text, words):
    return [word for word in words if word not in text]


@pytest.mark.parametrize(
    "args, words",
    [
        ("--x nonsense=0,1", ["'nonsense=0,1'", "use one of d, n1", "alpha"]),
        ("--x wieght_decay2=0,1", ["'wieght_decay2=0,1'", "use weight_decay2."]),
        ("--x u", ["'u'", "u=start:stop:count"]),
        ("--x u=", ["'u='", "start:stop:count"]),
        ("--x u=0:1", ["'u=0:1'", "start:stop:count"]),
        ("--x u=0:1:0", ["'u=0:1:0'", "start:stop:count"]),
        ("--x u=0:1:2.5", ["'u=0:1:2.5'", "start:stop:count"]),
        ("--x u=0:1:3:log", ["'u=0:1:3:log'", "start:stop:count:log"]),
        ("--x u=0:1:3:ln", ["'u=0:1:3:ln'", "start:stop:count:log"]),
        ("--x u=1,two", ["'u=1,two'", "a,b,c"]),
        ("--x u=1,2,1", ["'u=1,2,1'", "repeats", "fewer"]),
        ("--x n1=1:3:9", ["'n1=1:3:9'", "repeats", "fewer"]),
        ("--x alpha=0.5,0.51", ["'alpha=0.5,0.51'", "repeats", "fewer"]),
        ("--x u=nan,1", ["u = nan", "0 or a number from 1e-18"]),
        ("--x u=1,inf", ["u = inf", "0 or a number from 1e-18"]),
        ("--x alpha=0,1.2", ["alpha = 1.2", "from 0 to 1"]),
        ("--x alpha=0.5,1.01", ["alpha", "1.01", "from 0 to 1"]),
        ("--x alpha=-0.01,0.5", ["alpha", "-0.01", "from 0 to 1"]),
        ("--x flip1=-0.1,0.1", ["flip1 = -0.1", "from 0 to 1"]),
        ("--x d=3,30", ["d = 3", "above 3"]),
        ("--x u=0,1 --alpha 1.2", ["alpha = 1.2", "from 0 to 1"]),
        ("--x u=0,1 --flip1 -0.1", ["flip1 = -0.1", "from 0 to 1"]),
        ("--x u=0,1 --angle 200", ["angle = 200", "from 0 to 180"]),
        ("--x u=0,1 --d 3", ["d = 3", "whole number above 3"]),
        ("--x u=0,1 --d 16777218", ["d = 16777218 ", "at most 16777216"]),
        ("--x u=0,1 --d 4.0000000001", ["d = 4.0000000001 ", "whole number"]),
        ("--x u=0,1 --v1 1e39", ["v1 = 1e+39", "to 1000000"]),
        ("--x u=0,1 --sigma2 -1", ["sigma2 = -1", "0 or a number from 1e-18"]),
        ("--x u=0,1 --n1 2.5", ["n1 = 2.5", "whole number from 1"]),
        ("--x u=0,1 --m 0", ["m = 0", "whole number from 1"]),
        ("--x u=0,1 --steps2 -1", ["steps2 = -1", "whole number from 0"]),
        ("--x u=0,1 --lr1 0", ["lr1 = 0", "from 1e-12"]),
        ("--x u=0,1 --init-scale 0", ["init_scale = 0", "from 1e-12"]),
        ("--x u=0,1 --v1 nan", ["v1 = nan", "0 or a number from 1e-18"]),
        ("--x u=0,1 --v1 inf", ["v1 = inf", "0 or a number from 1e-18"]),
        ("--x n2=10,20.5", ["n2 = 20.5", "whole number"]),
        ("--x u=0,1 --record 0,a", ["--record = 0,a", "0 5 10 or 0,5,10"]),
        ("--x u=0,1 --record 5,0", ["record = (5, 0)", "increasing"]),
        ("--x u=0,1 --seeds 2147483648", ["--seeds = 2147483648", "at most 16777216"]),
        ("--x u=0,1 --seeds 0", ["seeds = 0", "at least 1"]),
        ("--x u=0,1 --seeds -2", ["seeds = -2", "at least 1"]),
        ("--x u=0,1 --u 2", ["u", "axis", "--u", "once"]),
        ("--x sigma1,sigma2=1,2 --sigma2 2", ["sigma2", "axis", "--sigma2", "once"]),
        ("--x u=0,1 --y u=0,1", ["once"]),
        ("--x u=0,1 --y u=2,3", ["once"]),
        ("--x sigma1,sigma2=1,2 --y sigma2=2,3", ["sigma2", "once"]),
        ("--x u=0,1 --y v2=0,1 --col alpha=0,1 --row d=9,99", ["4 axes", "at most two"]),
        ("--x u=0,1 --col alpha=0,1", ["--col", "--y"]),
        ("--y u=0,1", ["--x"]),
        ("", ["--x is missing"]),
        ("--x u=0,1 --y v2=0,1 --col v1=0:1:37", ["37 panels", "at most 36"]),
        ("--x u=0,1 --theory", ["--theory", "two axes"]),
        ("--x u=0,1 --y v2=0,1 --value error --theory", ["--theory", "the gain"]),
        ("--x u=0,1 --y v2=0,1 --noise isotropic --theory", ["noise = 'isotropic'", "not covered", "'projected'"]),
        ("--x spread1=0,1 --y u=0,1 --data amplitudes --theory", ["data = 'amplitudes'", "not covered"]),
        ("--x sam2=0,1 --y u=0,1 --theory", ["sam2 above 0", "not covered"]),
        ("--x u=0,1 --nesterov", ["nesterov = True", "no effect", "a momentum above 0"]),
        ("--x u=0,1 --out ~no-such-user/a", ["--out = '~no-such-user/a'", "the path of a folder"]),
        (f"--x u=0,1 --out {'x' * 300}", ["--out = 'xxx", "the path of a folder"]),
        ("--x u=0,1 --value profit", ["--value = profit", "error"]),
        ("--x u=0,1 --value gian", ["--value = gian", "use gain."]),
        ("--x u=0,1 --engine dense --optimizer chain", ["optimizer = 'chain'", "a name in optax"]),
        ("--x u=0,1 --engine dense --activation glu", ["activation = 'glu'", "a name in jax.nn"]),
        ("--x u=0,1 --engine dense --loss mro", ["loss = 'mro'", "logistic, squared"]),
        ("--x u=0,1 --optimizer adam", ["optimizer = 'adam'", "engine = 'dense'"]),
        ("--x u=0,1 --inherit weights", ["inherit = 'weights'", "engine = 'dense'"]),
        ("--x u=0,1 --engine fast", ["engine = 'fast'", "span or dense"]),
        ("--x u=0,1 --n-directions 100", ["n_directions = 100", "power of 2"]),
    ],
)
def test_bad_input_is_one_sentence_with_field_value_and_what_is_accepted(refused, args, words):
    text = refused(*args.split())
    assert re.fullmatch(r"pt-jax: [^\n]+\.\n", text), text
    assert words_missing(text, words) == []


@pytest.mark.parametrize(
    "args, words",
    [
        ("--x u=0,1 --momentum 0.9", ["--momentum"]),
        ("--x u=0,1 --seeds 2.5", ["--seeds", "2.5"]),
        ("--x u=0,1 --seeds many", ["--seeds", "many"]),
        ("--x u=0,1 --alpha half", ["--alpha", "half"]),
        ("--x u=0,1 --bias maybe", ["maybe"]),
        ("--x", ["--x"]),
    ],
)
def test_what_is_no_flag_or_no_number_is_refused_by_the_parser(refused, args, words):
    assert words_missing(refused(*args.split()), words) == []


@pytest.mark.parametrize(
    "name, near", [("plott", "plot"), ("Map", "map"), ("draw", "one of map, show, plot, explore, rerun, advise")]
)
def test_an_unknown_command_is_called_unknown(capsys, name, near):
    assert main([name, "--x", "u=0,1"]) == 2
    assert capsys.readouterr() == ("", f"pt-jax: {name!r} is an unknown command: use {near}.\n")


def test_a_platform_that_is_not_there_is_one_sentence(tmp_path):
    command = [sys.executable, "-c", SCRIPT, "map", "--x", "u=0,1", *TINY, "--out", "a"]
    env = os.environ | {"JAX_PLATFORMS": "nonsense"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, cwd=tmp_path)
    assert done.returncode == 2 and not (tmp_path / "a").exists()
    assert done.stderr.splitlines()[-1].startswith("pt-jax: JAX_PLATFORMS = nonsense is not accepted: ")
    assert "Traceback" not in done.stderr


def test_steps_to_record_stand_between_blanks_or_commas():
    assert whole_numbers("record", ("0", "5")) == whole_numbers("record", ("0,5",)) == (0, 5)
    assert whole_numbers("hidden", ()) == ()


def test_without_a_command_the_usage_is_told(capsys):
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "map     run a sweep" in capsys.readouterr().out


def test_a_file_is_no_folder(refused, tmp_path):
    (tmp_path / "taken").write_text("mine")
    for out in ("taken", "taken/below"):
        text = refused("--x", "u=0,1", "--out", out)
        assert re.fullmatch(r"pt-jax: taken[^\n]+\.\n", text)
    assert (tmp_path / "taken").read_text() == "mine"


def test_the_folder_of_somebody_else_is_left_alone(refused, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "figure.csv").write_text("mine")
    text = refused("--x", "u=0,1", "--out", "theirs")
    assert words_missing(text, ["theirs is not accepted", "another program", "name another"]) == []
    assert (tmp_path / "theirs" / "figure.csv").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    text = refused("--x", "u=0,1", "--out", "locked/map")
    assert words_missing(text, ["locked/map is not accepted", "cannot be written", "another"]) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root can write")
def test_a_folder_that_nobody_can_write(refused):
    text = refused("--x", "u=0,1", "--out", "/proc/pt_jax")
    assert re.fullmatch(r"device: [^\n]*\npt-jax: [^\n]*/proc/pt_jax[^\n]*\n", text)


def test_ranges_include_both_ends():
    np.testing.assert_allclose(axis("u=0:4:5", Point(), Static())[1], [0, 1, 2, 3, 4])
    names, values = axis("sigma1,sigma2=0.5:2:3:log", Point(), Static())
    assert names == "sigma1,sigma2"
    np.testing.assert_allclose(values, [0.5, 1, 2])
    np.testing.assert_array_equal(axis("n1=10:1000:3:log", Point(), Static())[1], [10, 100, 1000])
    np.testing.assert_array_equal(axis("n1=1:4:3", Point(), Static())[1], [1, 2, 4])  # 2.5: half to even
    assert axis("weight-decay2=0,0.1", Point(), Static())[0] == "weight_decay2"  # as the flag of the field


def test_sizes_are_programs_or_one(monkeypatch, tmp_path, capsys):
    ran = []
    monkeypatch.setattr(startup, "set_up", lambda: None)
    monkeypatch.setattr(commands, "_carry_out", lambda sweeps, *_: ran.extend(sweeps.values()))
    for flags in ([], ["--one-program"]):
        args = ["map", "--x", "n2=5,6,40", "--y", "momentum2=0,0.5", "--n1", "30", "--out", str(tmp_path / "new")]
        assert main([*args, *flags]) == 0
    hint = "3 programs to compile, one for each size class; --one-program compiles one for the largest\n"
    assert capsys.readouterr().out == hint
    several, one = ran
    assert several.classes() == [3, 1] and one.classes() == [1, 1] and one.point == several.point
    assert (one.static.n1, one.static.n2, one.static.rules) == (30, 40, ("momentum2",))


def test_alpha_is_the_fraction_that_can_be_inherited():
    weights = Static(engine="dense", inherit="weights")
    np.testing.assert_array_equal(axis("alpha=0,0.2,0.5,1", Point(m=3), Static())[1], [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_array_equal(axis("alpha=0,0.2,0.5,1", Point(m=3), weights)[1], [0, 0.2, 0.5, 1])
    np.testing.assert_array_equal(axis("alpha=0.285", Point(m=100), Static())[1], [0.29])  # 28.499... in binary


LARGER_MAPS = {"two": {"u": 3, "v2": 3}, "three": {"alpha": 3, "v2": 2, "u": 2}}
LARGER = [pytest.param(*one, marks=pytest.mark.long) for one in LARGER_MAPS.items()]


@pytest.mark.parametrize("name, sizes", [("one", {"sigma1": 2}), *LARGER])
def test_a_tiny_map(in_a_process, monkeypatch, capsys, name, sizes):
    root, process = in_a_process
    if name == "one":
        out, err = process.communicate(timeout=900)
        assert process.returncode == 0, err
    else:
        monkeypatch.setattr(startup, "set_up", lambda: None)  # as above
        args = ["map", *MAPS[name], *TINY, "--out", str(root / name)]
        monkeypatch.setattr(sys, "argv", ["pt-jax", *args])  # what provenance tells
        assert main(args) == 0
        out, err = capsys.readouterr()
    assert "Traceback" not in err and "Warning" not in err, err
    folder, cells = root / name, int(np.prod(list(sizes.values())))
    assert {"figure.png", "figure.csv", "figure.json", "data.zarr"} <= {path.name for path in folder.iterdir()}

    ds = xr.open_zarr(folder / "data.zarr", consolidated=False)
    assert dict(ds.sizes) == sizes | {"seed": 2}
    assert {"gain", "error", "error_scratch", "diverged"} <= set(ds.data_vars)
    assert np.isfinite(ds["gain"]).all() and ds["gain"].attrs["long_name"]

    header, *rows = (folder / "figure.csv").read_text().splitlines()
    assert set(sizes) | {"mean", "low", "high", "clear"} <= set(header.split(",")) and len(rows) == cells
    table = np.genfromtxt(folder / "figure.csv", delimiter=",", names=True)
    # The store is sorted, the table is in the order of the flags; six digits are written.
    for line in np.atleast_1d(table):
        expected = ds["gain"].mean("seed").sel({name: line[name] for name in sizes}, method="nearest")
        np.testing.assert_allclose(line["mean"], expected, rtol=1e-5, atol=1e-9)

    origin = json.loads((folder / "figure.json").read_text())
    assert origin["seeds"] == [0, 1] and origin["trajectories"] == 2 * cells
    assert origin["point"]["n1"] == 8 and origin["versions"]["jax"] and origin["device"]
    assert "--x" in origin["command"] and (folder / "figure.png").read_bytes().startswith(b"\x89PNG")

    assert re.search(rf"{2 * cells} trajectories: {2 * cells} computed in [\d.]+ s, [\d.]+(/s| s each), comp", out)
    for word in ("helps", "hurts", "unclear", "figure:", str(folder / "figure.png")):
        assert word in out
    assert err.startswith("device: ")

    if name == "three":
        np.testing.assert_allclose(ds["alpha"], [0, 2 / 3, 1])  # m = 3
        assert abs(ds["gain"].sel(alpha=0)).max() < 1e-6  # float32: the two runs are fused differently
    if name == "one":
        np.testing.assert_array_equal(ds["sigma2"], ds["sigma1"])
