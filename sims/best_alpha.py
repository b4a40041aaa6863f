"""The fraction alpha of the filters that is best to inherit, simulated and predicted.

    python sims/best_alpha.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Left: the alpha of largest mean gain out of eleven. Hatched: no alpha has a clear gain, by the paired 95% interval with
Bonferroni's correction for the ten. Middle: the mean-field prediction. Right: the criterion's <mu_1, mu_2> / |mu_2|^2.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

from pt_jax import theory

POINT = pt_jax.Point(n1=200)


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """The gain for each alpha over both signals, and its prediction."""
    norm = np.linspace(0, 4, 41)[:: 4 if quick else 1]
    axes = {"u": norm, "v2": norm, "alpha": np.linspace(0, 1, 11)}
    static = pt_jax.Static.covering(POINT, fixed=True)
    return {
        "simulated": pt_jax.Sweep(pt_jax.simulate, POINT, axes, seeds, ("gain",)),
        "predicted": pt_jax.Sweep(theory.predicted, POINT, axes, 1, ("gain",), static),
    }


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """The best alpha, its mean gain with standard error, and the predicted best alpha."""
    ds = found["simulated"]
    cells = pt_jax.stats.summary(ds, level=1 - 0.05 / (ds.sizes["alpha"] - 1))
    at = cells["mean"].argmax("alpha")
    predicted = found["predicted"]["gain"].isel(seed=0)
    best = cells[["mean", "se", "seeds"]].isel(alpha=at).rename(alpha="best")
    best = best.assign(helps=(cells["low"] > 0).any("alpha"), predicted=ds["alpha"][predicted.argmax("alpha")])
    table = best.reset_coords("best").to_dataframe().reset_index()
    print(f"some alpha helps clearly in {table.helps.mean():.1%} of the cells;")
    print(
        f"there the predicted best is off by {(table.predicted - table.best)[table.helps].abs().mean():.3f} on average"
    )
    return table[["u", "v2", "best", "predicted", "mean", "se", "seeds", "helps"]].assign(result="gain")


def draw(table: pd.DataFrame) -> plt.Figure:
    """Three maps of alpha on one scale."""
    cells = pt_jax.stats.cells(table, "gain", ["u", "v2"])
    rule = theory.best_alpha(POINT._replace(u=cells["u"].values[:, None], v2=cells["v2"].values))
    maps = {
        "simulated": cells["best"],
        "mean-field prediction": cells["predicted"],
        r"criterion G: $\langle\mu_1, \mu_2\rangle / \|\mu_2\|^2$": cells["best"].copy(data=rule),
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharey=True, layout="constrained")
    for ax, (title, values) in zip(axes, maps.items(), strict=True):
        mesh = ax.pcolormesh(
            cells["u"], cells["v2"], values.transpose("v2", "u"), cmap="viridis", vmin=0, vmax=1, rasterized=True
        )
        ax.set(
            title=title,
            xlabel=pt_jax.plot.label(cells["u"]),
            ylabel=pt_jax.plot.label(cells["v2"]) if ax is axes[0] else "",
        )
    pt_jax.plot.hatch(axes[0], cells["u"].values, cells["v2"].values, (cells["helps"] == 0).transpose("v2", "u").values)
    figure.colorbar(mesh, ax=axes, label=r"best $\alpha$ (hatched: none helps clearly)")
    figure.suptitle("Inherit all filters of a closely related task, some of a distant one, none of an unrelated one")
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=32)
