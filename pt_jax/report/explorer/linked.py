"""Another dataset on the axes of the first: each of its results, at the values of its own that are nearest."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from pt_jax.report import panel


def linked(label: str, cells: xr.Dataset, axes: Mapping[str, xr.DataArray]) -> xr.Dataset:
    """Return the summary of a result of another dataset on the axes that it shares with the first one.

    Each value of the first has the cells of the nearest value of the other; beyond the ends of its map nothing is
    computed. Axes that only the other one has stay.

    Args:
        label: name of the other dataset.
        cells: its summary, in order along axes of numbers.
        axes: those of the first dataset.

    Raises:
        ValueError: they share no axis, or one of labels or of points is not the same in both.
    """
    shared = [str(dim) for dim in cells["mean"].dims if dim in axes]
    if not shared:
        raise ValueError(f"{label} cannot be shown beside: it has none of the axes {', '.join(axes)}.")
    moved = False
    for name in shared:
        wanted, own = axes[name], cells[name]
        if wanted.dtype.kind not in "iuf" or own.dtype.kind not in "iuf" or name not in cells.coords:
            if not np.array_equal(wanted, own):
                raise ValueError(f"{label} cannot be shown beside: its {name} are others, and have no order.")
            continue
        at = np.abs(own.values - wanted.values[:, None]).argmin(axis=1)
        moved |= not np.allclose(own.values[at], wanted.values, rtol=1e-6, atol=0)
        low, high = panel.edges(own.values)[[0, -1]] if own.size > 1 else own.values[[0, 0]]
        inside = xr.DataArray((low <= wanted.values) & (wanted.values <= high), {name: wanted.values}, name)
        beside = [key for key, one in cells.coords.items() if name in one.dims]
        cells = cells.isel({name: at}).drop_vars(beside).assign_coords({name: wanted.values})
        known = {key: cells[key].where(inside) for key in ("mean", "low", "high")}
        known |= {key: cells[key] & inside for key in ("clear", "diverged")}
        cells = cells.assign(known | {"seeds": cells["seeds"].where(inside, 0)})
    near = ", at the nearest values" * moved
    meaning = cells.attrs.get("long_name") or cells.attrs["value"]
    return cells.assign_attrs(long_name=f"{meaning}; {label}{near}")
