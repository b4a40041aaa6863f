"""How long a call takes, by the clock and of all cores together."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple


class Clocked(NamedTuple):
    """Seconds by the clock and of all cores together that a call took, and what it returned."""

    seconds: float
    cores: float
    result: Any


def clock(function: Callable[[], Any]) -> Clocked:
    """Time a call."""
    start, cores = time.perf_counter(), time.process_time()
    result = function()
    return Clocked(time.perf_counter() - start, time.process_time() - cores, result)
