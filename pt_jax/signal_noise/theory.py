"""What theory says about a point without training it: phase, criterion, boundary and best fraction, in closed form.

Each takes a `Point` whose leaves are numbers or arrays that broadcast, and returns an array of their common shape, a
scalar for numbers: dimensionless, jit- and vmap-able; a leaf that is no real number, or a field that only other data
than two_patches read, is a ValueError. These are leading-order statements with unknown constants, whatever the rates,
steps and rules of training; `predict`, the mean-field recursion, gives test errors.
`sims/theory_agreement.py` measures how far each agrees with simulation.

With S the signal in f on a test point and V the variance of f by memorised noise, both to leading order where filters
learn slowly and every sample is used alike,

    S = A + B,    A = alpha N1 <mu_1, mu_2> / sigma1^2,    B = N2 |mu_2|^2 / sigma2^2
    V = d (alpha^2 N1 sigma2^2 / sigma1^2 + N2)

up to one common factor each: N samples push a filter along N mu, and along noise whose norm is sigma sqrt(d N); beside
its own noise of level sigma2 it holds that of level sigma1, seen through noise of level sigma2. The time that training
takes to saturate goes with 1 / (sigma^2 d), which divides both.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.inputs.field import shown
from pt_jax.signal_noise.checks import floats
from pt_jax.signal_noise.fields import DATA_FIELDS, FIELDS
from pt_jax.signal_noise.mean_field import Prediction, in_regime, predict, predicted
from pt_jax.signal_noise.point import Point

__all__ = [
    "Prediction",
    "best_alpha",
    "criterion",
    "helpful_alpha",
    "in_regime",
    "kou_norm",
    "phase",
    "predict",
    "predicted",
]


def _of_two_patches(point: Point) -> Point:
    """Return the point as arrays, or raise ValueError where a field is set that only other data read."""
    at = floats(point)
    for name in DATA_FIELDS:
        value, usual = getattr(at, name), FIELDS[name].default
        if not isinstance(value, jax.core.Tracer) and np.any(value != usual):
            raise ValueError(
                f"{name} = {shown(getattr(point, name))} is not covered by theory of two_patches: use {usual:g}."
            )
    return at


_quiet = np.errstate(divide="ignore", invalid="ignore")  # without noise numbers are infinite, as in jax


@_quiet
def phase(point: Point) -> Array:
    """Return the phase quantity of the downstream task alone.

        N2 |mu_2|^4 / (sigma2^4 d) = S^2 / V at alpha = 0

    Kou et al. prove, for small initial weights and rates and d above about N2^2, that the error of one task is near the
    floor above a constant and stays a constant away from it below another.

        pt_jax.theory.phase(pt_jax.Point(u=np.linspace(0, 4, 41)))  # 41 numbers

    Args:
        point: a `Point` of numbers, or of arrays that broadcast.

    Returns:
        The quantity, dimensionless, of their common shape.

    Raises:
        ValueError: a leaf is no real number, or a field is set that other data than two_patches read.

    Source: Kou, Chen, Chen, Gu, 2023 (arXiv 2303.04145).
    """
    at = _of_two_patches(point)
    return at.n2 * (at.u**2 + at.v2**2) ** 2 / (at.sigma2**4 * at.d)


def kou_norm(point: Point, constant: float = 1.0) -> Array:
    """Return the norm |mu_2| at which `phase` is a constant: (constant sigma2^4 d / N2)^(1/4).

    Kou's condition is |mu_2| above this norm; the constant is not known and is fitted or read off a map.

    Args:
        point: a `Point` of numbers, or of arrays that broadcast.
        constant: of the phase quantity, dimensionless.

    Returns:
        The norm, in the unit of the signals, of their common shape.

    Raises:
        ValueError: a leaf is no real number, or a field is set that other data than two_patches read.
    """
    at = _of_two_patches(point)
    return at.sigma2 * (constant * at.d / at.n2) ** 0.25


@_quiet
def criterion(point: Point) -> Array:
    """Return G(alpha) = S |S| / V: transfer should help where it is above G(0) = `phase`.

        G = (A + B) |A + B| / (d (alpha^2 N1 sigma2^2 / sigma1^2 + N2))

    with A and B of the module; below 0 the inherited signal points the wrong way. A heuristic derived here, not a
    formula of a paper. It knows nothing of label flips, learning rates, steps, filters and initial scale, and supposes
    that both trainings saturate by memorising noise: it fails where N |mu|^2 is not small against sigma^2 d.

    Args:
        point: a `Point` of numbers, or of arrays that broadcast.

    Returns:
        G, dimensionless, of their common shape.

    Raises:
        ValueError: a leaf is no real number, or a field is set that other data than two_patches read.
    """
    at = _of_two_patches(point)
    a, b, noise = _parts(at)
    signal = at.alpha * a + b
    return signal * abs(signal) / (at.d * (at.alpha**2 * noise + at.n2))


def best_alpha(point: Point) -> Array:
    """Return the fraction that maximises `criterion`, in [0, 1].

        dG/dalpha = 0   <=>   alpha = <mu_1, mu_2> / |mu_2|^2 = (|u|^2 + |v1| |v2| cos(angle)) / (|u|^2 + |v2|^2)

    N1 and the noise levels cancel: upstream noise weighs as much against inheriting as upstream signal for it.

    Args:
        point: a `Point` of numbers, or of arrays that broadcast.

    Returns:
        The fraction, dimensionless, of their common shape.

    Raises:
        ValueError: a leaf is no real number, or a field is set that other data than two_patches read.
    """
    at = _of_two_patches(point)
    norm = at.u**2 + at.v2**2
    return jnp.clip(_overlap(at) / jnp.where(norm > 0, norm, 1.0), 0.0, 1.0)


@_quiet
def helpful_alpha(point: Point) -> Array:
    """Return the boundary of `criterion`: transfer should help for 0 < alpha < this, and hurt above it.

        G(alpha) = G(0), alpha > 0   <=>   alpha = 2 a B / (B^2 k / N2 - a^2)

    with a = A / alpha and k = N1 sigma2^2 / sigma1^2: 0 where the tasks do not overlap (a <= 0), infinite where the
    denominator is not positive.

    Args:
        point: a `Point` of numbers, or of arrays that broadcast.

    Returns:
        The fraction, dimensionless, of their common shape; it may be above 1.

    Raises:
        ValueError: a leaf is no real number, or a field is set that other data than two_patches read.
    """
    at = _of_two_patches(point)
    a, b, noise = _parts(at)
    room = b**2 * noise / at.n2 - a**2
    crossing = jnp.where(room > 0, 2 * a * b / jnp.where(room > 0, room, 1.0), jnp.inf)
    return jnp.where(a > 0, crossing, 0.0)


def _overlap(point: Point) -> Array:
    return point.u**2 + point.v1 * point.v2 * jnp.cos(jnp.deg2rad(point.angle))


def _parts(point: Point) -> tuple[Array, Array, Array]:
    """Return A / alpha, B and the share of upstream noise."""
    a = point.n1 * _overlap(point) / point.sigma1**2
    b = point.n2 * (point.u**2 + point.v2**2) / point.sigma2**2
    return a, b, point.n1 * point.sigma2**2 / point.sigma1**2
