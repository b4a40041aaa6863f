"""Which layers must keep what they learned: put back one at a time, after pretraining (P-T) and without it (RI-T).

    python sims/vision_criticality.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

One layer is moved back towards where its training on the target started, the others stay: the rise of the test error,
and the criticality of each layer, the least move in units of the noise that the rest of the path bears; of a VGG-like
network of four layers on 200 digits, or of eight on 1,000 images of CIFAR-10. `parts/images.py` names the images.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from parts.twins import TWINS, sweep

from pt_jax.report.findings import Finding

SOURCE = "arXiv 2008.11687"
TITLES = {
    "digits 8x8": (
        "After pretraining (P-T) a layer can be put back almost freely, unlike from random weights (RI-T);"
        " criticality rises with depth"
    ),
    "cifar10 32x32": (
        "On CIFAR-10 a layer put back costs a network from random weights (RI-T) 0.05 more of error"
        " than a pretrained one (P-T)"
    ),
}
NAMES = {"P-T": ("reset", "criticality"), "RI-T": ("reset_scratch", "criticality_scratch")}
RESULTS = tuple(name for names in NAMES.values() for name in names)


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """All networks at one point."""
    return {"back": sweep(quick, seeds, images, RESULTS)}


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """All results, with their own dimensions as columns."""
    ds = found["back"].load()
    return pd.concat([pt_jax.stats.table(ds[[name, "diverged", "done"]], [name]) for name in RESULTS])


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """The findings of the paper, one effect each."""
    ds = found["back"].load()
    back, alone = (ds[name].sel(kept=0) for name in ("reset", "reset_scratch"))
    critical, critical_alone = ds["criticality"], ds["criticality_scratch"]
    for claim, measured, effect, matters in (
        ("P-T is robust to a layer put back", "rise of error, RI-T - P-T", (alone - back).mean("layer_name"), 0.02),
        (
            "P-T is less critical",
            "ln(1 + criticality), RI-T - P-T",
            (critical_alone - critical).mean("layer_name"),
            0.1,
        ),
        ("criticality rises with depth", "ln(1 + criticality) of P-T, highest - lowest layer", _rise(critical), 0.1),
        (
            "criticality rises with depth in RI-T",
            "ln(1 + criticality) of RI-T, highest - lowest",
            _rise(critical_alone),
            0.1,
        ),
        ("a layer put back hurts more with depth", "rise of error of P-T, highest - lowest layer", _rise(back), 0.02),
    ):
        yield Finding(claim, SOURCE, measured, effect, matters)


def _rise(values: xr.DataArray) -> xr.DataArray:
    return values.isel(layer_name=-1) - values.isel(layer_name=0)


def draw(table: pd.DataFrame) -> plt.Figure:
    """Put back on the left, P-T beside RI-T; criticality on the right."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    cells = partial(pt_jax.stats.cells, table)

    for ax, colour, (kind, (reset, critical)) in zip(axes, ("tab:orange", "tab:blue"), NAMES.items(), strict=False):
        found = cells(reset, ["layer_name", "kept"])
        names = found["layer_name"].values
        for name, shade in zip(names, plt.get_cmap("viridis")(np.linspace(0, 0.8, len(names))), strict=True):
            pt_jax.plot.line(ax, found.sel(layer_name=name), "kept", color=shade, label=str(name))
        ax.set(title=f"{kind}: one layer moved back", xlabel="part of its training kept", ylabel="rise of test error")
        pt_jax.plot.line(axes[2], cells(critical, ["layer_name"]), "layer_name", color=colour, label=kind)
    axes[1].sharey(axes[0])
    axes[2].tick_params("x", rotation=90, labelsize=8)
    axes[2].set(title="criticality", xlabel="layer", ylabel=r"$\ln(1 + \mu)$")
    for ax in axes:
        ax.legend(frameon=False)
    figure.suptitle(TITLES[table.images.iloc[0]])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64, findings=findings, images=list(TWINS))
