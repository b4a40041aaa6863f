"""One head of attention on tokens in R^d, trained at a cost that is free of d; for `published_sakamoto.py`.

d enters by a rotation. The 160 noise vectors and the axes of the signals span r = 162 dimensions; W, Gaussian here with
the variance 1/(3d), equal in law as d grows, is there a lower-triangular (r, r) matrix with chi variables on its
diagonal (Bartlett), and p stays within r numbers. What of W p is orthogonal to the span meets only fresh noise, of
which it is |p|^2 / (3d) chi^2_{d-r} of the variance. So a step costs r^2, not d^2.

Source: M. S. Bartlett, On the theory of statistical regression (1933), for the law of the triangle.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pt_jax.signal_noise.losses import logistic, mistakes

N, TOKENS, TEST, STEPS = 20, 8, 1000, (10, 30, 100, 300, 1000)
WRONG = np.isin(np.arange(N), (0, 1, N // 2, N // 2 + 1))
RANK = N * TOKENS + 2


class Setting(NamedTuple):
    """Dimension, above `RANK`, signal norm, its share in the weakly relevant tokens, learning rate."""

    d: float = 2000.0
    norm: float = 20.0
    rho: float = 0.1
    lr: float = 0.005


class Errors(NamedTuple):
    """At the recorded steps: share of the labels seen in training that are missed, test error."""

    train: jax.Array
    error: jax.Array


def triangle(key: jax.Array, rows: int, d: jax.Array | float) -> jax.Array:
    """Return `rows` standard normal vectors of R^d in rotated coordinates, (rows, rows), Bartlett's law."""
    normal, chi = jax.random.split(key)
    diagonal = jnp.sqrt(jax.random.chisquare(chi, d - jnp.arange(rows)))
    return jnp.tril(jax.random.normal(normal, (rows, rows)), -1) + jnp.diag(diagonal)


def signals(label: jax.Array, point: Setting) -> jax.Array:
    """Return the signal in each token along the axes of mu_+ and mu_-, (n, TOKENS, 2)."""
    positive = jnp.zeros((TOKENS, 2)).at[0, 0].set(1.0).at[1, 0].set(point.rho).at[2, 1].set(point.rho)
    return point.norm * jnp.where(label[:, None, None] > 0, positive, positive[:, ::-1])


def halves(count: int) -> jax.Array:
    """Return labels, +1 in the first half."""
    return jnp.where(jnp.arange(count) < count // 2, 1.0, -1.0)


def attend(key: jax.Array, point: Setting, static: None = None, data: None = None) -> Errors:
    """Train W and p in r dimensions; the first two are the axes of the signals."""
    of_axes, of_noise, of_weights, of_rest, of_test = jax.random.split(key, 5)
    on_axes = jax.random.normal(of_axes, (N * TOKENS, 2))
    noise = jnp.concatenate([on_axes, triangle(of_noise, N * TOKENS, point.d - 2)], axis=1).reshape(N, TOKENS, RANK)
    label, fresh_label = halves(N), halves(TEST)[N:]
    seen = jnp.where(WRONG, -label, label)
    nu = jnp.array([1.0, -1.0]) / (jnp.sqrt(2.0) * point.norm)
    start = triangle(of_weights, RANK, point.d) / jnp.sqrt(3 * point.d), jnp.zeros(RANK)
    beyond = jax.random.chisquare(of_rest, point.d - RANK) / (3 * point.d)  # of |w|^2 orthogonal to the span

    def output(query: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.sum(jax.nn.softmax(x @ query, axis=1) * (x[..., :2] @ nu), axis=1)

    def loss(params: tuple[jax.Array, jax.Array]) -> jax.Array:
        return jnp.mean(logistic(seen, output(params[0] @ params[1], x)))

    x = noise.at[..., :2].add(signals(label, point))
    again = noise.at[..., :2].add(signals(jnp.ones(N), point))  # the test samples with the noise of training
    z = jax.random.normal(of_test, (TEST - N, TOKENS, 3))

    def errors(params: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        query = params[0] @ params[1]
        rest = jnp.sqrt(jnp.sum(query[2:] ** 2) + beyond * jnp.sum(params[1] ** 2))
        tokens = z.at[..., :2].add(signals(fresh_label, point))
        missed = mistakes(fresh_label, output(jnp.append(query[:2], rest), tokens))
        known = mistakes(jnp.ones(N), output(query, again))
        return jnp.mean(mistakes(seen, output(query, x))), (jnp.sum(missed) + jnp.sum(known)) / TEST

    def step(_: int, params: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return jax.tree.map(lambda w, g: w - point.lr * g, params, jax.grad(loss)(params))

    params, found = start, []
    for before, after in zip((0, *STEPS), STEPS, strict=False):
        params = jax.lax.fori_loop(before, after, step, params)
        found.append(errors(params))
    return Errors(*map(jnp.stack, zip(*found, strict=True)))
