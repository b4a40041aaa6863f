"""A sweep that takes some seconds, so that its workers can be killed at work; processes that import it leave a name."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from pt_jax.sweep import store
from pt_jax.sweep.grid import Sweep
from tests.sweep.cases import Dice, throw

if "STUDY_PIDS" in os.environ:  # in a study of its own, not where tests run
    store._UNIT = 16
    Path(os.environ["STUDY_PIDS"], f"{os.getpid()}.pid").touch()


def slow(key, point, static, data):
    """Throw dice after 6 x 10^5 steps that change nothing."""
    x = jax.lax.fori_loop(0, 600_000, lambda _, x: jnp.sin(x + point.shift), jax.random.uniform(key))
    return throw(key, point._replace(shift=point.shift + (x > 2)), static, data)


SWEEP = Sweep(slow, Dice(), {"shift": np.arange(32.0)}, 16, ("total",), lanes=4)
