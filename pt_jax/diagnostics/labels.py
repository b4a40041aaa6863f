"""Class labels as an indicator matrix, with padding: 0..K-1 are classes, -1 marks a sample that is not there."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import array


def indicator(labels: ArrayLike, samples: int, classes: int) -> Array:
    """Return which sample is of which class, (n, K) of 0 and 1; a row of zeros where the label is -1.

    Args:
        labels: whole numbers in 0..K-1, or -1 for padding, (n,). Traced labels cannot be checked: those outside count
            as padding.
        samples: n, the number of rows that the labels belong to.
        classes: K.

    Raises:
        ValueError: another number of labels than samples, no sample, labels that are not whole numbers, or a label
            outside -1..K-1.
    """
    labels = array("labels", labels)
    if not isinstance(labels, jax.core.Tracer):
        labels = np.asarray(labels)  # NumPy, so that labels are checked under jit too, where they are constants
    if labels.shape != (samples,) or samples == 0:
        raise ValueError(f"labels has shape {labels.shape}; expected ({samples},), one label a sample, at least one.")
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"labels has dtype {labels.dtype}; expected whole numbers in 0..{classes - 1}, -1 is padding.")
    if isinstance(labels, np.ndarray) and (labels.min() < -1 or labels.max() >= classes):
        found = f"{labels.min()}..{labels.max()}"
        raise ValueError(f"labels lie in {found}; expected 0..{classes - 1}, one for each class, -1 is padding.")
    return jax.nn.one_hot(labels, classes)
