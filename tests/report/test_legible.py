"""No text of a figure is cut, and none lies over another: labels short and long, one panel to twelve, several sizes."""

import json

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pt_jax import plot
from tests.report.legible import troubles
from tests.report.test_plot import dataset, legends

LONG = {
    "units": "samples",
    "long_name": "learning rate of inherited over fresh parameters, 0 = frozen",
    "symbol": r"$\eta_{inh}/\eta_2$",
}
POINT = {f"field{k}": k / 7 for k in range(24)}


def named(ds, long):
    """The dataset with long names, and where it is from."""
    names = [name for name in ds.dims if name != "seed"]
    if long:
        for name in (*names, "gain"):
            ds[name].attrs = LONG
    axes = {name: ds[name].values.tolist() for name in names}
    record = {"function": "mine.f", "point": POINT, "axes": axes, "seeds": list(range(ds.sizes["seed"]))}
    return ds.assign_attrs(provenance=json.dumps(record))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("across, down, long", [(1, 1, False), (1, 1, True), (3, 1, False), (1, 2, True), (4, 3, True)])
def test_phase_diagrams(across, down, long):
    ds = dataset("u", "v2", "alpha", "d", u=np.linspace(0, 1, 7), alpha=np.arange(across) / 3, d=np.arange(down) + 1e5)
    done = np.ones(ds["gain"].shape, np.uint8)
    done[0, 0] = 0
    ds = named(ds.assign(done=(ds["gain"].dims, done)), long)
    mean = ds["gain"].mean("seed", keep_attrs=False)
    lines = {"a theory": mean + 0.1, "a theory with a very long name": mean + 9}
    figure = plot.phase_diagram(ds, x="u", y="v2", col="alpha", row="d", lines=lines)
    assert len(legends(figure)) == 5 and troubles(figure) == []


@pytest.mark.parametrize("axis", [np.geomspace(1e-5, 1e5, 9), np.geomspace(10, 200, 9), np.linspace(0, 1e-7, 9)])
def test_ticks_of_any_axis(axis):
    ds = dataset("u", "v2", u=axis, v2=axis)
    assert troubles(plot.phase_diagram(ds)) == [] and troubles(plot.curve(ds.isel(v2=0))) == []


def test_ticks_within_two_decades_of_a_narrow_panel():
    figure, ax = plt.subplots(figsize=(3, 3), layout="constrained")
    plot.curve(dataset("u", u=[200, 1500, 8000]), ("gain",), ax=ax)
    assert troubles(figure) == []
    assert {"300", "1000", "3000"} <= {label.get_text() for label in ax.get_xticklabels()}
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize(
    "size, long", [((4.8, 4.0), True), ((6.4, 4.8), True), ((3.6, 3.2), False), ((3.6, 3.2), True)]
)
def test_given_axes(size, long):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    ds = named(dataset("u", "v2"), long)
    plot.phase_diagram(ds, ax=ax)
    assert troubles(figure) == []
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    plot.curve(ds.isel(v2=0), ("gain",), ax=ax)
    assert troubles(figure) == []


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("draw", [plot.curve, plot.comparison, lambda ds: plot.curve(ds, ("gain",))])
def test_curves(draw, long):
    figure = draw(named(dataset("u"), long))
    assert troubles(figure) == [] and "6 seeds a cell" in figure.texts[-1].get_text()


def test_troubles_are_found():
    figure, ax = plt.subplots()
    ax.text(0.5, 0.5, "one")
    ax.text(0.51, 0.5, "two")
    figure.suptitle("three " * 30)
    ax.text(2, 0.5, "beyond the limits of its axes", clip_on=False)
    ax.text(0.2, 0.2, "hidden", visible=False)
    ax.text(0.2, 0.2, "alone")
    found = " ".join(troubles(figure))
    assert all(word in found for word in ("one over the other: 'one', 'two'", "cut: 'three", "cut: 'beyond"))
    assert "hidden" not in found and "alone" not in found
