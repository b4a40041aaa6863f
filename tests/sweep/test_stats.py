"""Intervals, clear cells and shares of a summary, against SciPy and on noise of known law."""

import warnings

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from pt_jax import plot
from pt_jax.sweep.stats import bootstrap, shares, summary, table


def dataset(gain, diverged=None):
    """A sweep's result over (u, v2, seed)."""
    dims = ("u", "v2", "seed")
    variables = {"gain": (dims, np.asarray(gain), {"units": "1", "long_name": "gain"})}
    if diverged is not None:
        variables["diverged"] = (dims, np.asarray(diverged))
    return xr.Dataset(variables, {name: np.arange(size) for name, size in zip(dims, np.shape(gain), strict=True)})


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_summary_is_the_paired_t_test_of_scipy(level):
    gain = noise(4, 3, 9) + np.linspace(-1, 1, 12).reshape(4, 3, 1)
    cells = summary(dataset(gain), "gain", level)
    test = stats.ttest_1samp(gain, 0, axis=-1)
    interval = test.confidence_interval(level)
    # The same float64 formulas in another order: 1e-12 is some thousand roundings.
    np.testing.assert_allclose(cells["mean"], gain.mean(-1), rtol=1e-12)
    np.testing.assert_allclose(cells["se"], stats.sem(gain, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(cells["p"], test.pvalue, rtol=1e-12)
    np.testing.assert_allclose(cells["low"], interval.low, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(cells["high"], interval.high, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(cells["clear"], test.pvalue < 1 - level)
    assert 0 < cells["clear"].sum() < 12


def test_summary_keeps_the_axes_and_says_what_it_is_of():
    cells = summary(dataset(noise(2, 3, 4)))
    assert dict(cells.sizes) == {"u": 2, "v2": 3}
    assert cells.attrs == {"units": "1", "long_name": "gain", "value": "gain", "level": 0.95}
    assert (cells["seeds"] == 4).all()


def test_several_results_are_read_together_at_a_cell():
    ds = dataset(noise(4, 3, 9)).assign(error=lambda ds: -2 * ds["gain"])
    cells = summary(ds, ["gain", "error"]).sel(u=2.2, v2=1, method="nearest")
    for name in ("gain", "error"):
        alone = summary(ds.sel(u=2, v2=1), name)
        assert (
            cells.sel(result=name).drop_vars("result").identical(alone.drop_attrs(deep=False).assign_attrs(level=0.95))
        )
    assert cells["clear"].dtype == bool and list(cells.to_pandas().index) == ["gain", "error"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"value": "loss"}, "value = 'loss' is not accepted: use one or some of gain"),
        ({"value": ["gain", "loss"]}, "value = .* is not accepted"),
        ({"value": []}, r"value = \[\] is not accepted"),
        ({"value": None}, "value = None is not accepted"),
        ({"level": 95}, "level = 95 is not accepted"),
        ({"level": float("nan")}, "level = nan is not accepted"),
        ({"ds": dataset(noise(2, 2, 3)).isel(seed=0)}, "ds is not accepted: use the result of a sweep"),
        ({"ds": dataset(noise(2, 2, 3))["gain"]}, "ds is not accepted"),
    ],
)
def test_what_cannot_be_summarised_is_refused(how, words):
    with pytest.raises(ValueError, match=words):
        summary(**{"ds": dataset(noise(2, 2, 3))} | how)


def test_float32_results_are_summed_in_float64():
    # Ten thousand equal float32 numbers: their float64 mean is exact to 1e-12, a float32 sum would be off by 1e-6.
    gain = np.full((1, 1, 10_000), 0.1, np.float32)
    np.testing.assert_allclose(summary(dataset(gain))["mean"], float(np.float32(0.1)), rtol=1e-12)


def test_a_cell_with_a_diverged_seed_has_no_mean_and_is_never_clear():
    gain = noise(2, 2, 8) + 50
    diverged = np.zeros(gain.shape, bool)
    diverged[0, 1, 3] = True  # finite, and yet not trusted
    gain[1, 0, 2], diverged[1, 0, 2] = np.nan, True
    cells = summary(dataset(gain, diverged))
    expected = np.array([[False, True], [True, False]])
    np.testing.assert_array_equal(cells["diverged"], expected)
    for name in ("mean", "se", "low", "high", "p"):
        np.testing.assert_array_equal(np.isnan(cells[name]), expected, err_msg=name)
    np.testing.assert_array_equal(cells["clear"], ~expected)


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_what_is_not_finite_is_not_averaged_away_without_the_flag(lost):
    gain = noise(1, 2, 8) + 50
    gain[0, 0, 0] = lost
    cells = summary(dataset(gain))
    np.testing.assert_array_equal(np.isnan(cells["mean"]), [[True, False]])
    np.testing.assert_array_equal(cells["clear"], [[False, True]])


def test_a_single_seed_has_a_mean_and_is_never_clear():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cells = summary(dataset(noise(2, 2, 1) + 50))
        share = shares(cells)
    assert np.isfinite(cells["mean"]).all()
    assert np.isnan(cells["low"]).all() and np.isnan(cells["se"]).all()
    assert not cells["clear"].any()
    assert share["unclear"] == 1 and share["helps_fdr"] == 0


def test_a_constant_zero_cell_is_unclear_without_a_warning():
    gain = noise(2, 2, 6) + 9
    gain[0, 0] = 0.0  # alpha = 0: transfer is scratch
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cells = summary(dataset(gain))
        share = shares(cells)
    np.testing.assert_array_equal(cells["clear"], [[False, True], [True, True]])
    assert cells["mean"][0, 0] == 0 and cells["low"][0, 0] == 0 and cells["high"][0, 0] == 0
    assert share["unclear"] == 0.25 and share["helps_fdr"] == 0.75


def test_shares_add_up():
    gain = noise(6, 5, 8) + np.linspace(-3, 3, 30).reshape(6, 5, 1)
    diverged = np.zeros(gain.shape, bool)
    diverged[0, 0, 0] = diverged[3, 3, 7] = True
    cells = summary(dataset(gain, diverged))
    share = shares(cells)
    assert share["diverged"] == 2 / 30
    assert share["helps"] == float((cells["clear"] & (cells["mean"] > 0)).mean())
    # Four shares of thirty cells, each a rounded quotient.
    assert abs(share["helps"] + share["hurts"] + share["unclear"] + share["diverged"] - 1) < 1e-12
    assert 0 < share["helps_fdr"] <= share["helps"] and 0 < share["hurts_fdr"] <= share["hurts"]


def test_all_cells_diverged():
    gain = np.full((2, 2, 4), np.nan)
    share = shares(summary(dataset(gain, np.isnan(gain))))
    assert share == {"helps": 0, "hurts": 0, "diverged": 1, "helps_fdr": 0, "hurts_fdr": 0, "unclear": 0}


def test_false_discovery_control_removes_lucky_cells_and_keeps_a_strong_effect():
    # By luck: noise keeps a cell at rate q in at most a share q of the draws, 5e-5; the binomial count is 4.3
    # standard deviations wide, 2e-5. The draw is fixed.
    share = shares(summary(dataset(noise(40, 25, 12, seed=1))), false_discovery=5e-5)
    assert 0.02 < share["helps"] + share["hurts"] < 0.08
    assert share["helps_fdr"] == share["hurts_fdr"] == 0

    # By luck: 950 cells of noise at p < 50 * 1e-5 / 7490, 6e-5; a weak one of the 50 needs a spread of 2.2, 1e-5.
    gain = noise(40, 25, 12, seed=1)
    gain[0], gain[1] = gain[0] + 8, gain[1] - 8
    share = shares(summary(dataset(gain)), false_discovery=1e-5)
    assert share["helps_fdr"] == share["hurts_fdr"] == 25 / 1000


def test_false_discovery_control_is_that_of_benjamini_and_yekutieli():
    cells = summary(dataset(noise(10, 10, 6) + np.linspace(0, 4, 100).reshape(10, 10, 1)))
    p = cells["p"].values.ravel()
    order = np.sort(p)
    harmonic = (1 / np.arange(1, 101)).sum()
    passing = np.flatnonzero(order <= 0.05 * np.arange(1, 101) / (100 * harmonic))
    kept = p <= order[passing[-1]]
    share = shares(cells)
    assert 0 < kept.sum() < 100
    assert share["helps_fdr"] + share["hurts_fdr"] == kept.mean()


def test_cells_may_have_different_numbers_of_seeds():
    gain = noise(3, 2, 20) + 0.3
    ds = dataset(gain)
    done = np.arange(20) < np.array([20, 5, 0])[:, None, None] * np.ones((3, 2, 1))
    ds["gain"] = ds["gain"].where(done)
    ds["done"] = (("u", "v2", "seed"), done.astype(np.uint8))
    cells = summary(ds)
    assert cells["seeds"].values.tolist() == [[20, 20], [5, 5], [0, 0]]
    for i, n in ((0, 20), (1, 5)):
        test = stats.ttest_1samp(gain[i, :, :n], 0, axis=-1)
        np.testing.assert_allclose(cells["p"][i], test.pvalue, rtol=1e-12)
        np.testing.assert_allclose(cells["low"][i], test.confidence_interval(0.95).low, rtol=1e-12)
    assert np.isnan(cells["mean"][2]).all() and not cells["clear"][2].any() and not cells["diverged"].any()
    ds["gain"][0, 0, 3] = np.nan  # a seed that was run and has no number
    assert np.isnan(summary(ds)["mean"][0, 0])


def test_bootstrap_of_the_mean_is_its_t_interval():
    gain = noise(1, 1, 400) + noise(1, 1, 400, seed=2) * 0.5
    ds = dataset(np.concatenate([gain, gain], 0))  # two cells that share all: not twice the evidence
    low, high = bootstrap(ds, lambda some: float(some["gain"].mean()), resamples=2000)
    cells = summary(ds).isel(u=0, v2=0)
    # A quantile of 2,000 resamples has a standard error of 0.03 standard errors of the mean; 5 of them, 1e-6.
    np.testing.assert_allclose([low, high], [cells["low"], cells["high"]], atol=0.15 * float(cells["se"]))
    assert bootstrap(ds, lambda some: float(some["gain"].mean()), resamples=2000) == (low, high)


@pytest.mark.parametrize("how", [pytest.param("dask", marks=pytest.mark.long), "dask along seeds", "lazy"])
def test_what_is_not_in_memory_says_the_same(tmp_path, how):
    ds = dataset(noise(3, 2, 8), noise(3, 2, 8, seed=1) > 2).assign_coords(snr=(("u", "v2"), noise(3, 2)))
    ds["done"] = ds["gain"].dims, (noise(3, 2, 8, seed=2) > -1).astype(np.uint8)
    ds["error"], ds["error_scratch"] = ds["gain"] - 1, ds["gain"] + 1
    ds.to_zarr(tmp_path / "data.zarr", consolidated=False)
    chunks = {"dask": {}, "dask along seeds": {"seed": 3}, "lazy": None}[how]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*separate the stored chunks")
        far = xr.open_zarr(tmp_path / "data.zarr", consolidated=False, chunks=chunks)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cells = summary(far)
        xr.testing.assert_identical(cells, summary(ds))
        assert not any(variable.chunks for variable in cells.variables.values())
        names = ["u", "v2", "mean", "se", "seeds", "result"]
        assert table(far, ["gain", "error"])[names].equals(table(ds, ["gain", "error"])[names])
        mean = [bootstrap(each, lambda some: float(some["gain"].mean()), resamples=9) for each in (far, ds)]
        assert mean[0] == mean[1]
        for figure in (
            plot.phase_diagram(
                far, x="v2", lines={"error": summary(far, "error")["mean"], "mean": far["gain"].mean("seed")}
            ),
            plot.curve(far.isel(u=0), ("gain",)),
            plot.comparison(far.isel(u=0)),
        ):
            figure.canvas.draw()


def test_a_sweep_without_axes_has_a_table_of_one_row():
    ds = xr.Dataset({"gain": ("seed", [1.0, 3.0])}, {"seed": [0, 1]})
    assert table(ds, ["gain"]).to_dict("records") == [{"result": "gain", "mean": 2, "se": 1, "seeds": 2}]
