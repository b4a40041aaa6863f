"""Theory against simulation at 2,000 random points: the criterion G and the mean-field prediction.

    python sims/theory_agreement.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The points are the Latin hypercube of `pt_jax.signal_noise.design`. Printed, in the regime and over all points: right
signs where the 99.7% interval of the gain excludes 0, rank correlation, distance of predicted from simulated errors.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections import defaultdict

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import binomtest, spearmanr, t

from pt_jax import theory
from pt_jax.signal_noise.design import RANGES, points

FIELDS, RESULTS = list(RANGES), ["error", "error_scratch", "gain"]
PREDICTORS = {"predicted_gain": ("mean-field prediction", "tab:orange"), "log_g": ("criterion G", "tab:purple")}


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """The prediction, then the simulations in groups of similar cost: a group is compiled once."""
    every, groups = points(200 if quick else 2000), defaultdict(list)
    for p in every:
        name = f"n1-{-(-p.n1 // 50) * 50:.0f}-n2-{p.n2 > 50:d}-steps-{p.steps1 > 225:d}{p.steps2 > 225:d}"
        groups["all" if quick else name].append(p)
    parts = {name: (pt_jax.simulate, group, seeds, RESULTS) for name, group in sorted(groups.items())}
    return {
        name: pt_jax.Sweep(function, group[0], group, count, kept, pt_jax.Static.covering(group, fixed=True))
        for name, (function, group, count, kept) in ({"prediction": (theory.predicted, every, 1, None)} | parts).items()
    }


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """One row a point, in the order of the hypercube: what is predicted, simulated means and their standard errors."""
    said = found["prediction"].isel(seed=0).to_dataframe().set_index(FIELDS)[RESULTS]
    long = pd.concat(pt_jax.stats.table(ds, RESULTS) for name, ds in found.items() if name != "prediction")
    wide = long.pivot(index=[*FIELDS, "seeds"], columns="result", values=["mean", "se"])
    wide.columns = [f"{result}_{part}" for part, result in wide.columns]
    table = said.add_prefix("predicted_").join(wide.reset_index("seeds"), validate="1:1").reset_index(drop=True)
    _report(_scored(table))
    return table


def _scored(table: pd.DataFrame) -> pd.DataFrame:
    at = pt_jax.Point(*np.array(points(len(table))).T)
    return table.assign(
        log_g=np.log(np.asarray(theory.criterion(at) / theory.phase(at))),
        in_regime=np.asarray(theory.in_regime(at)) == 1,
        few=(at.n2 < 20) & (at.flip2 > 0.2),
        clear=table.gain_mean.abs() > table.gain_se * t.ppf(1 - 0.003 / 2, table.seeds - 1),
        room=at.d / np.maximum(at.n1, at.n2),
        strength=at.n1 * (at.u**2 + at.v1**2) / (at.sigma1**2 * at.d),
    )


def _agreement(rows: pd.DataFrame, column: str) -> tuple[int, int, float, float]:
    clear = rows[rows.clear]
    right = int((np.sign(clear[column]) == np.sign(clear.gain_mean)).sum())
    return right, len(clear), *binomtest(right, len(clear)).proportion_ci()


def _report(rows: pd.DataFrame) -> None:
    places = {"in the regime": rows[rows.in_regime], "N2 < 20 and p2 > 0.2": rows[rows.few], "all points": rows}
    for place, part in places.items():
        print(f"{place}: {len(part)} points ({len(part) / len(rows):.1%}), {part.clear.mean():.1%} of them clear")
        for column, (name, _) in PREDICTORS.items():
            (right, of, low, high), rank = _agreement(part, column), spearmanr(part[column], part.gain_mean).statistic
            print(f"  {name}: sign {right / of:.4f} [{low:.4f}, {high:.4f}] of {of}, rank correlation {rank:.3f}")
        for value in RESULTS:
            off = part[f"predicted_{value}"] - part[f"{value}_mean"]
            half, most = off.abs().quantile([0.5, 0.9])
            print(f"  {value}: |predicted - simulated| median {half:.4f}, 90% {most:.4f}; mean {off.mean():+.4f}")


def draw(table: pd.DataFrame) -> plt.Figure:
    """Calibration of errors and gains, distance against d / n, right signs against the strength of the signal."""
    rows = _scored(table)
    figure, ((errors, gains), (distance, signs)) = plt.subplots(2, 2, figsize=(9.6, 8), layout="constrained")
    share, share_g = (right / of for right, of, *_ in (_agreement(rows, column) for column in PREDICTORS))
    figure.suptitle(
        f"Without training, the mean-field prediction has {share:.1%} of the clear signs right, G {share_g:.0%}"
    )
    for ax, value, symbol in ((errors, "error", "test error with transfer"), (gains, "gain", "gain")):
        for inside, text, colour in ((False, "outside", "0.6"), (True, "in the regime", "tab:orange")):
            part = rows[rows.in_regime == inside]
            style = dict(fmt=".", ms=3, lw=0.5, color=colour, alpha=0.6, rasterized=True, label=text)
            ax.errorbar(part[f"predicted_{value}"], part[f"{value}_mean"], 2 * part[f"{value}_se"], **style)
        ax.axline((0, 0), slope=1, color="k", lw=0.8)
        ax.set(xlabel=f"predicted {symbol}", ylabel=f"simulated {symbol} (bars: 2 s.e.)")
    off, bins = (rows.predicted_error - rows.error_mean).abs(), pd.qcut(rows.room, 12)
    distance.loglog(rows.room, off, ".", ms=2, color="0.7", rasterized=True)
    for share, line in ((0.5, "-"), (0.9, "--")):
        at, below = (x.groupby(bins, observed=True) for x in (rows.room, off))
        distance.plot(
            at.median(), below.quantile(share), color="tab:orange", ls=line, label=f"{share:.0%} of points below"
        )
    distance.axhline(0.674 * rows.error_se.median(), color="k", ls=":", label="seeds alone, half of the points")
    distance.set(
        ylim=(1e-5, 5), xlabel=r"$d\,/\max(N_1, N_2)$; regime: right of 10", ylabel="|predicted - simulated error|"
    )
    for column, (name, colour) in PREDICTORS.items():
        groups = rows.groupby(pd.qcut(rows.strength, 8), observed=True)
        found, at = [_agreement(part, column) for _, part in groups], groups.strength.median()
        share, low, high = np.array([(right / of, low, high) for right, of, low, high in found]).T
        signs.errorbar(at, share, [share - low, high - share], fmt="o-", ms=4, capsize=2, color=colour, label=name)
    signs.set(
        xscale="log", xlabel=r"upstream signal, $N_1\|\mu_1\|^2 / (\sigma_1^2 d)$", ylabel="right signs, 95% interval"
    )
    for ax in (errors, distance, signs):
        ax.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64)
