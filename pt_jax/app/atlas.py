"""A map of the atlas: the simulated gain over two axes, and over it where theory puts the boundary of transfer.

    MAP = atlas.Map("Its finding.", pt_jax.Point(n1=100), {"u": np.linspace(0, 4, 41), "v2": np.linspace(0, 4, 41)})

    if __name__ == "__main__":
        atlas.main(__doc__, MAP)

is a whole script. The boundaries are of the mean-field prediction and of the criterion G, see `pt_jax.theory`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from pt_jax.app import study
from pt_jax.app.progress import run
from pt_jax.report import plot
from pt_jax.signal_noise import theory
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.trajectory import simulate
from pt_jax.sweep import stats
from pt_jax.sweep.accepted import name_of
from pt_jax.sweep.grid import Axis, Sweep
from pt_jax.sweep.provenance import provenance

_QUICK = 11  # values of an axis at most
_DEFAULT = Static()
_CRITERION = {"n1", "n2", "u", "v1", "v2", "angle", "sigma1", "sigma2", "alpha"}  # d cancels in G(alpha) > G(0)


@dataclass(frozen=True, eq=False)
class Map:
    """What is mapped.

    Attributes:
        title: the finding.
        point: base values.
        axes: values of x, of y, and of the panels where there are several; as in a `Sweep`.
        static: options.
        bands: axes of sizes, and in how many parts they are cut: each part is compiled once, for its largest values.
    """

    title: str
    point: Point
    axes: Mapping[str, Any]
    static: Static = field(default_factory=Static)
    bands: Mapping[str, int] = field(default_factory=dict)

    @property
    def dims(self) -> list[str]:
        """The dimensions of the grid."""
        return [axis.name for axis in _grid(self.point, self.axes, self.static)]

    def sweeps(self, quick: bool, seeds: int) -> dict[str, Sweep]:
        """Return the simulation, in bands, and the prediction."""
        axes = {name: np.asarray(values) for name, values in self.axes.items()}
        if quick:
            axes = {name: values[:: -(-len(values) // _QUICK)] for name, values in axes.items()}
        cut = {name: np.array_split(axes[name], parts) for name, parts in self.bands.items()}
        made = {}
        for number, chosen in enumerate(product(*cut.values())):
            band = axes | dict(zip(cut, chosen, strict=True))
            point, static = covering(self.point, band, self.static) if cut else (self.point, self.static)
            made[f"simulated-{number}"] = Sweep(simulate, point, band, seeds, ("gain",), static)
        return made | {"predicted": prediction(self.point, axes)}

    def numbers(self, found: dict[str, xr.Dataset]) -> pd.DataFrame:
        """Return the gain of each cell, simulated and predicted; print the shares of cells."""
        simulated = {name: ds for name, ds in found.items() if name != "predicted"}
        table = pd.concat([stats.table(ds, ["gain"]) for ds in simulated.values()], ignore_index=True)
        predicted = found["predicted"]["gain"].isel(seed=0).rename("predicted").to_dataframe().reset_index()
        table = table.merge(predicted[[*self.dims, "predicted"]], on=self.dims, validate="1:1")
        cells = stats.cells(table, "gain", self.dims)
        shares = ", ".join(f"{name} {share:.1%}" for name, share in stats.shares(cells).items())
        count = sum(ds["gain"].size for ds in simulated.values())
        right = (np.sign(cells["predicted"]) == np.sign(cells["mean"])).where(cells["clear"]).mean()
        print(f"{count:,} trajectories; cells: {shares}; sign predicted in {float(right):.1%} of the clear cells")
        return table

    def cells(self, table: pd.DataFrame) -> tuple[xr.Dataset, dict[str, xr.DataArray]]:
        """Return the summary of the gain, and what is 0 where theory puts the boundary."""
        cells = stats.cells(table, "gain", self.dims)
        fields = [name for axis in _grid(self.point, self.axes, self.static) for name in axis.fields]
        predicted = cells["predicted"].assign_coords({name: cells[name] for name in fields})
        return cells, boundaries(self.point, fields, predicted)

    def draw(self, table: pd.DataFrame) -> Figure:
        """Draw the map."""
        cells, lines = self.cells(table)
        x, y, col = (*self.dims, None)[:3]
        figure = plot.phase_diagram(cells, "gain", x, y, col, lines=lines)
        figure.suptitle(self.title, wrap=True, fontsize="medium")
        return figure


def main(doc: str | None, drawn: Map, seeds: int = 32) -> None:
    """Run a script that draws a map."""
    study.main(doc, drawn.sweeps, drawn.numbers, drawn.draw, seeds)


def prediction(point: Point, axes: Mapping[str, Any], static: Static = _DEFAULT) -> Sweep:
    """Return the sweep of the mean-field prediction over a grid, with one program for all of it.

    Args:
        point: base values.
        axes: of the grid, as in a `Sweep`.
        static: options.
    """
    point, static = covering(point, axes, static)
    return Sweep(theory.predicted, point, axes, 1, ("gain",), static)


def boundaries(point: Point, fields: Sequence[str], predicted: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return by name what is 0 where theory puts the boundary of transfer, for `plot.phase_diagram(lines=...)`.

    Args:
        point: base values.
        fields: on the axes.
        predicted: gain by the mean-field prediction, with the fields as coordinates.
    """
    lines = {"mean-field prediction": predicted}
    if _CRITERION.intersection(fields):
        wide = {n: predicted[n].broadcast_like(predicted).transpose(*predicted.dims).values for n in fields}
        at = point._replace(**wide)
        lines["criterion G"] = predicted.copy(data=np.asarray(theory.criterion(at) - theory.phase(at)))
    return lines


def theory_of(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the `boundaries` over a map of `simulate`, which are computed here.

    Raises:
        ValueError: the map is of another function, or has options that the prediction does not cover.
    """
    made, cells = predicted_of(ds), ds["done"].isel(seed=0, drop=True)
    predicted = cells.copy(data=run(made)["gain"].isel(seed=0).values)
    return boundaries(made.point, [name for axis in made.grid for name in axis.fields], predicted)


def predicted_of(ds: xr.Dataset) -> Sweep:
    """Return the `prediction` over the grid of a dataset of `simulate`, or of a section of it; errors as above."""
    about = provenance(ds)
    if about["function"] != name_of(simulate):
        raise ValueError(f"There is no theory for {about['function']}: leave --theory out.")
    along = {str(dim): [n for n in Point._fields if n in ds.coords and ds[n].dims == (dim,)] for dim in ds["done"].dims}
    axes = {",".join(names): np.stack([ds[n].values for n in names], axis=1) for names in along.values() if names}
    fixed = {name: ds[name].item() for name in Point._fields if name in ds.coords and ds[name].ndim == 0}
    options: Any = {name: tuple(x) if isinstance(x, list) else x for name, x in about["static"].items()}
    return prediction(Point(**about["point"] | fixed), axes, Static(**options))


def _grid(point: Point, axes: Mapping[str, Any], static: Static) -> tuple[Axis, ...]:
    """Return the axes as a sweep reads them."""
    return Sweep(simulate, point, axes, static=static).grid


def covering(point: Point, axes: Mapping[str, np.ndarray], static: Static) -> tuple[Point, Static]:
    """Return the point of a grid with the largest values, and the static that holds for all of it."""
    for axis in _grid(point, axes, static):
        point = point._replace(**dict(zip(axis.fields, axis.values.max(axis=0).tolist(), strict=True)))
    largest = Static.covering(point)
    return point, replace(static, fixed=True, **{name: getattr(largest, name) for name in (*Static.maxima, "rules")})
