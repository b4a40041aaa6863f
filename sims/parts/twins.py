"""The networks that `vision_twins.py` and `vision_criticality.py` compare, for each of the images."""

from collections.abc import Sequence
from typing import NamedTuple

from parts.images import PAIRS, POINTS

import pt_jax
from pt_jax.vision import compare
from pt_jax.vision.point import Static


class Twins(NamedTuple):
    """Samples of the target, and options of the network: deep enough that two from random weights differ.

    On CIFAR-10 those of four layers are alike: linear CKA of 0.83 in the highest layer, in place of 0.68.
    """

    samples: int
    network: dict[str, int]


TWINS = {"digits 8x8": Twins(200, {}), "cifar10 32x32": Twins(1000, {"depth": 4})}


def sweep(quick: bool, seeds: int, images: str, results: Sequence[str]) -> pt_jax.Sweep:
    """All networks at one point; the quick ones have four layers and a third of the pretraining."""
    data, (samples, network) = PAIRS[images](), TWINS[images]
    point = POINTS[images]._replace(n2=samples, steps1=POINTS[images].steps1 / (3 if quick else 1))
    static = Static.covering(data, point, **{} if quick else network)
    dims, labels = compare.DIMS, compare.labels(static)
    return pt_jax.Sweep(compare.compare, point, {}, seeds, tuple(results), static, data, dims, labels)
