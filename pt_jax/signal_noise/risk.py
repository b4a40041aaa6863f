"""The test error of a trained network, without test data in R^d.

For test noise xi the 2m numbers <w_r, xi> are Gaussian, so a test point costs 2m numbers, not d. With j/m the second
layer, G the Gram matrix of the weights (as the noise sees them, times sigma) and s^2 = (j/m)^T G (j/m),

    <w, xi> = x + t b,    b = G (j/m) / s,    t ~ N(0, 1) independent of x ~ N(0, G - b b^T)

and t alone carries the part of f that is linear in the noise. For given x, the probability of an error is an integral
over t, taken on a grid of spacing h with a uniformly random shift, whose weights h phi(t) add up to 1 to rounding:
unbiased, and tails are resolved down to Phi(-6) = 1e-9. x and the shift come from a Sobol sequence with a random
digital shift, which keeps every point uniform. Both labels are evaluated on the same noise, and ties (f = 0) count one
half. `benchmarks/risk.py` compares the estimators that were tried: this one has the least variance per second.

Its derivative is that of the probability, from where f crosses 0 between two points of the grid: with w the share of
the interval before the crossing, where f is taken as linear,

    d int sign(f) phi(t) dt = sum over crossings of 2 phi(t) df / |f'(t)|,    df = (1 - w) df_left + w df_right

Source: A. B. Owen, Monte Carlo theory, methods and examples, chapters 8 (conditioning) and 17 (digital shift).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from scipy.stats import qmc

from pt_jax.signal_noise.data import Task, project
from pt_jax.signal_noise.network import Activation, Net, positive_root, signal_output
from pt_jax.signal_noise.point import Static

_SPACING, _REACH = 0.25, 6.0  # of the grid over t, in standard deviations


class Directions(NamedTuple):
    """Test noise, shared by a trajectory's networks: `z` (n_directions, 2m) standard normal, `t` (n_directions, k)."""

    z: Array
    t: Array


def directions(key: Array, static: Static) -> Directions:
    """Draw the test noise: one digital shift of a fixed Sobol sequence in 2m + 1 dimensions."""
    width = 2 * static.m + 1
    sobol = qmc.Sobol(width, scramble=False, bits=32).random(static.n_directions)
    points = (sobol * 2.0**32).astype(np.uint32) ^ jax.random.bits(key, (width,), jnp.uint32)
    uniform = ((points >> 9).astype(jnp.result_type(float)) + 0.5) * 2.0**-23  # never 0 or 1, in float32 too
    grid = jnp.arange(-_REACH, _REACH, _SPACING)
    return Directions(z=ndtri(uniform[:, 1:]), t=grid + _SPACING * uniform[:, :1])


def error(
    directions: Directions, net: Net, task: Task, readout: Array, activation: Activation, static: Static
) -> Array:
    """Return the probability of misclassifying the clean label of a test point of the task, a scalar in [0, 1]."""
    return jnp.mean(wrong(directions, net, task, readout, activation, static))


@partial(jax.jit, static_argnames=("activation", "static"))  # traced once for the networks of a trajectory
def wrong(
    directions: Directions, net: Net, task: Task, readout: Array, activation: Activation, static: Static
) -> Array:
    """Return the same for each direction, (n_directions,), whose mean it is."""
    weights = task.sigma * project(net.weights, task, static)
    # In units of each filter, powers of 2, so that squares of float32 neither vanish nor overflow: no bit changes.
    unit = jnp.ldexp(1.0, jnp.frexp(jnp.max(jnp.abs(weights), axis=1))[1])
    weights, relative = weights / unit[:, None], readout * (unit / jnp.max(unit))
    gram = weights @ weights.T
    scale = positive_root(relative @ gram @ relative, 1.0)
    slope = gram @ relative / scale
    x = directions.z @ root(gram).T
    x = (x - jnp.outer(x @ relative / scale, slope)) * unit + net.bias
    slope = slope * unit

    def add_filter(f, r):
        x, slope, readout = r
        return f + readout * activation(x[:, None] + directions.t * slope), None

    noise, _ = jax.lax.scan(add_filter, jnp.zeros_like(directions.t), (x.T, slope, readout), unroll=2)
    plus, minus = signal_output(net.weights @ task.mu, net.bias, readout, activation)
    wrong = (2.0 - _signs(plus + noise) + _signs(minus + noise)) / 4.0
    return jnp.sum(wrong * norm.pdf(directions.t), axis=1) * _SPACING


@jax.custom_jvp
def _signs(f: Array) -> Array:
    """Return the signs of f along a grid, (., k), with the derivative of their integral; see the module."""
    return jnp.sign(f)


@_signs.defjvp
def _signs_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (f,), (df,) = primals, tangents
    sign = jnp.sign(f)
    change = jnp.abs(jnp.diff(sign))  # 2 at a crossing; 1 on both sides of a point that is 0
    gap = jnp.where(change > 0, jnp.diff(f), 1.0)
    w = jnp.where(change > 0, -f[:, :-1] / gap, 0.0)
    moved = change * ((1 - w) * df[:, :-1] + w * df[:, 1:]) / jnp.abs(gap)
    return sign, jnp.pad((1 - w) * moved, ((0, 0), (0, 1))) + jnp.pad(w * moved, ((0, 0), (1, 0)))


def root(gram: Array) -> Array:
    """Return a lower-triangular R with R R^T = gram, (k, k), also where gram is singular (k above the dimension).

    Cholesky's algorithm; a column whose pivot is rounding noise is set to 0. No LAPACK call: inside lanes that run on
    several CPU devices such calls were seen to deadlock.
    """
    size = gram.shape[0]
    index = jnp.arange(size)
    floor = jnp.diag(gram) * size * jnp.finfo(gram.dtype).eps

    def column(k, factor):
        rest = gram[k] - factor @ factor[k]
        kept = rest[k] > floor[k]
        new = jnp.where(kept & (index >= k), rest / jnp.sqrt(jnp.where(kept, rest[k], 1.0)), 0.0)
        return factor.at[:, k].set(new)

    return jax.lax.fori_loop(0, size, column, jnp.zeros_like(gram))
