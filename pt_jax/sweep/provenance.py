"""Where a figure comes from: all that is needed to compute it again."""

import dataclasses
import datetime
import importlib.metadata
import shlex
import sys
from pathlib import Path
from typing import Any

import jax

from pt_jax.sweep.grid import Sweep

_PACKAGES = ("pt_jax", "jax", "jaxlib", "numpy", "optax", "scipy", "xarray")


def provenance(sweep: Sweep) -> dict[str, Any]:
    """Return the configuration of a sweep, the versions it ran with and the command line, ready for JSON."""
    static = dataclasses.asdict(sweep.static) if dataclasses.is_dataclass(sweep.static) else {"value": sweep.static}  # type: ignore[arg-type]
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "function": f"{sweep.function.__module__}.{getattr(sweep.function, '__qualname__', sweep.function)}",
        "point": {name: float(value) for name, value in sweep.point._asdict().items()},
        "static": {name: value if _plain(value) else repr(value) for name, value in static.items()},
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
