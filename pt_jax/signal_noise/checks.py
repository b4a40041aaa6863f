"""What the functions of this world check before they trace: inside a traced function it is too late."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.inputs.field import numbers, shown
from pt_jax.signal_noise.fields import FIELDS, RULE_FIELDS
from pt_jax.signal_noise.functions import FUNCTIONS, resolve
from pt_jax.signal_noise.generators import data_of
from pt_jax.signal_noise.models import model_of
from pt_jax.signal_noise.options import check_read
from pt_jax.signal_noise.point import Point, Static, check_type, common_shape, validate


def floats(point: Point) -> Point:
    """Return the point with its leaves as arrays of one shape, of doubles where they are not traced.

    Raises:
        ValueError: what is given is no Point, a leaf is no real number, or leaves do not broadcast; ranges are not
            checked.
    """
    check_type(point)
    leaves = point._asdict().items()
    point = Point(*(x if _traced(x) else numbers(name, x, FIELDS[name]).astype(float) for name, x in leaves))
    shape = common_shape(point)
    return Point(*((jnp if _traced(x) else np).broadcast_to(x, shape) for x in point))


def accepted(point: Point, static: Static) -> Point:
    """Return the point with its leaves as arrays of the default float, once all that is not traced is checked.

    Raises:
        ValueError: a value is out of range or above its maximum, leaves do not broadcast, or the static names a
            function that does not fit.
    """
    if not isinstance(static, Static):
        raise ValueError(f"static = {shown(static)} is not accepted: use a pt_jax.Static.")
    traced = [f for f in Point._fields if _traced(getattr(point, f, None))]
    validate(point, static, skip=traced)
    check_read(point, static, skip=traced)
    data_of(static, 2)
    for option in FUNCTIONS:
        resolve(option, static)
    model_of(static)
    return Point(*(jnp.asarray(x if isinstance(x, Array) else np.asarray(x), float) for x in point))


def covered(point: Point, static: Static) -> Point:
    """Return the point with NaN as learning rate of a task of which a rule is above 0 and left out of the static.

    So of both tasks where m is not that of a network of the user's own. Traced, neither can be refused: no number is
    better than a wrong one.
    """
    fits = True if isinstance(static.model, str) else point.m == static.m
    for task in "12":
        left_out = [getattr(point, field) for field in RULE_FIELDS if field[-1] == task and field not in static.rules]
        right, lr = fits & (sum(left_out, jnp.zeros(())) == 0), getattr(point, f"lr{task}")
        point = point._replace(**{f"lr{task}": jnp.where(right, lr, jnp.nan)})
    return point


def _traced(leaf: Any) -> bool:
    return isinstance(leaf, jax.core.Tracer)
