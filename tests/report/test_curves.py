"""Results along one axis: means, error bars, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pt_jax import plot
from pt_jax.sweep.stats import summary
from tests.report.cases import dataset


def test_a_curve_has_means_and_error_bars():
    ds = dataset("u")
    (ax,) = plot.curve(ds, ("gain",)).axes
    cells = summary(ds)
    (bars,) = ax.containers
    line, _, (segments,) = bars.lines
    np.testing.assert_allclose(line.get_xydata(), np.stack([ds["u"], cells["mean"]], 1))
    ends = np.array([segment[:, 1] for segment in segments.get_segments()])
    np.testing.assert_allclose(ends, np.stack([cells["low"], cells["high"]], 1))
    assert ax.get_xlabel() == "the u $u$"
    assert len(plot.curve(ds).axes[0].containers) == 2


def test_a_curve_refuses_two_axes():
    with pytest.raises(ValueError, match=r"one axis.*u, v2"):
        plot.curve(dataset("u", "v2"))


def test_a_curve_refuses_more_results_than_it_has_colours():
    with pytest.raises(ValueError, match=r"5 results are not accepted in one curve: use at most 4"):
        plot.curve(dataset("u"), ("gain",) * 5)


def test_a_comparison_draws_errors_and_the_gain():
    upper, lower = plot.comparison(dataset("u")).axes
    assert (len(upper.containers), len(lower.containers)) == (2, 1)
    figure, axes = plt.subplots(1, 2)
    assert plot.comparison(dataset("u"), axes=axes) is figure
