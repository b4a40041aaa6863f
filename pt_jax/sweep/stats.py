"""What a sweep says, and how surely: means over seeds, paired intervals, clear cells, false-discovery control.

Seeds are shared by all cells and gain is a paired difference, so its spread over seeds is the paired one. A cell is
clear where the 95% t interval over seeds excludes 0. A cell with a diverged seed has no mean: survivors are never
averaged.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats


def summary(ds: xr.Dataset, value: str = "gain", level: float = 0.95) -> xr.Dataset:
    """Summarise one result over the seeds.

    Args:
        ds: result of a sweep, with the dimension `seed`.
        value: name of a result.
        level: of the interval, in (0, 1).

    Returns:
        Dataset without `seed`: `mean`; `error`, its standard error; `low` and `high`, the t interval; `clear`, whether
        the interval excludes 0; `p`, the two-sided p-value of mean = 0; `diverged`, whether a seed has diverged. Where
        one has, or with a single seed, the interval is NaN and nothing is clear.
    """
    values = ds[value].astype(float)
    count = ds.sizes["seed"]
    failed = (ds["diverged"] == 1).any("seed") if "diverged" in ds else xr.zeros_like(values.isel(seed=0), dtype=bool)
    mean = values.mean("seed", skipna=False).where(~failed)
    error = (values.std("seed", ddof=1, skipna=False) if count > 1 else mean * np.nan).where(~failed) / np.sqrt(count)
    half = error * stats.t.ppf((1 + level) / 2, max(count - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.abs(mean) / error
    p = xr.apply_ufunc(stats.t.sf, score, max(count - 1, 1)) * 2
    low, high = mean - half, mean + half
    parts = dict(mean=mean, error=error, low=low, high=high, clear=(low > 0) | (high < 0), p=p, diverged=failed)
    result = xr.Dataset({name: part.drop_attrs(deep=False) for name, part in parts.items()})
    return result.assign_attrs(ds[value].attrs, value=value, seeds=count)


def shares(summarised: xr.Dataset, false_discovery: float = 0.05) -> dict[str, float]:
    """Return the shares of cells where the mean is clearly above 0 (`helps`), below 0 (`hurts`), or neither.

    `helps_fdr` and `hurts_fdr` are the shares that survive control of the false-discovery rate over all cells, by
    Benjamini and Yekutieli's procedure, which allows for cells that share seeds.
    """
    mean, clear = summarised["mean"].values, summarised["clear"].values
    p = summarised["p"].values
    known = np.isfinite(p)
    survives = np.zeros(p.shape, bool)
    survives[known] = stats.false_discovery_control(p[known], method="by") <= false_discovery if known.any() else False
    found = {"helps": clear & (mean > 0), "hurts": clear & (mean < 0), "diverged": summarised["diverged"].values}
    found |= {"helps_fdr": survives & (mean > 0), "hurts_fdr": survives & (mean < 0)}
    found["unclear"] = ~(found["helps"] | found["hurts"] | found["diverged"])
    return {name: float(cells.mean()) for name, cells in found.items()}


def table(ds: xr.Dataset, values: Sequence[str]) -> pd.DataFrame:
    """Return the plotted numbers of several results, one row a cell: mean, standard error, interval, seeds."""
    parts = [summary(ds, value)[["mean", "error", "low", "high"]].to_dataframe().reset_index() for value in values]
    rows = pd.concat([part.assign(result=value) for value, part in zip(values, parts, strict=True)])
    return rows.assign(seeds=ds.sizes["seed"]).set_index("result")
