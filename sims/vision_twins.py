"""What is transferred: networks fine-tuned from one pretraining (P-T) beside networks from random weights (RI-T).

    python sims/vision_twins.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Features (linear CKA by layer), parameters, common mistakes, the loss on the straight path, and one layer put back to
where its training started. Source MNIST at 8 x 8 pixels, target 200 digits, a VGG-like network of four layers.
"""

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr

import pt_jax
from pt_jax.findings import Finding
from pt_jax.vision import compare, datasets
from pt_jax.vision.point import Point, Static

SOURCE = "arXiv 2008.11687"
PT, RIT, ONE, MIXED, PT_P, RIT_P = COLOURS = {
    "P-T, P-T": "tab:orange",
    "RI-T, RI-T": "tab:blue",
    "RI-T, RI-T, one init": "tab:cyan",
    "P-T, RI-T": "tab:purple",
    "P-T, P": "tab:brown",
    "RI-T, P": "0.5",
}
RESULTS = ("cka", "distance", "mistakes", "mistakes_independent", "path", "barrier", "reset", "reset_scratch")


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """All networks at one point."""
    del quick
    data = datasets.mnist_to_digits()
    static = Static.covering(data)
    dims, labels = compare.DIMS, compare.labels(static)
    return {"twins": pt_jax.Sweep(compare.compare, Point(n2=200), {}, seeds, RESULTS, static, data, dims, labels)}


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """All results, with their own dimensions as columns."""
    ds = found["twins"].load()
    return pd.concat([pt_jax.stats.table(ds[[name, "diverged", "done"]], [name]) for name in RESULTS])


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """The findings of the paper, one effect each."""
    ds = found["twins"].load()
    cka, mistakes = ds["cka"].mean("layer_name"), ds["mistakes"] - ds["mistakes_independent"]

    def between(values: xr.DataArray, a: str, b: str) -> xr.DataArray:
        name = values.dims[-1] if values.dims[-1] != "seed" else values.dims[0]
        return values.sel({name: a}, drop=True) - values.sel({name: b}, drop=True)

    def finding(claim: str, measured: str, effect: xr.DataArray, matters: float) -> Finding:
        return Finding(claim, SOURCE, measured, effect, matters)

    yield finding("two P-T have similar features", "CKA of P-T, P-T - of P-T, RI-T", between(cka, PT, MIXED), 0.05)
    yield finding("an RI-T is unlike any other", "CKA of P-T, P - of RI-T, RI-T", between(cka, PT_P, RIT), 0.05)
    fall = ds["cka"].sel(pair=PT).isel(layer_name=0) - ds["cka"].sel(pair=PT).isel(layer_name=-1)
    yield finding("similarity falls with depth", "CKA of P-T, P-T: lowest - highest layer", fall, 0.05)
    yield finding("two P-T are closer than two RI-T", "distance, RI-T - P-T", between(ds["distance"], RIT, PT), 0.5)
    yield finding("two P-T make the same mistakes", "Jaccard, P-T - RI-T", between(ds["mistakes"], PT, RIT), 0.02)
    yield finding("beyond chance", "Jaccard - independent, P-T - RI-T", between(mistakes, PT, RIT), 0.02)
    yield finding("no barrier between two P-T", "barrier, RI-T - P-T", between(ds["barrier"], RIT, PT), 0.05)
    yield finding("a barrier between two RI-T of one init", "barrier", ds["barrier"].sel(trained_pair=ONE), 0.05)
    back, alone = (ds[name].sel(kept=0) for name in ("reset", "reset_scratch"))
    lost = (alone - back).mean("layer_name")
    yield finding("P-T is robust to putting a layer back", "rise of error, RI-T - P-T, mean of layers", lost, 0.02)
    rise = back.isel(layer_name=-1) - back.isel(layer_name=0)
    yield finding("criticality rises with depth", "rise of error of P-T: highest - lowest layer", rise, 0.02)


def draw(table: pd.DataFrame) -> plt.Figure:
    """Five panels; the colour is the pair."""
    figure, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")

    def cells(result: str, *dims: str) -> xr.Dataset:
        return pt_jax.stats.cells(table, result, dims)

    def bars(ax: plt.Axes, result: str, dim: str) -> None:
        found = cells(result, dim)
        names = [name for name in COLOURS if name in found[dim].values]
        part = found.sel({dim: names})
        half = part["high"] - part["mean"]
        ax.barh(names, part["mean"], xerr=half, color=[COLOURS[name] for name in names], capsize=2)
        ax.invert_yaxis()

    def lines(ax: plt.Axes, found: xr.Dataset, x: str, label: str, colour: Any, marker: str = "") -> None:
        half = found["high"] - found["mean"]
        ax.errorbar(found[x].values, found["mean"], half, color=colour, label=label, capsize=2, lw=1.2, marker=marker)

    similar, paths = cells("cka", "pair", "layer_name"), cells("path", "trained_pair", "t")
    for name, colour in COLOURS.items():
        lines(axes[0, 0], similar.sel(pair=name), "layer_name", name, colour, marker="o")
    for name in (PT, RIT, ONE, MIXED):
        lines(axes[1, 0], paths.sel(trained_pair=name), "t", name, COLOURS[name])
    bars(axes[0, 1], "distance", "pair")
    bars(axes[0, 2], "mistakes", "trained_pair")
    for ax, result, title in ((axes[1, 1], "reset", "P-T"), (axes[1, 2], "reset_scratch", "RI-T")):
        found = cells(result, "layer_name", "kept")
        for i, name in enumerate(found["layer_name"].values):
            lines(ax, found.sel(layer_name=name), "kept", str(name), plt.get_cmap("viridis")(i / 4), marker="o")
        ax.set(title=f"{title}: one layer moved back", xlabel="part of its training kept", ylabel="rise of test error")
    axes[0, 0].set(title="features", xlabel="layer", ylabel="linear CKA", ylim=(0, 1.02))
    axes[0, 1].set(title="parameters", xlabel=r"$\|\theta_a - \theta_b\|_2$")
    axes[0, 2].set(title="common mistakes", xlabel="mistakes of both / of either")
    axes[1, 0].set(title="straight path", xlabel="$t$", ylabel="test loss")
    axes[1, 1].sharey(axes[1, 2])
    for ax in (axes[0, 0], axes[1, 0], axes[1, 1], axes[1, 2]):
        ax.legend(frameon=False, fontsize=7)
    figure.suptitle("Twins")
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64, findings=findings)
