"""What both engines take and return: one training run by gradient descent."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.signal_noise.data import Task
from pt_jax.signal_noise.network import Net
from pt_jax.signal_noise.point import Static


class Descent(NamedTuple):
    """How a network is trained: learning rate `lr`, each parameter's factor on it (a Net), number of `steps`."""

    lr: Array
    ratio: Net
    steps: Array


class Curves(NamedTuple):
    """A run over training, at the steps of `Static.record`: each leaf (step,); steps past the end repeat the last.

    Attributes:
        loss: training loss.
        gamma: largest signal learned in this run, max j C_mu |mu|^2 over filters.
        rho: largest noise memorised in this run, max C_i |xi_i|^2 over filters and samples.
        signal_u: largest j <w, e_u> over filters, inherited and initial parts included.
    """

    loss: Array
    gamma: Array
    rho: Array
    signal_u: Array


class Trained(NamedTuple):
    """The end of a run.

    Attributes:
        net: trained parameters.
        gamma: signal learned in this run, j C_mu |mu|^2 of each filter, (2m,).
        rho: noise memorised in this run, C_i |xi_i|^2, (n, 2m).
        loss_start, loss: training loss at step 0 and at the end.
        curves: None unless `Static.record` names steps.
    """

    net: Net
    gamma: Array
    rho: Array
    loss_start: Array
    loss: Array
    curves: Curves | None


def largest(values: Array, readout: Array, task: Task) -> Array:
    """Return the maximum over the filters in use of values (2m,), or over samples in use as well of (n, 2m)."""
    in_use = readout != 0 if values.ndim == 1 else (readout != 0) & (task.weight > 0)[:, None]
    return jnp.max(jnp.where(in_use, values, -jnp.inf))


def at_recorded_steps(during: Curves, end: Curves, static: Static) -> Curves:
    """Pick the recorded steps from the curves of all steps, (length,), and the values at the end, ()."""
    return Curves(
        *(jnp.append(x, last)[np.minimum(static.record, len(x))] for x, last in zip(during, end, strict=True))
    )
