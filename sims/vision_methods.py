"""Tuned parameters against test error: linear probe, layer and skip-connection layer fine-tuning, and full fine-tuning.

    python sims/vision_methods.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

All start from the same pretraining. Numbers at the bottom name the layer that is tuned besides the head, 0 = lowest.
`parts/images.py` names the images.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from matplotlib.ticker import LogLocator
from parts.images import PAIRS, POINTS
from parts.settings import OWN

from pt_jax.report.findings import Finding
from pt_jax.vision.point import Static
from pt_jax.vision.transfer import transfer

SOURCE = "arXiv 2212.12206"
SAMPLES = {"digits 8x8": [20, 50, 200], "cifar10 32x32": [50, 1000]}  # of the target
TITLES = {
    "digits 8x8": "Tune less on a small target: at 20 and 50 samples every lighter method beats full fine-tuning",
    "cifar10 32x32": "CIFAR-10: one layer and the head, 81% fewer tuned, do as well as full fine-tuning",
}
METHODS = {
    "probe": ("linear probe", "0.4"),
    "layer": ("one layer", "tab:blue"),
    "skip": ("one layer and skip connection", "tab:orange"),
    "full": ("full fine-tuning", "tab:purple"),
}
STAGES = {"digits 8x8": 2, "cifar10 32x32": 3}  # with two, the head at 32 pixels is too much for any layer to leave 70%


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """Error and tuned parameters of each method over target samples and layers."""
    data, samples, found = PAIRS[images](), SAMPLES[images], {}
    point = POINTS[images]._replace(**OWN[images])
    for method in METHODS:
        static = Static.covering(data, method=method, stages=STAGES[images])
        axes = {"n2": samples[:: len(samples) - 1] if quick else samples}
        if method in ("layer", "skip"):
            axes["layer"] = list(range(len(static.layer_names)))
        found[method] = pt_jax.Sweep(transfer, point, axes, seeds, ("error", "loss", "tuned"), static, data)
    return found


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Error and tuned parameters of each cell, with `method`."""
    parts = [pt_jax.stats.table(ds, ["error", "tuned"]).assign(method=method) for method, ds in found.items()]
    return pd.concat(parts).fillna({"layer": -1})


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """Compare the layer with the most parameters, of those that leave 70% of all untuned, with full fine-tuning."""
    full = found["full"].load()
    few, many = (float(n) for n in full.n2.values[[0, -1]])
    for method in ("layer", "skip"):
        name, layers = METHODS[method][0], found[method].load()
        tuned = (layers["tuned"] / full["tuned"]).mean(("n2", "seed"))
        chosen = int(tuned.where(tuned <= 0.3).idxmax("layer"))
        ds, saved = layers.sel(layer=chosen), 1 - tuned.sel(layer=chosen).item()
        for n in (few, many):
            better = full["error"].sel(n2=n) - ds["error"].sel(n2=n)
            words = f"0.02 + error of full - of layer {chosen}, {n:g} samples, {saved:.0%} fewer tuned"
            yield Finding(
                "at least 70% fewer tuned at comparable accuracy", SOURCE, f"{name}: {words}", 0.02 + better, 0.01
            )
        change = (full["error"] - ds["error"]).sel(n2=few) - (full["error"] - ds["error"]).sel(n2=many)
        words = f"{name}: what tuning layer {chosen} alone saves, at {few:g} - at {many:g} samples"
        yield Finding("less overfitting with few target samples", SOURCE, words, change, 0.01)


def draw(table: pd.DataFrame) -> plt.Figure:
    """One panel a sample size."""
    sizes = sorted(table.n2.unique())
    figure, axes = plt.subplots(1, len(sizes), figsize=(3.8 * len(sizes), 3.8), layout="constrained")
    for ax, n in zip(axes, sizes, strict=True):
        for method, (label, colour) in METHODS.items():
            rows = table[(table.method == method) & (table.n2 == n)]
            error, tuned = (pt_jax.stats.cells(rows, name, ["layer"]) for name in ("error", "tuned"))
            along = tuned["mean"] * (1.04 if method == "skip" else 1)  # beside the same layer without the connection
            pt_jax.plot.line(ax, error.assign_coords(tuned=along), "tuned", color=colour, label=label, ls="", ms=5)
            for i in error["layer"].values if method == "layer" else ():
                x = 1.02 * float(along.sel(layer=i))
                ax.text(x, 0.02, f"{i:g}", transform=ax.get_xaxis_transform(), ha="center", fontsize=9, color="0.4")
        ax.set_xscale("log")
        ax.margins(y=0.12)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.minorticks_off()
        ax.set(title=f"{n:g} target samples", xlabel="tuned parameters", ylabel="test error")
    pt_jax.plot.legend(figure, axes[0].get_legend_handles_labels()[0])
    figure.suptitle(TITLES[table.images.iloc[0]])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64, findings=findings, images=list(SAMPLES))
