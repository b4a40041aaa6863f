"""What a network is made from: the part of `point.Static` that `models.py` reads. This file imports no jax."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """The network of source and target; `point.Static`, which is one, says what the fields are and checks them."""

    counts1: tuple[int, ...]
    counts2: tuple[int, ...]
    shape: tuple[int, int, int]
    model: str | Callable = "vgg"
    width: int = 16
    stages: int = 2
    depth: int = 2
    conv: str = "winograd"
    method: str = "full"
    projection: str = "no"
