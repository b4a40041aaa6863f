"""A published experiment on pseudo-labels, computed again, and transfer by labels beside transfer by parameters.

    python sims/published_pseudo_labels.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Settings of Kou, Chen, Cao, Gu (ICLR 2023) and of the code beside it: two patches, y v and noise xi, v ~ N(0, I),
xi ~ N(0, sigma^2 I), sigma = s 10 d^0.01, half of all samples of each class, no wrong labels but those that are made:

    teacher      linear in both patches, weights uniform in +-1/sqrt(2d); 200 labelled samples, logistic loss, lr 1e-4,
                 100 steps; its sign labels n_u samples
    student      f = F_+ - F_-, F_j = sum_r sum_p relu(<w_jr, x^(p)>)^3, 20 filters a class, w ~ N(0, d^-1.5 / 100); on
                 20 labelled and n_u pseudo-labelled samples, logistic loss, lr 1e-4, weight decay 0.1, 200 steps
    probe        logistic regression on (F_+, F_-) of the labelled samples, from 0, lr 0.5, 50 steps
    supervised   the student on the 20 labelled samples alone, without decay

Added here, on the same draws: `parameters`, a student trained on the teacher's samples and their labels, whose filters
are all inherited by one that then trains on the 20. Their two scripts have s = 1, n_u = 20,000 and d = 10,000 and print
one training; `parts/kou2023_labels.csv` has means of them over seeds at smaller s, n_u and d, run for this comparison.
A trajectory has all five trainings that are above; it is timed against their teacher, student and probe.

With the mean over m filters and relu^3 a network of this package has weights m^(1/3) times as large, and lr m^(2/3).
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from parts import published
from parts.pseudo_labels import LABELLED, transfer

SECONDS = 5.8  # of one core, for their teacher, student and probe at d = 10,000, n_u = 80 and 180
M = 20  # filters a class
WAYS = {"student": "by labels: student", "probe": "by labels: probe", "parameters": "by parameters"}
WAYS |= {"supervised": "supervised alone"}


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """Noise and number of pseudo-labels, at two dimensions."""
    found = {}
    for d in (2000, 10000):
        point = pt_jax.Point(
            **{"d": d, "n1": 200, "m": M, "v1": 0.0, "v2": 0.0, "flip1": 0.0, "flip2": 0.0, "weight_decay2": 0.1},
            **{"lr1": 1e-4, "lr2": 1e-4 * M ** (2 / 3), "init_scale": M ** (1 / 3) * d**-0.75 / 10, "steps1": 100},
        )
        sigma = 10 * d**0.01 * np.array([0.25, 0.35, 0.5, 0.7, 1.0])
        n_u = np.array([80, 180, 480][: 2 if quick else None])
        axes = {"n2": LABELLED + n_u, "sigma1,sigma2": sigma[:: 2 if quick else 1]}
        static = pt_jax.Static(activation="relu^3", noise="isotropic")
        found[f"d{d}"] = pt_jax.Sweep(transfer, point, axes, seeds, static=static)
    return found


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """All cells, with what their scripts give beside them."""
    theirs = pd.read_csv(Path(__file__).with_name("parts") / "kou2023_labels.csv")
    parts = []
    for d, ds in zip((2000, 10000), found.values(), strict=True):
        own = {"n_u": ds["n2"] - LABELLED, "s": (ds["sigma2"] / (10 * d**0.01)).round(2)}
        ds = ds.assign_coords(n2=own["n_u"], sigma1=own["s"]).drop_vars("sigma2").rename(n2="n_u", sigma1="s")
        parts.append(published.whole(ds, ["wrong", *WAYS], theirs[theirs["d"] == d]).assign(d=d))
    table = pd.concat(parts, ignore_index=True)
    published.compare(table.dropna()[["result", "d", "n_u", "s", "published", "here", "se"]])
    table.loc[0, "times_as_fast"] = published.speed(sweeps(True, 1)["d10000"], SECONDS)
    return table


def draw(table: pd.DataFrame) -> plt.Figure:
    """Test errors of all ways over the noise, for each number of pseudo-labels, and all cells against theirs."""
    sizes = sorted(table["n_u"].unique())
    count = len(sizes) + 1
    figure, (*panels, last) = plt.subplots(1, count, figsize=(0.5 + 3.3 * count, 3.9), layout="constrained")
    for ax, n_u in zip(panels, sizes, strict=True):
        for (name, words), colour in zip(WAYS.items(), ("tab:blue", "tab:cyan", "tab:orange", "0.5"), strict=True):
            one = table[(table["d"] == 10000) & (table["n_u"] == n_u) & (table["result"] == name)]
            ax.errorbar(one["s"], one["here"], 1.96 * one["own"], fmt="o-", ms=3, color=colour, label=words)
        ax.set(xlabel="noise $s$", ylim=(-0.02, 0.54), title=f"teacher: 200 labels, gives {n_u}")
    panels[0].set_ylabel("test error, $d$ = 10,000")
    panels[0].legend(fontsize=8)
    published.agreement(last, table.dropna(subset="published"))
    figure.suptitle("With 480 pseudo-labels transfer by labels beats transfer by parameters; with 80 it loses to it")
    pt_jax.plot.note(figure, ["20 labels", "20 filters a class", f"{table.seeds.max()} seeds a cell, 95% intervals"])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=16)
