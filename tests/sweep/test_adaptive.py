"""Seeds and cells where they are needed: what is spent, and that it changes no number."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.sweep.adaptive import boundary, run_until
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.run import run
from pt_jax.sweep.stats import summary


class Place(NamedTuple):
    """Where a noisy hill is looked at."""

    x: Any = 0.0
    y: Any = 0.0
    noise: Any = 0.1


class Height(NamedTuple):
    """How much it rises above a circle of radius 1."""

    gain: Any
    diverged: Any


def hill(key, point, static, data):
    """A hill that is 0 on the circle of radius 1 around the origin."""
    del static, data
    return Height(1 - point.x**2 - point.y**2 + point.noise * jax.random.normal(key, ()), jnp.array(False))


def torn_hill(key, point, static, data):
    """A hill that is not known in a corner."""
    return hill(key, point, static, data)._replace(diverged=(point.x < -1.4) & (point.y < -1.4))


def noisy(seeds, noise=(0.0, 0.5, 1.0, 2.0)):
    return Sweep(hill, Place(x=1.0), {"noise": np.array(noise)}, seeds, lanes=8)


def test_each_cell_gets_the_seeds_that_its_standard_error_needs(tmp_path):
    ds = run_until(noisy(400), 0.1, first=16, store=tmp_path)
    cells = summary(ds)
    seeds = cells["seeds"].values
    assert seeds[0] == 16 and (np.diff(seeds) > 0).all() and seeds[-1] == 400
    assert (seeds % 16 == 0).all()
    assert (cells["se"][:-1] <= 0.1).all() and np.isfinite(cells["low"]).all()
    # sigma^2 / 0.01 seeds are needed; the estimate of sigma from them is within four of its standard errors, 6e-5.
    for noise, n in zip((0.5, 1.0), seeds[1:3], strict=True):
        need = (noise / 0.1) ** 2
        assert abs(n - need) < need * 4 * (2 / need) ** 0.5 + 16
    whole = run(noisy(400))["gain"].values
    done = ds["done"].values == 1
    np.testing.assert_array_equal(ds["gain"].values[done], whole[done])  # and no number has changed
    assert np.isnan(ds["gain"].values[~done]).all()


def test_a_stopped_run_goes_on(tmp_path):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 1

    part = run_until(noisy(400), 0.1, first=16, store=tmp_path, stop=stop)
    whole = run_until(noisy(400), 0.1, first=16, store=tmp_path)
    assert int(part["done"].sum()) < int(whole["done"].sum())
    assert whole.equals(run_until(noisy(400), 0.1, first=16))


@pytest.mark.parametrize("options", [{"se": 0.0}, {"se": -1.0}, {"se": 0.1, "first": 1}])
def test_wrong_wishes_are_refused(options):
    with pytest.raises(ValueError, match="is not accepted: use a"):
        run_until(noisy(4), **options)


def circle(size=65, seeds=8, noise=0.1):
    values = np.linspace(-1.5, 1.5, size)
    return Sweep(hill, Place(noise=noise), {"x": values, "y": values + 0.01}, seeds, lanes=8)


def test_the_contour_is_that_of_the_whole_map():
    found = boundary(circle(), stride=8)
    (line,) = found.lines
    shift = float(run(Sweep(hill, Place(noise=0.1), {"x": [0.0]}, 8))["gain"].mean()) - 1  # all cells share their noise
    # Linear interpolation over a cell of 0.047 misses the circle by 0.047^2 / 8 at most.
    np.testing.assert_allclose(np.hypot(*line.T), (1 + shift) ** 0.5, atol=4e-4)
    assert found.full == 65 * 65 * 8 and found.trajectories < 0.3 * found.full
    assert int(found.map["computed"].sum()) * 8 == found.trajectories
    whole = run(circle())["gain"].astype(float).mean("seed")
    near = np.abs(whole.values) < 0.3
    np.testing.assert_array_equal(np.sign(found.map["mean"].values), np.sign(whole.values))
    assert found.map["computed"].values[near].mean() > found.map["computed"].values[~near].mean()


def test_the_band_is_where_resampled_seeds_disagree():
    above = boundary(circle(noise=0.4), stride=8).map["above"]
    radius = np.hypot(above["x"], above["y"])
    assert (above.where(radius < 0.5, 1.0) > 0.999).all() and (above.where(radius > 1.4, 0.0) < 0.001).all()
    assert ((above > 0.025) & (above < 0.975)).any()


def test_more_uncertainty_costs_more_and_a_store_is_continued(tmp_path):
    narrow, wide = (boundary(circle(33), stride=8, spread=s, store=tmp_path) for s in (0.0, 3.0))
    assert narrow.trajectories < wide.trajectories
    np.testing.assert_array_equal(narrow.lines[0], wide.lines[0])


def test_a_diverged_cell_is_nowhere_in_the_map():
    found = boundary(replace(circle(33, noise=0.0), function=torn_hill), stride=8)
    cells = found.map.sel(x=-1.5, method="nearest").sel(y=-1.49, method="nearest")
    assert bool(cells["computed"]) and np.isnan(cells["mean"]) and np.isnan(cells["above"])
    (line,) = found.lines  # its corner is far from the circle
    np.testing.assert_allclose(np.hypot(*line.T), 1.0, atol=2e-3)


def test_a_map_without_a_contour_has_no_line():
    values = np.linspace(0.0, 0.5, 17)
    found = boundary(Sweep(hill, Place(noise=0.01), {"x": values, "y": values}, 4), stride=8)
    assert found.lines == [] and found.trajectories == 9 * 4 and (found.map["above"] > 0.999).all()


def test_what_is_no_map_is_refused():
    for axes in ({"x": [0.0, 1.0]}, {"x": [0.0, 1.0], "y": [0.0]}):
        with pytest.raises(ValueError, match="a contour needs two axes"):
            boundary(Sweep(hill, Place(), axes, 4))
    with pytest.raises(ValueError, match="at least 2 of each"):
        boundary(circle(seeds=1))
    with pytest.raises(ValueError, match="stride = 0"):
        boundary(circle(), stride=0)
