"""Negative transfer on real images: after pretraining on random labels, fine-tuned and frozen.

    python sims/vision_negative.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Source MNIST at 8 x 8 pixels with its own or with random labels, 1,500 steps of pretraining; target the digits. Fine-
tuned networks are compared with networks trained from scratch, frozen features with frozen random features of the same
network. Right: source samples with random labels, 20 target samples.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

from pt_jax.report.findings import Finding
from pt_jax.vision import datasets
from pt_jax.vision.point import Point, Static
from pt_jax.vision.transfer import transfer

SOURCE = "arXiv 2509.22056"
POINT = Point(steps1=1500)
METHODS = {"full": "fine-tuned", "probe": "frozen features, new head"}
LABELS = {0: ("true source labels", "tab:orange"), 1: ("random source labels", "tab:purple")}


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """The gain over target samples for both sources and both methods, and over source samples."""
    data = datasets.mnist_to_digits()
    axes = {"labels1": [0.0, 1.0], "n2": [20, 100] if quick else [10, 20, 50, 100]}
    found = {
        method: pt_jax.Sweep(transfer, POINT, axes, seeds, ("gain",), Static.covering(data, method=method), data)
        for method in METHODS
    }
    axes, harmful = {"n1": np.array([30, 1000] if quick else [30, 100, 300, 1000])}, POINT._replace(labels1=1, n2=20)
    return found | {"size": pt_jax.Sweep(transfer, harmful, axes, seeds, ("gain",), Static.covering(data), data)}


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """The gain of each cell, with `panel`."""
    return pd.concat([pt_jax.stats.table(ds, ["gain"]).assign(panel=name) for name, ds in found.items()])


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """Gain and loss at 20 target samples, and what more source samples do."""
    for method, words in METHODS.items():
        gain = found[method]["gain"].sel(n2=20)
        measured = f"{words}: gain, true labels, 20 target samples"
        yield Finding("transfer from a related source helps", SOURCE, measured, gain.sel(labels1=0), 0.01)
        measured = f"{words}: - gain, random labels, 20 target samples"
        yield Finding("an unrelated source harms", SOURCE, measured, -gain.sel(labels1=1), 0.01)
    gain = found["size"]["gain"]
    measured = "fine-tuned, random labels: gain after 30 - after 1,000 source samples"
    yield Finding("harm grows with the source samples", SOURCE, measured, gain.sel(n1=30) - gain.sel(n1=1000), 0.01)


def draw(table: pd.DataFrame) -> plt.Figure:
    """Fine-tuned, frozen, and the source samples."""
    figure, axes = plt.subplots(1, 3, figsize=(11.5, 3.8), layout="constrained")
    for ax, (method, title) in zip(axes, METHODS.items(), strict=False):
        for share, (_, colour) in LABELS.items():
            rows = table[(table.panel == method) & (table.labels1 == share)]
            pt_jax.plot.curve(pt_jax.stats.cells(rows, "gain", ["n2"]), ("gain",), ax=ax, colours=(colour,))
        ax.set(title=title, ylabel="", xlabel="target samples $N_2$")
    rows = table[table.panel == "size"]
    pt_jax.plot.curve(pt_jax.stats.cells(rows, "gain", ["n1"]), ("gain",), ax=axes[2], colours=("tab:purple",))
    axes[2].set(title="fine-tuned, 20 target samples", ylabel="", xlabel="source samples $N_1$")
    for ax in axes:
        ax.axhline(0, color="0.5", lw=0.8)
    axes[0].set_ylabel("gain: scratch - transfer")
    marks = [plt.Line2D([], [], color=colour, marker="o", ms=4) for _, colour in LABELS.values()]
    axes[1].legend(marks, [name for name, _ in LABELS.values()], frameon=False, fontsize=8)
    figure.suptitle(
        "True source labels help at every size; random ones hurt below 50 target samples, fine-tuned and frozen alike"
    )
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=128, findings=findings)
