"""A published experiment beside the same one computed here: what `sims/published_*.py` share.

    off = (here - published) / se,    se = s sqrt(1/k + 1/n)

s is the standard deviation over the n seeds here, k the number of trainings that a published mean is of. Were both of
one law, 99.7% of the cells would have |off| <= 3, where means are normal.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from scipy.stats import norm

import pt_jax

LIMIT = 3.0  # standard errors of the difference within which a cell agrees
_ROUNDING = 1e-6  # of float32; where nothing varies and both are equal, se is 0 or NaN
_LEAST = 10.0  # core seconds that are timed: tracing, a second or two, is part of them
_MEANS = 100_000  # drawn in `beside_few`
_ROWS = 60  # that are printed; of a longer table those that are furthest off


def beside(ds: xr.Dataset, value: str, published: pd.DataFrame) -> pd.DataFrame:
    """Return published means beside those of a sweep, for the cells that both have.

    Args:
        ds: result of a sweep.
        value: name of a result.
        published: one row a cell: columns called like axes of the sweep, `published`, and `trainings`, how many it is
            the mean of.

    Returns:
        One row a cell: its columns, `published`, `here` and `se`, the standard error of their difference.
    """
    cells = [name for name in published.columns if name not in ("published", "trainings")]
    here = pt_jax.stats.summary(ds, value)[["mean", "se", "seeds"]].to_dataframe().reset_index()
    table = published.merge(here, on=cells)
    both = table["se"] * np.sqrt(1 + table["seeds"] / table["trainings"])
    return table[[*cells, "published"]].assign(here=table["mean"], se=both)


def whole(ds: xr.Dataset, values: Sequence[str], published: pd.DataFrame) -> pd.DataFrame:
    """Return all cells of a sweep, and beside those that have one a published mean.

    Args:
        ds: result of a sweep.
        values: names of results.
        published: as in `beside`, with the names in `result`, and `sd`, the standard deviation over the trainings: s is
            then that of both together, the pooled one of a two-sample t test.

    Returns:
        Columns of `published`, `here`, `own`, its standard error, `seeds`, `se` and `off`.
    """
    here = pt_jax.stats.table(ds, values).rename(columns={"mean": "here", "se": "own"})
    table = here.merge(published, how="left")
    seeds, trainings = table["seeds"], table["trainings"]
    squares = (seeds - 1) * seeds * table["own"] ** 2 + (trainings - 1) * table["sd"] ** 2
    table["se"] = np.sqrt(squares / (seeds + trainings - 2) * (1 / seeds + 1 / trainings))
    return table.assign(off=_off(table))


def beside_few(ours: np.ndarray, published: pd.Series, trainings: int) -> pd.DataFrame:
    """Return how far off published means are where a mean of few trainings is far from normal.

        p = 2 min(P(mean <= published), P(mean >= published)) = P(|N(0, 1)| >= |off|)

    P is over means of as many trainings, drawn from ours; one is added to what is counted and to all, so |off| <= 4.3.
    Needed where most errors are 0 and some are large: there s sqrt(1/k + 1/n) says nothing about a mean of five.

    Args:
        ours: errors of all trainings of one law.
        published: means of as many trainings of that law.
        trainings: how many.

    Returns:
        `off`, and `low` and `high`, between which |off| <= `LIMIT`; index of `published`.
    """
    means = np.random.default_rng(0).choice(ours.ravel(), (_MEANS, trainings)).mean(1)
    below, above = (
        norm.isf((1 + np.sum(sign * (means - published.values[:, None]) <= _ROUNDING, axis=1)) / (1 + _MEANS))
        for sign in (1, -1)
    )
    low, high = np.quantile(means, norm.cdf([-LIMIT, LIMIT]))
    off = np.maximum(below, 0) - np.maximum(above, 0)  # one of them is at most 0
    return pd.DataFrame({"off": off, "low": low, "high": high}, index=published.index)


def compare(table: pd.DataFrame) -> pd.DataFrame:
    """Print a table of `published`, `here` and `se`, and the share of cells that agree; return it with `off`.

    A table that has `off` keeps it.

    Raises:
        ValueError: a column is missing.
    """
    if missing := {"published", "here", "se"} - set(table.columns):
        raise ValueError(f"table without {', '.join(sorted(missing))} is not accepted: use published, here and se.")
    off = table["off"] if "off" in table else _off(table)
    shown = off.abs().nlargest(_ROWS).index.sort_values()
    print(table.assign(off=off).loc[shown].to_string(index=False, float_format="{:.4g}".format))
    agree, mean = (off.abs() <= LIMIT).mean(), (table["here"] - table["published"]).mean()
    print(f"{agree:.1%} of {len(table)} cells within {LIMIT:g} standard errors; mean difference {mean:+.5f}")
    return table.assign(off=off)


def _off(table: pd.DataFrame) -> pd.Series:
    apart = table["here"] - table["published"]
    return (apart / table["se"]).where(apart.abs() > _ROUNDING, 0.0)


def speed(sweep: pt_jax.Sweep, theirs: float, trainings: int = 1) -> float:
    """Print the core seconds of a training, published and here, compilation apart; return their ratio.

    Processor time of all cores, which another load on the machine changes least.

    Args:
        sweep: run with as many seeds as take ten seconds.
        theirs: core seconds of a training of the same cells in the published way.
        trainings: published trainings that a trajectory stands for.
    """
    spent, seeds = 0.0, 1
    while spent < _LEAST:
        timed = replace(sweep, seeds=seeds)
        for _ in range(2):  # the first compiles
            start = time.process_time()
            pt_jax.run(timed, report=None)
            spent = time.process_time() - start
        seeds *= 4
    here = spent / timed.trajectories / trainings
    print(f"core seconds a training: published {theirs:.3g}, here {here:.3g}, {theirs / here:,.0f} times as fast")
    return theirs / here


def agreement(ax: Axes, table: pd.DataFrame) -> None:
    """Draw each cell, published against here, with bars of `LIMIT` standard errors of the difference."""
    agree = table["off"].abs() <= LIMIT
    for which, colour, words in ((agree, "tab:blue", "agree"), (~agree, "tab:red", "differ")):
        one, name = table[which], f"{which.sum()} cells {words}" if which.any() else None
        bars = LIMIT * one["se"]
        ax.errorbar(one["published"], one["here"], bars, fmt="o", ms=3, lw=0.8, color=colour, alpha=0.7, label=name)
    ends = [table[["published", "here"]].min().min(), table[["published", "here"]].max().max()]
    ax.plot(ends, ends, "k-", lw=0.8, zorder=0)
    ax.set(xlabel="published", ylabel=f"here (bars: {LIMIT:g} standard errors)")
    ax.legend(fontsize=8)
