"""Curves that meet in one point: it is computed once, and joins those that lack it."""

import json

import xarray as xr


def with_point(ds: xr.Dataset, axis: str, other: xr.Dataset) -> xr.Dataset:
    """Return a curve along an axis with a cell of another curve: that at the base point, where both meet.

    Raises:
        ValueError: the two curves do not meet, or the first one has that cell.
    """
    one, two = (json.loads(x.attrs["provenance"]) for x in (ds, other))
    moving = set(ds.dims) | set(other.dims)
    for name in ("function", "data", "static", "point"):
        differ = one[name] != two[name]
        if name == "point":
            differ = any(one[name][field] != two[name][field] for field in set(one[name]) - moving)
        if differ:
            raise ValueError(f"the curve along {axis} has another {name} than that which it should meet.")
    point = two["point"]
    if point[axis] in ds[axis].values:
        raise ValueError(f"the curve along {axis} has the point {point[axis]:g} already.")
    here = {name: point[name] for name in set(other.dims) & set(point) - set(ds.dims)}
    cell = other.load().sel(here, drop=True).assign_coords({axis: point[axis]})
    return xr.concat([ds.load(), cell], axis, data_vars="all", join="exact").sortby(axis)
