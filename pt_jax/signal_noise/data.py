"""The two tasks as vectors: signals, noise, labels and initial weights of one trajectory.

Every vector lives in coordinates whose first axes are those of the signals, for most data e_u, e_1, e_2:

    u = |u| e_u    v_1 = |v1| e_1    v_2 = |v2| (cos(angle) e_1 + sin(angle) e_2)
    xi ~ N(0, sigma_k^2 H_k),    H_k = I - projection on span{e_u, v_k}  or  I  or  the first with i^-spectrum on axis i

`generators` makes samples of them. `span_world` never draws the other D = d - 3 coordinates. The n Gaussian rows of a
trajectory (fresh weights, task-2 noise, upstream weights, task-1 noise) are there, in law and up to a rotation, the
rows of a lower-trapezoidal matrix:

    L_ij ~ N(0, 1) for j < i and j < D;    L_ii ~ chi with D - i degrees of freedom for i < D;    0 elsewhere

so a vector has p = 3 + n coordinates whatever d is. `dense_world` draws all of R^d, p = d: for the dense engine, and
for noise with a spectrum, whose directions are not alike; training in coefficients is exact on either. Both return the
same `World`, and nothing else needs to know which it was. Scratch runs come first in the order of rows: L's leading
block stays as it is when rows are appended, so they are the same along every upstream axis.

Sizes are traced numbers inside arrays padded to the maxima of `Static`, and no number may depend on the padding: i and
j above are ranks among the rows in use, and each (row, block of columns) is drawn from its own key in one dimension,
where a longer draw keeps its prefix, as do keys that are split into more.

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

from pt_jax.signal_noise.generators import another, data_of, own
from pt_jax.signal_noise.models import model_of
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.point import Point, Static

_PROPOSALS = 4  # for a chi variable


class Stream(IntEnum):
    """Which key is for what. The first four are the blocks of rows, in their order: row i has the code 4 i + block."""

    FRESH = 0
    NOISE2 = 1
    UPSTREAM = 2
    NOISE1 = 3
    TEST = 2**31  # no row has these
    INHERIT = 2**31 + 1
    BATCH1 = 2**31 + 2
    BATCH2 = 2**31 + 3
    SAMPLES1 = 2**31 + 4
    SAMPLES2 = 2**31 + 5
    NET_FRESH = 2**31 + 6  # biases and what is above the first layer
    NET_UPSTREAM = 2**31 + 7


class _Of(IntEnum):
    """What of a row a key is for."""

    HEAD = 0  # coordinates on the axes, then what else the row needs once
    REST = 1  # the other coordinates, where all of R^d is drawn
    COLUMNS = 2  # and the three after it: the columns of L that stand for each block


class Task(NamedTuple):
    """One task: n samples of P patches, Q of which carry noise.

    Attributes:
        signals: (S, p).
        quiet: what noise is projected out of, orthonormal, on the axes, (., axes).
        scale: factors on the coordinates of noise with a spectrum, (p,); None for others.
        own: unit vector along v_k on the first three axes, (3,).
        sigma: noise level, scalar.
        noise: training noise, sample by sample, (n Q, p).
        coefficients: how much of which signal is in which patch, (n, P, S).
        label: clean labels, -1 or +1, or classes, (n,).
        seen: labels seen in training, flipped with probability flip_k, (n,).
        weight: 1/n on the n samples in use and 0 on the padding, (n,).
    """

    signals: Array
    quiet: Array
    scale: Array | None
    own: Array
    sigma: Array
    noise: Array
    coefficients: Array
    label: Array
    seen: Array
    weight: Array

    @property
    def mu(self) -> Array:
        """The first signal, (p,): u + v_k in two patches."""
        return self.signals[0]

    @property
    def in_use(self) -> Array:
        """Which rows of the noise belong to samples in use, (n Q,)."""
        return jnp.repeat(self.weight > 0, len(self.noise) // len(self.weight))


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
    padded, patches = _padded(static, alone), sum(data_of(static).noisy)
    active = (2 * point.m, patches * point.n2, 2 * point.m, patches * point.n1)[: len(padded)]
    before = (0.0, *accumulate(active[:-1]))  # rows in use in the earlier blocks
    in_use = jnp.concatenate([jnp.arange(size) < count for size, count in zip(padded, active, strict=True)])
    rank = jnp.concatenate([jnp.arange(size) + count for size, count in zip(padded, before, strict=True)])
    axes = data_of(static).axes
    freedom = point.d - axes - rank
    rows = _row_keys(key, padded)
    head = _normals(_fold(rows, _Of.HEAD), axes + 3 * _PROPOSALS)
    chi = _chi(jnp.maximum(freedom, 1.0), head[:, axes:])
    lower = jnp.where(in_use & (freedom > 0), jnp.tril(_entries(rows, padded), -1), 0.0)
    lower = lower + jnp.diag(jnp.where(freedom > 0, chi, 0.0))
    return _world(key, jnp.concatenate([head[:, :axes], lower], axis=1), point, static)


def dense_world(key: Array, point: Point, static: Static, alone: bool = False) -> World:
    """Draw a trajectory in R^d; coordinates from d up to the maximum of d are 0. `alone` as in `span_world`."""
    axes, rows = data_of(static).axes, _row_keys(key, _padded(static, alone))
    head, rest = _normals(_fold(rows, _Of.HEAD), axes), _normals(_fold(rows, _Of.REST), static.d - axes)
    rest = jnp.where(jnp.arange(static.d - axes) < point.d - axes, rest, 0.0)
    # Drawn once: what is drawn again may round otherwise, and is not projected out.
    return _world(key, jax.lax.optimization_barrier(jnp.concatenate([head, rest], axis=1)), point, static)


def project(vectors: Array, task: Task, static: Static) -> Array:
    """Return H_k^(1/2) applied to vectors (., p): what the task's noise can see of them."""
    if static.noise == "isotropic":
        return vectors
    if task.scale is not None:
        vectors = vectors * task.scale
    axes = vectors[:, : task.quiet.shape[1]]
    for direction in task.quiet:
        axes = axes - jnp.sum(axes * direction, axis=1, keepdims=True) * direction
    return vectors.at[:, : axes.shape[1]].set(axes)


