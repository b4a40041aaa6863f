"""The expected course of training and its test errors, without simulation: `predict`.

The cavity argument: where d is large against the sample size, noise vectors are nearly orthogonal, and a sample meets
the others only through what the filters have memorised of them. Seen from that sample, this is Gaussian. So it is
enough to follow a typical sample, drawn once from the law it shares with all others, and to average over it. Turn signs
so that its seen label is +1. Its m own filters have the sign of that label, m other filters have not:

    f = +-S + 1/m sum_r [relu(A_r) - relu(A'_r)],    g = sigmoid(-f)           (+ clean, - flipped)
    A_r = F_r + |xi|^2 C_r,    C_r += lr/(n m) g 1[A_r > 0],    C'_r -= lr/(n m) g 1[A'_r > 0]
    S = S(0) + |mu|^2 c,       c += lr/(2 m) E[+-g],            |xi|^2 = sigma^2 (d - 2)

C and c are the expected rho and gamma of the theory, up to the norms. F_r = <w_r, xi> without the sample's own part is
Gaussian: initial weights, inherited weights, and what is memorised of the other n - 1 samples in this run,

    cov(F_r, F_s) = sigma^2 <w_r, w_s>,    <w_r, w_s> = start + n E[C_r F_s + F_r C_s] + n |xi|^2 E[C_r C_s]

which depends only on the signs of r and s and on whether they are inherited (`Law`). A test point has the same law of
F, so the Gram matrix at the end and S give the test error. Everything is deterministic: the expectation over the
typical sample is a sum over fixed nodes. Steps are taken one by one at first, later several at once, with slopes that
change as they did before and, along the signal, stay stable (`widest`): at the 2,000 points of
`sims/theory_agreement.py` this moves no error by more than 0.004, at corners of their ranges by 0.006.

Left out: what other samples answer to one sample (of order n / d), changes of direction of the memorised part during a
run, and what differs between seeds: the shares of labels and flips (at small n) and of active filters (at small m).

Source: derived here; M. Mezard, G. Parisi, M. Virasoro, Spin glass theory and beyond (1987) for the cavity argument.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.nn import relu
from scipy import special
from scipy.stats import qmc

from pt_jax.inputs.field import shown
from pt_jax.signal_noise import risk
from pt_jax.signal_noise.checks import accepted, covered, floats
from pt_jax.signal_noise.data import Task
from pt_jax.signal_noise.fields import OPTIONS, RULE_FIELDS
from pt_jax.signal_noise.inherit import filters
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.point import Point, Static, check_type, common_shape

_NODES = 64  # typical samples, clean and flipped each
_STRIDE = 1 / 10  # of the steps before it
_DIRECTIONS = 512  # of the test error
_DEFAULT = Static()
_ALIKE = {"engine", "init", "n_directions", "n_test", "record", "upper", "hidden", "patches", "classes", "nesterov"}


class Prediction(NamedTuple):
    """What `predict` returns, each of the shape that the leaves of the point broadcast to.

    Attributes:
        error: expected test error with transfer.
        error_scratch: expected test error from scratch.
        gain: error_scratch - error.
        in_regime: whether the point is in the regime that the recursion was derived for, see `in_regime`.
    """

    error: Array
    error_scratch: Array
    gain: Array
    in_regime: Array


class Law(NamedTuple):
    """The Gram matrix of the filters, axes apart, for signs j, j' and populations a, b (0 inherited, 1 fresh).

        <w, w'> = j j' odd[a, b] + even[a, b],    and rest[a] more of a filter with itself

    Shapes (2, 2), (2, 2), (2,).
    """

    odd: Array
    even: Array
    rest: Array


class Nodes(NamedTuple):
    """Standard normals of the typical samples: common to all filters (P,), (P,), and apart (2, m, P)."""

    odd: np.ndarray
    even: np.ndarray
    rest: np.ndarray


class Run(NamedTuple):
    """One training run: sample size, |mu|^2, |xi|^2, noise level, flips, learning rate, factors (2,) on it, steps."""

    n: Array
    signal: Array
    noise: Array
    sigma: Array
    flip: Array
    lr: Array
    ratio: Array
    steps: Array


def in_regime(point: Point) -> Array:
    """Return whether d >= 10 max(N1, N2), noise vectors are nearly orthogonal, and m >= 10, filters are many."""
    at = floats(point)
    return (at.d >= 10.0 * jnp.maximum(at.n1, at.n2)) & (at.m >= 10)


def predict(point: Point, static: Static = _DEFAULT) -> Prediction:
    """Predict the expected test errors of a trajectory by the recursion of this module.

    Args:
        point: hyper-parameters; leaves are numbers or arrays that broadcast.
        static: maxima of the sizes; noise is projected, filters have no bias and the first ones are inherited.

    Returns:
        The prediction, of the common shape; outside the regime it is computed all the same and says so. Derivatives,
        in forward mode, leave out the filters that change sides during training, up to a sixth where it was tried; they
        are 0 along alpha, which counts filters.

    Raises:
        ValueError: a concrete value is out of range or above its maximum, or an option is not covered.
    """
    check_type(point)
    for name in RULE_FIELDS:
        value = getattr(point, name)
        if not isinstance(value, jax.core.Tracer) and np.any(np.asarray(value) != 0):
            raise ValueError(f"{name} = {shown(np.max(value))} is not covered by predict: use 0.")
    at = covered(accepted(point, static), static)
    if static.rules:
        raise ValueError(f"{', '.join(static.rules)} above 0 is not covered by predict: use 0.")
    for name in OPTIONS:
        if name not in _ALIKE and getattr(static, name) != getattr(_DEFAULT, name):
            raise ValueError(
                f"{name} = {shown(getattr(static, name))} is not covered by predict: use {getattr(_DEFAULT, name)!r}."
            )
    shape = common_shape(at)
    if shape == ():
        return _predict(at, static)
    each = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, shape).reshape(-1), at)
    return jax.tree.map(lambda leaf: leaf.reshape(shape), _predict_each(each, static))


def predicted(key: Array, point: Point, static: Static = _DEFAULT, data: None = None) -> Prediction:
    """Return `predict` in the form that a sweep takes; key and data are unused."""
    del key, data
    return predict(point, static)


@partial(jax.jit, static_argnames="static")
def _predict_each(points: Point, static: Static) -> Prediction:
    return jax.lax.map(lambda point: _predict(point, static), points)  # one by one: as fast as in groups on a CPU


@partial(jax.jit, static_argnames="static")
def _predict(point: Point, static: Static) -> Prediction:
    angle = jnp.deg2rad(point.angle)
    mu1, mu2 = point.u**2 + point.v1**2, point.u**2 + point.v2**2
    overlap = point.u**2 + point.v1 * point.v2 * jnp.cos(angle)
    noise1, noise2 = point.sigma1**2 * (point.d - 2), point.sigma2**2 * (point.d - 2)
    one, both = jnp.ones(2), jnp.stack([point.lr_ratio, jnp.ones(())])
    run1 = Run(point.n1, mu1, noise1, point.sigma1, point.flip1, point.lr1, one, point.steps1)
    run2 = Run(point.n2, mu2, noise2, point.sigma2, point.flip2, point.lr2, both, point.steps2)

    index = jnp.arange(static.m)
    inherited = filters(point.alpha, point.m, jnp.zeros(2 * static.m))[::2]
    fresh = Law(jnp.zeros((2, 2)), jnp.zeros((2, 2)), point.init_scale**2 * (point.d - 2) * one)
    none = jnp.stack([jnp.zeros(static.m), (index < point.m) * 1.0])
    some = jnp.stack([inherited * 1.0, (index < point.m) & ~inherited])

    learned, law1 = descend(run1, fresh, jnp.zeros(2), none, static.m)
    along_v1 = (learned[1] * point.v1 * jnp.sin(angle)) ** 2  # task-2 noise sees the rest of v_1
    carried = Law(
        odd=jnp.zeros((2, 2)).at[0, 0].set(law1.odd[1, 1] + along_v1),
        even=jnp.zeros((2, 2)).at[0, 0].set(law1.even[1, 1]),
        rest=fresh.rest.at[0].set(law1.rest[1]),
    )

    def error(start: Law, signal: Array, members: Array) -> Array:
        gained, law = descend(run2, start, signal, members, static.m)
        return test_error(law, jnp.sum(members, 1) / point.m @ (signal + gained * mu2), members, point, static)

    with_transfer = error(carried, learned[1] * overlap * jnp.array([1.0, 0.0]), some)
    from_scratch = error(fresh, jnp.zeros(2), none)
    return Prediction(with_transfer, from_scratch, from_scratch - with_transfer, in_regime(point))


def nodes(m: int) -> tuple[Nodes, Nodes]:
    """Return the typical samples, for the start and for what is memorised: fixed, a prefix at any m."""
    common = special.ndtri(qmc.Sobol(4, scramble=True, rng=0).random(_NODES))
    apart = np.random.default_rng(0).standard_normal((m, 2, 2, _NODES)).transpose(2, 1, 0, 3)  # (2, 2, m, P)
    common, apart = ((x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) for x in (common.T, apart))
    odd, even = common.reshape(2, 2, _NODES)
    return Nodes(odd[0], even[0], apart[0]), Nodes(odd[1], even[1], apart[1])


def widest(lr: Any, signal: Any, m: Any) -> Any:
    """Return how many steps may be taken at once along a signal: each takes lr |mu|^2 / 8m of a slope at most."""
    return 8.0 * m / jnp.maximum(lr * signal, 1e-6)


def strides(steps: float, most: float) -> float:
    """Return about how many strides a run takes: single steps, then growing ones, then the widest."""
    end = min(steps, max(most, 2.0) / _STRIDE)  # of those that grow
    return min(end, 2 / _STRIDE) + math.log(max(1.0, end * _STRIDE / 2)) / _STRIDE + (steps - end) / max(most, 1.0)


def descend(run: Run, start: Law, signal: Array, members: Array, m: int) -> tuple[Array, Law]:
    """Follow the typical samples through one training run.

    Args:
        run: its numbers.
        start: law of the initial weights.
        signal: j <w, mu> at the start, for each population, (2,).
        members: which of the m filters of a sign are in use, for each population, (2, m).
        m: filters of each sign, padded.

    Returns:
        The coefficient j C_mu of each population, (2,), and the law at the end.
    """
    own_other = jnp.array([1.0, -1.0])[:, None, None]
    kind, sign = jnp.stack([1.0 - run.flip, run.flip]), jnp.array([1.0, -1.0])  # clean, flipped
    used = jnp.sum(members)
    share, ratio = jnp.sum(members, axis=1) / used, run.ratio @ members
    at_start, grown = nodes(m)
    initial = _field(start, at_start, members, run.sigma)
    others = jnp.sqrt(1.0 - 1.0 / run.n)  # all samples but the typical one
    most = widest(run.lr, run.signal * (share @ run.ratio), used)

    def memory(c: Array) -> Law:
        return jax.tree.map(lambda x: run.n * run.noise * x, _moments(c, c, kind, members))

    def slopes(c: Array, learned: Array) -> tuple[Array, Array]:
        """Return what one step adds to both."""
        a = initial + others * _field(memory(c), grown, members, run.sigma) + run.noise * c
        s = share @ (signal + run.signal * learned * run.ratio)
        f = sign[:, None] * s + jnp.sum(own_other * relu(a), axis=(1, 2)) / used
        g = jax.nn.sigmoid(-f)
        rate = run.lr / used
        grows = rate / run.n * ratio[:, None] * own_other * jnp.where(a > 0, g[:, None, None], 0.0)
        return grows, rate / 2 * (kind * sign) @ jnp.mean(g, axis=1)

    def stride(state: tuple[Any, ...]) -> tuple[Any, ...]:
        start, last, at, before = state
        width = jnp.clip(jnp.floor(jnp.minimum(start * _STRIDE, most)), 1.0, run.steps - start)
        change = width * (width - 1) / 2 / last  # of the slope over these steps; 0 over a single one
        slope = slopes(*at)
        at = jax.tree.map(lambda x, new, old: x + width * new + change * (new - old), at, slope, before)
        return start + width, width, at, slope

    nothing = (jnp.zeros((2, 2, m, _NODES)), jnp.zeros(()))
    first = jnp.zeros(()), jnp.ones(()), nothing, nothing
    _, _, (c, learned), _ = jax.lax.while_loop(lambda state: state[0] < run.steps, stride, first)
    shared = _moments(c, jnp.broadcast_to(initial, c.shape), kind, members)
    total = jax.tree.map(lambda x, y, z: x + run.n * (y + y.T) + z, start, shared, memory(c))
    return learned * run.ratio, total._replace(rest=jnp.maximum(total.rest, 0.0))


def test_error(law: Law, signal: Array, members: Array, point: Point, static: Static) -> Array:
    """Return the test error of a network with this law on task 2, where f on clean noiseless points is +-signal."""
    sign = jnp.array([1.0, -1.0])[:, None]
    own = members.T[:, None]  # (m, 1, 2)
    axes = jnp.zeros((static.m, 2, 3)).at[..., 0].set(jnp.squeeze(sign) * signal)
    odd, even = own @ risk.root(law.odd), own @ risk.root(law.even)
    common = jnp.concatenate([axes, sign * odd, jnp.tile(even, (1, 2, 1))], -1)
    apart = jnp.diag(jnp.repeat(risk.positive_root(law.rest @ members), 2))
    weights = jnp.concatenate([common.reshape(2 * static.m, -1), apart], axis=1)
    unit = jnp.eye(weights.shape[1])
    nothing = {name: jnp.zeros(0) for name in ("noise", "coefficients", "label", "seen", "weight")}
    task = Task(signals=unit[:1], quiet=unit[:2, :3], scale=None, own=unit[1, :3], sigma=point.sigma2, **nothing)
    fine = replace(static, n_directions=_DIRECTIONS)
    directions = risk.directions(jax.random.key(0), fine)
    return risk.error(directions, Net(weights, jnp.zeros(2 * static.m)), task, readout(point.m, static.m), relu, fine)


def _field(law: Law, nodes: Nodes, members: Array, sigma: Array) -> Array:
    """Return F of the typical samples, (2, m, P): of their own filters, then of the others."""
    odd, even, rest = (
        (sigma * risk.positive_root(x) @ members)[:, None] for x in (jnp.diag(law.odd), jnp.diag(law.even), law.rest)
    )
    return jnp.stack([odd * nodes.odd, -odd * nodes.odd]) + even * nodes.even + rest * nodes.rest


def _moments(a: Array, b: Array, kind: Array, members: Array) -> Law:
    """Return E[a b] over typical samples of both kinds, (2, 2, m, P), in the parts of `Law`."""
    among = members / jnp.maximum(jnp.sum(members, axis=1, keepdims=True), 1.0)
    weight = kind / a.shape[-1]
    x, y = among @ a, among @ b
    (odd, even), (odd_b, even_b) = (((z[:, 0] - z[:, 1]) / 2, (z[:, 0] + z[:, 1]) / 2) for z in (x, y))
    gram = "t,tap,tbp->ab"
    return Law(
        odd=jnp.einsum(gram, weight, odd, odd_b),
        even=jnp.einsum(gram, weight, even, even_b),
        rest=jnp.einsum("t,tsap->a", weight / 2, among @ (a * b) - x * y),
    )
