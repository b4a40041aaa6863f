"""pt_jax: when does inheriting parameters from a pretrained network help, and when does it hurt?

Names are imported when they are first used, so that `pt-jax --help` does not load jax.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pt_jax.app import study
    from pt_jax.report import plot
    from pt_jax.signal_noise import theory
    from pt_jax.signal_noise.derived import DERIVED
    from pt_jax.signal_noise.point import FIELDS, Point, Static
    from pt_jax.signal_noise.trajectory import Outcome, Scratch, scratch, simulate
    from pt_jax.sweep import stats
    from pt_jax.sweep.adaptive import boundary, run_until
    from pt_jax.sweep.devices import use_all_cores
    from pt_jax.sweep.grid import Sweep
    from pt_jax.sweep.plan import plan
    from pt_jax.sweep.provenance import provenance
    from pt_jax.sweep.run import run

__version__ = "0.1.0"

_MODULES = {
    "plot": "pt_jax.report.plot",
    "stats": "pt_jax.sweep.stats",
    "study": "pt_jax.app.study",
    "theory": "pt_jax.signal_noise.theory",
}
_HOMES = {
    "pt_jax.signal_noise.derived": ("DERIVED",),
    "pt_jax.signal_noise.point": ("FIELDS", "Point", "Static"),
    "pt_jax.signal_noise.trajectory": ("Outcome", "Scratch", "scratch", "simulate"),
    "pt_jax.sweep.adaptive": ("boundary", "run_until"),
    "pt_jax.sweep.devices": ("use_all_cores",),
    "pt_jax.sweep.grid": ("Sweep",),
    "pt_jax.sweep.plan": ("plan",),
    "pt_jax.sweep.provenance": ("provenance",),
    "pt_jax.sweep.run": ("run",),
}
# fmt: off
__all__ = [
    "DERIVED", "FIELDS", "Outcome", "Point", "Scratch", "Static", "Sweep", "boundary", "plan", "plot", "provenance",
    "run", "run_until", "scratch", "simulate", "stats", "study", "theory", "use_all_cores",
]
# fmt: on


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'pt_jax' has no attribute {name!r}")
