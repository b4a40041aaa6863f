"""Neural collapse on the source, and on the target, against how well frozen features transfer.

    python sims/vision_collapse.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Left: NC1 of the source's training features against the target's test error by a linear probe, along each dial of
pretraining: steps, label smoothing, augmentation by shifts, loss and projection head. Right: NC1 of the same frozen
features on the target's training samples, for all these models. On the digits, above: MNIST at 8 x 8 pixels to 50
digits, the same classes; below: the digits 0 to 4 of MNIST to 50 of its digits 5 to 9. `parts/images.py` names other
images.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.ticker import LogLocator
from parts import images as known
from scipy.stats import rankdata

from pt_jax.report.findings import Finding
from pt_jax.vision import datasets
from pt_jax.vision.point import Static
from pt_jax.vision.transfer import transfer

SOURCE = "arXiv 2212.12206"
RESULTS = ("error", "nc1", "nc1_upstream")
DIALS = {  # name: axis, colour
    "steps": ("steps1", "0.4"),
    "smoothing": ("smoothing1", "tab:orange"),
    "shifts": ("shift1", "tab:blue"),
    "projection dropped": ("steps1", "tab:purple"),
    "projection kept": ("steps1", "tab:pink"),
    "squared loss": ("steps1", "tab:brown"),
}


class Setting(NamedTuple):
    """Pairs of source and target, what of the point is its own, and the values of the dials; others are off."""

    pairs: dict[str, Callable[[], datasets.Pair]]
    own: dict[str, float]
    dials: dict[str, list[float]]


SETTINGS = {
    "digits 8x8": Setting(
        {
            "the same classes": datasets.mnist_to_digits,
            "other classes": lambda: datasets.low_to_high(datasets.mnist(8)),
        },
        {"steps1": 600},
        {
            "steps": [50, 100, 200, 400, 800, 1600],
            "smoothing": [0.0, 0.1, 0.3, 0.6],
            "shifts": [0, 1, 2],
        },
    ),
    "cifar10 32x32": Setting(
        {"other classes": known.cifar10},
        {"n1": 5000, "n2": 200, "steps1": 1500},
        {"steps": [100, 400, 1600, 6400], "smoothing": [0.0, 0.1, 0.3, 0.6], "shifts": [0, 2, 4]},
    ),
}
TITLES = {
    "digits 8x8": (
        "More collapse, on source and target alike, goes with better transfer; a projection head kept breaks the rule"
    ),
    "cifar10 32x32": "Neural collapse on five CIFAR-10 classes, and the error of frozen features on the other five",
}


def values_of(setting: Setting, dial: str) -> list[float]:
    return setting.dials.get(dial, [setting.own["steps1"]])


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """Error and NC1 along each dial."""
    found, setting = {}, SETTINGS[images]
    steps = setting.own["steps1"] / (2 if quick else 1)
    for pair, data in ((pair, load()) for pair, load in setting.pairs.items()):
        count = [part.train.labels.max() + 1 for part in (data.source, data.target)]
        own = setting.own | {"classes1": count[0], "classes2": count[1], "steps1": steps}
        point = known.POINTS[images]._replace(**own)
        for name, (axis, _) in DIALS.items():
            projection = {"projection dropped": "drop", "projection kept": "keep"}.get(name, "no")
            loss = "squared" if name == "squared loss" else "cross_entropy"
            static = Static.covering(data, method="probe", projection=projection, loss1=loss)
            values = values_of(setting, name)
            axes = {axis: sorted({min(value, steps) for value in (values[0], values[-1])}) if quick else values}
            found[f"{name}, {pair}"] = pt_jax.Sweep(transfer, point, axes, seeds, RESULTS, static, data)
    return found


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Means of each model, with `pair`, `dial` and its `setting`."""
    parts = []
    for name, ds in found.items():
        dial, pair = name.split(", ")
        rows = pt_jax.stats.table(ds, RESULTS).rename(columns={DIALS[dial][0]: "setting"})
        parts.append(rows.assign(pair=pair, dial=dial))
    return pd.concat(parts)


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """What each dial does to the transfer, and how NC1 on the target goes with it."""
    for pair in dict.fromkeys(name.split(", ")[1] for name in found):
        data = {dial: found[f"{dial}, {pair}"].load().rename({DIALS[dial][0]: "setting"}) for dial in DIALS}
        error = {dial: ds["error"] for dial, ds in data.items()}
        last = {dial: x.isel(setting=-1, drop=True) for dial, x in error.items()}
        most = {dial: x["setting"].values[-1] for dial, x in error.items()}
        plain = error["shifts"].sel(setting=0, drop=True)
        early = error["steps"].isel(setting=len(error["steps"].setting) // 2)
        for words, effect in (
            (
                f"error after {most['steps']:,.0f} - after {early['setting']:,.0f} steps",
                last["steps"] - early.drop_vars("setting"),
            ),
            (f"error with label smoothing {most['smoothing']:g} - without", last["smoothing"] - plain),
            (f"error without - with shifts of {most['shifts']:g} pixels", plain - last["shifts"]),
            ("error without - with a projection head dropped", plain - last["projection dropped"]),
            ("error by squared loss - by cross-entropy", last["squared loss"] - plain),
        ):
            yield Finding("less collapse on the source transfers better", SOURCE, f"{words}, {pair}", effect, 0.01)
        claim, words = "more collapse on the target goes with better transfer", "rank correlation of NC1 and error"
        yield Finding(claim, SOURCE, f"{words}, {pair}", _alike(list(data.values())), 0.1)


def _alike(models: list[xr.Dataset]) -> xr.DataArray:
    """Rank correlation of NC1 and error over all models, for each seed."""
    both = (np.concatenate([ds[name].transpose("setting", "seed") for ds in models]) for name in ("nc1", "error"))
    ranks = [rankdata(x, axis=0).T for x in both]
    return xr.DataArray([np.corrcoef(a, b)[0, 1] for a, b in zip(*ranks, strict=True)], dims="seed")


def draw(table: pd.DataFrame) -> plt.Figure:
    """Source and target side by side, one row a pair; one line a dial."""
    images, pairs = table.images.iloc[0], list(dict.fromkeys(table.pair))
    size = (10.5, 0.5 + 3.5 * len(pairs))
    figure, axes = plt.subplots(len(pairs), 2, figsize=size, sharey="row", layout="constrained", squeeze=False)
    for (pair, name), ax in zip(product(pairs, ("nc1_upstream", "nc1")), axes.flat, strict=True):
        for dial, (_, colour) in DIALS.items():
            values = values_of(SETTINGS[images], dial)
            rows = table[(table.dial == dial) & (table.pair == pair)]
            x, y = (pt_jax.stats.cells(rows, result, ["setting"]) for result in (name, "error"))
            spread = {"xerr": x["high"] - x["mean"], "yerr": y["high"] - y["mean"]}
            several = len(values) > 1
            words = f"{dial}, {values[0]:g} to {values[-1]:g} (large)" if several else dial
            ax.errorbar(x["mean"], y["mean"], **spread, color=colour, label=words, marker="o", ms=4, capsize=2, lw=1)
            ax.plot(x["mean"][-1:], y["mean"][-1:], "o", ms=8 if several else 4, color=colour)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
        ax.set(title=pair, xlabel=f"NC1 of the {'target' if name == 'nc1' else 'source'}'s training features")
    plt.setp(axes[:, 0], ylabel="test error on the target, frozen features")
    pt_jax.plot.legend(figure, ax.get_legend_handles_labels()[0])
    figure.suptitle(TITLES[images])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64, findings=findings, images=list(SETTINGS))
