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

from pt_jax.diagnostics.similarity import gram, rows

Layers = Mapping[str, ArrayLike]  # activations (n, ...) by the layer's name


class Sums(NamedTuple):
    """HSIC summed over minibatches, of A and B layers.

    Attributes:
        cross: of each pair, (A, B).
        a: of each layer with itself, (A,).
        b: the same, (B,).
        units: of the features of each layer, (A,) and (B,): the largest difference in the first minibatch that has any.
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
        ValueError: another number of layers than before, or of samples, or too few of these.
    """
    features = [rows("a", x) for x in a], [rows("b", x) for x in b]
    if sums.cross.shape != (len(a), len(b)):
        raise ValueError(f"a and b have {len(a)} and {len(b)} layers; expected {sums.cross.shape}, as at the start.")
    sizes = sorted({len(x) for z in features for x in z})
    least = 4 if debiased else 2
    if len(sizes) > 1 or sizes[0] < least:
        raise ValueError(f"layers have {sizes} samples; expected the same number in all, at least {least}.")
    units, grams = [], []
    for layers, before in zip(features, sums.units, strict=True):
        unit = jnp.where(before > 0, before, jnp.stack([jnp.max(jnp.abs(x - x[:1])) for x in layers]))
        scaled = [x / jnp.where(u > 0, u, 1) for x, u in zip(layers, unit, strict=True)]
        units.append(unit)
        grams.append(jnp.stack([gram(x, debiased, bandwidth).ravel() for x in scaled]))
    of_a, of_b = grams
    n = sizes[0]
    pairs = n * (n - 3) if debiased else (n - 1) ** 2
    cross = sums.cross + jnp.matmul(of_a, of_b.T, precision="highest") / pairs
    own_a, own_b = (jnp.sum(k**2, 1) / pairs for k in grams)
    return Sums(cross, sums.a + own_a, sums.b + own_b, (units[0], units[1]))


def cka(sums: Sums) -> Array:
    """Return CKA, (A, B), dimensionless; NaN where a layer puts out the same for all samples."""
    return sums.cross / (jnp.sqrt(sums.a)[:, None] * jnp.sqrt(sums.b))


def matrix(
    batches: Iterable[tuple[Layers, Layers]], debiased: bool = True, bandwidth: float | None = None
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
    for a, b in batches:
        if names is None:
            names = {"layer_a": list(a), "layer_b": list(b)}
            sums = start(len(a), len(b))
        if list(names.values()) != [list(a), list(b)]:
            raise ValueError("batches have layers of different names; expected those of the first in each.")
        sums = _add(sums, list(a.values()), list(b.values()), debiased=debiased, bandwidth=bandwidth)
        jax.block_until_ready(sums)  # else the next minibatches would be made and held meanwhile
    if names is None:
        raise ValueError("batches is empty; expected pairs of activations by name.")
    return xr.DataArray(np.asarray(cka(sums)), names, tuple(names), "debiased CKA" if debiased else "CKA")


_add = jax.jit(add, static_argnames=("debiased", "bandwidth"))
