"""What identifies the numbers of a sweep: a change in any of it is refused by name, and nothing else is.

The program that is computed (`program.Program.digest`), the base point, the data, and what turns a program into
numbers: versions, kind of device, precision, random generator, lanes. Names, comments and places of files do not count.
"""

import importlib.metadata
import json
import os
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from pt_jax.sweep.accepted import fields_of, is_plain, name_of
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.program import Program, settings

# Flags of XLA that change no number: how many devices there are, and what is written for a person to read.
_HARMLESS = (
    "--xla_force_host_platform_device_count",
    "--xla_dump",
    "--xla_cpu_multi_thread",
    "--xla_gpu_cuda_data_dir",
)


def base_of(sweep: Sweep) -> dict[str, float]:
    """Return the first value of each field that is on an axis: where the program of a sweep is identified."""
    return {name: float(x) for axis in sweep.grid for name, x in zip(axis.fields, axis.values[0], strict=True)}


def program_of(sweep: Sweep, base: Mapping[str, float]) -> Program:
    """Return the program of a sweep with these values of the fields on axes."""
    return sweep.program(sweep.static_of(sweep.point._replace(**base)))


def identity(sweep: Sweep, base: Mapping[str, float]) -> dict[str, Any]:
    """Return what must not change between two runs into one store, flat and ready for JSON.

    Args:
        sweep: what is run.
        base: values of the fields on axes, as `base_of` gave them when the store was made: they choose a size class.

    Raises:
        ValueError: the program calls back into Python, so that nobody can say what it computes.
    """
    program = program_of(sweep, base)
    if program.calls_back:
        raise ValueError(
            f"function = {name_of(sweep.function)} is not accepted with a store or an executor: it calls back into "
            "Python, where it may compute anything; write it in jax."
        )
    maxima = getattr(sweep.static, "maxima", ())
    return {
        "program": program.digest,
        "fields": list(sweep.point._fields),
        "axes": [",".join(axis.fields) for axis in sweep.grid],
        "outputs": None if sweep.outputs is None else sorted(sweep.outputs),
        "data": sweep.data_hash,
        **{f"point.{name}": _as_held(x) for name, x in sweep.point._asdict().items() if name not in base},
        **{f"static.{name}": x for name, x in fields_of(sweep.static).items() if name not in maxima and is_plain(x)},
        "lanes": sweep.lanes,
        **settings(),
        **{name: importlib.metadata.version(name) for name in ("jax", "jaxlib")},
        "xla": sorted(flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(_HARMLESS)),
    }


def _as_held(value: float) -> float:
    """Return a number as the engine has it: 0.1 is the same in either precision where the engine has but one."""
    return float(np.asarray(value, jnp.result_type(float)))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Return, by name, what differs between two identities, in words."""
    found = {}
    for name in {**before, **now}:
        texts = [json.dumps(one[name]) if name in one else "nothing" for one in (before, now)]  # NaN equals itself so
        if texts[0] != texts[1]:
            why = "; what the function computes has changed" if name == "program" else ""
            found[name] = f"{name} ({texts[0]} there, {texts[1]} here{why})".replace('"', "")
    return found
