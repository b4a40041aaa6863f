"""The means of the features of each class, over any number of batches: the first pass of `collapse`.

    h_k <- h_k + (n of the batch / n so far) (mean of the batch - h_k),    n of class k

State: O(K D) numbers for K classes in D dimensions.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import product, real, whole
from pt_jax.diagnostics.labels import indicator


class Means(NamedTuple):
    """The means of the classes.

    Attributes:
        size: samples of each class, (K,).
        mean: h_k - origin, (K, D), in the unit of the features; 0 for a class without samples.
        origin: the first sample of all, (D,): constant features are 0 then, and not the rounding error of their mean.
    """

    size: Array
    mean: Array
    origin: Array


def none(classes: int, dimension: int, dtype: Any = jnp.float32) -> Means:
    """Return the means before the first batch, of K classes in D dimensions.

    Raises:
        ValueError: one of the two is no whole number of at least 1.
    """
    for name, value in (("classes", classes), ("dimension", dimension)):
        if whole(name, value) < 1:
            raise ValueError(f"{name} = {value} is not accepted: use a whole number of at least 1.")
    zeros = jnp.zeros((classes, dimension), dtype)
    return Means(jnp.zeros(classes, jnp.int32), zeros, zeros[0])


def add(means: Means, features: ArrayLike, labels: ArrayLike) -> Means:
    """Add a batch; arguments and errors as for `batch`."""
    return _add(means, *batch(means, features, labels))


def batch(means: Means, features: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
    """Return features and classes of a batch, once they are seen to fit.

    Args:
        means: what they are to be added to.
        features: h, (n, D).
        labels: classes in 0..K-1, (n,); -1 marks padding, whose features do not matter.

    Returns:
        Features in float32 or better, and whether a sample is of a class, (n, K).

    Raises:
        ValueError: another D, or labels that are not n of these numbers.
    """
    features = real("features", features)
    if features.ndim != 2 or features.shape[1:] != means.origin.shape:
        raise ValueError(f"features has shape {features.shape}; expected (samples, {len(means.origin)}).")
    return features, indicator(labels, len(features), len(means.size)) > 0


@jax.jit
def _add(means: Means, features: Array, truth: Array) -> Means:
    present, added = truth.any(1), truth.sum(0)
    origin = jnp.where(means.size.any(), means.origin, features[jnp.argmax(present)])
    total = product(truth.T.astype(features.dtype), jnp.where(present[:, None], features - origin, 0))
    mean = total / jnp.maximum(added, 1)[:, None]
    size = means.size + added
    share = (added / jnp.maximum(size, 1)).astype(features.dtype)[:, None]
    return Means(size, means.mean + share * (mean - means.mean), origin)
