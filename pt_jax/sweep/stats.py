"""What a sweep says, and how surely: means over seeds, paired intervals, clear cells, false-discovery control.

Seeds are shared by all cells and gain is a paired difference, so its spread over seeds is the paired one. A cell is
clear where the 95% t interval over seeds excludes 0. A cell with a diverged seed has no mean: survivors are never
averaged. Seeds that were not run (`done` is 0) count for nothing: cells may have different numbers of them.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats


def summary(ds: xr.Dataset, value: str | Sequence[str] = "gain", level: float = 0.95) -> xr.Dataset:
    """Summarise one result over the seeds, or several.

        ds = pt_jax.load("results/demo")
        summary(ds).sel(u=2, v2=1, method="nearest")  # the gain of the nearest cell, with its interval
        summary(ds, ["gain", "error"]).sel(u=2, v2=1, method="nearest").to_pandas()  # a row for each result

    Args:
        ds: result of a sweep, with the dimension `seed`; in memory, opened lazily, or in dask arrays.
        value: name of a result; a list of names gives a dataset with the dimension `result`.
        level: of the interval, in (0, 1).

    Returns:
        Dataset in memory, without `seed`: `mean`; `se`, its standard error; `low` and `high`, the t interval;
        `clear`, whether the interval excludes 0; `p`, the two-sided p-value of mean = 0; `diverged`, whether a seed
        has diverged or is not finite; `seeds`, how many were run. Where one has diverged, or with a single seed, the
        interval is NaN and nothing is clear. Attributes are those of the result and of the dataset, `value`, `level`.

    Raises:
        ValueError: the dataset has no seeds or no such result, or the level is none.
    """
    _check(ds, value, level)
    if not isinstance(value, str):
        each = [summary(ds, one, level).drop_attrs(deep=False).assign_coords(result=one) for one in value]
        return xr.concat(each, "result").assign_attrs(ds.attrs, level=level)
    # `done` first: what it says is computed was written before it, also while a run goes on.
    done = ds["done"].compute() == 1 if "done" in ds else xr.ones_like(ds["seed"], dtype=bool)
    values = ds[value].compute().astype(float)
    count = done.sum("seed")
    lost = ~(abs(values) < np.inf) | ((ds["diverged"].compute() == 1) if "diverged" in ds else False)
    failed = (lost & done).any("seed") | (count == 0)
    values = values.where(done, 0.0)
    mean = (values.sum("seed", skipna=False) / count.where(count > 0)).where(~failed)
    squares = ((values - mean) ** 2).where(done, 0.0).sum("seed", skipna=False)
    se = (squares / (count - 1).where(count > 1) / count) ** 0.5
    judged = _judged(mean, se, count, failed, level).compute()
    return judged.assign_attrs({**ds.attrs, **ds[value].attrs}, value=value, level=level)


def _check(ds: xr.Dataset, value: str | Sequence[str], level: float) -> None:
    """Raise ValueError unless these are results of a sweep, and a level."""
    if not isinstance(ds, xr.Dataset) or "seed" not in ds.dims:
        raise ValueError("ds is not accepted: use the result of a sweep, a dataset with the dimension 'seed'.")
    known = [str(name) for name, one in ds.data_vars.items() if "seed" in one.dims]
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not names or not set(names) <= set(known):
        raise ValueError(f"value = {value!r} is not accepted: use one or some of {', '.join(known)}.")
    if not 0 < level < 1:
        raise ValueError(f"level = {level} is not accepted: use a number above 0 and below 1, as 0.95.")


def _judged(
    mean: xr.DataArray, se: xr.DataArray, count: xr.DataArray, failed: xr.DataArray, level: float
) -> xr.Dataset:
    """Return the summary of means with these standard errors over so many seeds."""
    freedom = np.maximum(count - 1, 1)
    half = se * xr.apply_ufunc(stats.t.ppf, (1 + level) / 2, freedom)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.abs(mean) / se
    p = xr.apply_ufunc(stats.t.sf, score, freedom) * 2
    low, high = mean - half, mean + half
    parts = dict(mean=mean, se=se, low=low, high=high, clear=(low > 0) | (high < 0), p=p)
    parts |= dict(diverged=failed & (count > 0), seeds=count)
    return xr.Dataset({name: part.broadcast_like(mean).drop_attrs(deep=False) for name, part in parts.items()})


def shares(summarised: xr.Dataset, false_discovery: float = 0.05) -> dict[str, float]:
    """Return the shares of cells where the mean is clearly above 0 (`helps`), below 0 (`hurts`), or neither.

    `helps_fdr` and `hurts_fdr` are the shares that survive control of the false-discovery rate over all cells.

    Args:
        summarised: a `summary`.
        false_discovery: rate allowed, in (0, 1).

    Returns:
        Shares in [0, 1] by name; `helps`, `hurts`, `unclear` and `diverged` add up to 1.
    """
    mean, clear = summarised["mean"].values, summarised["clear"].values
    sure = survives(summarised["p"].values, false_discovery)
    found = {"helps": clear & (mean > 0), "hurts": clear & (mean < 0), "diverged": summarised["diverged"].values}
    found |= {"helps_fdr": sure & (mean > 0), "hurts_fdr": sure & (mean < 0)}
    found["unclear"] = ~(found["helps"] | found["hurts"] | found["diverged"])
    return {name: float(cells.mean()) for name, cells in found.items()}


def survives(p: np.ndarray, false_discovery: float = 0.05) -> np.ndarray:
    """Return which p-values survive control of the false-discovery rate over all of them; one that is NaN does not.

    By Benjamini and Yekutieli's procedure, which allows for cells that share seeds: of q p-values in order, the first i
    survive for the largest i with p_(i) <= i rate / (q sum_l 1/l).

    Args:
        p: p-values, of any shape.
        false_discovery: rate allowed, in (0, 1).

    Returns:
        Whether each survives, of the same shape.

    Source: Y. Benjamini, D. Yekutieli, The control of the false discovery rate in multiple testing under dependency
    (2001).
    """
    known = np.isfinite(p)
    found = np.zeros(p.shape, bool)
    if known.any():
        found[known] = stats.false_discovery_control(p[known], method="by") <= false_discovery
    return found


def table(ds: xr.Dataset, values: Sequence[str]) -> pd.DataFrame:
    """Return the numbers of several results, one row a cell: `result`, coordinates, `mean`, `se`, `seeds`.

    `se` is the standard error; nothing else is needed: `cells` restores the summary, also from a CSV of the table.

    Args:
        ds: result of a sweep.
        values: names of results.
    """
    parts = [_rows(summary(ds, value)[["mean", "se", "seeds"]]) for value in values]
    rows = pd.concat([part.assign(result=value) for value, part in zip(values, parts, strict=True)], ignore_index=True)
    rows.attrs = {str(name): dict(ds[name].attrs) for name in (*ds.coords, *values)}
    return rows[["result", *rows.columns.drop("result")]]


def _rows(summarised: xr.Dataset) -> pd.DataFrame:
    if summarised.sizes:
        return summarised.to_dataframe().reset_index()
    return pd.DataFrame({name: [value.item()] for name, value in summarised.data_vars.items()})


def cells(table: pd.DataFrame, value: str, dims: Sequence[str], level: float = 0.95) -> xr.Dataset:
    """Return the `summary` of one result from a `table`; its other columns become variables.

    Args:
        table: rows of a product grid; `attrs` may hold unit, long name and symbol of columns and results by name.
        value: name of a result.
        dims: columns that are the dimensions of the grid.
        level: of the interval, in (0, 1).
    """
    grid = table[table["result"] == value].drop(columns="result").set_index(list(dims)).to_xarray()
    judged = _judged(grid["mean"], grid["se"], grid["seeds"], grid["mean"].isnull(), level)
    found = grid.assign(judged).assign_attrs(table.attrs.get(value, {}), value=value, level=level)
    return found.assign_coords({name: found[name].assign_attrs(table.attrs.get(name, {})) for name in found.coords})


def bootstrap(
    ds: xr.Dataset,
    statistic: Callable[[xr.Dataset], float],
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a number computed from the whole dataset.

    Whole seeds are resampled, the same for all cells: cells share their seeds and are not independent.

    Args:
        ds: result of a sweep, with the dimension `seed`; it is read into memory.
        statistic: number of a dataset, for example the share of a map or the mean of a block.
        level: of the interval, in (0, 1).
        resamples: how many.
        seed: of the resampling.
    """
    ds = ds.compute()
    found = stats.bootstrap(
        (np.arange(ds.sizes["seed"]),),
        lambda chosen: statistic(ds.isel(seed=chosen)),
        n_resamples=resamples,
        confidence_level=level,
        vectorized=False,
        method="percentile",
        rng=seed,
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
