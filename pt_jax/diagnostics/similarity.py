"""Feature similarity: CKA (centred kernel alignment) of two networks, by module.

    linear kernel: CKA(X, Y) = |Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F),    columns of X (n, p) and Y (n, q) centred
    any kernel:    CKA(K, L) = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),    K and L the (n, n) Gram matrices
    plain:         HSIC_0 = trace(K H L H) / (n - 1)^2,    H = I - 1 1^T / n
    debiased:      HSIC_1 = [trace(K L) + 1^T K 1 1^T L 1 / ((n - 1)(n - 2)) - 2 / (n - 2) 1^T K L 1] / (n (n - 3)),
                   with the diagonals of K and L set to 0

Plain CKA is in [0, 1]; linear CKA is unchanged by rotation, by one scale for all features and by a shift of each. In
fine-tuned networks two that share their pretraining are expected to be similar, and one trained from scratch to be
unlike any other.

Plain CKA rises with features over samples: two independent Gaussian samples, 256 x 500 each, have 0.66, debiased 0.00
with a standard deviation of 0.005. Debiased CKA can be negative. Take it where samples are not many times the
features, and to compare layers of different widths.

What a sample is: an image, whose activations are flattened to (n, H W C). With `positions` each position in an image is
a sample of its own, (n H W, C): channels are then compared whatever the place. Positions of one image are no
independent samples, so the debiased estimator keeps some bias there.

Source: 'Similarity of Neural Network Representations Revisited', arXiv 1905.00414 (CKA, kernels); 'Do Wide and Deep
Networks Learn the Same Things?', arXiv 2010.15327 (HSIC_1, after Song et al. 2012); 'What is being transferred in
transfer learning?', arXiv 2008.11687 (its use here).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.activations import by_module
from pt_jax.diagnostics.arrays import product, real, scalar
from pt_jax.diagnostics.parameters import Params, check

_DEBIASED = 4  # samples, at least: HSIC_1 divides by n - 3
_ROWS = 128  # rows of the Gram matrices that are held at once


def linear_cka(x: ArrayLike, y: ArrayLike, debiased: bool = False, used: ArrayLike | None = None) -> Array:
    """Return the linear CKA of two sets of features of the same samples.

    |Y^T X|_F^2 = sum_ij (X X^T)_ij (Y Y^T)_ij: taken on the side with the smaller matrix, if debiased on that of the
    Gram matrices, n^2 (p + q) products: outliers would cost the other its digits. The Gram side goes by blocks of rows,
    so that memory is linear in n on either side.

    Args:
        x: features, (n, p), any unit; in float32 or better from here on.
        y: features of the same samples in the same order, (n, q).
        debiased: take HSIC_1 in place of HSIC_0; at least 4 samples.
        used: whether each sample counts, (n,): all by default. It may be traced, where their number is.

    Returns:
        CKA, a dimensionless scalar, in [0, 1] if plain. NaN where all features of x or of y are constant (0/0), and
        where `used` is traced and counts too few samples.

    Raises:
        ValueError: not matrices, another number of samples, too few samples, or no features.
    """
    x, y = _checked(x, y, debiased)
    used = _which(used, len(x))
    if debiased and not isinstance(used, jax.core.Tracer):
        _enough("used", int(np.asarray(used).sum()))  # NumPy's: it may be a constant under jit
    x, y = (_centred(scaled(jnp.where(used[:, None], z, z[jnp.argmax(used)]))[0], used) for z in (x, y))
    xy, xx, yy = (_hsic(*pair, debiased, used) for pair in ((x, y), (x, x), (y, y)))
    return jnp.where(debiased & (jnp.sum(used) < _DEBIASED), jnp.nan, xy / (jnp.sqrt(xx) * jnp.sqrt(yy)))


def rbf_cka(x: ArrayLike, y: ArrayLike, bandwidth: ArrayLike = 0.5, debiased: bool = False) -> Array:
    """Return the CKA with a Gaussian (RBF) kernel; arguments, result and errors as for `linear_cka` and `gram`.

    NaN also where more than half of the pairs of samples have the same features. Memory grows with n^2. Distances
    are differences of |x_i|^2, centred: in float32 they have no digits left where a few samples lie 1,000 medians off.
    """
    k, other = (gram(scaled(value)[0], debiased, bandwidth) for value in _checked(x, y, debiased))
    return jnp.sum(k * other) / (jnp.linalg.norm(k) * jnp.linalg.norm(other))


def gram(x: Array, debiased: bool, bandwidth: ArrayLike | None = None) -> Array:
    """Return the centred Gram matrix of features, (n, n): HSIC is the sum of the products of the entries of two.

    Args:
        x: features in float32 or better, (n, p).
        debiased: centre so that the sum is n (n - 3) HSIC_1, else (n - 1)^2 HSIC_0.
        bandwidth: None for the linear kernel; else s in K_ij = exp(-|x_i - x_j|^2 / (2 s^2 median)), a fraction of the
            median distance: the median of all n^2 squared distances, those of 0 on the diagonal too, as in the code of
            the authors of arXiv 1905.00414.

    Raises:
        ValueError: the bandwidth is not a positive number.
    """
    used = _which(None, len(x))
    x = _centred(x, used)  # the kernels do not see it, and rounding is less
    k = product(x, x.T)
    if bandwidth is not None:
        bandwidth = positive(bandwidth)
        squares = jnp.diagonal(k)
        distances = jnp.maximum(squares[:, None] + squares - 2 * k, 0)
        k = jnp.exp(-distances / (2 * bandwidth**2 * jnp.median(distances)))
    if not debiased:
        return k - k.mean(0) - k.mean(1)[:, None] + k.mean()
    mean = jnp.sum(jnp.fill_diagonal(k, 0, inplace=False), 0) / (len(k) - 2)
    return jax.vmap(_off, (0, None, 0, None))(k, mean, jnp.arange(len(k)), used)


def positive(bandwidth: ArrayLike) -> Array:
    """Return the bandwidth of a kernel as an array.

    Raises:
        ValueError: it is not a positive number, where that is known: a traced one cannot be checked.
    """
    bandwidth = scalar("bandwidth", bandwidth)
    if not isinstance(bandwidth, jax.core.Tracer) and not bandwidth > 0:
        raise ValueError(f"bandwidth is {bandwidth}; expected a positive fraction of the median distance.")
    return bandwidth


def modules(
    apply: Callable[..., Any],
    params_a: Params,
    params_b: Params,
    images: ArrayLike,
    debiased: bool = False,
    positions: bool = False,
) -> dict[str, Array]:
    """Return the linear CKA of two networks by module name.

    Args:
        apply: `model.apply` of a flax.linen module; see `activations.by_module`.
        params_a: parameters of one network.
        params_b: parameters of the other, of the same names and shapes.
        images: the batch that both see, (n, ...).
        debiased: as for `linear_cka`.
        positions: whether each position is a sample, see above; else an image is.

    Returns:
        CKA of each module's activations; NaN where they are constant over the images.

    Raises:
        ValueError: parameters of different structure or shapes.
    """
    a, b = (by_module(apply, params, images) for params in check(params_a=params_a, params_b=params_b))
    return dict(zip(a, layers(list(a.values()), [b[name] for name in a], debiased, positions), strict=True))


def layers(
    a: Sequence[ArrayLike],
    b: Sequence[ArrayLike],
    debiased: bool = False,
    positions: bool = False,
    used: ArrayLike | None = None,
) -> Array:
    """Return the linear CKA of what the layers of two networks put out for the same n images.

    Args:
        a: outputs of one network's layers, (n, ...) each.
        b: outputs of the other's, as many. `similarity_matrix` compares each layer with each, and different networks.
        debiased: as for `linear_cka`.
        positions: whether each position is a sample, see above; else an image is.
        used: whether each image counts, (n,): all by default.

    Returns:
        CKA, (layers,).

    Raises:
        ValueError: another number of layers or of images, or outputs that are not real numbers.
    """
    if len(a) != len(b):
        raise ValueError(f"a has {len(a)} layers and b has {len(b)}; expected as many.")

    def of(x: ArrayLike, y: ArrayLike) -> Array:
        first, second = rows("a", x, positions), rows("b", y, positions)
        which = None  # an image that does not count has no position that does
        if used is not None:
            which = jnp.repeat(_which(used, images := jnp.shape(x)[0]), len(first) // images)
        return linear_cka(first, second, debiased, which)

    return jnp.array([of(x, y) for x, y in zip(a, b, strict=True)])


def rows(name: str, x: ArrayLike, positions: bool = False) -> Array:
    """Return the activations of a layer as (samples, features).

    Args:
        name: what the message calls them.
        x: activations, (n, ...).
        positions: keep the last axis alone as features, (n ..., C); else all but the first, (n, ... C).

    Raises:
        ValueError: a single number or none, or no array of real numbers.
    """
    x = real(name, x)
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"{name} has shape {x.shape}; expected the outputs of a layer, (n, ...), at least one number.")
    return x.reshape(-1, x.shape[-1]) if positions and x.ndim > 1 else x.reshape(len(x), -1)


def scaled(x: Array) -> tuple[Array, Array]:
    """Return features in their own unit, so that squares of squares stay in range, and the unit.

    The unit is the largest difference from the first sample, which is taken off: 0 where all samples are the same.
    """
    x = x - x[:1]
    unit = jnp.max(jnp.abs(x))
    return x / jnp.where(unit == 0, 1, unit), unit


def _checked(x: ArrayLike, y: ArrayLike, debiased: bool) -> tuple[Array, Array]:
    x, y = real("x", x), real("y", y)
    for name, value in (("x", x), ("y", y)):
        if value.ndim != 2 or value.size == 0:
            raise ValueError(f"{name} has shape {value.shape}; expected (samples, features), at least one of each.")
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} samples and y has {len(y)}; expected features of the same samples.")
    if debiased:
        _enough("x", len(x))
    return x, y


def _enough(name: str, count: int) -> None:
    if count < _DEBIASED:
        raise ValueError(f"{name} has {count} samples; expected at least {_DEBIASED} for the debiased estimator.")


def _which(used: ArrayLike | None, count: int) -> Array:
    """Return whether each sample counts, (n,)."""
    which = jnp.ones(count, bool) if used is None else jnp.asarray(used)
    if which.shape != (count,) or which.dtype != bool:
        raise ValueError(f"used has shape {which.shape} and holds {which.dtype}; expected ({count},), True or False.")
    return which


def _centred(x: Array, used: Array) -> Array:
    """Return features less their mean over the samples that count; the others are 0."""
    x = x - x[:1]  # first, so that a constant column is 0 and not the rounding error of its mean
    mean = jnp.sum(jnp.where(used[:, None], x, 0), 0) / jnp.sum(used)
    return jnp.where(used[:, None], x - mean, 0)


def _hsic(x: Array, y: Array, debiased: bool, used: Array) -> Array:
    """Return (n - 1)^2 HSIC_0 or n (n - 3) HSIC_1 of centred features: K 1 = 0 before its diagonal is left out."""
    if not debiased and x.shape[1] * y.shape[1] <= len(x) ** 2:
        return jnp.sum(product(x.T, y) ** 2)
    means = [-jnp.sum(z**2, 1) / (jnp.sum(used) - 2) for z in (x, y)] if debiased else []

    def row(i: Array) -> Array:
        of_x, of_y = product(x, x[i]), product(y, y[i])
        if debiased:
            of_x, of_y = (_off(k, mean, i, used) for k, mean in zip((of_x, of_y), means, strict=True))
        return jnp.vdot(of_x, of_y)

    return jnp.sum(jax.lax.map(row, jnp.arange(len(x)), batch_size=_ROWS))


def _off(k: Array, mean: Array, i: Array, used: Array) -> Array:
    """Return row i of a Gram matrix as HSIC_1 wants it: without the diagonal, and means over the other samples."""
    pairs = used & used[i] & (jnp.arange(len(k)) != i)
    return jnp.where(pairs, k - mean - mean[i] + mean.sum() / (jnp.sum(used) - 1), 0)
