"""The transferability T of pretrained parameters: by layer, target samples, diversity of the target, and domain gap.

    python sims/vision_transferability.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

T = distance of the fine-tuned weights to the random ones from which pretraining started over that to the pretrained
ones, after 200 steps and, nearly converged, after 1,500. Diversity: classes at 100 samples, and digits (modes) merged
into one class. Gap: the share of the target's pixels that are permuted. Source MNIST at 8 x 8 pixels.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr

from pt_jax.report.findings import Finding
from pt_jax.vision import datasets
from pt_jax.vision.point import Point, Static
from pt_jax.vision.transfer import transfer

SOURCE = "arXiv 2212.00399"
STEPS = {200: ("200 steps", "tab:orange"), 1500: ("1,500 steps", "tab:purple")}
AXES: dict[str, list[float]] = {
    "n2": [20, 50, 100, 200, 500, 1000],
    "classes2": [2, 4, 6, 8, 10],
    "modes": [1, 2],
    "pixels2": [0.0, 0.25, 0.5, 1.0],
}


def merged(modes: int) -> datasets.Pair:
    """MNIST and five classes of the digits: 0 to 4, or 0 and 1, 2 and 3 and so on merged."""
    digits = datasets.digits()
    parts = [datasets.Split(x.images, x.labels // 2) for x in digits]
    return datasets.pair(
        datasets.mnist(8), datasets.Dataset(*parts) if modes == 2 else datasets.classes(digits, range(5))
    )


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """T along each axis, at two numbers of steps."""
    data = datasets.mnist_to_digits()
    found: dict[str, pt_jax.Sweep] = {}

    def sweep(point: Point, axes: dict, data: datasets.Pair) -> pt_jax.Sweep:
        axes = {**axes, "steps2": list(STEPS)}
        return pt_jax.Sweep(transfer, point, axes, seeds, ("transferability",), Static.covering(data), data)

    for name, values in AXES.items():
        values = [values[0], values[-1]] if quick else values
        if name == "modes":
            found |= {f"modes{k}": sweep(Point(n2=100, classes2=5), {}, merged(int(k))) for k in values}
        else:
            found[name] = sweep(Point(n2=100), {name: values}, data)
    return found


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """T by layer and its mean, with `curve`."""
    parts = {name: pt_jax.stats.table(ds, ["transferability", "mean_t"]) for name, ds in _curves(found).items()}
    return pd.concat([rows.assign(curve=name) for name, rows in parts.items()])


def _curves(found: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    data = {name: ds.load() for name, ds in found.items()}
    data["modes"] = xr.concat([data.pop("modes1"), data.pop("modes2")], pd.Index(AXES["modes"], name="modes"))
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
    for steps, (words, _) in STEPS.items():
        for name, claim in claims.items():
            t, (low, *_, high) = curves[name]["mean_t"].sel(steps2=steps), AXES[name]
            measured = f"T at {name} = {low:g} - at {high:g}, {words}"
            yield Finding(claim, SOURCE, measured, t.sel({name: low}) - t.sel({name: high}), 0.1)
        t = curves["n2"]["transferability"].sel(steps2=steps, n2=1000)
        lowest, rest = t.isel(layer_name=0), t.isel(layer_name=slice(1, None)).mean("layer_name", skipna=False)
        for claim, which, other in (
            ("T does not fall from low to high layers", "highest", t.isel(layer_name=-1)),
            ("the lowest layer is not the most transferable", "mean of the other", rest),
        ):
            yield Finding(claim, SOURCE, f"T, {which} - lowest layer, {words}", other - lowest, 0.1)


def draw(table: pd.DataFrame) -> plt.Figure:
    """By layer, then along each axis."""
    figure, axes = plt.subplots(1, 5, figsize=(15, 3.6), layout="constrained")
    for steps, (_, colour) in STEPS.items():
        rows = table[table.steps2 == steps]
        layers = pt_jax.stats.cells(rows[(rows.curve == "n2") & (rows.n2 == 1000)], "transferability", ["layer_name"])
        curves = [(pt_jax.stats.cells(rows[rows.curve == name], "mean_t", [name]), name) for name in AXES]
        for ax, (cells, x) in zip(axes, [(layers, "layer_name"), *curves], strict=True):
            half = cells["high"] - cells["mean"]
            ax.errorbar(cells[x].values, cells["mean"], half, color=colour, marker="o", ms=4, capsize=2)
    labels = ("layer", "target samples $N_2$", "target classes $K_2$", "digits merged into a class", "permuted pixels")
    for ax, label in zip(axes, labels, strict=True):
        ax.axhline(1, color="0.5", lw=0.8)
        ax.set(xlabel=label, ylim=(0, None))
    axes[0].set(ylabel="transferability $T$", title="1,000 target samples")
    axes[0].tick_params("x", labelsize=8)
    axes[1].set_xscale("log")
    axes[3].set(xticks=AXES["modes"], xlim=(0.5, 2.5))
    marks = [plt.Line2D([], [], color=colour, marker="o", ms=4) for _, colour in STEPS.values()]
    axes[1].legend(marks, [name for name, _ in STEPS.values()], frameon=False, fontsize=8)
    figure.suptitle("More samples, more modes in a class and a wider gap lower T; the lowest layers carry over best")
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=32, findings=findings)
