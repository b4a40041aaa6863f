"""Gain on real images against what is inherited and from which source, for three architectures.

    python sims/vision_transfer.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Every network is fine-tuned on few target samples. From left to right: the inherited fraction of the filters, source
samples, noise on the source images, and the share of source labels that are random. `parts/images.py` names the images.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from parts.images import PAIRS, POINTS
from parts.settings import TRANSFER
from parts.shared import with_point

from pt_jax.report.findings import Finding
from pt_jax.vision.point import Static
from pt_jax.vision.transfer import transfer

MODELS = {"vgg": "tab:orange", "resnet": "tab:blue", "vit": "tab:purple"}


TITLES = {
    "digits 8x8": (
        "Inheriting more, and from more, cleaner and truer source data, gains more; a bad source harms the ViT alone"
    ),
    "cifar10 32x32": (
        "On CIFAR-10 inheriting more, and from a cleaner and truer source, gains more; few source samples harm the ViT"
    ),
    "fashion 28x28": (
        "From clothes to digits the ResNet gains from every source, the ViT is harmed by each, the VGG hardly changes"
    ),
    "mnist 28x28": (
        "From digits to clothes the ResNet gains from true labels; every source harms the ViT, a small one the VGG, too"
    ),
}
LABELS = {
    "alpha": r"inherited fraction $\alpha$ of the filters",
    "n1": "source samples $N_1$",
    "noise1": r"noise on the source images $\sigma_1$",
    "labels1": "share of random source labels $p_1$",
}
CLAIMS = {  # effect: gain at the last value - gain at the first, in this direction
    "alpha": ("more inheritance helps", 1),
    "n1": ("more source samples help", 1),
    "noise1": ("less noise in the source helps", -1),
    "labels1": ("a more closely related source helps", -1),
}


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """The gain along each curve, for each architecture; their common point is on that of alpha alone."""
    data, (own, curves), found = PAIRS[images](), TRANSFER[images], {}
    point = POINTS[images]._replace(**own | ({"steps1": 200} if quick else {}))
    for model in MODELS:
        static = Static.covering(data, model=model, depth=1)
        for name, values in curves.items():
            values = values[[0, -1]] if quick else values
            axes = {name: values if name == "alpha" else values[values != getattr(point, name)]}
            found[f"{model}-{name}"] = pt_jax.Sweep(transfer, point, axes, seeds, ("gain",), static, data)
    return found


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """The gain of each cell, with `model` and `curve`."""
    parts = {key: pt_jax.stats.table(ds, ["gain"]) for key, ds in _curves(found).items()}
    return pd.concat([rows.assign(model=model, curve=curve) for (model, curve), rows in parts.items()])


def _curves(found: dict[str, xr.Dataset]) -> dict[tuple[str, str], xr.Dataset]:
    """The whole curves, by model and name."""
    curves = {tuple(key.split("-")): ds for key, ds in found.items()}
    return {
        (model, name): ds if name == "alpha" else with_point(ds, name, curves[model, "alpha"])
        for (model, name), ds in curves.items()
    }


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """Compare both ends of each curve."""
    for (model, curve), ds in _curves(found).items():
        claim, sign = CLAIMS[curve]
        ends = ds["gain"].isel({curve: [0, -1]})
        first, last = (f"{float(x):g}" for x in ends[curve])
        words = f"{model}: gain at {curve} = {last if sign > 0 else first} - at {first if sign > 0 else last}"
        yield Finding(claim, "arXiv 2509.22056", words, sign * ends.diff(curve).isel({curve: 0}), 0.01)


def draw(table: pd.DataFrame) -> plt.Figure:
    """One panel a curve, one line an architecture."""
    figure, axes = plt.subplots(1, len(LABELS), figsize=(3.2 * len(LABELS), 3.6), sharey=True, layout="constrained")
    for ax, curve in zip(axes, LABELS, strict=True):
        for model, colour in MODELS.items():
            rows = table[(table.model == model) & (table.curve == curve)]
            pt_jax.plot.curve(pt_jax.stats.cells(rows, "gain", [curve]), ("gain",), ax=ax, colours=(colour,))
        ax.axhline(0, color="0.5", lw=0.8)
        ax.set(xlabel=LABELS[curve], ylabel="")
    axes[0].set_ylabel("gain: scratch - transfer")
    marks = [plt.Line2D([], [], color=colour, marker="o", ms=4) for colour in MODELS.values()]
    axes[0].legend(marks, list(MODELS), frameon=False, fontsize=8)
    figure.suptitle(TITLES[table.images.iloc[0]])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=32, findings=findings, images=list(TRANSFER))
