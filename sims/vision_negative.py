"""Negative transfer on real images: after pretraining on random labels, fine-tuned and frozen.

    python sims/vision_negative.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The source has its own or random labels. Fine-tuned networks are compared with networks trained from scratch, frozen
features with frozen random features of the same network. Right: source samples with random labels, few target samples.
`parts/images.py` names the images.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from parts.images import PAIRS, POINTS

from pt_jax.report.findings import Finding
from pt_jax.sweep.provenance import provenance
from pt_jax.vision.point import Static
from pt_jax.vision.transfer import transfer

SOURCE = "arXiv 2509.22056"


class Setting(NamedTuple):
    """What of the point is its own, target samples, which of them are few, and source samples of the right panel."""

    own: dict[str, float]
    targets: list[int]
    few: int
    sources: list[int]


SETTINGS = {
    "digits 8x8": Setting({"steps1": 1500}, [10, 20, 50, 100], 20, [30, 100, 300, 1000]),
    "cifar10 32x32": Setting({"n1": 1500, "steps1": 2000, "steps2": 300}, [20, 50, 100], 50, [200, 1500, 8000]),
}
TITLES = {
    "digits 8x8": (
        "True source labels help at every size; random ones hurt below 50 target samples, fine-tuned and frozen alike"
    ),
    "cifar10 32x32": ("On CIFAR-10 true source labels help at every size; random ones harm after many source samples"),
}
METHODS = {"full": "fine-tuned", "probe": "frozen features, new head"}
LABELS = {0: ("true source labels", "tab:orange"), 1: ("random source labels", "tab:purple")}


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """The gain over target samples for both sources and both methods, and over source samples."""
    data, (own, targets, few, sources) = PAIRS[images](), SETTINGS[images]
    point = POINTS[images]._replace(**own)
    axes = {"labels1": [0.0, 1.0], "n2": sorted({few, targets[-1]}) if quick else targets}
    found = {
        method: pt_jax.Sweep(transfer, point, axes, seeds, ("gain",), Static.covering(data, method=method), data)
        for method in METHODS
    }
    axes, harmful = {"n1": [sources[0], sources[-1]] if quick else sources}, point._replace(labels1=1, n2=few)
    return found | {"size": pt_jax.Sweep(transfer, harmful, axes, seeds, ("gain",), Static.covering(data), data)}


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """The gain of each cell, with `panel`."""
    return pd.concat([pt_jax.stats.table(ds, ["gain"]).assign(panel=name) for name, ds in found.items()])


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """Gain and loss with few target samples, and what more source samples do."""
    size = found["size"]
    point = provenance(size)["point"]
    few = point["n2"]
    for method, words in METHODS.items():
        gain = found[method]["gain"].sel(n2=few)
        measured = f"{words}: gain, true labels, {few:g} target samples"
        yield Finding("transfer from a related source helps", SOURCE, measured, gain.sel(labels1=0), 0.01)
        measured = f"{words}: - gain, random labels, {few:g} target samples"
        yield Finding("an unrelated source harms", SOURCE, measured, -gain.sel(labels1=1), 0.01)
    least, most = size.n1.values[[0, -1]]
    measured = f"fine-tuned, random labels: gain after {least:,.0f} - after {most:,.0f} source samples"
    harm = size["gain"].sel(n1=least) - size["gain"].sel(n1=most)
    yield Finding("harm grows with the source samples", SOURCE, measured, harm, 0.01)
    if most > point["n1"]:  # else it is that above
        measured = f"fine-tuned: - gain, random labels, {few:g} target samples, {most:,.0f} source samples"
        yield Finding("an unrelated source harms", SOURCE, measured, -size["gain"].sel(n1=most), 0.01)


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
    images = table.images.iloc[0]
    axes[2].set(title=f"fine-tuned, {SETTINGS[images].few} target samples", ylabel="", xlabel="source samples $N_1$")
    for ax in axes:
        ax.axhline(0, color="0.5", lw=0.8)
    axes[0].set_ylabel("gain: scratch - transfer")
    marks = [plt.Line2D([], [], color=colour, marker="o", ms=4) for _, colour in LABELS.values()]
    axes[1].legend(marks, [name for name, _ in LABELS.values()], frameon=False, fontsize=8)
    figure.suptitle(TITLES[images])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=128, findings=findings, images=list(SETTINGS))
