"""The published impact of task similarity on continual learning, and of five methods against it, computed again.

    python sims/published_task_similarity.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Hiratani 2024, 'Disentangling and mitigating the impact of task similarity for continual learning' (arXiv 2405.20236,
code nhiratani/transfer_retention_model, whose settings these are): 3,000 inputs, 30 latent variables, 10 outputs, and
100 epochs a task, 500 for the last four methods. `parts/continual.py` has the model and the methods. transfer = 1 -
error of the second task before it is learned, retention = 1 - error of the first task after that.

The paper's closed forms are for infinitely many inputs and epochs; its numbers are not given. So `published` are means
of the author's scripts, run here with 10 seeds (plasticity: one cell, 4 seeds); its cells share their seeds. Where
features are the same, weights held by Fisher information still forget, as the theory says. Soft-thresholded inputs and
the diagonal of the Fisher information are left out.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from parts import published
from parts.continual import METHODS, Point, Static, learn

import pt_jax

TABLE = Path(__file__).parent / "parts" / "hiratani2024.csv"
RESULTS, CELL = ["transfer", "retention"], ["feature", "readout", "strength"]
SHOWN = 0.8  # similarity of features and of readouts at which methods are compared
LINES = {"theory": ("k", "-"), "here": ("tab:green", "--")}
ROUNDING = 1e-6  # of float32, where no seed differs


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """Similarities without a method on a fine grid, with each on the author's; or every second value."""
    fine = np.arange(0, 21, 2 if quick else 1) / 20
    grid = np.array([0, 2, 4, 6, 8, 9, 10])[:: 2 if quick else 1] / 10
    axes = {"feature": grid, "readout": grid, "strength": np.arange(1, 6) / 5}
    found = {m: axes if m != "none" else {"feature": fine, "readout": fine, "strength": [1.0]} for m in METHODS}
    epochs = {m: 100 if m in ("none", "activity") else 500 for m in METHODS}
    return {m: pt_jax.Sweep(learn, Point(), x, seeds, static=Static(m, epochs[m])) for m, x in found.items()}


def closed_form(method: str, table: pd.DataFrame) -> pd.Series:
    """Return transfer and retention of the paper's theory; b is the readout similarity, a that of the features.

    transfer = a (2 b - a),  retention = 1 - a^2 (a^2 - 2 a b + 1);  a gate in front of the features shrinks a
    """
    a, b, g = (table[name] for name in CELL)
    if method in ("activity", "adaptive"):
        kept = np.clip(a * (2 * b - a), 0, 1) if method == "adaptive" else 0.0
        a = a * (kept + (1 - kept) * g)
    transfer, lost = a * (2 * b - a), a**2 * (a**2 - 2 * a * b + 1)
    if method == "euclidean":
        transfer = g * a * (2 * b - g * a)
        lost = (1 - g) ** 2 - 2 * g * a * (b - g * (a + b) + g**2 * a) + g**2 * a**2 * (1 - 2 * g * a * b + g**2 * a**2)
    if method == "fisher":  # g = 1 holds nothing
        lost = lost.where(g == 1, np.where(a == 1, 2 * g**2 * (1 - b), 0.0))
    return transfer.where(table["result"] == "transfer", 1 - lost)


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """All cells, and again those that are published; print whether they agree, whether the theory does, the speed."""
    known = pd.read_csv(TABLE)
    cells, both = [], []
    for method, ds in found.items():
        here = pt_jax.stats.table(ds, RESULTS).rename(columns={"mean": "here"}).drop(columns="seeds")
        cells.append(here.assign(method=method, theory=closed_form(method, here)))
        for name in RESULTS:
            theirs = known[known["method"] == method].rename(columns={name: "published"})
            rows = published.beside(ds, name, theirs[[*CELL, "published", "trainings"]])
            both.append(rows.assign(method=method, result=name))
    compared = pd.concat(both, ignore_index=True)
    compared = published.compare(compared.assign(se=np.hypot(compared["se"], ROUNDING)))
    table = pd.concat([*cells, compared], ignore_index=True)
    apart = (table["theory"] - table["here"]).abs().groupby(table["method"]).mean()
    print("closed forms, mean distance from here: " + ", ".join(f"{m} {apart[m]:.3f}" for m in METHODS))
    theirs = known.loc[known["method"] == "none", "seconds"].mean()
    table.loc[0, "times_as_fast"] = published.speed(sweeps(False, 1)["none"], theirs)
    return table


def draw(table: pd.DataFrame) -> plt.Figure:
    """Maps of transfer and retention, what the methods make of one cell of them, and whether all is as published."""
    figure, axes = plt.subplots(2, 2, figsize=(9.8, 9.4), layout="constrained", squeeze=False)
    cells, compared = table[table["published"].isna()], table.dropna(subset="published")
    for ax, name in zip(axes[0], RESULTS, strict=True):
        one = cells[(cells["method"] == "none") & (cells["result"] == name)]
        one = one.set_index(["readout", "feature"]).to_xarray()
        mesh = ax.pcolormesh(one["feature"], one["readout"], one["here"], cmap="PuOr_r", vmin=-1, vmax=1)
        for value, (colour, style) in LINES.items():
            at = one[value].where(one["feature"] > 0)  # there transfer is 0
            ax.contour(one["feature"], one["readout"], at, [0.0, 0.5], colors=colour, linestyles=style)
        ax.set(xlabel="similarity of the features", ylabel="similarity of the readouts", title=f"{name}, no method")
    figure.colorbar(mesh, ax=axes[0], label="1 - error", aspect=30)
    left, right = axes[1]
    here = cells[np.isclose(cells["feature"], SHOWN) & np.isclose(cells["readout"], SHOWN)]
    for method, words in METHODS.items():
        x, y = (here[(here["method"] == method) & (here["result"] == name)] for name in RESULTS)
        fmt, size = ("k*", 12) if method == "none" else ("o-", 4)
        left.errorbar(x["here"], y["here"], 2 * y["se"], 2 * x["se"], fmt=fmt, ms=size, label=words)
    left.set(xlabel="transfer", ylabel="retention", title=f"methods of any strength, both similarities {SHOWN}")
    left.legend(fontsize=8)
    published.agreement(right, compared)
    labels = {"theory": "theory, at 0 and 0.5", "here": "the same here"}
    lines = [plt.Line2D([], [], color=c, ls=s, label=labels[value]) for value, (c, s) in LINES.items()]
    pt_jax.plot.legend(figure, lines)
    agree = (compared["off"].abs() <= published.LIMIT).sum()
    figure.suptitle(
        "Like features with unlike readouts hurt transfer and retention; at similarity 0.8 Fisher information keeps "
        f"both ({agree} of {len(compared)} means as by the author's script)"
    )
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64)
