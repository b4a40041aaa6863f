"""What training lowers, and whether it was lowered.

L = sum_i weight_i loss(seen_i, f_i)     over the samples in use, over a minibatch with equal weights
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.signal_noise.data import Task
from pt_jax.signal_noise.functions import resolve
from pt_jax.signal_noise.generators import another
from pt_jax.signal_noise.losses import mistakes
from pt_jax.signal_noise.point import Static


class Objective(NamedTuple):
    """The loss of a task: of outputs f (n, k), or (n, k, K) for K classes, a number for each network, (k,)."""

    task: Task
    classes: int | None
    static: Static

    def loss(self, f: Array, seen: Array, rows: Array | None = None) -> Array:
        """Return the mean loss over the samples in use, or over a minibatch."""
        function, weight = resolve("loss", self.static), self.task.weight
        if rows is not None:
            seen, weight = seen[rows], jnp.full(len(rows), 1.0 / len(rows))
        if self.classes is None:  # in one piece: quicker than a network at a time
            return weight @ function(jnp.broadcast_to(seen[:, None], f.shape), f)
        return weight @ jax.vmap(function, (None, 1), 1)(seen, f)

    def mistakes(self, f: Array) -> Array:
        """Return the share of the samples in use whose seen label is missed."""
        used = (self.task.weight > 0).astype(f.dtype)  # a sum of shares would be rounded, one of halves is not
        return used @ jax.vmap(mistakes, (None, 1), 1)(self.task.seen, f) / jnp.sum(used)

    def noisy(self, key: Array, share: Array) -> Array:
        """Return the labels seen in a step under label noise."""
        which, new = jax.random.split(key)
        seen = self.task.seen
        return jnp.where(jax.random.uniform(which, seen.shape) < share, another(new, seen, self.classes), seen)

    def grown(
        self, last: tuple[Array, Array], first: tuple[Array, Array], label_noise: Array | None, other: Array | bool
    ) -> Array:
        """Return whether it is above its value at step 0; by other rules than descent, above that of the output 0, too.

        `other` may be traced: a rule that is compiled in, but 0, changes nothing.
        """

        def lowered(f: Array, loss: Array) -> Array:
            if label_noise is None:
                return loss
            seen, count = self.task.seen, self.classes or 2
            others = [-seen] if self.classes is None else [(seen + shift) % count for shift in range(1, count)]
            flipped = sum((self.loss(f, other) for other in others), jnp.zeros_like(loss)) / len(others)
            return jnp.where(label_noise > 0, (1.0 - label_noise) * loss + label_noise * flipped, loss)

        most = lowered(*first)
        if other is not False:
            nothing = jnp.zeros_like(first[0])
            most = jnp.where(other, jnp.maximum(most, lowered(nothing, self.loss(nothing, self.task.seen))), most)
        above_rounding = 1 + 1e-5
        return ~(lowered(*last) <= most * above_rounding)  # also where one is no number
