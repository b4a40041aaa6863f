"""Whether two networks make the same mistakes, against two that answer independently.

With W_a and W_b the sets of samples that a and b get wrong,

    jaccard = |W_a and W_b| / |W_a or W_b|    conditional = |W_a and W_b| / |W_a|    agreement = share of equal answers

Independent means given the label: of the N_y samples of class y, both get |W_a|_y |W_b|_y / N_y wrong on average (the
product rule), and both answer k on A_yk B_yk / N_y, where A_yk and B_yk are how many a and b call k. So a class that is
hard for both makes no overlap by itself. Where all classes are equally hard the rule is P(a wrong) P(b wrong).

Source: 'What is being transferred in transfer learning?', arXiv 2008.11687 (overlap of the mistakes of two networks).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import real
from pt_jax.diagnostics.labels import indicator


class Overlap(NamedTuple):
    """How far two networks' answers coincide: dimensionless scalars in [0, 1].

    Attributes:
        jaccard: mistakes of both over mistakes of either; NaN where neither errs.
        conditional: share of a's mistakes that b makes too; NaN where a does not err.
        agreement: share of samples that both give the same class, right or wrong.
    """

    jaccard: Array
    conditional: Array
    agreement: Array


class Mistakes(NamedTuple):
    """Error rates of both networks, the overlap observed, and its value if they answered independently."""

    error_a: Array
    error_b: Array
    observed: Overlap
    independent: Overlap


def overlap(logits_a: ArrayLike, logits_b: ArrayLike, labels: ArrayLike) -> Mistakes:
    """Compare the mistakes of two networks on the same samples.

    Args:
        logits_a: outputs of a, (n, K); the largest is its answer.
        logits_b: outputs of b on the same samples, (n, K).
        labels: true classes in 0..K-1, (n,); -1 marks padding.

    Returns:
        Scalars. All NaN where a logit is NaN or no label is left.

    Raises:
        ValueError: logits that are not matrices of one shape, or labels that do not fit them.
    """
    logits_a, logits_b = real("logits_a", logits_a), real("logits_b", logits_b)
    if logits_a.ndim != 2 or logits_a.shape != logits_b.shape:
        shapes = f"{logits_a.shape} and {logits_b.shape}"
        raise ValueError(f"logits_a and logits_b have shapes {shapes}; expected (samples, classes) in both.")
    samples, classes = logits_a.shape
    truth = indicator(labels, samples, classes)
    present = truth.sum(1, keepdims=True)
    a, b = (present * jax.nn.one_hot(jnp.argmax(x, 1), classes) for x in (logits_a, logits_b))
    failed = jnp.any((present > 0) & (jnp.isnan(logits_a) | jnp.isnan(logits_b)))
    total = jnp.where(failed, jnp.nan, truth.sum())

    size = truth.sum(0)
    wrong_a, wrong_b = (present[:, 0] - jnp.sum(x * truth, 1) for x in (a, b))
    error_a, error_b = wrong_a.sum() / total, wrong_b.sum() / total
    observed = _overlap(error_a, error_b, jnp.sum(wrong_a * wrong_b) / total, jnp.sum(a * b) / total)

    share = 1 / jnp.maximum(size, 1) / total
    both = jnp.sum(share * (truth.T @ wrong_a) * (truth.T @ wrong_b))
    agreement = jnp.sum(share[:, None] * (truth.T @ a) * (truth.T @ b))
    return Mistakes(error_a, error_b, observed, _overlap(error_a, error_b, both, agreement))


def _overlap(error_a: Array, error_b: Array, both: Array, agreement: Array) -> Overlap:
    return Overlap(both / (error_a + error_b - both), both / error_a, agreement)
