"""The published transferability diagrams of deep linear networks, 2,800 cells at d = 500, computed again.

    python sims/published_deep_linear.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Tahir, Ganguli, Rotskoff 2025, 'Features are fate: a theory of transfer learning in high-dimensional regression' (arXiv
2410.08194, code javantahir/features_are_fate, whose settings these are). gain = error of scratch - error, of linear
transfer and of fine-tuning, over n target samples and the angle theta between source and target, in units of pi/2. The
source is the whole population (n_source = 0), or that many samples. `parts/deep_linear.py` has the network.

Published are the colours of the seven diagrams in the authors' notebook: means of 20 trainings, read in 255 steps from
-1 to 1, without those at an end of the scale. In them the cells of a row share their samples. The paper's closed forms
are for training that has converged, which near n = d it has not, neither there nor here. So the diagram of fine-tuning
with noise that the authors left out as off is off for want of steps: at n = 450, theta = 0.5 the gain is 0.158 with a
standard error of 0.019, by the closed form 0.041, and after 500,000 steps 0.023 with one of 0.025.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from parts import published
from parts.deep_linear import RIDGE, Point, Static, transfer

import pt_jax

TABLE = Path(__file__).parent / "parts" / "tahir2024.csv"
TRAININGS, STEP = 20, 2 / 256  # of a published mean, and of its colours; white is two steps
SECONDS = 40.0  # of one core, for a fine-tuning with n = 500 by the authors' script
SOURCES = [(0, 0.0, 5000), (0, 0.2, 5000), (250, 0.2, 8000), (750, 0.2, 8000)]
PANELS = {
    ("linear", 0, 0.2): "linear transfer, noise 0.2",
    ("tuned", 0, 0.0): "fine-tuning, no noise",
    ("tuned", 250, 0.2): "fine-tuning, noise 0.2,\n250 source samples",
}


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """Their grid, or every fourth value of both axes."""
    every = slice(3, None, 4) if quick else slice(None)
    axes = {"n_source,noise,steps": SOURCES, "n": np.arange(50, 1001, 50)[every], "theta": np.arange(1, 21)[every] / 20}
    return {"map": pt_jax.Sweep(transfer, Point(), axes, seeds, static=Static())}


def closed_form(table: pd.DataFrame, d: int = 500) -> pd.Series:
    """Return the gains of the paper's theory, for d -> infinity at fixed n / d; infinite at n = d where there is noise.

    scratch = 1 - g + noise^2 g / (1 - g) for g = n / d < 1, noise^2 / (g - 1) above
    linear  = scratch - 1 + (1 + 2 ridge) / (1 + ridge)^2 cos^2      source: the population
    tuned   = (1 - g) (2 cos - 1) h - (1 - g) noise^2 h / |1 - s|    for g < 1, h = min(s, 1), s = n_source / d
    """
    g, s, noise = table["n"] / d, (table["n_source"] / d).replace(0.0, np.inf), table["noise"]
    cos, few, h = np.cos(table["theta"] * np.pi / 2), np.maximum(1 - g, 0.0), np.minimum(s, 1.0)
    scratch = few + noise**2 * np.minimum(g, 1.0) / (1 - g).abs().where(noise > 0, 1.0)
    linear = scratch - 1 + (1 + 2 * RIDGE) / (1 + RIDGE) ** 2 * cos**2
    tuned = few * h * (2 * cos - 1 - noise**2 / (1 - s).abs())
    return linear.where(table["n_source"] == 0).where(table["result"] == "linear", tuned)


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Each published cell beside ours; print whether they agree, whether the theory does, and the speed."""
    known = pd.read_csv(TABLE).melt(["result", "n_source", "noise", "n"], var_name="theta", value_name="published")
    known = known.dropna().astype({"theta": float}).assign(trainings=TRAININGS)
    parts = [
        published.beside(found["map"], name, rows.drop(columns="result")).assign(result=name)
        for name, rows in known.groupby("result")
    ]
    table = pd.concat(parts, ignore_index=True)
    reading = STEP / 12**0.5 * np.where(table["published"] == 0, 2, 1)
    table = published.compare(table.assign(se=np.hypot(table["se"], reading)))
    table["theory"] = closed_form(table)
    apart = (table["theory"] - table["here"]).abs()
    far = (table["n"] / Static().d - 1).abs() > 0.15
    print(f"closed forms: {apart[far].mean():.4f} from here in the mean, n = d and its neighbours apart")
    table.loc[0, "times_as_fast"] = published.speed(sweeps(False, 1)["map"], SECONDS)
    return table


def draw(table: pd.DataFrame) -> plt.Figure:
    """Above three published diagrams, below the same here; beside them all cells."""
    figure = plt.figure(figsize=(12.6, 6.4), layout="constrained")
    grid = figure.add_gridspec(1, 2, width_ratios=(3, 1.45))
    maps = grid[0].subgridspec(2, 3).subplots(sharex=True, sharey=True, squeeze=False)
    cells = table.set_index(["result", "n_source", "noise", "n", "theta"]).sort_index().to_xarray()
    for k, ((result, source, noise), words) in enumerate(PANELS.items()):
        one = cells.sel(result=result, n_source=source, noise=noise)
        for ax, value in zip(maps[:, k], ("published", "here"), strict=True):
            ax.set_facecolor("0.85")
            mesh = ax.pcolormesh(one["theta"], one["n"] / Static().d, one[value], cmap="PuOr_r", vmin=-1, vmax=1)
            theory = one["theory"].where(one["theory"] != 0).clip(-2, 2)  # 0 from n = d on is no line
            ax.contour(one["theta"], one["n"] / Static().d, theory, levels=[0.0], colors="k", linewidths=1.2)
        maps[0, k].set_title(words, fontsize=10)
        maps[1, k].set_xlabel(r"angle $\theta / (\pi / 2)$")
    for ax, words in zip(maps[:, 0], ("published", "here"), strict=True):
        ax.set_ylabel(f"{words}: target samples $n / d$")
    figure.colorbar(mesh, ax=maps, label="gain: error of scratch - error with transfer", location="bottom", aspect=50)
    published.agreement(figure.add_subplot(grid[1]), table)
    line = plt.Line2D([], [], color="k", lw=1.2, label="zero of the paper's closed form")
    grey = plt.Rectangle((0, 0), 1, 1, color="0.85", label="published colour at an end of its scale")
    pt_jax.plot.legend(figure, [line, grey])
    agree = (table["off"].abs() <= published.LIMIT).sum()
    figure.suptitle(
        f"Where deep linear transfer helps (orange) and hurts: {agree:,} of {len(table):,} cells as published"
    )
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=32)
