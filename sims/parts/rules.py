"""How far a rule of training moves the boundary of negative transfer: what `sims/rules_*.py` share.

    move = crossing with the rule - crossing without, seed by seed                          see `crossing.py`

A move is clear where it survives control of the false-discovery rate over all moves of its figure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from parts import drawn
from parts.crossing import crossings
from parts.drawn import ROW, V2, U

import pt_jax
from pt_jax.report import panel

POINT = pt_jax.Point(n1=200, alpha=1.0)
ZERO: dict[str, Any] = {"color": "k", "lw": 1.8, "ls": "-"}
PLAIN: dict[str, Any] = {"color": "tab:green", "lw": 1.8, "ls": "--"}


@dataclass(frozen=True)
class Rule:
    """A rule of training.

    Attributes:
        title: the finding.
        fields: of each task.
        settings: values of the fields by the name of a setting.
        against: the number of the setting that each but the first is held against.
        without: what that is called.
    """

    title: str
    fields: tuple[str, ...]
    settings: Mapping[str, tuple[float, ...]]
    against: tuple[int, ...] = (0, 0, 0)
    without: str = "without the rule"

    def sweeps(self, quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
        """The map with the rule on both tasks, and one row of it with the rule on one task."""
        u, v2 = (np.linspace(0, end, 21)[:: 2 if quick else 1] for end in (3, 4))
        given = list(self.settings.values())
        pairs = [(x, given[k]) for x, k in zip(given[1:], self.against, strict=True)]
        values = {"both": [2 * x for x in given], "upstream": [x + plain for x, plain in pairs]}
        values["downstream"] = [plain + x for x, plain in pairs]
        rule = ",".join(name + task for task in "12" for name in self.fields)
        axes = {task: {"u": u, "v2": v2 if task == "both" else [ROW], rule: x} for task, x in values.items()}
        return {task: pt_jax.Sweep(pt_jax.simulate, POINT, x, seeds, ("gain",)) for task, x in axes.items()}

    def numbers(self, found: dict[str, xr.Dataset]) -> pd.DataFrame:
        """Cells, crossings and moves, each with `sure`, whether it is clear; print moves at one |v2| and on average."""
        gain = {task: _by_setting(ds, int(task != "both")) for task, ds in found.items()}
        crossing = {task: crossings(ds) for task, ds in gain.items()}
        plain = crossing["both"].isel(setting=list(self.against))
        plain = plain.assign_coords(setting=np.arange(1, len(self.settings)))
        move = {task: x - plain for task, x in crossing.items()}  # where both have the setting, and the row
        parts = {"move": move["both"], "mean": move["both"].mean("v2")}
        parts |= {task: x.sel(v2=ROW, drop=True) for task, x in move.items()}
        table = _table({name: x.to_dataset(name=name) for name, x in parts.items()})
        rows = move["both"].notnull().all("seed").sum("v2")
        print(f"rows with both crossings: {rows.values}; means over these rows, and moves by task at |v2| = {ROW:g}:")
        for row in table[table["result"] != "move"].itertuples():
            name, verdict = list(self.settings)[int(row.setting)], "clear" if row.sure else "unclear"
            said = f"{row.mean:+.3f} [{row.low:+.3f}, {row.high:+.3f}], {verdict}"
            print(f"  {name}, {row.result}: {said if np.isfinite(row.mean) else drawn.NONE}")
        return pd.concat([_table({"gain": gain["both"]}), table], ignore_index=True).drop(columns=["low", "high"])

    def draw(self, table: pd.DataFrame) -> plt.Figure:
        """Above the maps; below how far the boundary moves, by row, and by task at one |v2|."""
        count = len(self.settings)
        figure = plt.figure(figsize=(3.0 * count + 0.6, 6.8), layout="constrained")
        grid = figure.add_gridspec(2, 1, height_ratios=(1, 0.9))
        maps = grid[0].subgridspec(1, count).subplots(sharey=True, squeeze=False)[0]
        rows, tasks = grid[1].subgridspec(1, 2, width_ratios=(1.2, 1)).subplots(squeeze=False)[0]
        cells = pt_jax.stats.cells(table, "gain", ["setting", "u", "v2"])
        look = panel.look(cells)
        for k, (ax, name) in enumerate(zip(maps, self.settings, strict=True)):
            one = cells.sel(setting=k).transpose("v2", "u")
            mesh = panel.draw(ax, one, "u", "v2", look)
            panel.zero_line(ax, one["mean"], "u", "v2", **ZERO)
            if k:
                plain = cells["mean"].sel(setting=self.against[k - 1]).transpose("v2", "u")
                panel.zero_line(ax, plain, "u", "v2", **PLAIN)
            hurts = float(((one["mean"] < 0) & (one["sure"] == 1)).mean())
            ax.set_title(f"{name}\nhurts in {hurts:.0%} of the cells", fontsize=10)
            ax.set_xlabel(f"universal signal {U}")
        maps[0].set_ylabel(f"downstream signal {V2}")
        figure.colorbar(mesh, ax=maps, label="gain: scratch - transfer")
        drawn.by_row(rows, table, list(self.settings))
        drawn.by_task(tasks, table, list(self.settings))
        lines = {"boundary: gain 0": ZERO, f"the boundary {self.without}": PLAIN}
        entries = [plt.Line2D([], [], label=words, **style) for words, style in lines.items()]
        pt_jax.plot.legend(figure, entries + panel.entries(cells, look))
        figure.suptitle(self.title)
        return figure


def _by_setting(ds: xr.Dataset, first: int) -> xr.Dataset:
    """Return a dataset over `setting`, counted from `first`, in place of the fields of the rule."""
    (rule,) = set(ds["gain"].dims) - {"u", "v2", "seed"}
    ds = ds.load().drop_vars([name for name, x in ds.coords.items() if x.dims == (rule,)])
    return ds.rename({rule: "setting"}).assign_coords(setting=np.arange(first, first + ds.sizes[rule]))


def _table(parts: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Return a row for each mean, with `result`, and with `sure`: whether it is clear among all of these."""
    found = {
        name: pt_jax.stats.summary(ds, name)[["mean", "se", "low", "high", "seeds", "p"]].to_dataframe().reset_index()
        for name, ds in parts.items()
    }
    table = pd.concat([rows.assign(result=name) for name, rows in found.items()], ignore_index=True)
    return table.assign(sure=pt_jax.stats.survives(table.pop("p").to_numpy()).astype(int))
