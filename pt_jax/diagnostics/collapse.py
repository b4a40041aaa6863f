"""Neural collapse: how far the features of a class have shrunk to its mean, and the means to a simplex ETF.

K classes with means h_k, h_G the mean of the class means, N samples, M (K, D) the rows h_k - h_G, W (K, D) the
classifier:

    Sigma_W = (1/N) sum_k sum_i (h_ki - h_k)(h_ki - h_k)^T      Sigma_B = (1/K) sum_k (h_k - h_G)(h_k - h_G)^T
    NC1 = (1/K) trace(pinv(Sigma_B) Sigma_W)      quotient form trace(Sigma_W) / trace(Sigma_B)
    NC2 = | M M^T / |M M^T|_F - (I - 1 1^T / K) / sqrt(K-1) |_F     NC3 = the same with W M^T
    NC4 = agreement of argmax(W h + b) with the nearest class mean
    CDNV(k, l) = (Var_k + Var_l) / (2 |h_k - h_l|^2), mean over k < l,  Var_k = mean_i |h_ki - h_k|^2

and NC2 of W, NC3 as a distance | W / |W|_F - M / |M|_F |_F^2, NC4 without the bias, and equinorm, equiangularity and
maximal angle of M and of W, see `frame`.

Conventions. With classes of equal size h_G is the mean of all samples, as in arXiv 2008.08186. With others, that mean
would leave M with rank K, and an ETF would not give NC2 = 0. A class without samples is left out, with its row of W,
and K counts the others; the package `neural-collapse` by rhubarbwu keeps it with the mean 0 unless told otherwise, and
arXiv 2008.08186 has none. NC4 there is the share of disagreement, 1 - NC4, with the bias; in `neural-collapse` it is
the agreement without.

Features that do not fit into memory come in batches, in two passes over the same data: class means by
`class_means.none` and `class_means.add`, then the spread around them by `no_spread` and `add_spread`; `result` has the
metrics. State: O(K D) numbers, whatever the number of samples. The D x D matrices are never formed. With Q orthogonal
such that the rows y_j of Q M are orthogonal to each other, Sigma_B = (1/K) sum_j y_j y_j^T, and over the K-1 longest
rows

    NC1 = (1/N) sum_k sum_i sum_j <h_ki - h_k, y_j>^2 / |y_j|^4

`jacobi.orthogonal_rows` finds them.

Source: 'Principled and Efficient Transfer Learning of Deep Models via Neural Collapse', arXiv 2212.12206; 'Prevalence
of neural collapse during the terminal phase of deep learning training', arXiv 2008.08186.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics import class_means
from pt_jax.diagnostics.arrays import product, real
from pt_jax.diagnostics.class_means import Means
from pt_jax.diagnostics.frame import alignment, distance, frame
from pt_jax.diagnostics.jacobi import orthogonal_rows


class Collapse(NamedTuple):
    """Metrics of neural collapse: dimensionless scalars. All but those of nc4 fall to 0 under collapse.

    Attributes:
        nc1: within-class against between-class variability; NaN where the class means span fewer than min(K-1, D)
            dimensions to rounding.
        nc1_quotient: trace(Sigma_W) / trace(Sigma_B).
        nc2: distance of the class means from a simplex ETF.
        nc2_weights: the same of the rows of W.
        nc3: distance of the classifier from the class means, as W M^T from that of a simplex.
        nc3_distance: the same as W from M, each over its norm.
        nc4: share of samples that the classifier gives to the class of the nearest mean, 1 under collapse.
        nc4_no_bias: the same with b = 0.
        cdnv: class-distance normalised variance, mean over the pairs of classes; infinite where two means coincide.
        equinorm: spread of the norms of the class means h_k - h_G.
        equinorm_weights: spread of the norms of the rows of W.
        equiangularity: spread of the cosines between the class means h_k - h_G.
        equiangularity_weights: the same between the rows of W.
        angle: distance of the cosines between the class means h_k - h_G from -1 / (K-1).
        angle_weights: the same between the rows of W.
    """

    nc1: Array
    nc1_quotient: Array
    nc2: Array
    nc2_weights: Array
    nc3: Array
    nc3_distance: Array
    nc4: Array
    nc4_no_bias: Array
    cdnv: Array
    equinorm: Array
    equinorm_weights: Array
    equiangularity: Array
    equiangularity_weights: Array
    angle: Array
    angle_weights: Array


class Spread(NamedTuple):
    """What the second pass finds around the means, in units of the largest entry of M.

    Attributes:
        means: of all data, from the first pass.
        directions: y_j / |y_j|^2, (K or K+1, D), or 0 where the row is not kept; NaN where the means are flat.
        squares: sum of |h_ki - h_k|^2 over each class, (K,).
        along: sum of `<h_ki - h_k, y_j>^2 / |y_j|^4` over all, a scalar.
        agreed: samples that classifier and nearest mean agree on, (2,): with b and without.
        failed: whether an output of either was NaN, (2,).
    """

    means: Means
    directions: Array
    squares: Array
    along: Array
    agreed: Array
    failed: Array


def metrics(features: ArrayLike, labels: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Collapse:
    """Return the metrics of neural collapse of the last layer.

    Args:
        features: h, (n, D), the input of the classifier.
        labels: classes in 0..K-1, (n,); -1 marks padding, whose features do not matter.
        weight: W of the classifier, (K, D): the transpose of a flax `kernel`.
        bias: b, (K,); None for a classifier without.

    Returns:
        The metrics over the classes that occur; the others are left out, and so are their rows of W. All NaN where
        fewer than two classes occur or a feature is not finite; all but those of W alone where all class means are
        equal.

    Raises:
        ValueError: shapes that do not fit, fewer than two classes, or labels outside -1..K-1.
    """
    features, weight = real("features", features), real("weight", weight)
    _check(features, weight)
    means = class_means.add(class_means.none(len(weight), weight.shape[1], features.dtype), features, labels)
    return result(add_spread(no_spread(means), features, labels, weight, bias), weight)


def variability(features: ArrayLike, labels: ArrayLike, classes: int) -> Array:
    """Return NC1 alone, which needs no classifier: arguments, result and errors as for `metrics`; K classes."""
    features = real("features", features)
    if features.ndim != 2:
        raise ValueError(f"features has shape {features.shape}; expected (samples, D).")
    means = class_means.add(class_means.none(classes, features.shape[1], features.dtype), features, labels)
    spread = add_spread(no_spread(means), features, labels)
    return spread.along / means.size.sum()


@jax.jit
def no_spread(means: Means) -> Spread:
    """Return the spread before the first batch of the second pass, around the means of the whole first one."""
    groups = _classes(means)
    rows = orthogonal_rows(groups.means)
    squares = jnp.sum(rows**2, 1)
    kept = jnp.argsort(jnp.argsort(-squares)) < jnp.minimum(groups.classes - 1, rows.shape[1])
    rounding = squares.max() * (10 * len(rows) * jnp.finfo(rows.dtype).eps) ** 2
    flat = jnp.any(kept & (squares <= rounding))
    directions = rows / jnp.where(kept, squares, jnp.inf)[:, None]
    zeros = jnp.zeros(len(groups.here), rows.dtype)
    none = jnp.zeros(2, jnp.int32)
    return Spread(means, jnp.where(flat, jnp.nan, directions), zeros, zeros[0], none, none > 0)


def add_spread(
    spread: Spread,
    features: ArrayLike,
    labels: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
) -> Spread:
    """Add a batch to the spread: the second pass, over the same data; arguments and errors as for `metrics`.

    Without a classifier there is no NC4.
    """
    features, truth = class_means.batch(spread.means, features, labels)
    if weight is None:
        return _add_spread(spread, features, truth, None)
    weight = _fitting(spread.means, weight)
    bias = jnp.zeros(weight.shape[:1], weight.dtype) if bias is None else real("bias", bias)
    if bias.shape != weight.shape[:1]:
        raise ValueError(f"bias has shape {bias.shape}; expected ({len(weight)},), one for each class.")
    return _add_spread(spread, features, truth, (weight, bias))


@jax.jit
def _add_spread(spread: Spread, features: Array, truth: Array, classifier: tuple[Array, Array] | None) -> Spread:
    groups, one_hot, present = _classes(spread.means), truth.astype(features.dtype), truth.any(1)
    centred = (features - spread.means.origin - groups.middle) / groups.unit
    centred = jnp.where(present[:, None], centred, 0)
    away = centred - product(one_hot, groups.means)  # h_ki - h_k
    agreed, failed = spread.agreed, spread.failed
    if classifier is not None:
        weight, bias = classifier
        # Half of -|h - h_k|^2, up to |h|^2, which is the same for all k.
        nearness = product(centred, groups.means.T) - jnp.sum(groups.means**2, 1) / 2
        linear = product(features, weight.T)
        both = jnp.stack([linear + bias, linear])
        here = groups.here > 0
        by_logits, by_mean = (jnp.argmax(jnp.where(here, x, -jnp.inf), -1) for x in (both, nearness))
        agreed = agreed + jnp.sum((by_logits == by_mean) & present, 1, dtype=jnp.int32)
        failed = failed | jnp.any(jnp.isnan(both + nearness) & present[:, None] & here, (1, 2))
    return Spread(
        spread.means,
        spread.directions,
        spread.squares + product(one_hot.T, jnp.sum(away**2, 1)),
        spread.along + jnp.sum(product(away, spread.directions.T) ** 2),
        agreed,
        failed,
    )


def result(spread: Spread, weight: ArrayLike) -> Collapse:
    """Return the metrics after the second pass; W as for `metrics`."""
    return _result(spread, _fitting(spread.means, weight))


@jax.jit
def _result(spread: Spread, weight: Array) -> Collapse:
    groups = _classes(spread.means)
    size, here, classes, means = spread.means.size, groups.here, groups.classes, groups.means
    samples = size.sum()
    of_means, of_weights = (frame(x, here, classes) for x in (means, weight))
    nc4, nc4_no_bias = jnp.where(spread.failed, jnp.nan, spread.agreed / samples)
    return Collapse(
        nc1=spread.along / samples,
        nc1_quotient=spread.squares.sum() / samples / (jnp.sum(means**2) / classes),
        nc2=of_means.simplex,
        nc2_weights=of_weights.simplex,
        nc3=alignment(weight, means, here, classes),
        nc3_distance=distance(weight, means, here),
        nc4=nc4,
        nc4_no_bias=nc4_no_bias,
        cdnv=_cdnv(spread.squares / jnp.maximum(size, 1), groups),
        equinorm=of_means.equinorm,
        equinorm_weights=of_weights.equinorm,
        equiangularity=of_means.equiangularity,
        equiangularity_weights=of_weights.equiangularity,
        angle=of_means.angle,
        angle_weights=of_weights.angle,
    )


class _Classes(NamedTuple):
    """The classes that occur. Absent ones are rows of zeros."""

    here: Array  # (K,), 1 where the class occurs
    classes: Array  # K, the classes that occur; NaN with fewer than 2, or a feature not finite: every metric is NaN
    means: Array  # M over its unit, (K, D)
    middle: Array  # h_G - origin, (D,)
    unit: Array  # largest entry of M, so that fourth powers stay in the range of float32


def _classes(means: Means) -> _Classes:
    here = (means.size > 0).astype(means.mean.dtype)
    classes = jnp.where((here.sum() > 1) & jnp.all(jnp.isfinite(means.mean)), here.sum(), jnp.nan)
    middle = means.mean.sum(0) / classes
    centred = here[:, None] * (means.mean - middle)
    unit = jnp.max(jnp.abs(centred))
    return _Classes(here, classes, centred / unit, middle, unit)


def _cdnv(variance: Array, groups: _Classes) -> Array:
    here, means = groups.here, groups.means

    def row(k: Array) -> Array:
        pair = (here * here[k] > 0) & (jnp.arange(len(means)) > k)
        squares = jnp.where(pair, jnp.sum((means - means[k]) ** 2, 1), 1)
        values = jnp.where(squares == 0, jnp.inf, (variance + variance[k]) / (2 * squares))  # no NaN without spread
        return jnp.sum(jnp.where(pair, values, 0))

    pairs = groups.classes * (groups.classes - 1) / 2
    return jnp.sum(jax.lax.map(row, jnp.arange(len(means)))) / pairs


def _fitting(means: Means, weight: ArrayLike) -> Array:
    weight = real("weight", weight)
    if weight.shape != means.mean.shape:
        raise ValueError(f"weight has shape {weight.shape}; expected {means.mean.shape}, that of the class means.")
    return weight


def _check(features: Array, weight: Array) -> None:
    if features.ndim != 2 or weight.ndim != 2 or weight.shape[1] != features.shape[1] or not features.shape[1]:
        shapes = f"{features.shape} and weight has {weight.shape}"
        raise ValueError(f"features has shape {shapes}; expected (samples, D) and (classes, D) of one D, at least 1.")
    if len(weight) < 2:
        raise ValueError(f"weight has {len(weight)} row; expected one for each of at least 2 classes.")
