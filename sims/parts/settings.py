"""The values along the axes of figures on real images, and what of the point is their own, for each of the images."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from parts.images import cifar10

from pt_jax.vision import datasets


class Transfer(NamedTuple):
    """What of the point is its own, and the values along each curve."""

    own: dict[str, float]
    curves: dict[str, np.ndarray]


SMALL = {
    "alpha": np.linspace(0, 1, 5),
    "n1": np.array([50, 100, 200, 500, 1000, 2000]),
    "noise1": np.array([0.0, 0.5, 1.0, 2.0]),
    "labels1": np.linspace(0, 1, 5),
}
# Of the point: for a figure within two hours of two cores.
SOON: dict[str, float] = {"n1": 5000, "n2": 200, "steps1": 1500, "steps2": 300}
OWN: dict[str, dict[str, float]] = {"digits 8x8": {}, "cifar10 32x32": SOON}
LARGE = {
    "alpha": np.linspace(0, 1, 5),
    "n1": np.array([200, 1000, 5000]),
    "noise1": np.array([0.0, 1.0]),
    "labels1": np.array([0.0, 1.0]),
}
TRANSFER = {
    "digits 8x8": Transfer({"steps1": 600}, SMALL),
    "cifar10 32x32": Transfer(SOON, LARGE),
    "fashion 28x28": Transfer(SOON | {"n2": 50}, LARGE),
    "mnist 28x28": Transfer(SOON | {"n1": 3750, "n2": 50}, LARGE | {"n1": np.array([200, 1000, 3750])}),
}


class Collapse(NamedTuple):
    """Pairs of source and target, what of the point is its own, and the values of the dials; others are off.

    Steps include those of the point: that model is the first of the other dials, too.

    The same classes: MNIST at 8 x 8 pixels to digits. Other classes: 0 to 4 to 5 to 9 of MNIST, or of CIFAR-10.
    """

    pairs: dict[str, Callable[[], datasets.Pair]]
    own: dict[str, float]
    dials: dict[str, list[float]]


COLLAPSE = {
    "digits 8x8": Collapse(
        {
            "the same classes": datasets.mnist_to_digits,
            "other classes": lambda: datasets.low_to_high(datasets.mnist(8)),
        },
        {"steps1": 800},
        {"steps": [50, 100, 200, 400, 800, 1600], "smoothing": [0.1, 0.3, 0.6], "shifts": [1, 2]},
    ),
    "cifar10 32x32": Collapse(
        {"other classes": cifar10},
        SOON | {"steps1": 1600},
        {"steps": [100, 400, 1600, 3200], "smoothing": [0.1, 0.6], "shifts": [4]},
    ),
}

DIALS: dict[str, tuple[str, str, dict]] = {  # name: axis, colour, options
    "steps": ("steps1", "0.4", {}),
    "smoothing": ("smoothing1", "tab:orange", {}),
    "shifts": ("shift1", "tab:blue", {}),
    "projection dropped": ("steps1", "tab:purple", {"projection": "drop"}),
    "projection kept": ("steps1", "tab:pink", {"projection": "keep"}),
    "squared loss": ("steps1", "tab:brown", {"loss1": "squared"}),
}


class Transferability(NamedTuple):
    """Steps on the target, target samples but where they are the axis, classes of merged modes, and values.

    Samples along their axis include those: with all classes and no pixel permuted, that cell is on each curve.
    """

    steps: list[int]
    samples: int
    merged: int
    axes: dict[str, list[float]]


TRANSFERABILITY = {
    "digits 8x8": Transferability(
        [200, 1500],
        100,
        5,
        {
            "n2": [20, 50, 100, 200, 500, 1000],
            "classes2": [2, 4, 6, 8, 10],
            "modes": [1, 2],
            "pixels2": [0.0, 0.25, 0.5, 1.0],
        },
    ),
    "cifar10 32x32": Transferability(
        [200, 800],
        300,
        2,
        {
            "n2": [50, 300, 3000],
            "classes2": [2, 3, 5],
            "modes": [1, 2],
            "pixels2": [0.0, 0.25, 0.5, 0.75, 1.0],
        },
    ),
}
