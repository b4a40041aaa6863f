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


def test_a_table_without_published_numbers_is_refused(published):
    with pytest.raises(ValueError, match="without published is not accepted"):
        published.compare(pd.DataFrame({"here": [1.0], "se": [1.0]}))
