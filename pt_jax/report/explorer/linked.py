"""Another dataset on the axes of the first: each of its results, at the values of its own that are nearest."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from pt_jax.report import panel


def linked(label: str, cells: xr.Dataset, axes: Mapping[str, xr.DataArray]) -> xr.Dataset:
    """Return the summary of a result of another dataset on the axes that it shares with the first one.

    Each value of the first has the cell of the other that it lies in: that of the nearest value, in the logarithm along
    logarithmic axes; beyond the ends of its map nothing is computed. Axes that only the other one has stay.

    Args:
        label: name of the other dataset.
        cells: its summary, in order along axes of numbers.
        axes: those of the first dataset.

    Raises:
        ValueError: they share no axis, or one of labels or of points is not the same in both.
    """
    shared = [str(dim) for dim in cells["mean"].dims if dim in axes]
    if not shared:
        raise ValueError(f"it has none of the axes {', '.join(axes)}.")
    moved = False
    for name in shared:
        wanted, own = axes[name], cells[name]
        if not all(one.dtype.kind in "iuf" and name in one.coords for one in (wanted, own)):
            if not np.array_equal(wanted, own):
                raise ValueError(f"its {name} are others, and have no order.")
            continue
        borders = panel.edges(own.values)
        at = np.clip(np.searchsorted(borders, wanted.values) - 1, 0, own.size - 1)
        same = np.isclose(own.values[at], wanted.values, rtol=1e-6, atol=0)
        within = (borders[0] <= wanted.values) & (wanted.values <= borders[-1]) if own.size > 1 else same
        moved |= bool((within & ~same).any())
        inside = xr.DataArray(within, {name: wanted.values}, name)
        beside = [key for key, one in cells.coords.items() if name in one.dims]
        cells = cells.isel({name: at}).drop_vars(beside).assign_coords({name: wanted.values})
        known = {key: cells[key].where(inside) for key in ("mean", "low", "high")}
        known |= {key: cells[key] & inside for key in ("clear", "diverged")}
        cells = cells.assign(known | {"seeds": cells["seeds"].where(inside, 0)})
    near = ", at the nearest values" * moved
    meaning = cells.attrs.get("long_name") or cells.attrs["value"]
    return cells.assign_attrs(long_name=f"{meaning}; {label}{near}")
