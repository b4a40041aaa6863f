"""The smallest test error that is resolved: down to 1e-9, from networks alone, without a billion test samples.

    python sims/smallest_error.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Test error with transfer and from scratch against the norm of the universal signal, on a logarithmic axis. The mean over
seeds is dominated by the worst seeds, so the median and the range of the middle half are drawn too.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

COLOURS = {"error": ("tab:orange", "with transfer"), "error_scratch": ("tab:blue", "from scratch")}
SHARES = (0.25, 0.5, 0.75)


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """Both errors along |u|, at 1,024 test directions."""
    static = pt_jax.Static(n_directions=1024)
    axes = {"u": np.linspace(1, 7, 7 if quick else 25)}
    point = pt_jax.Point(n1=100, alpha=1.0, flip1=0.0, flip2=0.0)
    return {"curve": pt_jax.Sweep(pt_jax.simulate, point, axes, seeds, tuple(COLOURS), static)}


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Means, standard errors and quartiles over seeds."""
    ds = found["curve"]
    table = pt_jax.stats.table(ds, list(COLOURS))
    for share in SHARES:
        table[f"quantile_{share:g}"] = np.concatenate([ds[name].quantile(share, "seed") for name in COLOURS])
    return table


def draw(table: pd.DataFrame) -> plt.Figure:
    """Medians and quartiles, and the means with their intervals."""
    figure, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    for name, (colour, text) in COLOURS.items():
        cells = pt_jax.stats.cells(table, name, ["u"])
        pt_jax.plot.line(ax, cells, "u", color=colour, label=f"{text}: mean", ls="")
        ax.plot(cells["u"], cells["quantile_0.5"], color=colour, label=f"{text}: median, middle half")
        ax.fill_between(cells["u"], cells["quantile_0.25"], cells["quantile_0.75"], color=colour, alpha=0.25, lw=0)
    ax.set(yscale="log", xlabel=pt_jax.plot.label(cells["u"]), ylabel="test error", ylim=(1e-9, 1))
    ax.legend(frameon=False)
    figure.suptitle("Errors are resolved down to 1e-9; at |u| = 4 transfer divides the median by a thousand")
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64)
