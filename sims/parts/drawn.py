"""How far the boundary of negative transfer moves, drawn along the axis on which it moves; for `rules.py`."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

import pt_jax

ROW = 2.0  # the |v2| at which the rule is on one task only
TASKS = {"both": ("o", "both tasks"), "upstream": ("^", "upstream only"), "downstream": ("v", "downstream only")}
U, V2 = r"$\|u\|$", r"$\|v_2\|$"
NONE = "no clear boundary"
COLOURS = ("tab:blue", "tab:red", "tab:brown")


def by_row(ax: Axes, table: pd.DataFrame, names: list[str]) -> None:
    """Draw how far each setting moves the boundary at each |v2|."""
    cells = pt_jax.stats.cells(table, "move", ["setting", "v2"])
    for k, (name, colour) in enumerate(zip(names[1:], COLOURS, strict=False), 1):
        one = cells.sel(setting=k)
        _bars(ax, one, one["v2"].values + 0.06 * (2 - k), color=colour, fmt="o")
        none = "" if one["mean"].notnull().any() else f": {NONE}"
        ax.plot([], [], "o", ms=4, color=colour, label=name + none)
    ax.set(ylabel=f"downstream signal {V2}", ylim=(-0.2, 4.1))
    ax.set_title("rule on both tasks (hollow: unclear)", fontsize=10)
    ax.legend(fontsize=8, loc="lower center", ncols=3, framealpha=1, edgecolor="w")


def by_task(ax: Axes, table: pd.DataFrame, names: list[str]) -> None:
    """Draw how far each setting moves it at one |v2| when the rule is on both tasks, and on one."""
    for i, (task, (marker, words)) in enumerate(TASKS.items()):
        cells = pt_jax.stats.cells(table, task, ["setting"])
        for k, colour in enumerate(COLOURS, 1):
            one, at = cells.sel(setting=[k]), np.array([k + 0.25 * (i - 1)])
            _bars(ax, one, at, color=colour, fmt=marker)
            if one["mean"].isnull().all():
                ax.text(0.5, at[0], f"{words}: {NONE}", fontsize=8, va="center", transform=ax.get_yaxis_transform())
        ax.plot([], [], marker, ms=4, color="0.3", label=words)
    ax.set(yticks=range(1, len(names)), yticklabels=names[1:], ylim=(len(names) - 0.15, 0.5))
    ax.set_title(f"rule on one task or both, {V2} = {ROW:g} (hollow: unclear)", fontsize=10)
    ax.legend(fontsize=8, loc="lower center", ncols=3, framealpha=1, edgecolor="w")


def _bars(ax: Axes, cells: xr.Dataset, at: np.ndarray, **style: Any) -> None:
    """Draw moves with their intervals, hollow where they are unclear."""
    ax.axvline(0, color="0.6", lw=0.8, zorder=0)
    ax.set_xlabel(f"move of the boundary along {U} (below 0: less harm)")
    half = (cells["high"] - cells["mean"]).values
    for sure, face in ((1, style["color"]), (0, "w")):
        on = cells["sure"].values == sure
        ax.errorbar(cells["mean"].values[on], at[on], xerr=half[on], ms=4, lw=1, mfc=face, **style)