def _padded(static: Static, alone: bool) -> tuple[int, ...]:
    """Rows of each block, in the order of `Stream`."""
    patches = sum(data_of(static).noisy)
    return (2 * static.m, patches * static.n2, *(() if alone else (2 * static.m, patches * static.n1)))


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


def _orthonormal(rows: Array) -> Array:
    """Return an orthonormal basis of the span of a few rows (Gram, Schmidt), with rows of 0 for what adds nothing."""
    found: list[Array] = []
    for row in rows:
        rest = row
        for _ in range(2):  # twice: what is left after cancellation is not orthogonal yet
            rest = rest - sum((rest @ one * one for one in found), jnp.zeros_like(row))
        norm = jnp.linalg.norm(rest)
        kept = norm > 1e-4 * jnp.linalg.norm(row)
        found.append(jnp.where(kept, rest / jnp.where(kept, norm, 1.0), 0.0))
    return jnp.stack(found)


def _spectrum(point: Point, size: int, axes: int) -> Array:
    """Return i^(-spectrum/2) on the axes after the first ones, of mean square 1 over those in use, (size,)."""
    index = jnp.arange(1, size - axes + 1, dtype=float)
    variance = jnp.where(index <= point.d - axes, index**-point.spectrum, 0.0)
    return jnp.pad(jnp.sqrt(variance * (point.d - axes) / jnp.sum(variance)), (axes, 0), constant_values=1.0)


def _world(key: Array, rows: Array, point: Point, static: Static) -> World:
    """Give the standard normal rows, (., p), their meaning."""
    alone = len(rows) == sum(_padded(static, alone=True))
    vectors = jnp.split(rows, np.cumsum(_padded(static, alone))[:-1])

    def task(block: Stream, stream: Stream, number: int) -> Task:
        data, noise, size = data_of(static, number), vectors[block], getattr(static, f"n{number}")
        sigma, flip, n = (getattr(point, f"{name}{number}") for name in ("sigma", "flip", "n"))
        of_samples, of_flips, of_others = jax.random.split(jax.random.fold_in(key, stream), 3)
        label, coefficients = jax.vmap(lambda k: data.sample(k, point, number))(jax.random.split(of_samples, size))
        flipped = jax.random.uniform(of_flips, (size,)) < flip
        signals = data.signals(point, number)
        empty = Task(
            signals=jnp.pad(signals, ((0, 0), (0, noise.shape[1] - signals.shape[1]))),
            quiet=_orthonormal(signals) if data.quiet is None else data.quiet(point, number),
            scale=_spectrum(point, noise.shape[1], data.axes) if static.noise == "power" else None,
            own=own(point, number),
            sigma=sigma,
            noise=noise,
            coefficients=coefficients,
            label=label,
            seen=jnp.where(flipped, another(of_others, label, data.classes), label),
            weight=jnp.where(jnp.arange(size) < n, 1.0 / n, 0.0),
        )
        return empty._replace(noise=sigma * project(noise, empty, static))

    def net(block: Stream, stream: Stream) -> Net:
        weights, bias = vectors[block], jnp.zeros(2 * static.m)
        of_bias, of_upper = jax.random.split(jax.random.fold_in(key, stream))
        if static.init == "uniform":
            bias = _uniform(jax.random.normal(of_bias, bias.shape)) if static.bias else bias
            # The span engine's coordinates are rotated: entries that are uniform in R^d are not so there.
            weights = _uniform(weights) if static.full else weights
        upper = model_of(static).init(of_upper, readout(point.m, static.m))
        return Net(point.init_scale * weights, point.init_scale * bias, upper)

    nothing: Any = None
    return World(
        task1=nothing if alone else task(Stream.NOISE1, Stream.SAMPLES1, 1),
        task2=task(Stream.NOISE2, Stream.SAMPLES2, 2),
        upstream=nothing if alone else net(Stream.UPSTREAM, Stream.NET_UPSTREAM),
        fresh=net(Stream.FRESH, Stream.NET_FRESH),
    )
