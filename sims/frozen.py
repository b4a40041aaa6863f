"""Gain with inherited filters frozen, with all filters trained, and the paired difference of the two.

    python sims/frozen.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Orange: training the inherited filters is better than freezing them. Seeds are paired.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

PANELS = ("inherited filters frozen: gain", "inherited filters trained: gain", "trained - frozen: paired difference")


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """The map over both signals, frozen and trained."""
    norm = np.linspace(0, 4, 41)[:: 4 if quick else 1]
    axes = {"u": norm, "v2": norm, "lr_ratio": [0.0, 1.0]}
    return {"map": pt_jax.Sweep(pt_jax.simulate, pt_jax.Point(n1=200), axes, seeds, ("gain",))}


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Both gains and their difference, one `panel` each; print the shares of cells of the difference."""
    ds = found["map"].load()
    frozen, trained = (ds.sel(lr_ratio=ratio, drop=True) for ratio in (0.0, 1.0))
    difference = trained.assign(gain=trained.gain - frozen.gain)
    print({name: round(share, 3) for name, share in pt_jax.stats.shares(pt_jax.stats.summary(difference)).items()})
    return pt_jax.stats.table(xr.concat([frozen, trained, difference], "panel"), ["gain"])


def draw(table: pd.DataFrame) -> plt.Figure:
    """The three maps on one scale."""
    figure = pt_jax.plot.phase_diagram(
        pt_jax.stats.cells(table, "gain", ["u", "v2", "panel"]), "gain", "u", "v2", "panel"
    )
    for ax, title in zip(figure.axes, PANELS, strict=False):
        ax.set_title(title, fontsize=10)
    figure.suptitle(
        "Training the inherited filters undoes part of the harm; where transfer helps most, freezing costs nothing"
    )
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=32)
