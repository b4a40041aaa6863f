"""Which half of the filters is worth inheriting: a random one, the signal-rich or the noise-rich?

    python sims/which_half.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Signal-rich filters have the largest j <w, mu_1> after upstream training, noise-rich filters the largest memorised
noise. Filters are exchangeable before training, so the first half is a random one.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

PANELS = ("random half: gain", "signal-rich - random half", "noise-rich - random half")


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """The map over both signals for each choice."""
    norm = np.linspace(0, 4, 41)[:: 4 if quick else 1]
    return {
        choose: pt_jax.Sweep(
            pt_jax.simulate,
            pt_jax.Point(n1=200),
            {"u": norm, "v2": norm},
            seeds,
            ("gain",),
            pt_jax.Static(choose=choose),
        )
        for choose in ("first", "signal", "noise")
    }


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """The gain of a random half, and what the other choices add to it, one `panel` each; print the shares of cells."""
    first, *others = (ds.load() for ds in found.values())
    added = [ds.assign(gain=ds.gain - first.gain) for ds in others]
    for name, ds in zip(PANELS[1:], added, strict=True):
        cells = pt_jax.stats.summary(ds)
        print(
            name,
            {key: round(share, 3) for key, share in pt_jax.stats.shares(cells).items()},
            float(cells["mean"].mean()),
        )
    return pt_jax.stats.table(xr.concat([first, *added], "panel"), ["gain"])


def draw(table: pd.DataFrame) -> plt.Figure:
    """The three maps, each on its own scale."""
    cells = pt_jax.stats.cells(table, "gain", ["u", "v2", "panel"])
    figure, axes = plt.subplots(1, 3, figsize=(13.5, 4), layout="constrained")
    for k, (ax, title) in enumerate(zip(axes, PANELS, strict=True)):
        one = cells.isel(panel=k).assign_attrs(long_name="difference of the gains" if k else "gain")
        pt_jax.plot.phase_diagram(one, "gain", "u", "v2", ax=ax)
        ax.set_title(title, fontsize=10)
    most = float(cells["mean"].isel(panel=slice(1, None)).max())
    figure.suptitle(f"Filters learn alike: which half is inherited changes the gain by {most:.3f} at most")
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=32)
