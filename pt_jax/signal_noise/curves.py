"""What is recorded during training, and the measures that it shares with the results."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.signal_noise.data import Task
from pt_jax.signal_noise.network import Net
from pt_jax.signal_noise.point import Static

Test = Callable[[Net], Array]


class Curves(NamedTuple):
    """A run over training, at the steps of `Static.record`: each leaf (step,); steps past the end repeat the last.

    Attributes:
        loss: training loss.
        gamma: largest signal learned in this run, max j C_mu |mu|^2 over filters.
        rho: largest noise memorised in this run, max C_i |xi_i|^2 over filters and samples.
        signal_u: largest `j <w, e_u>` over filters, inherited and initial parts included.
        error: test error on the task of the run.
    """

    loss: Array
    gamma: Array
    rho: Array
    signal_u: Array
    error: Array


def signed(values: Array, readout: Array, task: Task, static: Static) -> Array:
    """Return j times values (..., 2m); sizes where units have no sign, or learn several signals of one label."""
    if static.model in ("cnn", "cnn_trained") and len(task.signals) == 1:
        return jnp.sign(readout) * values
    return jnp.abs(values)


def largest(values: Array, readout: Array, task: Task) -> Array:
    """Return the maximum over the units in use of values (2m,), or over noise vectors in use as well of (n Q, 2m)."""
    in_use = readout != 0 if values.ndim == 1 else (readout != 0) & task.in_use[:, None]
    return jnp.max(jnp.where(in_use, values, -jnp.inf))


def at_recorded_steps(during: Curves, end: Curves, static: Static) -> Curves:
    """Pick the recorded steps from the curves of all steps, (length,), and the values at the end, ()."""
    return Curves(
        *(jnp.append(x, last)[np.minimum(static.record, len(x))] for x, last in zip(during, end, strict=True))
    )
