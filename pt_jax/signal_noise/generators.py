"""What a sample is made of: a label, and how much of which signal lies in each of its patches.

    x^(p) = sum_s coefficient[p, s] signal_s + [patch p carries noise] xi^(p),    xi ~ N(0, sigma_k^2 H_k)

`Data` says that for both tasks: a user's own, or one of these by name, with y = -+1 but for `classes`:

    two_patches    y (u + v_k);  noise                     multi_patch    the same with `patches` - 1 patches of noise
    three_patches  y u;  y' v_k;  noise                    one_patch      y (u + v_k) + noise
    amplitudes     y a (u + v_k);  noise                   xor            s (a_k + y b_k);  noise
    classes        u_c + v_kc;  noise

y' = y with probability agree_k, else -y: a spurious feature. a is uniform in 1 -+ spread_k. s = -+1, a_k = u, and b_k
has the length of v_k and, in the plane of u and v_k, the angle angle_xor to a_k: the label is +1 on +-(a + b) and -1
on +-(a - b). Class c has axes e_u, e_1, e_2 of its own, on which its u_c, v_1c and v_2c lie.

Source: Kou et al., 2023 (arXiv 2303.04145) for two patches; Meng et al., 2024 (arXiv 2310.01975) for xor; Allen-Zhu,
Li, 2020 (arXiv 2012.09816) for a feature a patch; Sagawa et al., 2020 (arXiv 2005.04345) for the spurious one.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.inputs.field import shown
from pt_jax.signal_noise.options import carries
from pt_jax.signal_noise.point import Point, Static


class Data(NamedTuple):
    """A law of samples for both tasks, `task` being 1 or 2.

    Attributes:
        signals: (point, task) -> signal vectors on the first axes of R^d, (S, axes). Axes 0, 1 and 2 are those along
            which results look for u, v_1 and v_2.
        sample: (key, point, task) -> label of one sample and its coefficients (patches, S), a pure function.
        noisy: whether a patch carries noise, for each.
        quiet: (point, task) -> the vectors without noise where noise is projected, (., axes), orthonormal; the signals
            where this is None.
        axes: how many axes signals lie on.
        classes: None where labels are -1 and +1, else K, and labels are 0 to K - 1.
    """

    signals: Callable[[Point, int], Array]
    sample: Callable[[Array, Point, int], tuple[Array, Array]]
    noisy: tuple[bool, ...]
    quiet: Callable[[Point, int], Array] | None = None
    axes: int = 3
    classes: int | None = None


def data_of(static: Static, task: int = 1) -> Data:
    """Return the law of the samples of a task.

    Raises:
        ValueError: there is none of this name, it is no law of samples, or those of the tasks do not fit each other.
    """
    option = "data" if task == 1 or static.data2 is None else "data2"
    value = getattr(static, option)
    if isinstance(value, Data):
        _check(option, value)
        found = value._replace(noisy=carries(value, static), sample=_cast(value))
    else:
        found = _named(value, static)
    if option == "data2":
        first = data_of(static)
        for name in ("noisy", "axes", "classes"):
            if getattr(first, name) != getattr(found, name):
                raise ValueError(
                    f"data2 = {shown(value)} is not accepted: {name} is {getattr(found, name)}, but that of data is "
                    f"{getattr(first, name)}; one network sees both tasks."
                )
    return found


def own(point: Point, task: int) -> Array:
    """Return the unit vector along v_k on the three axes, (3,)."""
    zero, angle = jnp.zeros(()), jnp.deg2rad(point.angle)
    return jnp.stack([zero, zero + 1.0, zero] if task == 1 else [zero, jnp.cos(angle), jnp.sin(angle)])


def another(key: Array, label: Array, classes: int | None) -> Array:
    """Return another label: -y, or any other of the K classes, each with the same probability."""
    if classes is None:
        return -label
    return (label + jax.random.randint(key, label.shape, 1, classes)) % classes


def _pair(point: Point, task: int) -> tuple[Array, Array]:
    v = point.v1 if task == 1 else point.v2
    return point.u * jnp.array([1.0, 0.0, 0.0]), v * own(point, task)


def _sum(point: Point, task: int) -> Array:
    return sum(_pair(point, task), jnp.zeros(3))[None]


def _apart(point: Point, task: int) -> Array:
    return jnp.stack(_pair(point, task))


def _tilted(point: Point, task: int) -> Array:
    (u, v), length = _pair(point, task), point.v1 if task == 1 else point.v2
    angle = jnp.deg2rad(point.angle_xor)
    return jnp.stack([u, jnp.cos(angle) * length * jnp.array([1.0, 0.0, 0.0]) + jnp.sin(angle) * v])


def _plane(point: Point, task: int) -> Array:
    return jnp.stack([jnp.array([1.0, 0.0, 0.0]), own(point, task)])


def _sign(key: Array) -> Array:
    return jnp.where(jax.random.bernoulli(key), 1.0, -1.0)


def _first(patches: int) -> Callable:
    def sample(key: Array, point: Point, task: int) -> tuple[Array, Array]:
        del point, task
        y = _sign(key)
        return y, jnp.zeros((patches, 1)).at[0, 0].set(y)

    return sample


def _spurious(key: Array, point: Point, task: int) -> tuple[Array, Array]:
    first, second = jax.random.split(key)
    y = _sign(first)
    agrees = jax.random.uniform(second) < (point.agree1 if task == 1 else point.agree2)
    return y, jnp.zeros((3, 2)).at[0, 0].set(y).at[1, 1].set(jnp.where(agrees, y, -y))


def _amplitudes(key: Array, point: Point, task: int) -> tuple[Array, Array]:
    first, second = jax.random.split(key)
    y, spread = _sign(first), point.spread1 if task == 1 else point.spread2
    return y, jnp.zeros((2, 1)).at[0, 0].set(y * (1.0 + spread * jax.random.uniform(second, minval=-1.0)))


def _xor(key: Array, point: Point, task: int) -> tuple[Array, Array]:
    del point, task
    y, s = map(_sign, jax.random.split(key))
    return y, jnp.zeros((2, 2)).at[0].set(jnp.stack([s, s * y]))


def _named(name: str, static: Static) -> Data:
    if name == "classes":
        return _classes(static)
    noisy = carries(name, static)
    signals, sample = {
        "three_patches": (_apart, _spurious),
        "amplitudes": (_sum, _amplitudes),
        "xor": (_tilted, _xor),
    }.get(name, (_sum, _first(len(noisy))))
    return Data(signals, sample, noisy, _plane)


def _classes(static: Static) -> Data:
    count = static.classes

    def blocks(rows: Array) -> Array:  # (r, 3) -> (count r, 3 count): the same for each class on its own axes
        return jnp.kron(jnp.eye(count), rows)

    def sample(key: Array, point: Point, task: int) -> tuple[Array, Array]:
        del point, task
        label = jax.random.randint(key, (), 0, count)
        return label, jnp.zeros((2, count)).at[0, label].set(1.0)

    def signals(point: Point, task: int) -> Array:
        return blocks(_sum(point, task))

    def quiet(point: Point, task: int) -> Array:
        return blocks(_plane(point, task))

    return Data(signals, sample, carries("classes", static), quiet, 3 * count, count)


def _cast(data: Data) -> Callable:
    kind = float if data.classes is None else int

    def sample(key: Array, point: Point, task: int) -> tuple[Array, Array]:
        label, coefficients = data.sample(key, point, task)
        return jnp.asarray(label).astype(kind), jnp.asarray(coefficients).astype(float)

    return sample


@cache
def _check(option: str, data: Data) -> None:
    """Refuse a law of samples whose parts do not fit each other: tried for both tasks, with some samples."""
    try:
        with jax.ensure_compile_time_eval():
            said = next((said for task in (1, 2) for said in _faults(data, task)), None)
        cause = None
    except Exception as error:  # whatever a function raises that is none of a law
        said, cause = " ".join(str(error).split())[:200] or type(error).__name__, error
    if said:
        raise ValueError(f"{option} = {data.sample} and its parts are not accepted: {said.rstrip('.')}.") from cause


def _faults(data: Data, task: int) -> Iterator[str]:
    whole = isinstance(data.axes, int) and (data.classes is None or isinstance(data.classes, int))
    if not whole or data.axes < 3 or (data.classes is not None and data.classes < 2):
        yield f"axes = {data.axes!r}, classes = {data.classes!r}; use at least 3 axes, and at least 2 classes or None"
    if not data.noisy or not all(isinstance(x, bool) for x in data.noisy) or not any(data.noisy):
        yield f"noisy = {data.noisy}; use a tuple of True and False, of which one is True; sigma1 = 0 is no noise"
    point = Point(*map(jnp.asarray, map(float, Point())))
    keys = jax.random.split(jax.random.key(0), 64)
    signals, quiet = data.signals(point, task), None if data.quiet is None else data.quiet(point, task)
    label, coefficients = jax.vmap(lambda key: data.sample(key, point, task))(keys)
    shapes = [np.shape(x) for x in (signals, label, coefficients)]
    if len(shapes[0]) != 2 or shapes != [(len(signals), data.axes), (64,), (64, len(data.noisy), len(signals))]:
        yield (
            f"signals {shapes[0]}, label {shapes[1][1:]} and coefficients {shapes[2][1:]} of task {task} do not fit: "
            f"use (S, {data.axes}), () and ({len(data.noisy)}, S), as noisy has {len(data.noisy)} patches"
        )
    labels = (-1, 1) if data.classes is None else range(data.classes)
    if np.iscomplexobj(label) or not np.isin(label, labels).all():
        yield f"labels {sorted(set(np.asarray(label).tolist()))[:5]} of task {task}; use {labels}"
    if quiet is not None:
        gram = np.asarray(quiet @ quiet.T) if np.ndim(quiet) == 2 else np.ones((2, 2))
        used = np.outer(np.diag(gram) != 0, np.diag(gram) != 0)
        if np.shape(quiet)[-1] != data.axes or not np.allclose(gram, np.eye(len(gram)) * used, atol=1e-4):
            yield f"quiet of task {task} has no orthonormal rows of {data.axes} numbers"
