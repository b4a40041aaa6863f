"""Two sweeps that differ in values and seeds alone: their union, and where one stands in the other.

Which values are the same, `accepted.told_apart` says.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pt_jax.sweep.accepted import told_apart
from pt_jax.sweep.grid import Sweep


def union_of(a: Sweep, b: Sweep) -> Sweep:
    """Return the sweep over the values and seeds of both, sorted."""
    values = {}
    for one, two in zip(a.grid, b.grid, strict=True):
        both = np.concatenate([one.values, two.values])
        _, first = np.unique(told_apart(both), axis=0, return_index=True)
        kept = both[np.sort(first)]
        values[one.name] = kept[np.lexsort(kept.T[::-1])]
    return with_values(a, values, sorted({*a.seed_values, *b.seed_values}))


def with_values(sweep: Sweep, values: Mapping[str, np.ndarray], seeds: list[int]) -> Sweep:
    """Return the sweep with other values on its axes, (k, fields) by name, and other seeds."""
    if isinstance(sweep.axes, Mapping):
        axes: Any = {",".join(axis.fields): values[axis.name] for axis in sweep.grid}
    else:
        axes = [type(sweep.point)(*row) for row in values["point"]]
    made = replace(sweep, axes=axes, seeds=seeds)
    made.__dict__.update(_programs=sweep._programs, data_hash=sweep.data_hash)  # they compute the same
    return made


def positions(whole: Sweep, part: Sweep) -> list[np.ndarray]:
    """Return where the values of each axis, and the seeds, of a part stand in the whole."""
    values = [
        [*(told_apart(axis.values) for axis in sweep.grid), np.array(sweep.seed_values)[:, None]]
        for sweep in (whole, part)
    ]
    return [_positions(a, b) for a, b in zip(*values, strict=True)]


def _positions(all_values: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Return where the rows of `some` stand among `all_values`."""
    index = {tuple(row): i for i, row in enumerate(all_values.tolist())}
    return np.array([index[tuple(row)] for row in some.tolist()])
