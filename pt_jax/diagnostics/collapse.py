"""Neural collapse: how far the features of a class have shrunk to its mean, and the means to a simplex ETF.

K classes with means h_k, h_G the mean of the class means, N samples, M (K, D) the rows h_k - h_G, W (K, D) the
classifier:

    Sigma_W = (1/N) sum_k sum_i (h_ki - h_k)(h_ki - h_k)^T      Sigma_B = (1/K) sum_k (h_k - h_G)(h_k - h_G)^T
    NC1 = (1/K) trace(pinv(Sigma_B) Sigma_W)      quotient form trace(Sigma_W) / trace(Sigma_B)
    NC2 = | M M^T / |M M^T|_F - (I - 1 1^T / K) / sqrt(K-1) |_F     NC3 = the same with W M^T
    NC4 = agreement of argmax(W h + b) with the nearest class mean
    CDNV(k, l) = (Var_k + Var_l) / (2 |h_k - h_l|^2), mean over k < l,  Var_k = mean_i |h_ki - h_k|^2

With classes of equal size h_G is the mean of all samples. With others, that mean would leave M with rank K, and an ETF
would not give NC2 = 0.

The D x D matrices are never formed. With Q orthogonal such that the rows y_j of Q M are orthogonal to each other,
Sigma_B = (1/K) sum_j y_j y_j^T, and over the K-1 longest rows

    NC1 = (1/N) sum_k sum_i sum_j <h_ki - h_k, y_j>^2 / |y_j|^4

`jacobi.orthogonal_rows` finds them.

Source: 'Principled and Efficient Transfer Learning of Deep Models via Neural Collapse', arXiv 2212.12206.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import real
from pt_jax.diagnostics.jacobi import orthogonal_rows
from pt_jax.diagnostics.labels import indicator

_product = partial(jnp.matmul, precision="highest")  # no TF32 or bfloat16 products on an accelerator


class Collapse(NamedTuple):
    """Metrics of neural collapse: dimensionless scalars. All but nc4 fall to 0 under collapse.

    Attributes:
        nc1: within-class against between-class variability; NaN where the class means span fewer than min(K-1, D)
            dimensions to rounding.
        nc1_quotient: trace(Sigma_W) / trace(Sigma_B).
        nc2: distance of the class means from a simplex ETF.
        nc3: distance of the classifier from the class means.
        nc4: share of samples that the classifier gives to the class of the nearest mean, 1 under collapse.
        cdnv: class-distance normalised variance, mean over the pairs of classes; infinite where two means coincide.
    """

    nc1: Array
    nc1_quotient: Array
    nc2: Array
    nc3: Array
    nc4: Array
    cdnv: Array


class _Classes(NamedTuple):
    """The features by class: what all metrics are computed from. Padding and absent classes are rows of zeros.

    Lengths are in units of the largest entry of M, so that fourth powers stay in the range of float32.
    """

    truth: Array  # (n, K), 1 where the sample is of the class
    here: Array  # (K,), 1 where the class occurs
    classes: Array  # K, the classes that occur; NaN with fewer than 2, or a feature not finite: every metric is NaN
    means: Array  # M, (K, D)
    centred: Array  # h_ki - h_G, (n, D)
    spread: Array  # h_ki - h_k, (n, D)


def metrics(features: ArrayLike, labels: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Collapse:
    """Return the metrics of neural collapse of the last layer.

    Args:
        features: h, (n, D), the input of the classifier.
        labels: classes in 0..K-1, (n,); -1 marks padding, whose features do not matter.
        weight: W of the classifier, (K, D): the transpose of a flax `kernel`.
        bias: b, (K,); None for a classifier without.

    Returns:
        The metrics over the classes that occur; the others are left out, and so are their rows of W. All NaN where
        fewer than two classes occur, where a feature is not finite, or where all class means are equal.

    Raises:
        ValueError: shapes that do not fit, fewer than two classes, or labels outside -1..K-1.
    """
    features, weight = real("features", features), real("weight", weight)
    bias = jnp.zeros(weight.shape[:1], weight.dtype) if bias is None else real("bias", bias)
    _check(features, weight, bias)
    truth = indicator(labels, len(features), len(weight))
    groups = _classes(features, truth)
    here, classes, means = groups.here, groups.classes, groups.means
    simplex = (jnp.diag(here) - jnp.outer(here, here) / classes) / jnp.sqrt(classes - 1)
    within = jnp.sum(groups.spread**2) / jnp.sum(truth)
    return Collapse(
        nc1=_nc1(groups),
        nc1_quotient=within / (jnp.sum(means**2) / classes),
        nc2=_distance(_product(means, means.T), simplex),
        nc3=_distance(_product(here[:, None] * weight, means.T), simplex),
        nc4=_nc4(groups, features, weight, bias),
        cdnv=_cdnv(groups),
    )


def variability(features: ArrayLike, labels: ArrayLike, classes: int) -> Array:
    """Return NC1 alone, which needs no classifier: arguments, result and errors as for `metrics`, of K classes."""
    features = real("features", features)
    if features.ndim != 2:
        raise ValueError(f"features has shape {features.shape}; expected (samples, D).")
    return _nc1(_classes(features, indicator(labels, len(features), classes)))


def _classes(features: Array, truth: Array) -> _Classes:
    truth = truth.astype(features.dtype)
    counted, size = truth.sum(1, keepdims=True), truth.sum(0)
    here = (size > 0).astype(features.dtype)
    features = jnp.where(counted > 0, features, 0)
    classes = jnp.where((here.sum() > 1) & jnp.all(jnp.isfinite(features)), here.sum(), jnp.nan)
    # One sample is taken off first, so that constant features are 0 and not the rounding error of their mean.
    centred = counted * (features - features[jnp.argmax(counted)])
    means = _product(truth.T, centred) / jnp.maximum(size, 1)[:, None]
    middle = means.sum(0) / classes
    means = here[:, None] * (means - middle)
    unit = jnp.max(jnp.abs(means))
    means, centred = means / unit, counted * (centred - middle) / unit
    return _Classes(truth, here, classes, means, centred, centred - _product(truth, means))


def _nc1(groups: _Classes) -> Array:
    rows = orthogonal_rows(groups.means)
    squares = jnp.sum(rows**2, 1)
    rank = jnp.minimum(groups.classes - 1, rows.shape[1])
    kept = jnp.argsort(jnp.argsort(-squares)) < rank
    along = _product(groups.spread, rows.T) ** 2 / jnp.where(kept, squares, jnp.inf) ** 2
    rounding = squares.max() * (10 * len(rows) * jnp.finfo(rows.dtype).eps) ** 2
    flat = jnp.any(kept & (squares <= rounding))
    return jnp.where(flat, jnp.nan, along.sum() / groups.truth.sum())


def _distance(products: Array, simplex: Array) -> Array:
    return jnp.linalg.norm(products / jnp.linalg.norm(products) - simplex)


def _nc4(groups: _Classes, features: Array, weight: Array, bias: Array) -> Array:
    logits = _product(features, weight.T) + bias
    # Half of -|h - h_k|^2, up to |h|^2, which is the same for all k.
    nearness = _product(groups.centred, groups.means.T) - jnp.sum(groups.means**2, 1) / 2
    by_logits, by_mean = (jnp.argmax(jnp.where(groups.here > 0, x, -jnp.inf), 1) for x in (logits, nearness))
    counted = groups.truth.sum(1)
    failed = jnp.any(jnp.isnan(jnp.where(counted[:, None] > 0, logits + nearness, 0)))
    return jnp.where(failed, jnp.nan, jnp.sum((by_logits == by_mean) * counted) / counted.sum())


def _cdnv(groups: _Classes) -> Array:
    here, means = groups.here, groups.means
    size = groups.truth.sum(0)
    variance = _product(groups.truth.T, jnp.sum(groups.spread**2, 1)) / jnp.maximum(size, 1)

    def row(k):
        pair = (here * here[k] > 0) & (jnp.arange(len(means)) > k)
        squares = jnp.where(pair, jnp.sum((means - means[k]) ** 2, 1), 1)
        return jnp.sum(jnp.where(pair, (variance + variance[k]) / (2 * squares), 0))

    pairs = groups.classes * (groups.classes - 1) / 2
    return jnp.sum(jax.lax.map(row, jnp.arange(len(means)))) / pairs


def _check(features: Array, weight: Array, bias: Array) -> None:
    if features.ndim != 2 or weight.ndim != 2 or weight.shape[1] != features.shape[1]:
        shapes = f"{features.shape} and weight has {weight.shape}"
        raise ValueError(f"features has shape {shapes}; expected (samples, D) and (classes, D) of one D.")
    if len(weight) < 2:
        raise ValueError(f"weight has {len(weight)} row; expected one for each of at least 2 classes.")
    if bias.shape != (len(weight),):
        raise ValueError(f"bias has shape {bias.shape}; expected ({len(weight)},), one for each class.")
