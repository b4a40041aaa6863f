"""Inheriting whole filters against inheriting the same share of single weights (dense engine, a small grid).

    python sims/filters_or_weights.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Each filter or weight is inherited with the same probability alpha; seeds are paired, and draws are those of R^d.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

POINT = pt_jax.Point(d=500, n1=100, v2=3.0)
COLOURS = {"filters": "tab:orange", "weights": "tab:purple"}


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """Gain over alpha, with and without a universal signal, for each way to inherit."""
    axes = {"alpha": np.linspace(0, 1, 6 if quick else 11), "u": [0.0, 2.0]}
    return {
        inherit: pt_jax.Sweep(
            pt_jax.simulate, POINT, axes, seeds, ("gain",), pt_jax.Static(engine="dense", inherit=inherit)
        )
        for inherit in COLOURS
    }


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Both gains and their paired difference."""
    filters, weights = (ds.load() for ds in found.values())
    parts = found | {"filters - weights": filters.assign(gain=filters.gain - weights.gain)}
    return pd.concat([pt_jax.stats.table(ds, ["gain"]).assign(inherit=name) for name, ds in parts.items()])


def draw(table: pd.DataFrame) -> plt.Figure:
    """The gain against alpha, and below it the paired difference; one column for each universal signal."""
    figure, axes = plt.subplots(2, 2, figsize=(8.4, 6), sharex=True, sharey="row", layout="constrained")
    for column, u in zip(axes.T, (0.0, 2.0), strict=True):
        for name, colour in (*COLOURS.items(), ("filters - weights", "0.3")):
            rows = table[(table.u == u) & (table.inherit == name)]
            rows.attrs = table.attrs
            ax = column[int(name not in COLOURS)]
            pt_jax.plot.curve(pt_jax.stats.cells(rows, "gain", ["alpha"]), ("gain",), ax=ax, colours=(colour,))
            ax.axhline(0, color="0.6", lw=0.8, zorder=0)
            ax.set(xlabel="" if name in COLOURS else ax.get_xlabel(), ylabel="")
        column[0].set_title(rf"$\|u\| = {u:g}$")
    axes[0, 0].set_ylabel("gain")
    axes[1, 0].set_ylabel("filters - weights, paired")
    marks = [plt.Line2D([], [], color=colour, marker="o", ms=4) for colour in COLOURS.values()]
    axes[0, 0].legend(
        marks, [f"whole {name}" if name == "filters" else f"single {name}" for name in COLOURS], frameon=False
    )
    figure.suptitle("Inheriting whole filters or single weights: the mean gains differ by less than 0.002")
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64)
