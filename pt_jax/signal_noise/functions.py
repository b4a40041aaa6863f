"""The functions that `Static` names: found by name, and tried out on a few numbers before any work.

An optimizer is linear where it does to the coordinates of a vector what it does to the vector: with x = M c and
gradients M g, its updates of x are M times its updates of c. The span engine asks for that.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from pt_jax.inputs.field import shown
from pt_jax.signal_noise import losses
from pt_jax.signal_noise.generators import data_of
from pt_jax.signal_noise.network import Net
from pt_jax.signal_noise.point import Static

_HERE: Any = np.array([-2.0, -0.5, 0.5, 3.0], np.float32)  # what functions are tried on
_STEPS = 30  # that optimizers are tried for: some move at every tenth alone
_OPTIMIZERS = ("optimizer", "optimizer2", "upper_optimizer")
FUNCTIONS = (*_OPTIMIZERS, "activation", "loss")  # options that name a function or are one
_WANTED = {
    **dict.fromkeys(
        _OPTIMIZERS, "a name in optax, as adam, or a function of the learning rate alone that returns such an optimizer"
    ),
    "activation": "a name in jax.nn, as gelu, relu^2, huberized_relu, or a function that maps each number of an array "
    "by itself",
    "loss": "logistic, squared, hinge, or a function of (labels, outputs) that gives each sample a loss of its own",
}


def resolve(option: str, static: Static) -> Callable:
    """Return the function that an option of `FUNCTIONS` names, or the function it already is.

    Raises:
        ValueError: there is no such function, or it does not do what the option needs.
    """
    while getattr(static, option) is None:
        option = "optimizer"
    value, classes = getattr(static, option), data_of(static).classes if option == "loss" else None
    function = value if callable(value) else _named(option, value, classes)
    if value != getattr(Static, option) or classes:  # the defaults fit
        _check(option, value, function, classes)
        if option in ("optimizer", "optimizer2") and static.engine == "span" and not _linear(function):
            raise ValueError(
                f"{option} = {shown(value)} is not accepted by engine = 'span': tried on random gradients, it is not "
                "linear, it does not do to coordinates what it does to vectors. Use engine = 'dense'."
            )
        if option in _OPTIMIZERS and static.schedule != "constant" and not _follows(function):
            raise ValueError(
                f"{option} = {shown(value)} is not accepted with schedule = {static.schedule!r}: it keeps the learning "
                "rate that it starts with. Use schedule = 'constant', or an optimizer that holds none in its state."
            )
    return function  # this very one: another that equals it may compute something else


def huberized_relu(x: Array) -> Array:
    """Return relu made smooth: x^2 / 2 between 0 and 1, and x - 1/2 above."""
    return jnp.where(x < 1.0, jnp.maximum(x, 0.0) ** 2 / 2.0, x - 0.5)


@cache
def _power(name: str) -> Callable | None:
    """Return the activation relu(x)^q that is named relu^q."""
    try:
        q = float(name.removeprefix("relu^"))
    except ValueError:
        return None
    return (lambda x: jnp.maximum(x, 0.0) ** (int(q) if q.is_integer() else q)) if 1 <= q <= 10 else None


@cache
def _check(option: str, value: str | Callable, function: Callable, classes: int | None) -> None:
    fits = _descends if option in _OPTIMIZERS else _apart
    try:
        with jax.ensure_compile_time_eval():  # numbers, also where somebody traces
            accepted, cause = fits(function, 2 if option == "loss" else 1, classes), None
    except Exception as error:  # whatever a function raises that is no such function
        accepted, cause = False, error
    if not accepted:
        of, wanted = f" of {classes} classes" if classes else "", _WANTED[option]
        if classes:
            wanted = wanted.replace(", hinge", "")
        raise ValueError(f"{option} = {shown(value)} is not accepted{of}: use {wanted}.") from cause


def _named(option: str, name: str, classes: int | None) -> Any:
    if option == "loss":
        return (losses.CLASSES if classes else losses.ONE).get(name)
    if option in _OPTIMIZERS:
        return getattr(optax, name, None)
    if name.startswith("relu^"):
        return _power(name)
    return huberized_relu if name == "huberized_relu" else getattr(jax.nn, name, None)


def _apart(function: Callable, count: int, classes: int | None) -> bool:
    """Return whether a function of `count` arrays works on each of their numbers, or on each row of outputs, apart."""
    here, labels = jnp.asarray(_HERE, float), jnp.array([1.0, -1.0, 1.0, -1.0])
    if classes:
        here, labels = jnp.outer(here, jnp.arange(1.0, classes + 1)), jnp.arange(len(_HERE)) % classes
    arrays = [labels, here][-count:]
    whole, alone = function(*arrays), jax.vmap(function)(*arrays)
    alike = whole.shape == alone.shape == labels.shape and whole.dtype == here.dtype
    return alike and np.allclose(whole, alone, rtol=1e-3, equal_nan=True)


def _descends(function: Callable, count: int, classes: int | None) -> bool:
    """Return whether a function of a learning rate makes an optimizer: its first steps go downhill."""
    del count, classes
    net = Net(jnp.ones((2, 3)), jnp.ones(2))

    def steps(lr: Array) -> Array:
        made = function(lr)
        if not isinstance(made, optax.GradientTransformation):
            raise TypeError

        def step(state: tuple[Net, Any], _: None) -> tuple[tuple[Net, Any], None]:
            updates, memory = made.update(net, state[1], state[0])
            return (jax.tree.map(jnp.add, state[0], updates), memory), None

        (end, _), _ = jax.lax.scan(step, (net, made.init(net)), length=20)
        return jnp.sum(end.weights - net.weights) + jnp.sum(end.bias - net.bias)  # the gradient is 1 everywhere

    return bool(jax.jit(steps)(0.1) < 0)


@cache
def decays(function: Callable) -> bool:
    """Return whether an optimizer moves weights without any gradient."""
    return bool(np.any(np.abs(_updates(function, np.ones((5, 2)), np.zeros((_STEPS, 5, 2)))) > 1e-9))


@cache
def _follows(function: Callable) -> bool:
    """Return whether each step goes by the rate that the optimizer is made with, whatever rate its state is from."""
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(5, 2)), rng.normal(size=(_STEPS, 5, 2))
    return np.array_equal(_updates(function, start, gradients), _updates(function, start, gradients, begun=0.2))


@cache
def _linear(function: Callable) -> bool:
    """Return whether an optimizer is linear, and moves each filter by itself.

    It is tried on the coordinates of five vectors, of lengths far apart, and on one filter of two.
    """
    rng, sizes = np.random.default_rng(0), np.geomspace(1e-3, 1e6, _STEPS)[:, None, None]
    basis, gradients, start = rng.normal(size=(7, 5)), rng.normal(size=(_STEPS, 5, 2)) * sizes, rng.normal(size=(5, 2))
    coordinates, vectors = (_updates(function, by @ start, by @ gradients) for by in (np.eye(5), basis))
    alone = _updates(function, start[:, :1], gradients[..., :1])
    apart = np.abs(basis @ coordinates - vectors).max((1, 2))
    mixed = np.abs(alone - coordinates[..., :1]).max((1, 2))
    return all(np.all(off <= 1e-6 * np.abs(of).max((1, 2))) for off, of in ((apart, vectors), (mixed, coordinates)))


def _updates(function: Callable, start: np.ndarray, gradients: np.ndarray, begun: float = 0.1) -> np.ndarray:
    """Return what an optimizer of rate 0.1 adds for each gradient; its first state is that of the rate `begun`."""
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):  # numbers, also where somebody traces
        optimizer = function(0.1)

        def step(state: Any, g: Array) -> tuple[Any, Array]:
            updates, memory = optimizer.update(g, state[1], state[0])
            return (state[0] + updates, jax.tree.map(_as_before, memory, state[1])), updates

        first = jnp.asarray(start), function(begun).init(jnp.asarray(start))
        return np.asarray(jax.lax.scan(step, first, jnp.asarray(gradients))[1])


def _as_before(new: Any, old: Array) -> Any:
    """Return a part of a state in the precision in which it began: some keep theirs in float32."""
    return new if jnp.issubdtype(old.dtype, jax.dtypes.prng_key) else jnp.asarray(new, old.dtype)
