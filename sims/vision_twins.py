"""What is transferred: networks fine-tuned from one pretraining (P-T) beside networks from random weights (RI-T).

    python sims/vision_twins.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Features (linear CKA by layer), parameters, common mistakes, and the loss on the straight path, of a VGG-like network of
four layers on 200 digits, or of eight layers on 1,000 images of CIFAR-10. `vision_criticality.py` puts layers back,
`parts/images.py` names the images.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator
from functools import partial

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from parts.twins import TWINS, sweep

from pt_jax.report.findings import Finding

SOURCE = "arXiv 2008.11687"
PT, RIT, ONE, MIXED, PT_P, RIT_P = COLOURS = {
    "P-T, P-T": "tab:orange",
    "RI-T, RI-T": "tab:blue",
    "RI-T, RI-T, one init": "tab:cyan",
    "P-T, RI-T": "tab:purple",
    "P-T, P": "tab:brown",
    "RI-T, P": "0.5",
}
TITLES = {
    "digits 8x8": "From one pretraining (P-T) two networks end in one basin; from random weights (RI-T) they do not",
    "cifar10 32x32": "CIFAR-10: from one pretraining (P-T) two networks end in one basin; from two random starts not",
}
RESULTS = ("cka", "distance", "mistakes", "mistakes_independent", "path", "barrier")


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """All networks at one point."""
    return {"twins": sweep(quick, seeds, images, RESULTS)}


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """All results, with their own dimensions as columns."""
    ds = found["twins"].load()
    return pd.concat([pt_jax.stats.table(ds[[name, "diverged", "done"]], [name]) for name in RESULTS])


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """The findings of the paper, one effect each."""
    ds = found["twins"].load()
    chance = _by_pair(ds["mistakes"] - ds["mistakes_independent"])
    falls = ds["cka"].sel(pair=PT).isel(layer_name=0) - ds["cka"].sel(pair=PT).isel(layer_name=-1)
    cka, apart, alike, barrier = (_by_pair(ds[name]) for name in ("cka", "distance", "mistakes", "barrier"))
    for claim, measured, effect, matters in (
        ("two P-T have similar features", "CKA of two P-T - of P-T and RI-T", cka[PT] - cka[MIXED], 0.05),
        ("a P-T is like its P", "CKA with P, P-T - RI-T", cka[PT_P] - cka[RIT_P], 0.05),
        ("an RI-T is unlike any other", "0.3 - CKA of P-T and RI-T", 0.3 - cka[MIXED], 0.05),
        ("an RI-T is unlike any other", "0.3 - CKA of two RI-T", 0.3 - cka[RIT], 0.05),
        ("similarity falls with depth", "CKA of two P-T, lowest - highest layer", falls, 0.05),
        ("two P-T are closer than two RI-T", "distance, two RI-T - two P-T", apart[RIT] - apart[PT], 0.5),
        ("a P-T is closer to its P", "distance to P, RI-T - P-T", apart[RIT_P] - apart[PT_P], 0.5),
        ("two P-T make the same mistakes", "Jaccard index, two P-T - two RI-T", alike[PT] - alike[RIT], 0.02),
        ("the same, beyond chance", "Jaccard index - independent, P-T - RI-T", chance[PT] - chance[RIT], 0.02),
        ("no barrier between two P-T", "0.05 - barrier in test loss", 0.05 - barrier[PT], 0.05),
        ("a barrier between two RI-T", "barrier in test loss", barrier[RIT], 0.05),
        ("a barrier between two RI-T of one initialisation", "barrier in test loss", barrier[ONE], 0.05),
    ):
        yield Finding(claim, SOURCE, measured, effect, matters)


def _by_pair(values: xr.DataArray) -> dict[str, xr.DataArray]:
    dim = "pair" if "pair" in values.dims else "trained_pair"
    each = {str(pair): values.sel({dim: pair}, drop=True) for pair in values[dim].values}
    return {pair: x.mean("layer_name") if "layer_name" in x.dims else x for pair, x in each.items()}


def draw(table: pd.DataFrame) -> plt.Figure:
    """Five panels; the colour is the pair."""
    figure, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")

    cells = partial(pt_jax.stats.cells, table)

    def bars(ax: plt.Axes, result: str, dim: str) -> None:
        names = [name for name in COLOURS if name in cells(result, [dim])[dim].values]
        found = cells(result, [dim]).sel({dim: names[::-1]})
        colours, half = [COLOURS[name] for name in names[::-1]], found["high"] - found["mean"]
        ax.barh(names[::-1], found["mean"], xerr=half, color=colours, capsize=2)

    for name, colour in COLOURS.items():
        similar = cells("cka", ["pair", "layer_name"]).sel(pair=name)
        pt_jax.plot.line(axes[0, 0], similar, "layer_name", color=colour, label=name)
        if name not in (PT_P, RIT_P):
            path = cells("path", ["trained_pair", "t"]).sel(trained_pair=name)
            pt_jax.plot.line(axes[1, 0], path, "t", color=colour, marker="")
    bars(axes[0, 1], "distance", "pair")
    bars(axes[0, 2], "mistakes", "trained_pair")
    bars(axes[1, 1], "barrier", "trained_pair")
    axes[0, 0].set(title="features", xlabel="layer", ylabel="linear CKA", ylim=(0, 1.02))
    axes[0, 0].tick_params("x", rotation=90, labelsize=8)
    axes[0, 1].set(title="parameters", xlabel=r"$\|\theta_a - \theta_b\|_2$")
    axes[0, 2].set(title="common mistakes", xlabel="mistakes of both / of either")
    axes[1, 0].set(title="straight path", xlabel="$t$", ylabel="test loss", ylim=(0, 3))
    axes[1, 1].set(title="barrier", xlabel="rise of test loss above the line")
    axes[1, 2].axis("off")
    axes[1, 2].legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, loc="center left")
    figure.suptitle(TITLES[table.images.iloc[0]])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=128, findings=findings, images=list(TWINS))
