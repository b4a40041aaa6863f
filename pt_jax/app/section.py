"""A part of a dataset, as `--at` names it: the cells where some axes have given values."""

import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def cut(ds: "xr.Dataset", spec: str) -> tuple["xr.Dataset", dict[str, float | str]]:
    """Return the cells at the values of `--at`, and these values; print which are only the nearest computed ones.

    An axis on which one value is left is no dimension any more.

    Args:
        ds: result of a sweep.
        spec: NAME=VALUE,NAME=VALUE of axes, or of quantities that lie on one axis; NAME,NAME=VALUE gives both one.

    Raises:
        ValueError: the text is not accepted, a name is no axis, or a value lies outside of its axis.
    """
    usable = axes(ds)
    chosen: dict[str, np.ndarray] = {}
    found: dict[str, float | str] = {}
    for name, text in _read(spec).items():
        if name not in usable:
            raise ValueError(f"{name!r} is not an axis here{_fixed(ds, name)}: use {', '.join(usable)}.")
        (dim,), values = ds[name].dims, ds[name].values
        left = chosen.setdefault(str(dim), np.ones(len(values), bool))
        found[name] = _nearest(name, text, values, values[left])
        left &= values == found[name]
    where = {dim: np.flatnonzero(left) for dim, left in chosen.items()}
    return ds.isel({dim: at[0] if len(at) == 1 else at for dim, at in where.items()}), found


def axes(ds: "xr.Dataset") -> list[str]:
    """Return the names under which the axes of a dataset can be asked for: its coordinates on one dimension."""
    names = [str(name) for name in (*ds.dims, *ds.coords) if name in ds.coords and ds[name].ndim == 1]
    return [name for name in dict.fromkeys(names) if name != "seed"]


def written(values: dict[str, float | str]) -> str:
    """Return values by name in words."""
    return ", ".join(f"{name} = {x if isinstance(x, str) else format(x, 'g')}" for name, x in values.items())


def _read(spec: str) -> dict[str, str]:
    """Return the texts of the values by name."""
    found: dict[str, str] = {}
    waiting: list[str] = []
    for part in spec.split(","):
        name, equals, value = (text.strip() for text in part.partition("="))
        waiting.append(name)
        if not name or (equals and not value) or name in found or waiting.count(name) > 1:
            break
        if equals:
            found |= dict.fromkeys(waiting, value)
            waiting = []
    if waiting:
        raise ValueError(f"--at {spec} is not accepted: use NAME=VALUE,NAME=VALUE, each name once, as u=2,v2=1.")
    return found


def _nearest(name: str, text: str, values: np.ndarray, left: np.ndarray) -> float | str:
    """Return the value on an axis that is nearest to a text, of those that are left."""
    if values.dtype.kind not in "iuf":  # labels, such as the layers of a network
        if text not in left.tolist():
            raise ValueError(f"{name} = {text} is not accepted: use one of {', '.join(map(str, left))}.")
        return text
    try:
        wanted = float(text)
    except ValueError:
        raise ValueError(f"{name} = {text} is not accepted: use a number.") from None
    low, high = values.min(), values.max()
    near = left[np.abs(left - wanted).argmin()].item()
    if np.isclose(near, wanted, rtol=1e-5, atol=1e-9 * (high - low)):  # as it is written in tables and figures
        return near
    if not low <= wanted <= high:
        raise ValueError(f"{name} = {text} lies outside of its axis: use a value from {low:g} to {high:g}.")
    print(f"{name} = {text} is not computed: {name} = {near:g} is the nearest", file=sys.stderr)
    return near


def _fixed(ds: "xr.Dataset", name: str) -> str:
    """Say which value a field that is no axis has in every cell, "" where there is no such field."""
    from pt_jax.sweep.provenance import provenance

    point = provenance(ds).get("point", {})
    return f", {name} is {point[name]:g} in every cell" if name in point else ""
