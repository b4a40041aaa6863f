"""The two tasks as vectors: signals, noise, labels and initial weights of one trajectory.

Every vector lives in coordinates whose first three axes are e_u, e_1, e_2:

    u = |u| e_u    v_1 = |v1| e_1    v_2 = |v2| (cos(angle) e_1 + sin(angle) e_2)    mu_k = u + v_k
    x^(1) = y mu_k,    x^(2) = xi ~ N(0, sigma_k^2 H_k),    H_k = I - projection on span{e_u, v_k}  or  I

`span_world` never draws the other D = d - 3 coordinates. The n Gaussian rows of a trajectory (fresh weights, task-2
noise, upstream weights, task-1 noise) are there, in law and up to a rotation, the rows of a lower-trapezoidal matrix:

    L_ij ~ N(0, 1) for j < i and j < D;    L_ii ~ chi with D - i degrees of freedom for i < D;    0 elsewhere

so a vector has p = 3 + n coordinates whatever d is. `dense_world` draws all of R^d, p = d. Both return the same
`World`, and nothing else needs to know which it was. Scratch runs come first in the order of rows: L's leading block
stays as it is when rows are appended, so they are the same along every upstream axis.

Sizes are traced numbers inside arrays padded to the maxima of `Static`, and no number may depend on the padding: i and
j above are ranks among the rows in use, and each (row, block of columns) is drawn from its own key in one dimension,
where a longer draw keeps its prefix.

Source: M. S. Bartlett, On the theory of statistical regression (1933), for the law of L; G. Marsaglia, W. W. Tsang, A
simple method for generating gamma variables (2000).
"""

from enum import IntEnum
from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.signal_noise.network import Net
from pt_jax.signal_noise.point import Point, Static

AXES = 3  # e_u, e_1, e_2
_HEAD = AXES + 2  # normals that every row has: on the axes, and two for a label and its flip, or a bias
_PROPOSALS = 4  # for a chi variable


class Stream(IntEnum):
    """Which key is for what. The first four are the blocks of rows, in their order."""

    FRESH = 0
    NOISE2 = 1
    UPSTREAM = 2
    NOISE1 = 3
    TEST = 4
    INHERIT = 5
    BATCH1 = 6
    BATCH2 = 7


class _Of(IntEnum):
    """What of a row a key is for."""

    HEAD = 0  # coordinates on the three axes, then what else a row needs once
    REST = 1  # the other d - 3 coordinates, dense engine
    COLUMNS = 2  # and the three after it: the columns of L that stand for each block


class Task(NamedTuple):
    """One task.

    Attributes:
        mu: signal u + v_k, (p,).
        own: unit vector along v_k on the three axes, (3,).
        sigma: noise level, scalar.
        noise: training noise xi_i, (n, p).
        label: clean labels y_i, -1 or +1, (n,); the signal patch is y_i mu.
        seen: labels seen in training: y_i, flipped with probability flip_k, (n,).
        weight: 1/n on the n samples in use and 0 on the padding, (n,).
    """

    mu: Array
    own: Array
    sigma: Array
    noise: Array
    label: Array
    seen: Array
    weight: Array


class World(NamedTuple):
    """All that is drawn before training: both tasks, and the initial parameters of both networks.

    `task1` and `upstream` are None where task 2 was drawn alone.
    """

    task1: Task
    task2: Task
    upstream: Net
    fresh: Net


