"""CKA of every layer of one network with every layer of another one, over minibatches, in constant memory.

    CKA(i, j) = sum_t HSIC(K_ti, L_tj) / sqrt(sum_t HSIC(K_ti, K_ti) sum_t HSIC(L_tj, L_tj)),    minibatches t

K_ti is the Gram matrix of layer i of the one network on minibatch t, L_tj that of layer j of the other. HSIC_1 has no
bias at any size of the minibatches, so that their mean tends to the value on all data; HSIC_0 has more the smaller they
are. The networks may be of any two architectures; activations are flattened to (n, features).

Source: 'Do Wide and Deep Networks Learn the Same Things?', arXiv 2010.15327.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import product
from pt_jax.diagnostics.similarity import gram, positive, rows, scaled

Layers = Mapping[str, ArrayLike]  # activations (n, ...) by the layer's name


class Sums(NamedTuple):
    """HSIC summed over minibatches, of A and B layers.

    Attributes:
        cross: of each pair, (A, B).
        a: of each layer with itself, (A,).
        b: the same, (B,).
        units: of the features of each layer, (A,) and (B,): the largest so far, see `similarity.scaled`; 1 for kernels
            with a bandwidth. The sums are those of features in these units, and so stay in the range of float32.
    """

    cross: Array
    a: Array
    b: Array
    units: tuple[Array, Array]


def start(a: int, b: int) -> Sums:
    """Return the sums before the first minibatch, for so many layers in each network."""
    zeros = partial(jnp.zeros, dtype=jnp.result_type(float))
    return Sums(zeros((a, b)), zeros(a), zeros(b), (zeros(a), zeros(b)))


def add(
    sums: Sums,
    a: Sequence[ArrayLike],
    b: Sequence[ArrayLike],
    debiased: bool = True,
    bandwidth: ArrayLike | None = None,
) -> Sums:
    """Add a minibatch to the sums.

    Args:
        sums: of the minibatches before.
        a: what the layers of one network put out, (n, ...) each.
        b: what those of the other put out for the same n samples.
        debiased: take HSIC_1, which needs n of at least 4, in place of HSIC_0.
        bandwidth: None for the linear kernel, else as for `similarity.gram`.

    Returns:
        The sums with this minibatch. Memory: (A + B) n^2 numbers.

    Raises:
        ValueError: another number of layers than before, or of samples, or too few of these; or a bandwidth that is not
            positive.
    """
    features = [rows("a", x) for x in a], [rows("b", x) for x in b]
    if sums.cross.shape != (len(a), len(b)):
        raise ValueError(f"a and b have {len(a)} and {len(b)} layers; expected {sums.cross.shape}, as at the start.")
    if not (a and b):
        raise ValueError("a or b has no layer; expected at least one of each network.")
    sizes = sorted({len(x) for z in features for x in z})
    least = 4 if debiased else 2
    if len(sizes) > 1 or sizes[0] < least:
        raise ValueError(f"layers have {sizes} samples; expected the same number in all, at least {least}.")
    n = sizes[0]
    pairs = n * (n - 3) if debiased else (n - 1) ** 2
    (of_a, *a_units), (of_b, *b_units) = (
        _grams(layers, before, debiased, bandwidth) for layers, before in zip(features, sums.units, strict=True)
    )
    (a_unit, a_kept, a_share), (b_unit, b_kept, b_share) = a_units, b_units
    cross = product(of_a, of_b.T) / pairs
    return Sums(
        sums.cross * jnp.outer(a_kept, b_kept) + cross * jnp.outer(a_share, b_share),
        sums.a * a_kept**2 + jnp.sum(of_a**2, 1) / pairs * a_share**2,
        sums.b * b_kept**2 + jnp.sum(of_b**2, 1) / pairs * b_share**2,
        (a_unit, b_unit),
    )


def _grams(
    layers: Sequence[Array], before: Array, debiased: bool, bandwidth: ArrayLike | None
) -> tuple[Array, Array, Array, Array]:
    """Return Gram matrices of layers in their own units, the larger unit, and the squares of both units in it."""
    features, units = zip(*map(scaled, layers), strict=True)
    grams = jnp.stack([gram(x, debiased, bandwidth).ravel() for x in features])
    own = jnp.stack(units) if bandwidth is None else jnp.ones_like(before)
    unit = jnp.maximum(before, own)
    kept, share = (jnp.where(unit > 0, u / unit, 0) ** 2 for u in (before, own))
    return grams, unit, kept, share


def cka(sums: Sums) -> Array:
    """Return CKA, (A, B), dimensionless; NaN where a layer puts out the same for all samples."""
    return sums.cross / (jnp.sqrt(sums.a)[:, None] * jnp.sqrt(sums.b))


def matrix(
    batches: Iterable[tuple[Layers, Layers]], debiased: bool = True, bandwidth: ArrayLike | None = None
) -> xr.DataArray:
    """Return CKA by the names of the layers; `pt_jax.plot.heat_map` draws it.

    Args:
        batches: activations of both networks by the names of their layers, for one minibatch after the other, such as
            a generator, of which one at a time is held; `[(a, b)]` for all samples at once.
        debiased: as for `add`.
        bandwidth: as for `add`.

    Returns:
        CKA with the dimensions `layer_a` and `layer_b`, in the order of the first minibatch.

    Raises:
        ValueError: no batch, layers of other names than in the first, or as for `add`.
    """
    sums, names = start(0, 0), None
    if bandwidth is not None:  # checked here, as the activations below: jit takes no other libraries' arrays
        bandwidth = positive(bandwidth)
    for a, b in batches:
        if names is None:
            names = {"layer_a": list(a), "layer_b": list(b)}
            sums = start(len(a), len(b))
        if list(names.values()) != [list(a), list(b)]:
            raise ValueError("batches have layers of different names; expected those of the first in each.")
        features = ([rows(name, x) for name, x in layers.items()] for layers in (a, b))
        sums = _add(sums, *features, debiased=debiased, bandwidth=bandwidth)
        jax.block_until_ready(sums)  # else the next minibatches would be made and held meanwhile
    if names is None:
        raise ValueError("batches is empty; expected pairs of activations by name.")
    return xr.DataArray(np.asarray(cka(sums)), names, tuple(names), "debiased CKA" if debiased else "CKA")


_add = jax.jit(add, static_argnames="debiased")
