"""Where a dataset comes from: all that is needed to compute it again, and what computed it.

`describe` writes down a sweep, `record.restore` reads it back; `machine` is what computes it. What of it must not
change within a store is in `identity`.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from pt_jax.sweep import devices
from pt_jax.sweep.accepted import fields_of, is_plain, name_of
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.identity import base_of, program_of
from pt_jax.sweep.program import product_precision

_PACKAGES = ("pt_jax", "jax", "jaxlib", "numpy", "optax", "scipy", "xarray", "zarr")


def provenance(ds: xr.Dataset) -> dict[str, Any]:
    """Return where the dataset of a run comes from: configuration, seeds, versions, device, command, start and end.

    Args:
        ds: what `run` or `load` returned.

    Returns:
        What the JSON beside a figure holds; `pt-jax rerun` computes it again.
    """
    return json.loads(ds.attrs["provenance"])


def describe(sweep: Sweep) -> dict[str, Any]:
    """Return the configuration of a sweep, ready for JSON."""
    return {
        "function": name_of(sweep.function),
        "source": source_hash(sweep.function),
        "program": program_of(sweep, base_of(sweep)).digest,
        "point_type": name_of(type(sweep.point)),
        "point": {name: float(value) for name, value in sweep.point._asdict().items()},
        "static_type": name_of(type(sweep.static)) if fields_of(sweep.static).keys() != {"value"} else None,
        "static": _static(sweep),
        "axes": _axes(sweep),
        "seeds": list(sweep.seed_values),
        "outputs": None if sweep.outputs is None else list(sweep.outputs),
        "lanes": sweep.lanes,
        "dims": {name: list(own) for name, own in sweep.dims.items()},
        "labels": {name: np.asarray(values).tolist() for name, values in sweep.labels.items()},
        "derived": list(sweep.derived),
        "data": sweep.data_hash,
        "trajectories": sweep.trajectories,
    }


def machine() -> dict[str, Any]:
    """Return what a sweep runs with in this process: command line, versions, device and flags."""
    commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--", ".")
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "versions": {"python": sys.version.split()[0]} | {name: _version(name) for name in _PACKAGES},
        "commit": commit,
        "dirty": None if changed is None else bool(changed),
        "device": devices.in_words(),
        "flags": {name: value for name, value in os.environ.items() if name.startswith(("XLA_", "JAX_"))},
        "matmul_precision": product_precision(),
        "float": str(jax.numpy.result_type(float)),
    }


def source_hash(function: Any) -> str | None:
    """Return a hash of the file in which a function is written, None where there is none: for information alone."""
    module = sys.modules.get(name_of(function).rpartition(".")[0])
    try:
        return hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()[:16]  # type: ignore[union-attr]
    except (AttributeError, OSError):
        return None


def _axes(sweep: Sweep) -> Any:
    if not isinstance(sweep.axes, Mapping):
        return [dict(zip(sweep.point._fields, row, strict=True)) for row in sweep.grid[0].values.tolist()]
    return {
        ",".join(axis.fields): (axis.values[:, 0] if len(axis.fields) == 1 else axis.values).tolist()
        for axis in sweep.grid
    }


def _static(sweep: Sweep) -> dict[str, Any]:
    """Return the fields of the static, ready for JSON: <name> for what is not plain."""
    return {name: x if is_plain(x) else f"<{_in_words(x)}>" for name, x in fields_of(sweep.static).items()}


def _in_words(value: Any) -> str:
    return name_of(value) if callable(value) else re.sub("0x[0-9a-f]+", "", repr(value))


@cache
def _git(*command: str) -> str | None:
    """Return what git said about this package's own repository when first asked, None where it has none."""
    home = Path(__file__).resolve().parents[2]

    def ask(*command: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(home), *command], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed package may lie in somebody else's repository, whose commit says nothing about it.
    return ask(*command) if ask("rev-parse", "--show-toplevel") == str(home) else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
