"""What the options of `Static` may be."""

from typing import Any

import numpy as np

from pt_jax.inputs.field import LARGEST, is_whole
from pt_jax.vision.fields import DIALS, OPTIONS, SIZES


def as_tuple(name: str, value: Any) -> tuple:
    """Return a list or an array as a tuple, so that it can be hashed."""
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1):
        return tuple(x.item() if isinstance(x, np.generic) else x for x in value)
    raise ValueError(f"{name} = {value!r} is not accepted in Static: use a tuple.")


def check(static: Any) -> None:
    """Raise ValueError where a size, a choice or what is known of the data is not accepted."""
    for name, most in SIZES.items():
        value = getattr(static, name)
        if not (name == "batch" and value is None) and not is_whole(value, 1, most):
            use = f"a whole number of at least 1 and at most {most}"
            raise ValueError(f"{name} = {value!r} is not accepted in Static: use {use}.")
    for name, option in OPTIONS.items():
        if not (name == "model" and callable(static.model)):
            option.check(name, getattr(static, name))
    for k, counts in (("1", static.counts1), ("2", static.counts2)):
        if len(counts) < 2 or not all(is_whole(count, 1, LARGEST) for count in counts):
            raise ValueError(f"counts{k} = {counts} is not accepted: every class 0..K-1 needs a sample, K at least 2.")
    if len(static.shape) != 3 or not all(is_whole(side, 1, LARGEST) for side in static.shape):
        raise ValueError(f"shape = {static.shape} is not accepted in Static: use (height, width, channels).")
    height, width, _ = static.shape
    parts = 4 if static.model == "vit" else 2 ** (static.stages - (static.model == "resnet"))
    if not callable(static.model) and (height % parts or width % parts):
        found = f"images of {height} x {width} do not fit {static.model}"
        raise ValueError(f"{found}: use sides that {parts} divides, such as by datasets.resize.")


def check_code(static: Any) -> None:
    """Check the network, its layers and the optimizer, after all that they are made from."""
    from pt_jax.vision import models, optimizers

    for name in ("model", "optimizer"):
        try:
            hash(getattr(static, name))
        except TypeError:
            kind = type(getattr(static, name)).__name__
            raise ValueError(f"{name} is a {kind} that cannot be hashed: use a function, or hashable fields.") from None
    if callable(static.model):
        models.check(static)
    for name, accepted in (("layers", static.layer_names), ("dials", DIALS)):
        for part in getattr(static, name):
            if part not in accepted:
                listed = ", ".join(accepted)
                raise ValueError(f"{name} has {part!r}, which does not exist here: use some of {listed}.")
    if callable(static.optimizer):
        optimizers.check_function(static.optimizer, models.parameters(static))
    else:
        optimizers.check_name(static.optimizer)
