"""Theory against simulation at 2,000 random points: the criterion G and the mean-field prediction.

    python sims/theory_agreement.py [--seeds N] [--quick] [--plan] [--shard i/n]

The points are a Latin hypercube over the ranges below, all else at the defaults. Printed, in the regime of the
prediction and over all points: sign agreement in the cells whose 99.7% interval excludes 0, with its own 95% interval,
rank correlation, and the distance of predicted from simulated test errors.
"""

from collections import defaultdict

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import binomtest, qmc, spearmanr, t

import pt_jax
from pt_jax import theory

RANGES = {"d": (1e2, 1e5), "n1": (10, 300), "n2": (10, 100), "u": (0, 5), "v1": (0, 5), "v2": (0, 5)}
RANGES |= {"sigma1": (0.3, 3), "sigma2": (0.3, 3), "flip1": (0, 0.3), "flip2": (0, 0.3), "alpha": (0, 1)}
RANGES |= {"lr1": (0.05, 1), "lr2": (0.05, 1), "init_scale": (1e-3, 1e-1), "steps1": (50, 400), "steps2": (50, 400)}
LOGARITHMIC = ("d", "init_scale")
TITLE = "The mean-field prediction is exact where d is large against n; G fails where the signal is strong"
COLOURS = {"mean-field prediction": "tab:orange", "criterion G": "tab:purple"}


def points(count: int) -> list[pt_jax.Point]:
    """Return the Latin hypercube; sizes and steps are rounded."""
    values = {}
    for (name, (low, high)), x in zip(
        RANGES.items(), qmc.LatinHypercube(len(RANGES), rng=2026).random(count).T, strict=True
    ):
        values[name] = low * (high / low) ** x if name in LOGARITHMIC else low + (high - low) * x
        values[name] = np.round(values[name]) if pt_jax.FIELDS[name].whole else values[name]
    return [pt_jax.Point(**dict(zip(values, row, strict=True))) for row in zip(*values.values(), strict=True)]


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """The prediction, then the simulations in groups of similar cost: a group is compiled once."""
    groups, drawn = defaultdict(list), points(200 if quick else 2000)
    for p in drawn:
        groups[
            "all"
            if quick
            else f"n1-{-(-p.n1 // 50) * 50:.0f}-n2-{p.n2 > 50:d}-steps-{p.steps1 > 225:d}{p.steps2 > 225:d}"
        ].append(p)

    def sweep(function, chosen, seeds, outputs):
        return pt_jax.Sweep(function, chosen[0], chosen, seeds, outputs, pt_jax.Static.covering(chosen, fixed=True))

    simulated = {
        name: sweep(pt_jax.simulate, chosen, seeds, ("error", "error_scratch", "gain"))
        for name, chosen in sorted(groups.items())
    }
    return {"prediction": sweep(theory.predicted, drawn, 1, None), **simulated}


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """One row a point, by its place in the hypercube: simulated means, standard errors, and the predicted errors."""
    prediction = found["prediction"].isel(seed=0)
    place = {row: i for i, row in enumerate(zip(*(prediction[name].values for name in RANGES), strict=True))}
    rows = pd.DataFrame({name: prediction[name].values for name in ("error", "error_scratch", "gain")})
    rows = rows.add_prefix("predicted_").rename_axis("number")
    for ds in (ds for name, ds in found.items() if name != "prediction"):
        at = [place[row] for row in zip(*(ds[name].values for name in RANGES), strict=True)]
        for value in ("error", "error_scratch", "gain"):
            cells = pt_jax.stats.summary(ds, value)
            rows.loc[at, [value, f"{value}_error", "seeds"]] = np.stack(
                [cells["mean"], cells["error"], cells["seeds"]], axis=1
            )
    report(scored(rows.reset_index()))
    return rows.reset_index()


def scored(table: pd.DataFrame) -> pd.DataFrame:
    """Add the fields of the points, what the criterion says, and which gains are clear at 99.7%."""
    drawn = points(len(table))
    at = pt_jax.Point(*(np.array(column) for column in zip(*drawn, strict=True)))
    half = table.gain_error * t.ppf(1 - 0.003 / 2, table.seeds - 1)
    return table.assign(
        **{name: getattr(at, name) for name in RANGES},
        log_criterion=np.log(np.asarray(theory.criterion(at) / theory.phase(at))),
        in_regime=np.asarray(theory.in_regime(at)) == 1,
        clear=table.gain.abs() > half,
    )


