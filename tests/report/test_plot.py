"""Figures from labelled datasets: what is drawn where, what is refused, and the numbers beside the picture."""

import json
import os
import subprocess
import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import CenteredNorm

from pt_jax import plot
from pt_jax.sweep.stats import summary
from tests.report.cases import dataset


def panels(figure):
    """The axes that hold a map, without the colour bar."""
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def hatched(ax, pattern):
    """Centres of the cells hatched with a pattern."""
    marks = [c for c in ax.collections if isinstance(c, PolyCollection) and c.get_hatch() == pattern]
    return sorted(tuple(path.vertices[:4].mean(0).round(6)) for c in marks for path in c.get_paths())


def mesh(ax):
    (found,) = (c for c in ax.collections if isinstance(c, QuadMesh))
    return found


def centres(cells, mask, x, y):
    """Centres of the cells of a mask, on axes that are spaced evenly."""
    where = np.argwhere(mask.transpose(y, x).values)
    return sorted((round(float(cells[x][j]), 6), round(float(cells[y][i]), 6)) for i, j in where)


def test_two_dimensions_make_one_map_of_the_means():
    ds = dataset("u", "v2")
    (ax,) = panels(plot.phase_diagram(ds))
    np.testing.assert_allclose(mesh(ax).get_array(), ds["gain"].mean("seed").T)
    assert ax.get_xlabel() == "the u $u$" and ax.get_ylabel() == "the v2 $v2$"
    assert isinstance(mesh(ax).norm, CenteredNorm) and mesh(ax).norm.vcenter == 0


def test_x_and_y_may_be_exchanged():
    ds = dataset("u", "v2")
    (ax,) = panels(plot.phase_diagram(ds, x="v2", y="u"))
    np.testing.assert_allclose(mesh(ax).get_array(), ds["gain"].mean("seed"))


def test_axes_are_drawn_in_increasing_order():
    ds = dataset("u", "v2", u=[3.0, 0.0, 1.0])
    one, two = (mesh(panels(plot.phase_diagram(each))[0]) for each in (ds, ds.sortby("u")))
    np.testing.assert_array_equal(one.get_coordinates(), two.get_coordinates())
    np.testing.assert_array_equal(one.get_array(), two.get_array())


def test_a_summary_may_be_given():
    ds = dataset("u", "v2")
    (ax,) = panels(plot.phase_diagram(summary(ds, "error")))
    np.testing.assert_allclose(mesh(ax).get_array(), ds["error"].mean("seed").T)


@pytest.mark.parametrize("place", ["col", "row"])
def test_three_dimensions_are_panels_side_by_side_or_below_each_other(place):
    ds = dataset("u", "v2", "alpha")
    figure = plot.phase_diagram(ds, **{place: "alpha"})
    first, second = panels(figure)
    for i, ax in enumerate((first, second)):
        np.testing.assert_allclose(mesh(ax).get_array(), ds["gain"].mean("seed").isel(alpha=i).T)
        assert ax.get_title() == f"$alpha$ = {i}"
        assert mesh(ax).norm.vmax == mesh(first).norm.vmax  # one scale for all panels
    figure.canvas.draw()
    a, b = first.get_position(), second.get_position()
    assert (b.x0 > a.x1) if place == "col" else (b.y1 < a.y0)


