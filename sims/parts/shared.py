"""Curves that meet in one point: it is computed once, and joins those that lack it."""

import xarray as xr

from pt_jax.sweep.provenance import provenance


def with_point(ds: xr.Dataset, axis: str, other: xr.Dataset) -> xr.Dataset:
    """Return a curve along an axis with a cell of another curve: that at the base point, where both meet.

    Raises:
        ValueError: the two curves do not meet, or the first one has that cell.
    """
    point, moving = provenance(other)["point"], set(ds.dims) | set(other.dims)
    mine, its = (
        {name: origin[name] for name in ("function", "data", "static")}
        | {name: value for name, value in origin["point"].items() if name not in moving}
        for origin in (provenance(ds), provenance(other))
    )
    if differ := [name for name in mine if mine[name] != its[name]]:
        raise ValueError(f"the curve along {axis} has another {', '.join(differ)} than that which it should meet.")
    if point[axis] in ds[axis].values:
        raise ValueError(f"the curve along {axis} has the point {point[axis]:g} already.")
    here = {name: point[name] for name in set(other.dims) & set(point) - set(ds.dims)}
    cell = other.load().sel(here, drop=True).assign_coords({axis: point[axis]})
    return xr.concat([ds.load(), cell], axis, data_vars="all", join="exact").sortby(axis)
