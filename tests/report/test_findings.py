"""Verdicts of published findings, from effects of known size."""

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from pt_jax.report import findings
from pt_jax.report.findings import Finding


def effect(mean, spread=1.0, seeds=16):
    """An effect with exactly this mean and standard deviation over the seeds."""
    x = np.random.default_rng(0).normal(size=seeds)
    return xr.DataArray(mean + spread * (x - x.mean()) / x.std(ddof=1), dims="seed")


def one(claim, mean, spread=1.0, matters=0.5):
    return Finding(claim, "arXiv 0", "x", effect(mean, spread), matters)


def test_each_verdict():
    rows = findings.judged(
        findings.numbers(
            [one("a", 5), one("b", -5), one("c", 0, 0.1), one("d", 0), one("e", np.nan), one("f", -0.1, 0.2)]
        )
    )
    assert list(rows.verdict) == ["seen", "reversed", "not seen", "unclear", "unclear", "not seen"]
    low, high = stats.t.interval(0.95, 15, loc=5, scale=1 / 4)
    np.testing.assert_allclose([rows.low[0], rows.high[0]], [low, high])
    np.testing.assert_allclose(rows.se[:4], [1 / 4, 1 / 4, 0.1 / 4, 1 / 4])
    assert list(rows.seeds) == [16] * 6


def test_what_is_clear_alone_may_not_survive_among_many():
    weak = one("weak", 0.6)  # 2.4 standard errors
    alone = findings.judged(findings.numbers([weak]))
    among = findings.judged(findings.numbers([weak, *(one(str(i), 0.1) for i in range(20))]))
    assert alone.verdict[0] == "seen" and among.verdict[0] == "unclear" and among.low[0] > 0


def test_they_are_kept_in_a_file_and_make_a_table(tmp_path, capsys):
    findings.keep(tmp_path / "vision", [one("filters help", 5)], "digits 8x8")
    assert "seen: filters help; x +5 [" in capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "vision.findings.csv").assign(command="python sims/vision.py")
    table = findings.markdown(findings.judged(rows))
    assert len(table) == 3 and len({line.count("|") for line in table}) == 1
    assert table[2].startswith(
        "| filters help | arXiv 0 | digits 8x8 | x | +5 [+4.47, +5.53] | **seen** | `python sims/vision.py` |"
    )


def test_effects_are_of_the_seeds_that_all_cells_have_and_of_no_survivors():
    gain = xr.DataArray([[1.0, 2.0, 4.0], [5.0, 7.0, np.nan]], {"alpha": [0, 1], "seed": [3, 4, 5]}, ("alpha", "seed"))
    more = xr.Dataset({"gain": gain, "done": gain.notnull().astype(int)}, attrs={"of": "more"})
    other = xr.Dataset({"gain": gain.isel(alpha=0, drop=True)})
    found = findings.whole({"more": more, "other": other})
    assert all(list(ds.seed) == [3, 4] for ds in found.values()) and found["more"].attrs == {"of": "more"}
    ends = found["more"].gain.diff("alpha").isel(alpha=0)
    row = findings.numbers([Finding("a", "b", "c", ends, 0.5)]).iloc[0]
    assert (row["mean"], row["seeds"]) == (4.5, 2)
    lost = findings.whole({"more": more.assign(diverged=gain.copy(data=[[0, 1, 0]] * 2)), "other": other})
    assert np.isnan(findings.numbers([Finding("a", "b", "c", lost["more"].gain.isel(alpha=1), 0.5)])["mean"][0])