def span_world(key: Array, point: Point, static: Static, alone: bool = False) -> World:
    """Draw a trajectory in p = 3 + n rotated coordinates: exact in law, at a cost that does not depend on d.

    `alone` draws task 2 and fresh weights only, with the same numbers.
    """
    padded = _padded(static, alone)
    active = (2 * point.m, point.n2, 2 * point.m, point.n1)[: len(padded)]
    before = (0.0, *accumulate(active[:-1]))  # rows in use in the earlier blocks
    in_use = jnp.concatenate([jnp.arange(size) < count for size, count in zip(padded, active, strict=True)])
    rank = jnp.concatenate([jnp.arange(size) + count for size, count in zip(padded, before, strict=True)])
    freedom = point.d - AXES - rank
    rows = _row_keys(key, padded)
    head = _normals(_fold(rows, _Of.HEAD), _HEAD + 3 * _PROPOSALS)
    chi = _chi(jnp.maximum(freedom, 1.0), head[:, _HEAD:])
    lower = jnp.where(in_use & (freedom > 0), jnp.tril(_entries(rows, padded), -1), 0.0)
    return _world(head, lower + jnp.diag(jnp.where(freedom > 0, chi, 0.0)), point, static)


def dense_world(key: Array, point: Point, static: Static, alone: bool = False) -> World:
    """Draw a trajectory in R^d; coordinates from d up to the maximum of d are 0. `alone` as in `span_world`."""
    rows = _row_keys(key, _padded(static, alone))
    head, rest = _normals(_fold(rows, _Of.HEAD), _HEAD), _normals(_fold(rows, _Of.REST), static.d - AXES)
    return _world(head, jnp.where(jnp.arange(static.d - AXES) < point.d - AXES, rest, 0.0), point, static)


def project(vectors: Array, task: Task, static: Static) -> Array:
    """Return H_k applied to vectors (., p): what the task's noise can see of them."""
    if static.noise == "isotropic":
        return vectors
    axes = vectors[:, :AXES]
    axes = axes - jnp.outer(axes @ task.own, task.own)
    return vectors.at[:, :AXES].set(axes.at[:, 0].set(0.0))


def _padded(static: Static, alone: bool) -> tuple[int, ...]:
    """Rows of each block, in the order of `Stream`."""
    return (2 * static.m, static.n2, *(() if alone else (2 * static.m, static.n1)))


def _fold(keys: Array, data) -> Array:
    return jax.vmap(jax.random.fold_in, (0, None))(keys, data)


def _normals(keys: Array, width: int) -> Array:
    return jax.vmap(lambda key: jax.random.normal(key, (width,)))(keys)


def _row_keys(key: Array, padded: tuple[int, ...]) -> Array:
    """One key a row, from its block and its index there."""
    codes = [4 * np.arange(size) + block for block, size in enumerate(padded)]
    return jax.vmap(jax.random.fold_in, (None, 0))(key, np.concatenate(codes))


def _entries(rows: Array, padded: tuple[int, ...]) -> Array:
    """Draw standard normals (n, n), 0 above the blocks of the diagonal: in a row, each block from a key of its own."""
    starts, columns = [0, *accumulate(padded[:-1])], {}
    below = [np.arange(start, len(rows)) for start in starts]  # the rows that have a block
    codes = [np.full(len(own), _Of.COLUMNS + block) for block, own in enumerate(below)]
    folded = jax.vmap(jax.random.fold_in)(rows[np.concatenate(below)], np.concatenate(codes))
    keys = jnp.split(folded, np.cumsum([len(own) for own in below])[:-1])
    for size in dict.fromkeys(padded):  # blocks of one size in one draw: there is less to compile
        blocks = [block for block, own in enumerate(padded) if own == size]
        drawn = _normals(jnp.concatenate([keys[block] for block in blocks]), size)
        cuts = np.cumsum([len(keys[block]) for block in blocks])[:-1]
        for block, part in zip(blocks, jnp.split(drawn, cuts), strict=True):
            columns[block] = jnp.pad(part, ((starts[block], 0), (0, 0)))
    return jnp.concatenate([columns[block] for block in sorted(columns)], axis=1)


