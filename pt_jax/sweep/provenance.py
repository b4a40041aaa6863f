"""Where a dataset comes from: all that is needed to compute it again, and what computed it.

`describe` writes down a sweep, `record.restore` reads it back; `machine` is what computes it; `identity` is the part
that must not change within a store.
"""

import ast
import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
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

from pt_jax.sweep.grid import Sweep

_PACKAGES = ("pt_jax", "jax", "jaxlib", "numpy", "optax", "scipy", "xarray", "zarr")


def provenance(ds: xr.Dataset) -> dict[str, Any]:
    """Return where the dataset of a run comes from: configuration, seeds, versions, device, command, start and end."""
    return json.loads(ds.attrs["provenance"])


def describe(sweep: Sweep) -> dict[str, Any]:
    """Return the configuration of a sweep, ready for JSON."""
    leaves = jax.tree.leaves(sweep.data)
    return {
        "function": name_of(sweep.function),
        "source": source_hash(sweep.function),
        "point_type": name_of(type(sweep.point)),
        "point": {name: float(value) for name, value in sweep.point._asdict().items()},
        "static_type": name_of(type(sweep.static)) if dataclasses.is_dataclass(sweep.static) else None,
        "static": _static(sweep),
        "axes": _axes(sweep),
        "seeds": list(sweep.seed_values),
        "outputs": None if sweep.outputs is None else list(sweep.outputs),
        "lanes": sweep.lanes,
        "dims": {name: list(own) for name, own in sweep.dims.items()},
        "labels": {name: np.asarray(values).tolist() for name, values in sweep.labels.items()},
        "derived": list(sweep.derived),
        "data": _hash(leaves) if leaves else None,
        "trajectories": sweep.trajectories,
    }


def machine() -> dict[str, Any]:
    """Return what a sweep runs with in this process: command line, versions, device and flags."""
    commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--", ".")
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "versions": {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in _PACKAGES},
        "commit": commit,
        "dirty": None if changed is None else bool(changed),
        "device": f"{len(jax.local_devices())} x {jax.local_devices()[0].device_kind}",
        "flags": {name: value for name, value in os.environ.items() if name.startswith(("XLA_", "JAX_"))},
        "matmul_precision": jax.config.jax_default_matmul_precision,  # type: ignore[attr-defined]
        "float": str(jax.numpy.result_type(float)),
    }


def identity(sweep: Sweep) -> dict[str, Any]:
    """Return what must not change between two runs into one store, flat: a change in any of it changes the numbers.

    Base values but those on an axis, the static but its maxima, names of axes and outputs, the data, the source of the
    function and of the files of its package, jaxlib, the kind of device, the precision and the generator of keys.
    """
    name, source, static = name_of(sweep.function), source_hash(sweep.function), _static(sweep)
    functions = {key: x[1:-1] for key, x in static.items() if isinstance(x, str) and x.startswith("<")}
    for role, text in {"function": name, **functions}.items():
        if "<" in text:
            raise ValueError(
                f"{role} = {text} is not accepted with a store: it could not be run again; name it in a module."
            )
    if source is None:
        raise ValueError(f"function = {name} is not accepted with a store: it has no source; write it in a file.")
    leaves, moving = jax.tree.leaves(sweep.data), {name for axis in sweep.grid for name in axis.fields}
    maxima = getattr(sweep.static, "maxima", ())
    return {
        "function": name,
        "source": source,
        "jaxlib": importlib.metadata.version("jaxlib"),
        "backend": jax.default_backend(),
        "float": str(jax.numpy.result_type(float)),
        "matmul_precision": jax.config.jax_default_matmul_precision,  # type: ignore[attr-defined]
        "prng": [jax.config.jax_default_prng_impl, jax.config.jax_threefry_partitionable],  # type: ignore[attr-defined]
        "axes": [",".join(axis.fields) for axis in sweep.grid],
        "lanes": sweep.lanes,
        "outputs": None if sweep.outputs is None else sorted(sweep.outputs),
        "data": _hash(leaves) if leaves else None,
        **{f"point.{key}": float(x) for key, x in sweep.point._asdict().items() if key not in moving},
        **{f"static.{key}": x for key, x in static.items() if key not in maxima},
    }


def name_of(thing: Any) -> str:
    """Return the full name of a function or class."""
    return f"{thing.__module__}.{getattr(thing, '__qualname__', thing)}"


def source_hash(function: Any) -> str | None:
    """Return a hash of the source of a function's file and of the files beside it, or of its package, that it imports.

    None where there is no source.
    """
    first = sys.modules[function.__module__]
    if not Path(getattr(first, "__file__", None) or "").is_file():
        try:
            found = {first.__name__: inspect.getsource(function).encode()}  # a notebook's
        except (OSError, TypeError):
            return None
    else:
        top = sys.modules[first.__name__.split(".")[0]]
        found, waiting = {}, [(first.__name__, Path(str(first.__file__)))]
        while waiting:
            name, path = waiting.pop()
            if name not in found:
                found[name] = path.read_bytes()
                home = Path(str(top.__file__)).parent
                waiting += _imported(found[name], name, path, home, top.__name__ if hasattr(top, "__path__") else None)
    return hashlib.sha256(b"".join(found[name] for name in sorted(found))).hexdigest()[:16]


@cache
def _imported(source: bytes, name: str, path: Path, home: Path, top: str | None) -> tuple[tuple[str, Path], ...]:
    """Return the modules that a source imports from its top package, or from its folder where it has no package."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    found = []
    for imported in names:
        if top is not None and imported.split(".")[0] != top:
            continue
        try:
            spec = importlib.util.find_spec(imported)
        except (ImportError, AttributeError, ValueError):
            continue  # a name in a module, or a package that is not there
        file = Path(spec.origin) if spec and spec.has_location and spec.origin else None
        if file is not None and file.suffix == ".py" and (top is not None or file.parent == home):
            found.append((imported, file))
    return tuple(found)


def _axes(sweep: Sweep) -> Any:
    if not isinstance(sweep.axes, Mapping):
        return [dict(zip(sweep.point._fields, row, strict=True)) for row in sweep.grid[0].values.tolist()]
    return {
        ",".join(axis.fields): (axis.values[:, 0] if len(axis.fields) == 1 else axis.values).tolist()
        for axis in sweep.grid
    }


def _hash(leaves: list[Any]) -> str:
    hashed = hashlib.sha256()
    for leaf in map(np.asarray, leaves):
        hashed.update(f"{leaf.dtype} {leaf.shape}".encode() + leaf.tobytes())
    return hashed.hexdigest()


def _static(sweep: Sweep) -> dict[str, Any]:
    """Return the fields of the static, ready for JSON: <name> for what is not plain."""
    static = sweep.static
    whole = dataclasses.is_dataclass(static)
    found = {f.name: getattr(static, f.name) for f in dataclasses.fields(static)} if whole else {"value": static}
    return {name: _in_json(value) for name, value in found.items()}


def _in_json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str | tuple | list):
        return value
    return f"<{name_of(value)}>" if callable(value) else repr(value)


@cache
def _git(*command: str) -> str | None:
    """Return what git says about the folder of this package when first asked, None where it is not a checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parents[1]), *command], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
