"""How much closer to the target's solution pretraining has brought a network's weights.

    T = D(theta_r, theta_b) / D(theta_a, theta_b),    D = mean absolute difference over a tensor

theta_r: the random weights from which pretraining started; theta_a: after pretraining; theta_b: after fine-tuning from
theta_a on the target. T > 1: pretraining moved the weights towards the solution. T falls with the number of update
steps by itself: compare at equal steps, or at convergence.

As in the script that was published with the paper, the convolutions of `downsample` branches, as torchvision names
those beside a residual block, are left out; the script takes the stem, the three convolutions of each block, and the
head of a ResNet-50.

Source: 'Rethinking Two Consensuses of the Transferability in Deep Learning', arXiv 2212.00399.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import real
from pt_jax.diagnostics.parameters import Params, check, modules, parts, top

RESNET50_CIFAR10 = (
    *(3.44, 7.76, 8.59, 7.30, 5.42, 9.20, 6.10, 5.52, 4.23),
    *(7.65, 8.30, 8.32, 8.86, 8.88, 5.96, 13.00, 13.81),
)
"""Published T of the 17 blocks of a ResNet-50 on CIFAR-10, from low to high, dimensionless; their mean is 7.78."""


_BESIDE = ("downsample",)


class Transferability(NamedTuple):
    """T by block and over the network: dimensionless.

    Attributes:
        blocks: T by block name; NaN where the block did not move in fine-tuning, or weights are NaN.
        whole: mean over the blocks that moved, without the head; NaN where none did, or weights of these are NaN.
    """

    blocks: dict[str, Array]
    whole: Array


def ratio(theta_r: ArrayLike, theta_a: ArrayLike, theta_b: ArrayLike) -> Array:
    """Return T of one tensor.

    Args:
        theta_r: random weights before pretraining, any shape.
        theta_a: after pretraining, the same shape.
        theta_b: after fine-tuning, the same shape.

    Returns:
        T, a dimensionless scalar of at least 0; NaN where the tensor did not move from a to b.

    Raises:
        ValueError: tensors of different shape, or not real.
    """
    tensors = {"theta_r": theta_r, "theta_a": theta_a, "theta_b": theta_b}
    r, a, b = check(**{name: real(name, x) for name, x in tensors.items()})
    return _ratio(_difference(r, b), _difference(a, b))


def layers(
    theta_r: Params,
    theta_a: Params,
    theta_b: Params,
    head: str | None = None,
    block: Callable[[str], str] = top,
    without: Collection[str] = _BESIDE,
) -> Transferability:
    """Return T by block: both differences are averaged over the block's tensors, then divided.

    Only weights count, tensors of two or more dimensions: no biases, no norms.

    Args:
        theta_r: random parameters before pretraining.
        theta_a: after pretraining, the same structure.
        theta_b: after fine-tuning, the same structure.
        head: block that the mean leaves out, usually the classifier; None leaves out none.
        block: from a module's name to that of its block.
        without: modules that are left out, with all in them: those of which a part of the name is one of these.

    Returns:
        T by block and its mean.

    Raises:
        ValueError: pytrees of different structure or shapes, no weights, or no block of the head's name.
    """
    differences = _by_block(theta_r, theta_a, theta_b, block, without)
    found = {name: _ratio(*pair) for name, pair in differences.items()}
    if head not in (None, *found) or set(found) <= {head}:
        raise ValueError(f"head is {head!r}; expected None or one of several blocks with weights: {', '.join(found)}.")
    counted = [name for name in found if name != head]
    moved = jnp.array([differences[name][1] for name in counted]) != 0  # NaN has: it is not to be lost
    return Transferability(found, jnp.mean(jnp.array([found[name] for name in counted]), where=moved))


def blocks(
    theta_r: Params,
    theta_a: Params,
    theta_b: Params,
    block: Callable[[str], str] = top,
    without: Collection[str] = _BESIDE,
) -> dict[str, Array]:
    """Return T of each block that has weights; arguments and errors as for `layers`, but none may have any."""
    return {name: _ratio(*pair) for name, pair in _by_block(theta_r, theta_a, theta_b, block, without).items()}


def _by_block(
    theta_r: Params, theta_a: Params, theta_b: Params, block: Callable[[str], str], without: Collection[str]
) -> dict[str, tuple[Array, Array]]:
    """Return D(theta_r, theta_b) and D(theta_a, theta_b) of each block that has weights."""
    theta_r, theta_a, theta_b = check(theta_r=theta_r, theta_a=theta_a, theta_b=theta_b)
    pairs: dict[str, list[tuple[Array, Array]]] = {}
    for name, r, a, b in zip(modules(theta_r), *map(jax.tree.leaves, (theta_r, theta_a, theta_b)), strict=True):
        if jnp.ndim(r) >= 2 and not set(parts(name)) & set(without):
            pairs.setdefault(block(name), []).append((_difference(r, b), _difference(a, b)))
    return {
        name: (jnp.stack([start for start, _ in pair]).mean(), jnp.stack([moved for _, moved in pair]).mean())
        for name, pair in pairs.items()
    }


def _difference(x: Array, y: Array) -> Array:
    return jnp.mean(jnp.abs(x - y))


def _ratio(start: Array, moved: Array) -> Array:
    return jnp.where(moved == 0, jnp.nan, start / jnp.where(moved == 0, 1, moved))
