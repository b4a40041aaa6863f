"""Curves that meet in one point: it is computed once, and joins those that lack it."""

import xarray as xr

from pt_jax.sweep.provenance import provenance


def with_point(ds: xr.Dataset, axis: str, other: xr.Dataset) -> xr.Dataset:
    """Return a curve along an axis with a cell of another curve: that at the base point, where both meet.

    Raises:
        ValueError: the two curves do not meet, or the first one has that cell.
    """
    mine, its = provenance(ds), provenance(other)
    point, both = its["point"], set(ds.dims) & set(other.dims)
    own = [str(dim) for dim in ds.dims if dim in point and dim not in both]
    if own != [axis]:
        raise ValueError(f"the curve along {axis} moves along {', '.join(own)}: use one along {axis} alone.")
    parts = [
        {name: one[name] for name in ("function", "data", "static")}
        | {name: value for name, value in one["point"].items() if name not in both | {axis}}
        for one in (mine, its)
    ]
    if differ := [name for name in parts[0] if parts[0][name] != parts[1][name]]:
        raise ValueError(f"the curve along {axis} has another {', '.join(differ)} than that which it should meet.")
    if point[axis] in ds[axis].values:
        raise ValueError(f"the curve along {axis} has the point {point[axis]:g} already.")
    here = {name: point[name] for name in set(other.dims) & set(point) - both}
    for name, value in here.items():
        if value not in other[name].values:
            raise ValueError(f"the curve along {name} has no point {value:g}, where that along {axis} should meet it.")
    cell = other.load().sel(here, drop=True).assign_coords({axis: point[axis]})
    return xr.concat([ds.load(), cell], axis, data_vars="all", join="exact").sortby(axis)
