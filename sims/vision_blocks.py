"""What stays of the gain when the target's images lose their shapes: blocks of pixels are shuffled.

    python sims/vision_blocks.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

One permutation of the blocks a seed, the same for all images, in training and test. The largest blocks are the whole
image, blocks of 1 leave no shape; channels stay together, but in the permutation of all entries. The source is not
shuffled. Right: what scratch lacks of the accuracy, 100 (A_PT - A_RIT) / A_PT, at 1 pixel also after few steps.
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
RESULTS = ("gain", "error", "error_scratch", "drop")
SETTINGS = {  # sides of the blocks, target samples, few steps on the target
    "digits 8x8": ([1, 2, 4, 8], [50, 200], 50),
    "cifar10 32x32": ([1, 2, 4, 8, 16, 32], [200, 1000], 100),
}
ENTRIES = 0.5  # where the permutation of all entries is drawn, on the axis of the sides
TITLES = {
    "digits 8x8": "What carries over are shapes: the gain shrinks with the blocks and is gone at blocks of 1 pixel",
    "cifar10 32x32": "On CIFAR-10, too, the gain shrinks with the blocks; what stays at 1 pixel is mostly speed",
}


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """Errors and gain over the side of the blocks, for two sample sizes of the target; and those of one pixel.

    Of images with one channel the permutation of all entries is that of blocks of 1 pixel.
    """
    data, point, (sides, samples, few) = PAIRS[images](), POINTS[images], SETTINGS[images]
    colour = data.target.train.images.shape[-1] > 1
    kinds = {"blocks": ("block2", sides[:: len(sides) - 1] if quick else sides, point)}
    kinds |= {"entries": ("entries2", [1], point._replace(block2=1))} if colour else {}
    kinds |= {"few steps": ("block2", [1], point._replace(steps2=few))}
    static = Static.covering(data, point)
    return {
        kind: pt_jax.Sweep(transfer, point, {axis: values, "n2": samples}, seeds, RESULTS[:3], static, data)
        for kind, (axis, values, point) in kinds.items()
    }


def drop(ds: xr.Dataset) -> xr.DataArray:
    """Return the relative drop in accuracy, %."""
    return (100 * ds["gain"] / (1 - ds["error"])).rename("drop")


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Errors, gain and relative drop of each cell, with its `kind`."""
    whole = {kind: ds.load() for kind, ds in found.items()}
    tables = {kind: pt_jax.stats.table(ds.assign(drop=drop(ds)), RESULTS) for kind, ds in whole.items()}
    return pd.concat([table.assign(kind=kind) for kind, table in tables.items()])


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """Compare blocks of 1 pixel with the whole image, with all entries and with few steps."""
    ds, early = found["blocks"].load(), found["few steps"].load()
    whole = float(ds["block2"].max())
    for n in ds["n2"].values:
        lost, gain, words = drop(ds).sel(n2=n), ds["gain"].sel(n2=n, block2=1), f"{n:g} target samples"
        less, sooner = lost.sel(block2=whole) - lost.sel(block2=1), early["gain"].sel(n2=n, block2=1) - gain
        for claim, measured, effect, matters in (
            ("the gain shrinks with the blocks", f"drop at {whole:g} - at 1 pixel, {words}, %", less, 1.0),
            ("part of the gain stays at 1 pixel", f"gain with blocks of 1 pixel, {words}", gain, 0.01),
            ("what stays at 1 pixel is optimisation speed", f"gain at 1 pixel, few - all steps, {words}", sooner, 0.01),
        ):
            yield Finding(claim, SOURCE, measured, effect, matters)
        if "entries" in found:
            gain = found["entries"].load()["gain"].sel(n2=n, entries2=1)
            yield Finding("part of the gain stays with all entries permuted", SOURCE, f"gain, {words}", gain, 0.01)


def draw(table: pd.DataFrame) -> plt.Figure:
    """Errors for each sample size, then the relative drop."""
    sizes, images = sorted(table.n2.unique()), table.images.iloc[0]
    table = table.assign(side=table.block2.fillna(ENTRIES))
    few = table.kind == "few steps"
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")

    def along(ax: plt.Axes, rows: pd.DataFrame, result: str, colour: str, label: str, face: str = "") -> None:
        cells = pt_jax.stats.cells(rows, result, ["side"]).sortby("side")
        pt_jax.plot.line(ax, cells, "side", color=colour, label=label, mfc=face or colour)

    for ax, n, colour in zip(axes, sizes, ("tab:purple", "0.4"), strict=False):
        these, soon = table[(table.n2 == n) & ~few], table[(table.n2 == n) & few]
        along(ax, these, "error", "tab:orange", "with transfer")
        along(ax, these, "error_scratch", "tab:blue", "from scratch")
        ax.set(title=f"{n:g} target samples", ylabel="test error", ylim=(0, None))
        along(axes[2], these, "drop", colour, f"{n:g} target samples")
        along(axes[2], soon, "drop", colour, f"the same, {SETTINGS[images][2]} steps", face="white")
    axes[2].set(title="what scratch lacks", ylabel=r"$100\,(A_{PT} - A_{RIT}) / A_{PT}$ [%]")
    axes[2].axhline(0, color="0.5", lw=0.8)
    ticks = {ENTRIES: "all\nentries"} if "entries" in set(table.kind) else {}
    ticks |= {side: f"{side:g}" for side in sorted(table.block2.dropna().unique())}
    ticks[table.block2.max()] += "\nnone"
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_xticks(list(ticks), list(ticks.values()))
        ax.set_xlabel("side of the shuffled blocks [pixels]")
    for ax in axes[[0, 2]]:
        ax.legend(frameon=False, fontsize=8)
    figure.suptitle(TITLES[images])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64, findings=findings, images=list(SETTINGS))
