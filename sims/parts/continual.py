"""Two linear tasks learned one after the other, exact in law at a cost that is the same for any number of inputs.

    task k: x = A_k s, y = B_k s,  s ~ N(0, I)           A_k (inputs, LATENT), B_k (OUTPUTS, LATENT) ~ N(0, 1 / LATENT)
    A_2 = feature A_1 + sqrt(1 - feature^2) A',          B_2 = readout B_1 + sqrt(1 - readout^2) B'
    W <- W + rate (B_k - W A_k) A_k^T from 0, epochs for each task;  error = |B_k - W A_k|^2 / OUTPUTS

W meets the features in products of their columns alone. So Gaussian rows of inputs that are all treated alike may be
turned into the triangle of their QR decomposition: independent entries, normal, chi on the diagonal (Bartlett 1933).
The epochs are a sum of powers of one matrix. For `sims/published_task_similarity.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

LATENT, OUTPUTS = 30, 10
Number = jax.Array | float
METHODS = {
    "none": "none",
    "activity": "gates of activity",
    "adaptive": "adaptive gates of activity",
    "plasticity": "gates of plasticity",
    "euclidean": "weights held",
    "fisher": "weights held by Fisher information",
}


class Point(NamedTuple):
    """What moves.

    Attributes:
        feature: correlation of the features of the two tasks.
        readout: correlation of their readouts.
        strength: share of the inputs that a gate leaves open; or g, where weights are held with lambda = 1 / g - 1.
        inputs: number of inputs; the rate is 3 / inputs.
    """

    feature: float = 0.8
    readout: float = 0.8
    strength: float = 1.0
    inputs: float = 3000.0


@dataclass(frozen=True)
class Static:
    """One of METHODS, and epochs for each task."""

    method: str = "none"
    epochs: int = 100

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f"method = {self.method!r} is not accepted: use one of {', '.join(METHODS)}.")


class Result(NamedTuple):
    """1 - error: of the second task before it is learned, of the first after that, of the second in the end."""

    transfer: jax.Array
    retention: jax.Array
    learned: jax.Array
    diverged: jax.Array


def learn(key: jax.Array, point: Point, static: Static = Static(), data: None = None) -> Result:
    """Learn both tasks; gates D_k are drawn for each task and input.

    activity, adaptive: D_k A_k is in place of A_k. plasticity: W changes by (B_k - W A_k) (D_k A_k)^T. adaptive: an
    input keeps its gate with the probability |B_2|^2 / OUTPUTS - error of task 2 with the first gates, cut to [0, 1].
    euclidean: lambda inputs / LATENT (W - its value before the task) is added to the gradient; fisher: lambda (W - that
    value) A A^T, with A of the task before, and features of no task before the first.
    """
    keys, method = jax.random.split(key, 7), static.method
    width, rate = LATENT * (3 if method == "fisher" else 2), 3 / point.inputs
    hold = 1 / point.strength - 1 if method in ("euclidean", "fisher") else 0.0
    ridge = hold * point.inputs / LATENT if method == "euclidean" else 0.0
    readouts = jax.random.normal(keys[0], (2, OUTPUTS, LATENT)) / LATENT**0.5
    b = readouts[0], _mixed(readouts[0], readouts[1], point.readout)

    def features(z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        first, other, before = jnp.split(z / LATENT**0.5, (LATENT, 2 * LATENT), axis=1)
        return first, _mixed(first, other, point.feature), before

    def task(w: jax.Array, b: jax.Array, read: jax.Array, changed: jax.Array, kept: jax.Array) -> jax.Array:
        return fit(w, b, read, changed, kept, hold, ridge, rate, static.epochs)

    if method in ("activity", "adaptive", "plasticity"):
        first_open, keeps = jax.random.binomial(keys[1], point.inputs, point.strength), jnp.zeros(())
        whole = triangle(keys[2], first_open, width)
        if method == "adaptive":
            one, two, none = features(whole)
            w = task(jnp.zeros((OUTPUTS, width)), b[0], one, one, none)
            keeps = jnp.clip(_error(b[1], 0 * w, two) - _error(b[1], w, two), 0.0, 1.0)
        both = jax.random.binomial(keys[3], first_open, keeps + (1 - keeps) * point.strength)
        second_open = jax.random.binomial(keys[4], point.inputs - first_open, (1 - keeps) * point.strength)
        counts = both, first_open - both, second_open  # of inputs open in both tasks, in the first alone, the second
        kinds = [triangle(k, n, width) for k, n in zip(jax.random.split(keys[5], 3), counts, strict=True)]
        if method == "adaptive":
            kinds[:2] = parted(kinds[0], kinds[1], whole, first_open)
        z = jnp.concatenate(kinds)
        gates = jnp.repeat(jnp.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]]), width, axis=1)[..., None]
    else:
        z, gates = triangle(keys[1], point.inputs, width), jnp.ones((2, width, 1))

    one, two, before = features(z)
    changed = gates[0] * one, gates[1] * two
    read = (one, two) if method == "plasticity" else changed
    w = task(jnp.zeros((OUTPUTS, len(z))), b[0], read[0], changed[0], before)
    transfer = _error(b[1], w, read[1])
    w = task(w, b[1], read[1], changed[1], one if method == "fisher" else before)
    forgotten, left = _error(b[0], w, read[0]), _error(b[1], w, read[1])
    return Result(1 - transfer, 1 - forgotten, 1 - left, ~jnp.isfinite(transfer + forgotten + left))


def triangle(key: jax.Array, rows: Number, width: int) -> jax.Array:
    """Return the (width, width) triangle of so many rows of independent normal entries."""
    normal, chi = jax.random.split(key)
    left = rows - jnp.arange(width)
    diagonal = jnp.sqrt(jax.random.chisquare(chi, jnp.maximum(left, 1.0)))
    return (jnp.triu(jax.random.normal(normal, (width, width)), 1) + jnp.diag(diagonal)) * (left > 0)[:, None]


def parted(some: jax.Array, others: jax.Array, whole: jax.Array, rows: jax.Array) -> list[jax.Array]:
    """Return the triangles of some rows and of the others, up to rotations, given that of all so many rows.

    The share of some rows in the products of the columns has a matrix beta law and is independent of these (Muirhead
    1982): so the isometry that is next to independent triangles, above each other, parts the whole. It is found by
    Newton and Schulz's iteration, to rounding where there are at least five times as many rows as columns.
    """
    x = jnp.concatenate([some, others]) / jnp.sqrt(rows)
    for _ in range(6):
        x = 1.5 * x - 0.5 * x @ (x.T @ x)
    return jnp.split(x @ whole, 2)


def fit(
    w: jax.Array,
    b: jax.Array,
    read: jax.Array,
    changed: jax.Array,
    kept: jax.Array,
    hold: Number,
    ridge: Number,
    rate: Number,
    epochs: int,
) -> jax.Array:
    """Return W after the epochs of one task, all in one: the change C = W - w is Y (changed, kept)^T.

    C <- C + rate ((b - W read) changed^T - hold C kept kept^T - ridge C)
    Y = rate (b - w read, 0) sum_{s < epochs} (1 - rate M)^s,  M = (changed, kept)^T (read, hold kept) + ridge
    """
    columns = jnp.concatenate([changed, kept], axis=1)
    matrix = columns.T @ jnp.concatenate([read, hold * kept], axis=1)
    eye = jnp.eye(len(matrix))
    step = eye - rate * (matrix + ridge * eye)
    total, power = jnp.zeros_like(step), eye  # the sum of the first powers, and the next one
    for bit in f"{epochs:b}":
        total, power = total + power @ total, power @ power
        if bit == "1":
            total, power = eye + step @ total, step @ power
    error = jnp.pad(b - w @ read, [(0, 0), (0, kept.shape[1])])
    return w + rate * error @ total @ columns.T


def _mixed(old: jax.Array, new: jax.Array, share: Number) -> jax.Array:
    return share * old + (1 - share**2) ** 0.5 * new


def _error(b: jax.Array, w: jax.Array, read: jax.Array) -> jax.Array:
    return jnp.sum((b - w @ read) ** 2) / OUTPUTS
