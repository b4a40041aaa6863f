"""Where a figure comes from: all that is needed to compute it again."""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

from pt_jax.sweep.grid import Sweep

_PACKAGES = ("pt_jax", "jax", "jaxlib", "numpy", "optax", "scipy", "xarray")


def provenance(sweep: Sweep) -> dict[str, Any]:
    """Return the configuration of a sweep, the versions it ran with and the command line, ready for JSON."""
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "function": f"{sweep.function.__module__}.{getattr(sweep.function, '__qualname__', sweep.function)}",
        "point": {name: float(value) for name, value in sweep.point._asdict().items()},
        "static": {name: value if _plain(value) else repr(value) for name, value in _static(sweep).items()},
        "axes": {
            ",".join(axis.fields): axis.values.squeeze(1 if axis.values.shape[1] == 1 else ()).tolist()
            for axis in sweep.grid
        },
        "seeds": list(sweep.seed_values),
        "trajectories": sweep.trajectories,
        "lanes": sweep.lanes,
        "versions": {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in _PACKAGES},
        "device": f"{len(jax.local_devices())} x {jax.local_devices()[0].device_kind}",
        "matmul_precision": jax.config.jax_default_matmul_precision,  # type: ignore[attr-defined]
        "float": str(jax.numpy.result_type(float)),
    }


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | tuple | list)


def identity(sweep: Sweep) -> dict[str, Any]:
    """Return what must not change between two runs into one store, flat: a change in any of it changes the numbers.

    Base values but those on an axis, the static but its maxima, names of axes and outputs, the data, the source of the
    function and of the files of its package, jaxlib and the precision.
    """
    name = f"{sweep.function.__module__}.{getattr(sweep.function, '__qualname__', '')}"
    if "<" in name:
        raise ValueError(
            f"function = {name} is not accepted with a store: it could not be run again; name it in a module."
        )
    known: dict[str, Any] = {
        "function": name,
        "source": source_hash(sweep.function),
        "jaxlib": importlib.metadata.version("jaxlib"),
    }
    known["float"], known["axes"] = str(jax.numpy.result_type(float)), [",".join(axis.fields) for axis in sweep.grid]
    known["lanes"] = sweep.lanes
    known["outputs"] = None if sweep.outputs is None else sorted(sweep.outputs)
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(sweep.data)]
    known["data"] = hashlib.sha256(b"".join(leaves)).hexdigest() if leaves else None
    moving = {name for axis in sweep.grid for name in axis.fields}
    known |= {f"point.{key}": float(x) for key, x in sweep.point._asdict().items() if key not in moving}
    maxima = getattr(sweep.static, "maxima", ())
    return known | {
        f"static.{key}": x if _plain(x) else repr(x) for key, x in _static(sweep).items() if key not in maxima
    }


def source_hash(function: Any) -> str:
    """Return a hash of the source of a function's file and of the files of its package that it imports."""
    first = sys.modules[function.__module__]
    top, found, waiting = first.__name__.split(".")[0], {}, [first]
    while waiting:
        module = waiting.pop()
        if module.__name__ in found or not getattr(module, "__file__", None):
            continue
        found[module.__name__] = Path(str(module.__file__)).read_bytes()
        homes = [
            x if isinstance(x, ModuleType) else sys.modules.get(getattr(x, "__module__", None) or "")
            for x in vars(module).values()
        ]
        waiting += [m for m in homes if isinstance(m, ModuleType) and m.__name__.split(".")[0] == top]
    return hashlib.sha256(b"".join(found[name] for name in sorted(found))).hexdigest()[:16]


def _static(sweep: Sweep) -> dict[str, Any]:
    return vars(sweep.static) if dataclasses.is_dataclass(sweep.static) else {"value": sweep.static}