def agreement(rows: pd.DataFrame) -> dict[str, tuple[int, int, float, float]]:
    """Return for each predictor the right signs, the clear points, and the 95% interval of their share."""
    rows, found = rows[rows.clear], {}
    for name, column in zip(COLOURS, ("predicted_gain", "log_criterion"), strict=True):
        right = int((np.sign(rows[column]) == np.sign(rows.gain)).sum())
        interval = binomtest(right, max(len(rows), 1)).proportion_ci()
        found[name] = (right, len(rows), interval.low, interval.high)
    return found


def report(rows: pd.DataFrame) -> None:
    """Print the scores."""
    for place, part in {"in the regime": rows[rows.in_regime], "all points": rows}.items():
        print(f"{place}: {len(part)} points ({len(part) / len(rows):.1%}), {part.clear.mean():.1%} of them clear")
        for name, (right, of, low, high) in agreement(part).items():
            column = "predicted_gain" if name in "mean-field prediction" else "log_criterion"
            rank = spearmanr(part[column], part.gain).statistic
            print(f"  {name}: sign {right / of:.4f} [{low:.4f}, {high:.4f}] of {of}, rank correlation {rank:.3f}")
        for value in ("error", "error_scratch", "gain"):
            off = part[f"predicted_{value}"] - part[value]
            within = ", ".join(f"{share:.0%} within {off.abs().quantile(share):.4f}" for share in (0.5, 0.9))
            print(f"  {value}: predicted - simulated {within}, mean {off.mean():+.4f}")


def draw(table: pd.DataFrame) -> plt.Figure:
    """Calibration of errors and gains, distance against d / n, and right signs against the strength of the signal."""
    rows = scored(table)
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 8), layout="constrained")
    calibration, gains, distance, signs = axes.flat
    for part, colour, text in (
        (rows[~rows.in_regime], "0.6", "d < 10 n"),
        (rows[rows.in_regime], "tab:orange", "in the regime"),
    ):
        style = dict(fmt=".", ms=3, lw=0.5, color=colour, alpha=0.6, rasterized=True, label=text)
        calibration.errorbar(part.predicted_error, part.error, 2 * part.error_error, **style)
        gains.errorbar(part.predicted_gain, part.gain, 2 * part.gain_error, **style)
    for ax in (calibration, gains):
        ax.axline((0, 0), slope=1, color="k", lw=0.8)
    gains.axhline(0, color="0.5", lw=0.6)
    gains.axvline(0, color="0.5", lw=0.6)
    calibration.set(xlabel="predicted test error, with transfer", ylabel="simulated (bars: 2 standard errors)")
    gains.set(xlabel="predicted gain", ylabel="simulated gain (bars: 2 standard errors)")
    calibration.legend(frameon=False)

    ratio = rows.d / rows[["n1", "n2"]].max(axis=1)
    bins = np.geomspace(ratio.min(), ratio.max(), 13)
    for value, colour, text in (
        ("error", "tab:orange", "with transfer"),
        ("error_scratch", "tab:blue", "from scratch"),
    ):
        off = (rows[f"predicted_{value}"] - rows[value]).abs()
        at = off.groupby(pd.cut(ratio, bins, include_lowest=True), observed=True)
        middle = ratio.groupby(pd.cut(ratio, bins, include_lowest=True), observed=True).median()
        distance.plot(middle, at.median(), "o-", ms=4, color=colour, label=f"{text}: median")
        distance.fill_between(middle, at.quantile(0.1), at.quantile(0.9), color=colour, alpha=0.2, lw=0)
    noise = (2 / np.pi) ** 0.5 * rows.error_error.median()
    distance.axhline(noise, color="0.5", ls=":", label="seeds alone, typical")
    distance.axvline(10, color="k", lw=0.8)
    distance.set(xscale="log", yscale="log", xlabel=r"$d\,/\max(N_1, N_2)$; the regime is right of the line")
    distance.set(ylabel="|predicted - simulated error|")
    distance.legend(frameon=False, fontsize=8)

    strength = rows.n1 * (rows.u**2 + rows.v1**2) / (rows.sigma1**2 * rows.d)
    groups = pd.qcut(strength, 8)
    for name, colour in COLOURS.items():
        found = [agreement(rows[groups == group])[name] for group in groups.cat.categories]
        share, low, high = (np.array(x) for x in zip(*((r / n, a, b) for r, n, a, b in found), strict=True))
        middle = strength.groupby(groups, observed=True).median()
        signs.errorbar(middle, share, [share - low, high - share], fmt="o-", ms=4, capsize=2, color=colour, label=name)
    signs.set(xscale="log", ylim=(None, 1.005), ylabel="share of right signs (95% interval)")
    signs.set_xlabel(r"upstream signal against noise, $N_1\|\mu_1\|^2 / (\sigma_1^2 d)$")
    signs.legend(frameon=False)
    figure.suptitle(TITLE)
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64)
