"""pt_jax: when does inheriting parameters from a pretrained network help, and when does it hurt?

Names are imported when they are first used, so that `pt-jax --help` does not load jax.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pt_jax import plot
    from pt_jax.signal_noise.point import FIELDS, Point, Static
    from pt_jax.signal_noise.trajectory import Outcome, simulate
    from pt_jax.sweep.grid import Sweep
    from pt_jax.sweep.lanes import use_all_cores
    from pt_jax.sweep.provenance import provenance
    from pt_jax.sweep.run import run
    from pt_jax.sweep.stats import shares, summary, table

_HOME = {
    "FIELDS": "pt_jax.signal_noise.point",
    "Outcome": "pt_jax.signal_noise.trajectory",
    "Point": "pt_jax.signal_noise.point",
    "Static": "pt_jax.signal_noise.point",
    "Sweep": "pt_jax.sweep.grid",
    "plot": "pt_jax.plot",
    "provenance": "pt_jax.sweep.provenance",
    "run": "pt_jax.sweep.run",
    "shares": "pt_jax.sweep.stats",
    "simulate": "pt_jax.signal_noise.trajectory",
    "summary": "pt_jax.sweep.stats",
    "table": "pt_jax.sweep.stats",
    "use_all_cores": "pt_jax.sweep.lanes",
}
__all__ = [
    "FIELDS",
    "Outcome",
    "Point",
    "Static",
    "Sweep",
    "plot",
    "provenance",
    "run",
    "shares",
    "simulate",
    "summary",
    "table",
    "use_all_cores",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pt_jax' has no attribute {name!r}")
    module = import_module(_HOME[name])
    return module if name == "plot" else getattr(module, name)
