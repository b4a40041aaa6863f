"""Neural collapse on the source, and on the target, against how well frozen features transfer.

    python sims/vision_collapse.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Left: NC1 of the source's training features against the target's test error by a linear probe, along each dial of
pretraining: steps, label smoothing, augmentation by shifts, loss and projection head. Right: NC1 of the same frozen
features on the target's training samples, for all these models. Source MNIST at 8 x 8 pixels, target 50 digits.
"""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import rankdata

import pt_jax
from pt_jax.findings import Finding
from pt_jax.vision import datasets
from pt_jax.vision.point import Point, Static
from pt_jax.vision.transfer import transfer

SOURCE = "arXiv 2212.12206"
RESULTS = ("error", "nc1", "nc1_upstream")
STEPS: list[float] = [50, 100, 200, 400, 800, 1600]
DIALS: dict[str, tuple[str, list[float], str, str]] = {  # name: axis, values, what they are called, colour
    "steps": ("steps1", STEPS, "{:g}", "0.4"),
    "smoothing": ("smoothing1", [0.0, 0.1, 0.3, 0.6], "{:g}", "tab:orange"),
    "shifts": ("shift1", [0, 1, 2], "{:g}", "tab:blue"),
    "projection dropped": ("steps1", [600], "dropped", "tab:purple"),
    "projection kept": ("steps1", [600], "kept", "tab:pink"),
    "squared loss": ("steps1", [600], "squared", "tab:brown"),
}


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """Error and NC1 along each dial."""
    data, found = datasets.mnist_to_digits(), {}
    for name, (axis, values, *_) in DIALS.items():
        static = Static.covering(
            data,
            method="probe",
            projection={"projection dropped": "drop", "projection kept": "keep"}.get(name, "no"),
            loss1="squared" if name == "squared loss" else "cross_entropy",
        )
        axes = {axis: [values[0], values[-1]] if quick and len(values) > 1 else values}
        found[name] = pt_jax.Sweep(transfer, Point(), axes, seeds, RESULTS, static, data)
    return found


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Means of each model, with `dial` and its `setting`."""
    parts = []
    for name, ds in found.items():
        axis = DIALS[name][0]
        parts.append(pt_jax.stats.table(ds, RESULTS).rename(columns={axis: "setting"}).assign(dial=name))
    return pd.concat(parts)


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """What each dial does to the transfer, and how NC1 on the target goes with it."""
    data = {name: ds.load() for name, ds in found.items()}
    error = {name: ds["error"] for name, ds in data.items()}
    plain = error["shifts"].sel(shift1=0)
    smooth, far, steps = (error[name].isel({DIALS[name][0]: -1}) for name in ("smoothing", "shifts", "steps"))
    middle = error["steps"].sel(steps1=400) if 400 in data["steps"]["steps1"] else plain
    claim = "preventing collapse on the source transfers better"
    for words, effect in (
        (f"error after {STEPS[-1]:,} - after 400 steps", steps - middle),
        ("error with label smoothing 0.6 - without", smooth - plain),
        ("error without - with shifts of 2 pixels", plain - far),
        ("error without - with a projection head dropped", plain - error["projection dropped"].squeeze(drop=True)),
        ("error by squared loss - by cross-entropy", error["squared loss"].squeeze(drop=True) - plain),
    ):
        yield Finding(claim, SOURCE, words, effect.drop_vars(set(effect.coords) - {"seed"}), 0.01)
    both = [
        xr.concat([ds[name].rename({DIALS[dial][0]: "model"}).drop_vars("model") for dial, ds in data.items()], "model")
        for name in ("nc1", "error")
    ]
    ranks = [rankdata(x.transpose("model", "seed"), axis=0) for x in both]
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(ranks[0].T, ranks[1].T, strict=True)]
    words = f"rank correlation of NC1 and error over {len(both[0].model)} models"
    effect = xr.DataArray(alike, dims="seed")
    yield Finding("more collapse on the target's samples goes with better transfer", SOURCE, words, effect, 0.1)


def draw(table: pd.DataFrame) -> plt.Figure:
    """Source and target side by side; one line a dial."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2), sharey=True, layout="constrained")
    for ax, name in zip(axes, ("nc1_upstream", "nc1"), strict=True):
        for dial, (_, _, text, colour) in DIALS.items():
            rows = table[table.dial == dial]
            x, y = (pt_jax.stats.cells(rows, result, ["setting"]) for result in (name, "error"))
            spread = {"xerr": x["high"] - x["mean"], "yerr": y["high"] - y["mean"]}
            ax.errorbar(x["mean"], y["mean"], **spread, color=colour, label=dial, marker="o", ms=4, capsize=2, lw=1)
            for i, setting in enumerate(x["setting"].values if name == "nc1_upstream" else []):
                at = float(x["mean"][i]), float(y["mean"][i])
                note = text.format(setting) if "{" in text else ""
                ax.annotate(note, at, (5, 4), textcoords="offset points", fontsize=7, color=colour)
        ax.set_xscale("log")
    axes[0].set(xlabel="NC1 of the source's training features", ylabel="test error on the target, frozen features")
    axes[1].set(xlabel="NC1 of the target's training features")
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    figure.suptitle("Collapse")
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64, findings=findings)
