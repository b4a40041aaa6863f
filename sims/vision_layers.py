"""Which part is worth inheriting: layers from the bottom, layers from the top, filters of all layers, or weights?

    python sims/vision_layers.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Gain against the inherited fraction alpha of the layers, filters or weights of a VGG-like network; inherited parameters
are trained (left) or frozen (right). `parts/images.py` names the images.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from parts.images import PAIRS, POINTS
from parts.settings import OWN

from pt_jax.vision.point import Static
from pt_jax.vision.transfer import transfer

KINDS = {
    "bottom": ("layers from the bottom", "tab:orange"),
    "top": ("layers from the top", "tab:blue"),
    "filters": ("filters of every layer", "tab:purple"),
    "weights": ("single weights at random", "0.4"),
}
TITLES = {
    "digits 8x8": (
        "Inherit from the bottom: half of the layers bring most of the gain; those above hardly any on their own"
    ),
    "cifar10 32x32": (
        "On CIFAR-10, too, the lower half of the layers brings half of the gain; from the top none is seen before all"
    ),
}


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """The gain over alpha, trained and frozen, for each way to choose."""
    data, point = PAIRS[images](), POINTS[images]._replace(**OWN[images])
    axes = {"alpha": np.linspace(0, 1, 3 if quick else 5), "lr_ratio": [1.0, 0.0]}
    return {
        kind: pt_jax.Sweep(transfer, point, axes, seeds, ("gain",), Static.covering(data, inherit=kind), data)
        for kind in KINDS
    }


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """The gain of each cell, with `inherit`."""
    return pd.concat([pt_jax.stats.table(ds, ["gain"]).assign(inherit=kind) for kind, ds in found.items()])


def draw(table: pd.DataFrame) -> plt.Figure:
    """Trained beside frozen, one line for each way to choose."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
    for ax, ratio, title in zip(
        axes, (1, 0), ("inherited parameters trained", "inherited parameters frozen"), strict=True
    ):
        for i, (kind, (_, colour)) in enumerate(KINDS.items()):
            rows = table[(table.inherit == kind) & (table.lr_ratio == ratio)]
            rows = rows.assign(alpha=rows.alpha + 0.01 * (i - 1.5))  # side by side, not on top of each other
            pt_jax.plot.curve(pt_jax.stats.cells(rows, "gain", ["alpha"]), ("gain",), ax=ax, colours=(colour,))
        ax.axhline(0, color="0.5", lw=0.8)
        ax.set(title=title, ylabel="", xlabel=r"inherited fraction $\alpha$ of layers, filters or weights")
    axes[0].set_ylabel("gain: scratch - transfer")
    marks = [plt.Line2D([], [], color=colour, marker="o", ms=4) for _, colour in KINDS.values()]
    axes[1].legend(marks, [name for name, _ in KINDS.values()], frameon=False, fontsize=8)
    figure.suptitle(TITLES[table.images.iloc[0]])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64, images=list(OWN))
