"""The transferability T of pretrained parameters: by layer, target samples, diversity of the target, and domain gap.

    python sims/vision_transferability.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

T = distance of the fine-tuned weights to the random ones from which pretraining started over that to the pretrained
ones, after few steps and after many; on CIFAR-10 it still falls then. Diversity: classes, and classes of the data
(modes) merged into one. Gap: the share of the target's pixels that are permuted. `parts/images.py` names the images.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from parts.images import PAIRS, POINTS, merged
from parts.settings import OWN, TRANSFERABILITY
from parts.shared import with_point

from pt_jax.report.findings import Finding
from pt_jax.vision.datasets import Pair
from pt_jax.vision.point import Static
from pt_jax.vision.transfer import transfer

SOURCE = "arXiv 2212.00399"
COLOURS = ("tab:orange", "tab:purple")
TITLES = {
    "digits 8x8": "More samples, more modes in a class and a wider gap lower T; the lowest layers carry over best",
    "cifar10 32x32": "CIFAR-10: after 800 steps more samples and a wider gap lower T, more classes do not",
}


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """T along each axis, at two numbers of steps; their common point is on that of the samples alone."""
    whole, (steps, samples, classes, axes) = PAIRS[images](), TRANSFERABILITY[images]
    found: dict[str, pt_jax.Sweep] = {}

    def sweep(axes: dict, data: Pair, **own: float) -> pt_jax.Sweep:
        point, axes = POINTS[images]._replace(**OWN[images] | {"n2": samples} | own), {**axes, "steps2": steps}
        return pt_jax.Sweep(transfer, point, axes, seeds, ("transferability",), Static.covering(data), data)

    for name, values in axes.items():
        values = [values[0], *[samples] * (name == "n2"), values[-1]] if quick else values
        if name == "modes":
            found |= {f"modes{k}": sweep({}, merged(whole, classes, int(k)), classes2=classes) for k in values}
        else:
            base = getattr(POINTS[images], name)
            found[name] = sweep({name: values if name == "n2" else [x for x in values if x != base]}, whole)
    return found


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """T by layer and its mean, with `curve`."""
    parts = {name: pt_jax.stats.table(ds, ["transferability", "mean_t"]) for name, ds in _curves(found).items()}
    return pd.concat([rows.assign(curve=name) for name, rows in parts.items()])


def _curves(found: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    data = {name: ds.load() for name, ds in found.items()}
    for name in ("classes2", "pixels2"):
        data[name] = with_point(data[name], name, data["n2"])
    data["modes"] = xr.concat([data.pop("modes1"), data.pop("modes2")], pd.Index([1, 2], name="modes"))
    means = {name: ds["transferability"].mean("layer_name", skipna=False) for name, ds in data.items()}
    return {name: ds.assign(mean_t=means[name]) for name, ds in data.items()}


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """Both ends of each curve, and how T goes with the layer."""
    curves = _curves(found)
    claims = {
        "n2": "more target data lower T",
        "classes2": "more diverse target data lower T (classes)",
        "modes": "more diverse target data lower T (modes of a class)",
        "pixels2": "the domain gap lowers T",
    }
    layers, whole = (curves["n2"][name].isel(n2=-1) for name in ("transferability", "mean_t"))
    few, many = sorted(layers["steps2"].values)
    words = f"T, {few:,.0f} - {many:,.0f} steps, {layers.n2:,.0f} samples"
    yield Finding("T falls with the steps", SOURCE, words, whole.sel(steps2=few) - whole.sel(steps2=many), 0.1)
    for steps in (few, many):
        t, words = layers.sel(steps2=steps), f"{steps:,.0f} steps"
        for name, claim in claims.items():
            ends, (low, *_, high) = curves[name]["mean_t"].sel(steps2=steps), curves[name][name].values
            lower = ends.sel({name: low}) - ends.sel({name: high})
            yield Finding(claim, SOURCE, f"T at {name} = {low:g} - at {high:g}, {words}", lower, 0.1)
        lowest, rest = t.isel(layer_name=0), t.isel(layer_name=slice(1, None)).mean("layer_name", skipna=False)
        for claim, measured, effect in (
            ("T is above 1", "T - 1", whole.sel(steps2=steps) - 1),
            ("T does not fall from low to high layers", "T, highest - lowest layer", t.isel(layer_name=-1) - lowest),
            ("the lowest layer is not the most transferable", "T, mean of the other - lowest layer", rest - lowest),
        ):
            yield Finding(claim, SOURCE, f"{measured}, {words}", effect, 0.1)


def draw(table: pd.DataFrame) -> plt.Figure:
    """By layer, then along each axis."""
    images, most = table.images.iloc[0], table.n2.max()
    figure, axes = plt.subplots(1, 5, figsize=(15, 3.6), layout="constrained")
    for steps, colour in zip(sorted(table.steps2.unique()), COLOURS, strict=True):
        rows = table[table.steps2 == steps]
        layers = pt_jax.stats.cells(rows[(rows.curve == "n2") & (rows.n2 == most)], "transferability", ["layer_name"])
        curves = [(pt_jax.stats.cells(rows[rows.curve == x], "mean_t", [x]), x) for x in TRANSFERABILITY[images].axes]
        for ax, (cells, x) in zip(axes, [(layers, "layer_name"), *curves], strict=True):
            pt_jax.plot.line(ax, cells, x, color=colour, label=f"{steps:g} steps")
    labels = ("layer", "target samples $N_2$", "target classes $K_2$", "classes merged into one", "permuted pixels")
    for ax, label in zip(axes, labels, strict=True):
        ax.axhline(1, color="0.5", lw=0.8)
        ax.set(xlabel=label, ylim=(0, None))
    axes[0].set(ylabel="transferability $T$", title=f"{most:,.0f} target samples")
    axes[0].tick_params("x", labelsize=8)
    axes[1].set_xscale("log")
    axes[3].set(xticks=[1, 2], xlim=(0.5, 2.5))
    axes[1].legend(frameon=False, fontsize=8)
    figure.suptitle(TITLES[images])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=32, findings=findings, images=list(TRANSFERABILITY))
