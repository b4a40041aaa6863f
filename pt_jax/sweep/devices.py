"""The devices of this process: a virtual one per core on a CPU, their memory, and a function run on all of them."""

import os
from collections.abc import Callable
from typing import Any

import jax
import psutil
from jax.sharding import AxisType, PartitionSpec

WHOLE, SPLIT = PartitionSpec(), PartitionSpec("lane")  # an argument or result that all devices share, or divide


def use_all_cores() -> None:
    """Make one virtual CPU device per core, so that a sweep uses all of them; before jax is first used.

    Raises:
        RuntimeError: jax has already started.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        if len(jax.devices("cpu")) != cores:
            raise RuntimeError("use_all_cores comes too late: call it before anything runs in jax.") from None


def in_words() -> str:
    """Return how many devices of which kind this process has."""
    devices = jax.local_devices()
    return f"{len(devices)} x {devices[0].device_kind}"


def free_memory() -> int:
    """Return the bytes that are free on the first device, or in the machine where that is not known."""
    known = jax.local_devices()[0].memory_stats()
    if known and "bytes_limit" in known:
        return known["bytes_limit"] - known["bytes_in_use"]
    return psutil.virtual_memory().available


def check_memory(what: str, need: int, free: int | None = None) -> None:
    """Raise ValueError where something needs more bytes than are free, by default in the machine."""
    free = psutil.virtual_memory().available if free is None else free
    if need > free:
        sizes = f"{need / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free"
        raise ValueError(f"{what} is not accepted: it needs {sizes}; use less.")


def spread(function: Callable, in_specs: Any, out_specs: Any, devices: tuple) -> Callable:
    """Return a function that runs on all devices; `in_specs` and `out_specs` are trees of `WHOLE` and `SPLIT`."""
    mesh = jax.make_mesh((len(devices),), ("lane",), (AxisType.Auto,), devices=devices)
    return jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)
