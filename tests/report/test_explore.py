"""The page of the explorer without a browser: its numbers, its size, its lines, and what is refused."""

import os
import re
import shutil
import subprocess
from importlib import resources

import numpy as np
import pytest
import xarray as xr

import pt_jax
from pt_jax import report
from pt_jax.report.words import each, plain
from tests.app.worlds import sweep
from tests.report.cases import dataset
from tests.report.pages import read, result

FILES = {one.name: one for one in resources.files("pt_jax.report.explorer").iterdir() if not one.name.endswith(".py")}
OURS = {name: one.read_text(encoding="utf-8") for name, one in FILES.items() if one.is_file()}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A dataset that says where it comes from, with a diverged cell and a result with a dimension of its own."""
    folder = tmp_path_factory.mktemp("explore")
    return pt_jax.run(sweep({"x": [2.0, 0.0, 1.0], "y": [0.5, 1.0, 2.0]}), store=folder, report=None)


def test_the_numbers_are_those_of_the_summary(store, tmp_path):
    about = read(report.explore(store, tmp_path / "page.html"))
    assert report.explore is pt_jax.explore
    assert [one["name"] for one in about["results"]] == ["gain", "error", "error_scratch", "curve"]
    assert about["axes"]["x"]["at"] == [0, 1, 2] and about["axes"]["x"]["edges"] == [-0.5, 0.5, 1.5, 2.5]
    for one in about["results"]:
        cells = pt_jax.stats.summary(store, one["name"]).sortby("x")
        assert one["axes"] == list(cells["mean"].dims)
        np.testing.assert_array_equal(one["mean"], cells["mean"].astype("f4"))
        np.testing.assert_array_equal(one["half"], (cells["high"] - cells["mean"]).astype("f4"))
        np.testing.assert_array_equal(one["seeds"], cells["seeds"])
        np.testing.assert_array_equal(one["state"] == 1, cells["diverged"])
        np.testing.assert_array_equal(one["state"] == 3, cells["clear"])
    assert result(about, "curve")["axes"] == ["x", "y", "curve_0"] and (result(about, "gain")["state"] == 1).any()


def test_a_summary_is_accepted(store, tmp_path):
    (gain,) = read(pt_jax.explore(pt_jax.stats.summary(store), tmp_path / "page.html"))["results"]
    assert gain["name"] == "gain" and np.isfinite(gain["half"]).any()


def test_a_summary_of_several_results_is_accepted(store, tmp_path):
    many = pt_jax.stats.summary(store, ["error", "gain"])
    found, whole = (read(pt_jax.explore(ds, tmp_path / "page.html", ["gain", "error"])) for ds in (many, store))
    for one, expected in zip(found["results"], whole["results"], strict=True):
        assert one["name"] == expected["name"] and one["limits"] == expected["limits"]
        np.testing.assert_array_equal(one["mean"], expected["mean"])
    figure = pt_jax.plot.phase_diagram(many, "error")
    np.testing.assert_array_equal(
        figure.axes[0].collections[0].get_array(),
        pt_jax.plot.phase_diagram(store, "error").axes[0].collections[0].get_array(),
    )
    with pytest.raises(ValueError, match="'loss' is not in this summary: use error, gain"):
        pt_jax.plot.phase_diagram(many, "loss")


def test_cells_that_are_not_computed_are_told_from_diverged_ones(tmp_path):
    ds = dataset("u", "v2", diverged=[(3, 2)])
    ds["done"] = xr.ones_like(ds["gain"], dtype="i1")
    ds["done"][0, 0] = 0
    ds["done"][1, 1, 2:] = 0
    gain = result(read(pt_jax.explore(ds, tmp_path / "page.html")), "gain")
    assert gain["state"][0, 0] == 0 and gain["state"][3, 2] == 1 and gain["seeds"][1, 1] == 2
    assert np.isnan(gain["mean"][[0, 3], [0, 2]]).all() and np.isfinite(gain["mean"]).sum() == 10


def test_colours_are_kept_over_all_cells_centred_for_the_gain_and_the_same_for_both_errors(tmp_path):
    ds = dataset("u", "v2", "alpha")
    about = read(pt_jax.explore(ds, tmp_path / "page.html"))
    gain, error, scratch = (result(about, name) for name in ("gain", "error", "error_scratch"))
    most = float(abs(ds["gain"].mean("seed")).max())
    np.testing.assert_allclose(gain["limits"], [-most, most])
    assert gain["signed"] and gain["colours"][0] == "#2d004b" and gain["colours"][-1] == "#7f3b08"  # purple, orange
    assert error["limits"] == scratch["limits"] and not error["signed"]


def test_numbers_beyond_float32_are_kept(tmp_path):
    ds = dataset("u", "v2")
    ds = ds.assign(gain=ds["gain"] * 1e100, error=ds["error"] * 1e-100)
    line = {"theory": ds["gain"].mean("seed")}
    about = read(pt_jax.explore(ds, tmp_path / "page.html", lines=line))
    for one in about["results"]:
        cells = pt_jax.stats.summary(ds, one["name"])
        kind = "f4" if one["name"] == "error_scratch" else "f8"
        np.testing.assert_array_equal(one["mean"], cells["mean"].astype(kind))
        np.testing.assert_array_equal(one["half"], (cells["high"] - cells["mean"]).astype(kind))
        assert one["floats"] == kind
    np.testing.assert_array_equal(about["lines"][0]["mean"], line["theory"])


@pytest.mark.parametrize("name", ["gain", "error"])
def test_colours_are_those_of_finite_means(name, tmp_path):
    ds = dataset("u", "v2")
    one = read(pt_jax.explore(ds.assign({name: ds[name].where(ds["u"] < 1, np.inf)}), tmp_path / "page.html", [name]))
    (found,), rest = one["results"], ds[name].isel(u=slice(3)).mean("seed")
    assert max(found["limits"]) == pytest.approx(float(abs(rest).max()), rel=1e-12)
    assert np.isnan(found["mean"][3]).all() and (found["state"][3] == one["states"].index("diverged")).all()


def test_labels_five_axes_and_log_axes(tmp_path):
    ds = dataset("u", "v2", "alpha", "d", d=[1.0, 10.0, 100.0], seeds=2)
    ds = xr.concat([ds, ds], xr.DataArray(["head", "a"], dims="layer"), data_vars="all")
    about = read(pt_jax.explore(ds, tmp_path / "page.html"))
    assert list(about["axes"]) == ["layer", "u", "v2", "alpha", "d"]
    assert about["axes"]["layer"]["texts"] == ["head", "a"] and not about["axes"]["layer"]["number"]
    assert about["axes"]["d"]["log"] and about["axes"]["d"]["label"] == "the d d [samples]"
    assert result(about, "gain")["mean"].shape == (2, 4, 3, 2, 3)


def test_quantities_along_an_axis_are_fields_of_its_cells(tmp_path):
    ds = dataset("u").assign_coords(snr=("u", [0.0, 1.0, np.inf, 3.0]))
    (axis,) = read(pt_jax.explore(ds, tmp_path / "page.html", ["gain"]))["axes"].values()
    assert axis["fields"]["snr"] == [0, 1, None, 3] and len(axis["fields"]["u"]) == 4


def test_axes_that_a_browser_or_a_float_does_not_hold(tmp_path):
    ds = dataset("u", "v2", "alpha", u=[1e-300, 1e-100, 1e100, 1e300], v2=2**53 + np.arange(3), alpha=[1j, 2])
    axes = read(pt_jax.explore(ds, tmp_path / "page.html", ["gain"]))["axes"]
    assert axes["u"]["log"] and (np.diff(axes["u"]["edges"]) > 0).all()
    np.testing.assert_allclose(axes["u"]["edges"][1:4], [1e-200, 1, 1e200])
    assert axes["v2"]["texts"][1:] == axes["v2"]["fields"]["v2"][1:] == ["9007199254740993", "9007199254740994"]
    assert axes["alpha"]["texts"] == axes["alpha"]["fields"]["alpha"] == ["1j", "(2+0j)"]


def test_lines_of_theory_are_on_the_cells_of_the_gain(tmp_path):
    ds = dataset("u", "v2")
    theory = ds["gain"].isel(seed=0, drop=True).transpose("v2", "u")[:, ::-1]
    (line,) = read(pt_jax.explore(ds, tmp_path / "page.html", lines={"theory": theory}))["lines"]
    np.testing.assert_array_equal(line["mean"], ds["gain"].isel(seed=0).astype("f4"))


def test_another_dataset_is_shown_at_the_nearest_values(tmp_path):
    ds, wide = dataset("u", "v2"), dataset("u", "v2", "alpha", u=[-1.0, 0.1, 0.4, 0.75])
    about = read(pt_jax.explore(ds, tmp_path / "page.html", ["gain"], beside={"wide": wide}))
    gain, other = about["results"]
    assert other["name"] == "gain in wide" and "wide, at the nearest values" in other["label"]
    assert other["axes"] == ["u", "v2", "alpha"] and list(about["axes"]) == ["u", "v2", "alpha"]
    assert gain["limits"] == other["limits"]
    means = wide["gain"].mean("seed").astype("f4")  # u = 0, 1/3, 2/3, 1, of which the last lies beyond 0.925
    np.testing.assert_array_equal(other["mean"][:3], means[[1, 2, 3]])
    assert (other["state"][3] == 0).all() and (other["seeds"][3] == 0).all()
    same = read(pt_jax.explore(ds, tmp_path / "page.html", ["gain"], beside={"same": ds}))
    np.testing.assert_array_equal(*(one["mean"] for one in same["results"]))
    assert "nearest" not in same["results"][1]["label"]


def test_another_dataset_is_shown_in_the_cells_that_its_own_map_would_have(tmp_path):
    """Along a logarithmic axis 30 lies in the cell of 100, unsigned numbers have differences, and one value no cell."""
    ds, log = dataset("d", d=[2.0, 30.0, 2000.0]), dataset("d", d=[1.0, 100.0, 10_000.0])
    unsigned = dataset("d", d=np.array([30, 2000, 60_000], "u2"))
    for label, other, places in (("log", log, [0, 1, 2]), ("unsigned", unsigned, [None, 0, 1])):
        _, found = read(pt_jax.explore(ds, tmp_path / "page.html", ["gain"], beside={label: other}))["results"]
        means = other["gain"].mean("seed").astype("f4").values
        expected = [np.nan if place is None else means[place] for place in places]
        np.testing.assert_array_equal(found["mean"], expected)
    one = dataset("d", d=[30.00001])
    _, found = read(pt_jax.explore(ds, tmp_path / "page.html", ["gain"], beside={"one": one}))["results"]
    np.testing.assert_array_equal(np.isfinite(found["mean"]), [False, True, False])
    _, found = read(pt_jax.explore(ds, tmp_path / "page.html", ["gain"], beside={"part": ds[{"d": [0, 1]}]}))["results"]
    assert "nearest" not in found["label"] and (found["state"] == 0).tolist() == [False, False, True]


def test_a_result_that_only_one_has_is_shown(tmp_path):
    ds = dataset("u")
    about = read(pt_jax.explore(ds, tmp_path / "page.html", ["gain", "error"], beside={"old": ds[["gain"]]}))
    assert [one["name"] for one in about["results"]] == ["gain", "error", "gain in old"]
    assert [one["name"] for one in read(pt_jax.explore(ds, tmp_path / "page.html", "gain"))["results"]] == ["gain"]


@pytest.mark.parametrize(
    ("change", "how", "words"),
    [
        (lambda ds: ds, {"beside": {"old": dataset("alpha")}}, "old cannot be shown beside: it has none of the axes u"),
        (lambda ds: ds, {"beside": {"old": dataset("u", u=list("abcd"))}}, "its u are others, and have no order"),
        (lambda ds: ds, {"beside": dataset("u")}, "beside is not accepted: use datasets by name"),
        (lambda ds: ds, {"beside": [dataset("u")]}, "beside is not accepted: use datasets by name"),
        (lambda ds: ds, {"beside": {"old": None}}, "old cannot be shown beside: NoneType is not accepted"),
        (lambda ds: ds, {"beside": {"old": dataset("u").mean("seed")}}, "old cannot be shown beside: .* no dimension"),
        (lambda ds: ds, {"values": ["gain"], "beside": {"old": dataset("u")[["error"]]}}, "old .* 'gain' is not a res"),
        (
            lambda ds: ds,
            {"values": ["gain"], "beside": {"old": pt_jax.stats.summary(dataset("u"), level=0.5)}},
            "old cannot be shown beside: there are 50% and 95% intervals",
        ),
        (lambda ds: ds["gain"], {}, "DataArray is not accepted: use a dataset"),
        (lambda ds: ds.isel(u=0, v2=0), {"beside": {"old": dataset("u")}}, "no axis to draw over"),
        (lambda ds: ds.mean("seed"), {}, "no dimension 'seed'"),
        (lambda ds: ds.isel(seed=[]), {}, "or no seeds"),
        (lambda ds: ds.isel(u=[]), {}, "no cells along u: select"),
        (lambda ds: ds.assign_coords(u=[1, 2, np.inf, 4]), {}, "u = inf is not accepted on an axis"),
        (lambda ds: ds.isel(u=0, v2=0), {}, "no axis to draw over"),
        (lambda ds: ds[["diverged"]], {}, "no result to show"),
        (lambda ds: ds, {"values": ["loss"]}, "'loss' is not a result of this dataset: use some of gain, error"),
        (lambda ds: ds, {"lines": {"G": xr.DataArray(0.0)}}, "line 'G' needs a gain with the same axes"),
        (lambda ds: ds[["gain"]].isel(u=np.zeros(700_000, int), seed=[0]), {}, "1 results with 2,100,000 cells"),
    ],
)
def test_wrong_input_is_answered_by_one_sentence(change, how, words, tmp_path):
    with pytest.raises(ValueError, match=words) as raised:
        pt_jax.explore(change(dataset("u", "v2")), tmp_path / "page.html", **how)
    assert "\n" not in str(raised.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "none/page.html", "pipe"])
def test_a_path_that_is_no_file_is_refused(name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / name, None, "x" * 300):
        with pytest.raises(ValueError, match="use the path of a file"):
            pt_jax.explore(dataset("u"), path)
    assert (tmp_path / "pipe").is_fifo()


def test_the_lines_of_python_compute_the_cell_again(store, tmp_path):
    about = read(pt_jax.explore(store, tmp_path / "page.html"))
    lines = about["rerun"]["python"]
    assert set(re.findall(r"{(\w+)}", lines)) == {"x", "y", "result"} and "command" not in about["rerun"]
    names = {}
    exec(lines.replace("{x}", "2.0").replace("{y}", "1.0").replace("{result}", "gain"), names)
    np.testing.assert_allclose(names["ds"]["gain"][0], store["gain"].sel(x=2, y=1), rtol=1e-6)


def test_the_command_has_what_is_not_the_default():
    import json

    from pt_jax.report.explorer.rerun import templates

    record = {"function": "pt_jax.signal_noise.trajectory.simulate", "point_type": "pt_jax.signal_noise.point.Point"}
    record |= {"static_type": "pt_jax.signal_noise.point.Static", "point": {"n1": 60.0, "n2": 40.0, "u": 2.0}}
    record |= {"static": {"n1": 60, "bias": True, "record": [0, 5]}, "axes": {"u": [0], "sigma1,sigma2": [[1, 1]]}}
    found = templates(xr.Dataset(attrs={"provenance": json.dumps(record | {"seeds": [0, 1, 2]})}))
    expected = "pt-jax map --x u={u} --sigma1 {sigma1} --sigma2 {sigma2} --n1 60 --bias --record 0 5 --seeds 3"
    assert found["command"] == f"{expected} --value {{result}} --out results/cell"
    assert "pt_jax.Static(bias=True, record=[0, 5])" in found["python"]
    odd = templates(xr.Dataset(attrs={"provenance": json.dumps(record | {"seeds": [7]})}))
    assert "command" not in odd and "seeds=[7]" in odd["python"]  # pt-jax map takes the seeds from 0 on


def test_size(tmp_path):
    small = pt_jax.explore(dataset("u", "v2"), tmp_path / "small.html")
    values = np.random.default_rng(0).normal(size=(250, 400, 2))
    ds = xr.Dataset({name: (("u", "v2", "seed"), values) for name in ("gain", "error", "error_scratch")})
    large = pt_jax.explore(ds, tmp_path / "large.html")
    assert small.stat().st_size < 3e6 and large.stat().st_size < 15e6


def test_nothing_is_asked_of_a_network(tmp_path):
    text = pt_jax.explore(dataset("u", "v2"), tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.index("default-src 'none'") < text.index("<style>") < text.index("<script")
    for name, ours in OURS.items():
        asks = "XMLHttpRequest" if name == "theory.js" else r"fetch\(|XMLHttpRequest"  # it is in no file
        assert not re.search(rf"https?:|//\w+\.|{asks}|@import|url\(|\bsrc=|\bhref=", ours), name
    assert OURS["theory.js"] not in text and "connect-src" not in text


def test_the_page_does_not_end_in_a_text_of_the_dataset(tmp_path):
    ds = dataset("u", "alpha").assign_coords(alpha=["</script><b>", "a"])
    assert read(pt_jax.explore(ds, tmp_path / "page.html"))["axes"]["alpha"]["texts"][0] == "</script><b>"


def test_names_that_look_like_markers_of_the_page_stay(tmp_path):
    ds = dataset("u", "alpha").rename(gain="[[script]]", u="[[library]]").assign_coords(alpha=["[[numbers]]", "a"])
    about = read(pt_jax.explore(ds, tmp_path / "page.html", ["[[script]]"]))
    assert list(about["axes"]) == ["[[library]]", "alpha"] and about["axes"]["alpha"]["texts"][0] == "[[numbers]]"
    assert about["results"][0]["name"] == "[[script]]"


def test_files_of_the_page_are_short_and_parse(tmp_path):
    assert set(OURS) == {"page.html", "page.css", "numbers.js", "figures.js", "controls.js", "page.js", "theory.js"}
    assert all(len(text.splitlines()) <= 300 for text in OURS.values())
    assert all(len(line) <= 120 for text in OURS.values() for line in text.splitlines())
    if shutil.which("node"):
        for name in (name for name in OURS if name.endswith(".js")):
            (tmp_path / name).write_text('"use strict";\n' + OURS[name])
            subprocess.run(["node", "--check", tmp_path / name], check=True, timeout=60)


def test_formulas_in_plain_text():
    assert plain(r"norm $\|v_1\|$ at $\angle(v_1, v_2)$") == "norm |v₁| at ∠(v₁, v₂)"
    assert plain(r"$\eta_{inh}/\eta_2$, $\lambda_1$, 5") == "η_inh/η₂, λ₁, 5"


def test_values_in_words():
    assert each([-0.0, 0.5]) == ["0", "0.5"] and each([1.0, 1 + 1e-9]) == ["1", "1.000000001"]