def test_four_dimensions_are_a_table_of_panels():
    ds = dataset("u", "v2", "alpha", "d")
    maps = panels(plot.phase_diagram(ds, x="u", y="v2", col="alpha", row="d"))
    assert len(maps) == 6
    for k, ax in enumerate(maps):
        expected = ds["gain"].mean("seed").isel(d=k // 2, alpha=k % 2).T
        np.testing.assert_allclose(mesh(ax).get_array(), expected)


def test_given_axes_are_drawn_into():
    figure, (left, right) = plt.subplots(1, 2)
    assert plot.phase_diagram(dataset("u", "v2"), ax=right) is figure
    assert mesh(right) is not None and not left.collections


def test_log_axes_are_found():
    ds = dataset("u", "v2", u=np.geomspace(0.01, 100, 5), v2=np.linspace(0, 4, 3))
    (ax,) = panels(plot.phase_diagram(ds))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    sizes = dataset("u", "v2", u=np.array([10, 32, 100, 316]), v2=np.array([1.0, 2.0, 4.0]))  # rounded; under a decade
    (ax,) = panels(plot.phase_diagram(sizes))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    (ax,) = panels(plot.phase_diagram(dataset("u", "v2", u=np.linspace(1, 100, 9))))
    assert ax.get_xscale() == "linear"
    assert plot.curve(dataset("u", u=np.geomspace(0.01, 100, 5))).axes[0].get_xscale() == "log"


def test_exactly_the_unclear_cells_are_hatched_and_the_diverged_ones_crossed():
    ds = dataset("u", "v2", diverged=[(0, 1), (2, 2)], u=np.linspace(0, 1, 7))
    cells = summary(ds)
    (ax,) = panels(plot.phase_diagram(ds))
    unclear = ~cells["clear"] & ~cells["diverged"]
    assert 0 < int(unclear.sum()) < unclear.size
    assert hatched(ax, "////") == centres(cells, unclear, "u", "v2")
    assert hatched(ax, "xxxx") == centres(cells, cells["diverged"], "u", "v2")
    assert np.ma.getmaskarray(mesh(ax).get_array()).sum() == 2


def test_hatches_are_those_of_the_panel():
    ds = dataset("u", "v2", "alpha", diverged=[(0, 1, 1)])
    cells = summary(ds)
    for i, ax in enumerate(panels(plot.phase_diagram(ds, col="alpha"))):
        one = cells.isel(alpha=i)
        assert hatched(ax, "////") == centres(one, ~one["clear"] & ~one["diverged"], "u", "v2")
        assert len(hatched(ax, "xxxx")) == i


def test_a_gain_that_is_nowhere_negative_is_hatched_and_centred_too():
    ds = dataset("u", "v2")
    cells = summary(ds.assign(gain=ds["gain"] - ds["gain"].mean("seed").min() + 0.01))
    assert float(cells["mean"].min()) > 0 and not cells["clear"].all()
    (ax,) = panels(plot.phase_diagram(cells))
    assert hatched(ax, "////") == centres(cells, ~cells["clear"], "u", "v2")
    assert isinstance(mesh(ax).norm, CenteredNorm)


def test_a_panel_or_a_map_that_has_diverged_altogether_is_drawn(recwarn):
    everything = [(i, j, 0) for i in range(4) for j in range(3)]
    ds = dataset("u", "v2", "alpha", diverged=everything)
    figure = plot.phase_diagram(ds, col="alpha")
    figure.canvas.draw()
    assert [len(hatched(ax, "xxxx")) for ax in panels(figure)] == [12, 0]
    figure = plot.phase_diagram(ds.isel(alpha=0))
    figure.canvas.draw()
    assert len(hatched(panels(figure)[0], "xxxx")) == 12
    assert [str(w.message) for w in recwarn if issubclass(w.category, RuntimeWarning)] == []


def test_an_axis_of_one_value_is_drawn():
    (ax,) = panels(plot.phase_diagram(dataset("u", "v2", v2=np.array([2.0]))))
    assert mesh(ax).get_array().shape == (1, 4)


@pytest.mark.parametrize(
    "dims, arguments, words",
    [
        (("u", "v2"), {"x": "m"}, ["'m'", "u, v2"]),
        (("u", "v2"), {"col": "alpha"}, ["'alpha'", "u, v2"]),
        (("u", "v2", "alpha"), {}, ["u, v2, alpha", "select"]),
        (("u", "v2", "alpha"), {"x": "u", "y": "alpha"}, ["u, v2, alpha"]),
        (("u",), {}, ["x, y", "u"]),
        (("u", "v2"), {"x": "u", "y": "u"}, ["u, v2"]),
        (("u",), {"x": "u", "y": "u"}, ["u"]),
        (("u", "v2", "alpha"), {"x": "u", "y": "u", "col": "v2"}, ["'u' is given twice", "u, v2, alpha"]),
    ],
)
def test_axes_that_are_missing_or_left_over_are_refused(dims, arguments, words):
    with pytest.raises(ValueError) as error:
        plot.phase_diagram(dataset(*dims), **arguments)
    assert [word for word in words if word not in str(error.value)] == []


def test_too_many_panels_are_refused():
    with pytest.raises(ValueError, match=r"37 panels.*at most 36"):
        plot.phase_diagram(dataset("u", "v2", "alpha", alpha=np.arange(37.0)), col="alpha")
    with pytest.raises(ValueError, match=r"2 panels.*at most 1"):
        plot.phase_diagram(dataset("u", "v2", "alpha"), col="alpha", ax=plt.subplots()[1])


def legends(figure):
    """The texts of the legend of a figure."""
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_cells_that_are_not_computed_are_dotted_and_counted():
    ds = dataset("u", "v2", diverged=[(2, 2)])
    done = np.ones(ds["gain"].shape, np.uint8)
    done[0, 1:] = 0
    done[3, :, 3:] = 0  # a part of the seeds is a mean of these
    ds = ds.assign(gain=ds["gain"].where(done == 1), done=(ds["gain"].dims, done))
    cells = summary(ds)
    figure = plot.phase_diagram(ds)
    (ax,) = panels(figure)
    marks = [c for c in ax.collections if isinstance(c, PolyCollection)]
    (white,) = (c for c in marks if c.get_facecolor().tolist() == [[1, 1, 1, 1]])
    assert white.get_hatch() == ".." and len(white.get_paths()) == 2
    assert not {(0.0, 0.5), (0.0, 1.0)} & {*hatched(ax, "////"), *hatched(ax, "xxxx")}
    assert hatched(ax, "xxxx") == centres(cells, cells["diverged"], "u", "v2")
    assert legends(figure) == ["gain 0", "diverged: 1 of 12 cells", "not computed: 2 of 12 cells"]


def test_each_line_is_drawn_or_said_to_have_no_zero():
    ds = dataset("u", "v2", u=[2.0, 0.0, 1.0, 3.0])
    mean = ds["gain"].mean("seed")
    figure = plot.phase_diagram(ds, lines={"near": mean + 0.4, "far": mean + 99})
    assert legends(figure) == ["simulated: gain 0", "near", "far: no zero here"]
    assert legends(plot.phase_diagram(ds + 99)) == []
    # A line lies where its coordinates say, also where the map is not in increasing order.
    line = plot.phase_diagram(ds, lines={"same": mean.sortby("u")}).axes[0].collections
    contours = [c for c in line if type(c).__name__ == "QuadContourSet"]
    np.testing.assert_array_equal(*(c.get_paths()[0].vertices for c in contours))


@pytest.mark.parametrize(
    "lines, words",
    [
        (lambda ds: {"raw": ds["gain"]}, r"'raw' has seeds: give its mean, pt_jax.stats.summary\(ds, NAME\)\['mean'\]"),
        (lambda ds: {"short": summary(ds)["mean"][:2]}, r"'short' has the sizes .*'u': 2.*: use those of the map"),
        (lambda ds: {"flat": summary(ds)["mean"][0]}, "'flat' has the sizes"),
        (lambda ds: dict.fromkeys("abc", summary(ds)["mean"]), "3 lines are not accepted: use at most 2"),
    ],
)
def test_a_line_that_does_not_fit_is_refused(lines, words):
    ds = dataset("u", "v2")
    with pytest.raises(ValueError, match=words):
        plot.phase_diagram(ds, lines=lines(ds))


def test_a_name_that_is_also_the_symbol_stands_once():
    ds = dataset("u", "v2")
    for name, about in {"u": {}, "v2": {"long_name": "shift", "symbol": "shift", "units": "m"}}.items():
        ds[name].attrs = about
    (ax,) = panels(plot.phase_diagram(ds))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("u", "shift [m]")


def test_save_writes_the_picture_the_numbers_and_where_they_come_from(tmp_path):
    ds = dataset("u", "v2", diverged=[(0, 0)])
    cells = summary(ds)
    picture = plot.save(plot.phase_diagram(cells), tmp_path / "map", cells, {"seeds": [0, 1]})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.csv", "map.json", "map.png"]
    assert picture == tmp_path / "map.png" and picture.read_bytes().startswith(b"\x89PNG")
    header, *rows = (tmp_path / "map.csv").read_text().splitlines()
    assert header.split(",")[:4] == ["u", "v2", "mean", "se"] and {"low", "high", "clear"} <= set(header.split(","))
    assert len(rows) == 12
    table = np.genfromtxt(tmp_path / "map.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["mean"], cells["mean"].values.ravel(), rtol=1e-5)  # six digits are written
    assert json.loads((tmp_path / "map.json").read_text()) == {"seeds": [0, 1]}
    assert not plt.get_fignums()


def test_save_keeps_a_point_in_a_name(tmp_path):
    cells = summary(dataset("u", "v2"))
    plot.save(plot.phase_diagram(cells), tmp_path / "alpha0.5", cells, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alpha0.5.csv", "alpha0.5.json", "alpha0.5.png"]


def test_no_display_is_needed(tmp_path):
    code = """
import sys, numpy as np, xarray as xr
from pt_jax import plot
from pt_jax.sweep.stats import summary
ds = xr.Dataset({"gain": (("u", "v2", "seed"), np.random.default_rng(0).normal(size=(3, 3, 4)))},
                {"u": [0.0, 1.0, 2.0], "v2": [0.0, 1.0, 2.0]})
plot.save(plot.phase_diagram(ds), sys.argv[1], summary(ds), {})
"""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-c", code, str(tmp_path / "map")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "map.png").stat().st_size > 0
