"""Published numbers beside ours: standard errors, and what counts as agreement."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

ROOT = Path(__file__).parents[2]


@pytest.fixture
def published(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "sims"))
    return importlib.import_module("parts.published")


def test_a_difference_in_standard_errors_is_the_two_sample_t(published):
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.2, 0.1, (2, 12)), rng.normal(0.3, 0.2, (2, 5))
    ds = xr.Dataset({"error": (("d", "seed"), ours)}, {"d": [1, 2], "seed": np.arange(12)})
    known = pd.DataFrame({"d": [1, 2], "published": theirs.mean(1), "sd": theirs.std(1, ddof=1), "trainings": 5})
    table = published.whole(ds, ["error"], known)
    np.testing.assert_allclose(table["off"], stats.ttest_ind(ours, theirs, axis=1).statistic, rtol=1e-10)


def test_cells_without_spread_agree_where_both_are_equal_only(published, capsys):
    table = pd.DataFrame({"published": [0.2, 0.2, 0.1], "here": [0.2, 0.3, 0.1 + 1e-8], "se": [0.0, 0.0, 0.0]})
    assert published.compare(table)["off"].abs().tolist() == [0, np.inf, 0]
    assert "66.7% of 3 cells" in capsys.readouterr().out


def test_means_of_few_trainings_are_held_against_such_means(published):
    errors = np.repeat([0.0, 0.1], [970, 30])  # how many of five are large is binomial
    known = pd.Series([0.0, 0.02, 0.04, 0.1], index=[7, 5, 3, 1])
    found = published.beside_few(errors, known, 5)
    above = stats.binom.sf([-1, 0, 1], 5, 0.03)
    # The standard error of the third by 100,000 draws is 0.0126: by luck it is beyond 0.05 once in 10,000 times.
    np.testing.assert_allclose(found["off"].iloc[:3], -np.maximum(stats.norm.isf(above), 0), atol=0.05)
    assert found["off"][1] == -stats.norm.isf(1 / 100_001)  # never drawn
    assert (found["low"] == 0).all() and found["high"].tolist() == pytest.approx([0.04] * 4)


def test_means_of_normal_trainings_are_off_as_a_normal_says(published):
    known = pd.Series([-0.9, -0.3, 0.0, 0.3, 0.9])
    ours = stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000)
    # The largest standard error by 100,000 draws is 0.009: by luck one is beyond 0.04 less than once in 20,000 times.
    np.testing.assert_allclose(published.beside_few(ours, known, 5)["off"], -known * 5**0.5, atol=0.04)


def test_a_table_without_published_numbers_is_refused(published):
    with pytest.raises(ValueError, match="without published is not accepted"):
        published.compare(pd.DataFrame({"here": [1.0], "se": [1.0]}))