def _chi(freedom: Array, normal: Array) -> Array:
    """Return chi variables with `freedom` degrees, (n,), each made of its own 3 `_PROPOSALS` standard normals.

    Few degrees: the root of a sum of so many squares. Else Marsaglia and Tsang's rejection: with a = freedom / 2 - 1/3,
    c = 1 / (3 sqrt(a)) and x normal, the proposal chi^2 = 2 a v, v = (1 + c x)^3, is taken with probability
    exp(x^2 / 2 + a (1 - v + log v)), and the first that is taken counts. None is with probability below 1e-9.
    """
    few = jnp.sum(jnp.where(jnp.arange(normal.shape[1]) < freedom[:, None], normal**2, 0.0), axis=1)
    x, *two = jnp.split(normal, 3, axis=1)
    a = jnp.maximum(freedom, normal.shape[1])[:, None] / 2 - 1 / 3
    cx = jnp.maximum(x / (3 * jnp.sqrt(a)), -0.99)  # x is never below -6, so that v > 0 from 13 degrees on
    room = 3 * (jnp.log1p(cx) - cx - cx**2 - cx**3 / 3)  # 1 - v + log v, without cancellation
    taken = -(two[0] ** 2 + two[1] ** 2) / 2 < x**2 / 2 + a * room  # on the left the logarithm of a uniform variable
    chosen = cx[:, -1]
    for k in reversed(range(_PROPOSALS - 1)):
        chosen = jnp.where(taken[:, k], cx[:, k], chosen)
    return jnp.sqrt(jnp.where(freedom <= normal.shape[1], few, 2 * a[:, 0] * (1 + chosen) ** 3))


def _uniform(normal: Array) -> Array:
    """Return uniform variables of mean 0 and variance 1 from standard normal ones, each from its own; 0 stays 0."""
    return jnp.sqrt(3.0) * (2.0 * jax.scipy.special.ndtr(normal) - 1.0)


def _world(head: Array, rest: Array, point: Point, static: Static) -> World:
    """Give the standard normal rows their meaning: head (n, `_HEAD` or more), rest (n, p - 3)."""
    alone = len(head) == sum(_padded(static, alone=True))
    cuts = np.cumsum(_padded(static, alone))[:-1]
    whole = jnp.concatenate([head[:, :AXES], rest], axis=1)
    if static.engine == "dense":  # drawn once: what is drawn again may round otherwise, and is not projected out
        whole = jax.lax.optimization_barrier(whole)
    vectors = jnp.split(whole, cuts)
    extra = jnp.split(head[:, AXES:_HEAD], cuts)

    zero, angle = jnp.zeros(()), jnp.deg2rad(point.angle)
    own1 = jnp.stack([zero, zero + 1.0, zero])
    own2 = jnp.stack([zero, jnp.cos(angle), jnp.sin(angle)])

    def task(block, own, v, sigma, flip, n):
        noise, (sign, flipped) = vectors[block], extra[block].T
        label = jnp.where(sign > 0, 1.0, -1.0)
        empty = Task(
            mu=jnp.zeros(noise.shape[1]).at[:AXES].set(v * own).at[0].set(point.u),
            own=own,
            sigma=sigma,
            noise=noise,
            label=label,
            seen=jnp.where(jax.scipy.special.ndtr(flipped) < flip, -label, label),
            weight=jnp.where(jnp.arange(len(label)) < n, 1.0 / n, 0.0),
        )
        return empty._replace(noise=sigma * project(noise, empty, static))

    def net(block):
        weights, bias = vectors[block], jnp.zeros(len(vectors[block]))
        if static.init == "uniform":
            bias = _uniform(extra[block][:, 0]) if static.bias else bias
            # The span engine's coordinates are rotated: entries that are uniform in R^d are not so there.
            weights = _uniform(weights) if static.engine == "dense" else weights
        return Net(point.init_scale * weights, point.init_scale * bias)

    nothing: Any = None
    return World(
        task1=nothing if alone else task(Stream.NOISE1, own1, point.v1, point.sigma1, point.flip1, point.n1),
        task2=task(Stream.NOISE2, own2, point.v2, point.sigma2, point.flip2, point.n2),
        upstream=nothing if alone else net(Stream.UPSTREAM),
        fresh=net(Stream.FRESH),
    )
