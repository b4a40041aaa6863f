"""Transfer between deep linear networks, exact in law at a cost of d a step; for `sims/published_deep_linear.py`.

    y = beta x + noise,  x ~ N(0, I_d),  |beta| = 1        loss = mean of (y - w W x)^2,  W (d, d), w (d,)

Two reductions. From a small start W stays a rank-one v a, w stays c v with one unit vector v: what is left out is as
small as the start. And the law of the samples is the same in every basis: in the one of Householder's reflections, with
one vector of one's choice first, X / sqrt(n) is bidiagonal with independent chi entries (Silverstein 1985). So with
e = beta - c a, residual r = noise + X e and gradient g = X^T r, all by sqrt(n), a step of gradient descent is

    a += 2 lr c g,    c += 2 lr a g
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

START = 1e-5  # W ~ N(0, START^2 / d), w ~ N(0, START^2)
RIDGE = 0.1
CHECK = 100  # steps after which the loss is compared with TOLERANCE
TOLERANCE = 1e-6  # above the least loss that can be reached
TUNED, SCRATCH, SCRATCH_STEPS = 0.01, 0.1, 10_000  # learning rates; the source has that of fine-tuning


class Point(NamedTuple):
    """What moves.

    Attributes:
        n_source: source samples; 0 is the whole population.
        n: target samples.
        theta: angle between source and target, in units of pi / 2.
        noise: standard deviation of the label noise, of target and source samples alike.
        steps: of gradient descent, on the source and again in fine-tuning.
    """

    n_source: float = 0.0
    n: float = 250.0
    theta: float = 0.5
    noise: float = 0.0
    steps: float = 5000.0


@dataclass(frozen=True)
class Static:
    """The dimension; and that scratch does not depend on the angle."""

    d: int = 500
    partial: tuple[str, ...] = ("theta",)


class Gain(NamedTuple):
    """Error of scratch less that of linear transfer, and of fine-tuning."""

    linear: jax.Array
    tuned: jax.Array
    diverged: jax.Array


class Samples(NamedTuple):
    """X / sqrt(n) as its diagonal and what is right of it, and the noise that a network can fit; (d,) each."""

    diagonal: jax.Array
    right: jax.Array
    noise: jax.Array

    def images(self, x: jax.Array) -> jax.Array:
        return self.diagonal * x + self.right * jnp.append(x[1:], 0.0)

    def pull_back(self, r: jax.Array) -> jax.Array:
        return self.diagonal * r + jnp.append(0.0, (self.right * r)[:-1])


def transfer(key: jax.Array, point: Point, static: Static = Static(), data: None = None) -> Gain:
    """Return the gains of one source, one target and one training from scratch on samples of its own.

    Linear transfer keeps W and takes w by ridge regression with the penalty RIDGE |w|^2 beside the mean of the squares.
    Fine-tuning goes on with both, for all its steps. The other trainings end at a multiple of CHECK steps where the
    loss is within TOLERANCE of the least. Errors |beta - c a|^2 are those before the last step.
    """
    d, keys = static.d, jax.random.split(key, 7)
    first = jnp.zeros(d).at[0].set(1.0)
    whole = Samples(jnp.ones(d), jnp.zeros(d), jnp.zeros(d))
    drawn = sample(keys[0], point.n_source, point.noise, d)
    source = jax.tree.map(lambda x, y: jnp.where(point.n_source > 0, x, y), drawn, whole)
    a, c = descend(source, first, *start(keys[1], d), TUNED, point.steps, TOLERANCE)

    # In the basis of the target samples only the source's beta is in its place; what is across points anywhere.
    a = a[0] * first + jnp.linalg.norm(a[1:]) * across(keys[2], d)
    angle = point.theta * jnp.pi / 2
    beta = jnp.cos(angle) * first + jnp.sin(angle) * across(keys[3], d)
    target = sample(keys[4], point.n, point.noise, d)
    feature = target.images(a)
    ridge = feature @ (target.images(beta) + target.noise) / (feature @ feature + RIDGE)
    tuned_a, tuned_c = descend(target, beta, a, c, TUNED, point.steps - 1, -1.0)

    own = sample(keys[5], point.n, point.noise, d)
    scratch_a, scratch_c = descend(own, first, *start(keys[6], d), SCRATCH, SCRATCH_STEPS - 1, TOLERANCE)
    scratch = jnp.sum((first - scratch_c * scratch_a) ** 2)
    linear = scratch - jnp.sum((beta - ridge * a) ** 2)
    tuned = scratch - jnp.sum((beta - tuned_c * tuned_a) ** 2)
    return Gain(linear, tuned, ~jnp.isfinite(linear + tuned))


def sample(key: jax.Array, n: jax.Array | float, noise: jax.Array | float, d: int) -> Samples:
    """Draw n samples: row i has a chi of n - i degrees of freedom, and right of it one of d - 1 - i."""
    i, keys = jnp.arange(d), jax.random.split(key, 3)

    def chi(key: jax.Array, freedom: jax.Array) -> jax.Array:
        return jnp.sqrt(jax.random.chisquare(key, jnp.maximum(freedom, 1.0))) * (freedom > 0) * (i < n)

    drawn = chi(keys[0], n - i), chi(keys[1], d - 1.0 - i), noise * jax.random.normal(keys[2], (d,)) * (i < n)
    return Samples(*(x / jnp.sqrt(jnp.maximum(n, 1.0)) for x in drawn))


def start(key: jax.Array, d: int) -> tuple[jax.Array, jax.Array]:
    """Return W v and |w| at the start, v the direction of w."""
    vector, norm = jax.random.split(key)
    return START * jax.random.normal(vector, (d,)) / d**0.5, START * jnp.sqrt(jax.random.chisquare(norm, float(d)))


def across(key: jax.Array, d: int) -> jax.Array:
    """Return a unit vector that is uniform among those without a first coordinate."""
    x = jax.random.normal(key, (d,)).at[0].set(0.0)
    return x / jnp.linalg.norm(x)


State = tuple[jax.Array, jax.Array, jax.Array, jax.Array]  # steps done, a, c, residual


def descend(
    samples: Samples, beta: jax.Array, a: jax.Array, c: jax.Array, lr: float, steps: jax.Array | float, tolerance: float
) -> tuple[jax.Array, jax.Array]:
    """Return a and c after at most so many steps of gradient descent."""

    def residual(a: jax.Array, c: jax.Array) -> jax.Array:
        return samples.noise + samples.images(beta - c * a)

    def goes_on(state: State) -> jax.Array:
        done, _, _, r = state
        return (done < steps) & ~((done % CHECK == 0) & (r @ r <= tolerance))

    def step(state: State) -> State:
        done, a, c, r = state
        g = samples.pull_back(r)
        a, c = a + 2 * lr * c * g, c + 2 * lr * (a @ g)
        return done + 1, a, c, residual(a, c)

    _, a, c, _ = jax.lax.while_loop(goes_on, step, (jnp.zeros(()), a, c, residual(a, c)))
    return a, c
