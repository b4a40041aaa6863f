"""What stays of the gain when the target's images lose their shapes: blocks of pixels are shuffled.

    python sims/vision_blocks.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

One permutation of the blocks a seed, the same for all images, in training and test. The largest blocks are the whole
image, blocks of 1 leave no shape. Channels stay together: only with one of them is that the permutation of all entries.
The source is not shuffled. Right: the part of the accuracy that scratch lacks, 100 (A_PT - A_RIT) / A_PT.
`parts/images.py` names the images.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from parts.images import PAIRS, POINTS

from pt_jax.report.findings import Finding
from pt_jax.vision.point import Static
from pt_jax.vision.transfer import transfer

SOURCE = "arXiv 2008.11687"
SETTINGS = {  # sides of the blocks, target samples
    "digits 8x8": ([1, 2, 4, 8], [50, 200]),
    "cifar10 32x32": ([1, 2, 4, 8, 16, 32], [200, 1000]),
}
TITLES = {
    "digits 8x8": (
        "What carries over are shapes: the gain shrinks with the shuffled blocks and is gone at blocks of 1 pixel"
    ),
    "cifar10 32x32": (
        "On CIFAR-10 the gain shrinks with the shuffled blocks, too, and a part of it stays at blocks of 1 pixel"
    ),
}


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """Errors and gain over the side of the blocks, for two sample sizes of the target."""
    data, point, (sides, samples) = PAIRS[images](), POINTS[images], SETTINGS[images]
    axes = {"block2": sides[:: len(sides) - 1] if quick else sides, "n2": samples}
    outputs = ("gain", "error", "error_scratch")
    return {"blocks": pt_jax.Sweep(transfer, point, axes, seeds, outputs, Static.covering(data, point), data)}


def drop(ds: xr.Dataset) -> xr.DataArray:
    """Return the relative drop in accuracy, %."""
    return (100 * ds["gain"] / (1 - ds["error"])).rename("drop")


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Errors, gain and relative drop of each cell."""
    ds = found["blocks"].load()
    return pt_jax.stats.table(ds.assign(drop=drop(ds)), ["gain", "error", "error_scratch", "drop"])


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """Compare blocks of 1 pixel with the whole image."""
    ds = found["blocks"].load()
    whole = float(ds["block2"].max())
    for n in ds["n2"].values:
        lost, gain = drop(ds).sel(n2=n), ds["gain"].sel(n2=n, block2=1)
        words = f"drop at {whole:g} - at 1 pixel, {n:g} target samples, %"
        less = lost.sel(block2=whole) - lost.sel(block2=1)
        yield Finding("the gain shrinks with the blocks", SOURCE, words, less, 1.0)
        words = f"gain with blocks of 1 pixel, {n:g} target samples"
        yield Finding("part of the gain stays at 1 pixel", SOURCE, words, gain, 0.01)


def draw(table: pd.DataFrame) -> plt.Figure:
    """Errors for each sample size, then the relative drop."""
    sizes, sides = sorted(table.n2.unique()), [f"{side:g}" for side in sorted(table.block2.unique())]
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for ax, n in zip(axes, sizes, strict=False):
        for result, colour in (("error", "tab:orange"), ("error_scratch", "tab:blue")):
            cells = pt_jax.stats.cells(table[table.n2 == n], result, ["block2"])
            pt_jax.plot.curve(cells, (result,), ax=ax, colours=(colour,))
        ax.set(title=f"{n:g} target samples", ylabel="test error", ylim=(0, None))
    marks = [plt.Line2D([], [], color=f"tab:{colour}", marker="o", ms=4) for colour in ("orange", "blue")]
    axes[0].legend(marks, ["with transfer", "from scratch"], frameon=False, fontsize=8)
    for n, colour in zip(sizes, ("tab:purple", "0.4"), strict=False):
        cells = pt_jax.stats.cells(table[table.n2 == n], "drop", ["block2"])
        pt_jax.plot.curve(cells, ("drop",), ax=axes[2], colours=(colour,))
    marks = [plt.Line2D([], [], color=colour, marker="o", ms=4) for colour in ("tab:purple", "0.4")]
    axes[2].legend(marks, [f"{n:g} target samples" for n in sizes], frameon=False, fontsize=8)
    axes[2].set(title="what scratch lacks", ylabel=r"$100\,(A_{PT} - A_{RIT}) / A_{PT}$ [%]")
    axes[2].axhline(0, color="0.5", lw=0.8)
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_xticks([float(side) for side in sides], [*sides[:-1], f"{sides[-1]}\nnone"])
        ax.set_xlabel("side of the shuffled blocks [pixels]")
    figure.suptitle(TITLES[table.images.iloc[0]])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64, findings=findings, images=list(SETTINGS))
