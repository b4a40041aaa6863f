"""What the legend of a map says, and limits of colours and curves."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pt_jax import plot
from pt_jax.sweep.stats import summary
from tests.report.test_plot import dataset, legends, mesh, panels


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_unclear_cells_are_explained_by_their_interval():
    ds = dataset("u", "v2", u=np.linspace(0, 1, 7))
    assert legends(plot.phase_diagram(ds)) == ["gain 0", "unclear: the 95% interval over seeds includes 0"]
    assert legends(plot.phase_diagram(summary(ds, level=0.995)))[1].startswith("unclear: the 99.5% interval")
    assert legends(plot.phase_diagram(ds.isel(seed=[0])))[1] == "unclear: one seed"
    assert legends(plot.phase_diagram(ds, "error")) == []  # nowhere below 0


def test_the_legend_of_given_axes_is_below_their_labels():
    figure, axes = plt.subplots(1, 2, layout="constrained")
    for ax in axes:
        plot.phase_diagram(dataset("u", "v2"), ax=ax)
        figure.draw_without_rendering()
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["gain 0"]
        assert ax.get_legend().get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0
    assert not figure.legends


@pytest.mark.parametrize("limits, extend", [((-20, 20), "neither"), ((-1, 20), "min"), ((-20, 1), "max")])
def test_limits_are_those_of_the_colour_bar_and_0_stays_white(limits, extend):
    figure = plot.phase_diagram(dataset("u", "v2"), limits=limits)
    (ax,) = panels(figure)
    bar = mesh(ax).colorbar
    assert bar.ax.get_ylim() == limits and bar.extend == extend
    assert (mesh(ax).norm.vmin, mesh(ax).norm.vcenter, mesh(ax).norm.vmax) == (-20, 0, 20)


def test_limits_of_what_has_one_sign_are_those_of_the_colours():
    (ax,) = panels(plot.phase_diagram(dataset("u", "v2"), "error", limits=(1, 3)))
    assert (mesh(ax).norm.vmin, mesh(ax).norm.vmax) == (1, 3) and mesh(ax).colorbar.extend == "max"


def test_limits_of_curves():
    ds = dataset("u")
    assert plot.curve(ds, limits=(-1, 30)).axes[0].get_ylim() == (-1, 30)
    upper, lower = plot.comparison(ds, limits=(-1, 30)).axes
    assert lower.get_ylim() == (-1, 30) != upper.get_ylim()


@pytest.mark.parametrize("limits", [(1, 0), (1, 1), (0, np.inf), (np.nan, 1), (1, 2, 3)])
@pytest.mark.parametrize("draw", [plot.phase_diagram, plot.curve, plot.comparison])
def test_limits_that_are_none_are_refused(draw, limits):
    ds = dataset("u", "v2")
    with pytest.raises(
        ValueError, match=r"limits = \(.*\) is not accepted: use two finite numbers, the lower one first"
    ):
        draw(ds if draw is plot.phase_diagram else ds.isel(v2=0), limits=limits)
    assert not plt.get_fignums()


def test_panels_that_differ_never_read_alike():
    close = dataset("u", "v2", "alpha", alpha=[0.12345678, 0.12345679])
    titles = [ax.get_title() for ax in panels(plot.phase_diagram(close, col="alpha"))]
    assert titles == ["$alpha$ = 0.12345678", "$alpha$ = 0.12345679"]
    named = dataset("u", "v2", "alpha", alpha=["stem", "head"])
    titles = [ax.get_title() for ax in panels(plot.phase_diagram(named, row="alpha"))]
    assert titles == ["$alpha$ = head", "$alpha$ = stem"]
    large = dataset("u", "v2", "alpha", alpha=[1234567.0, 1 / 3])
    titles = [ax.get_title() for ax in panels(plot.phase_diagram(large, row="alpha"))]
    assert titles == ["$alpha$ = 0.333333", "$alpha$ = 1234567"]
