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
from pt_jax.signal_noise.network import Net, logistic, squared
from pt_jax.signal_noise.point import Static

_HERE: Any = np.array([-2.0, -0.5, 0.5, 3.0], np.float32)  # what functions are tried on
_LOSSES = {"logistic": logistic, "squared": squared}
_WANTED = {
    "optimizer": "a name in optax, as adam, or a function of the learning rate alone that returns such an optimizer",
    "activation": "a name in jax.nn, as gelu, or a function that maps each number of an array by itself",
    "loss": "logistic, squared, or a function of (labels, outputs) that gives each sample a loss of its own",
}


def resolve(option: str, static: Static) -> Callable:
    """Return the function that `optimizer`, `activation` or `loss` of Static names, or the function it already is.

    Raises:
        ValueError: there is no such function, or it does not do what the option needs.
    """
    value = getattr(static, option)
    function = value if callable(value) else _named(option, value)
    if value != getattr(Static, option):  # the defaults fit
        _check(option, value, function)
        if option == "optimizer" and static.engine == "span" and not _linear(function):
            raise ValueError(
                f"optimizer = {shown(value)} is not accepted by engine = 'span': tried on random gradients, it is not "
                "linear, it does not do to coordinates what it does to vectors. Use engine = 'dense'."
            )
    return function  # this very one: another that equals it may compute something else


@cache
def _check(option: str, value: str | Callable, function: Callable) -> None:
    fits = _descends if option == "optimizer" else _apart
    try:
        with jax.ensure_compile_time_eval():  # numbers, also where somebody traces
            accepted, cause = fits(function, 2 if option == "loss" else 1), None
    except Exception as error:  # whatever a function raises that is no such function
        accepted, cause = False, error
    if not accepted:
        raise ValueError(f"{option} = {shown(value)} is not accepted: use {_WANTED[option]}.") from cause


def _named(option: str, name: str) -> Any:
    if option == "loss":
        return _LOSSES.get(name)
    return getattr({"optimizer": optax, "activation": jax.nn}[option], name, None)


def _apart(function: Callable, count: int) -> bool:
    """Return whether a function of `count` arrays works on each of their numbers apart."""
    arrays = [jnp.array([1.0, -1.0, 1.0, -1.0]), jnp.asarray(_HERE, float)][-count:]
    whole, alone = function(*arrays), jax.vmap(function)(*arrays)
    alike = whole.shape == alone.shape == arrays[0].shape and whole.dtype == arrays[0].dtype
    return alike and np.allclose(whole, alone, rtol=1e-3, equal_nan=True)


def _descends(function: Callable, count: int) -> bool:
    """Return whether a function of a learning rate makes an optimizer: its first steps go downhill."""
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
def _linear(function: Callable) -> bool:
    """Return whether an optimizer is linear: tried on the coordinates of five vectors, of lengths far apart."""
    rng = np.random.default_rng(0)
    basis, gradients = rng.normal(size=(7, 5)), rng.normal(size=(6, 5, 2)) * np.geomspace(1e-3, 1e6, 6)[:, None, None]

    def run(start: Any, gradients: Any) -> np.ndarray:
        optimizer = function(0.1)

        def step(state: Any, g: Array) -> tuple[Any, Array]:
            updates, memory = optimizer.update(g, state[1], state[0])
            return (state[0] + updates, memory), updates

        return np.asarray(jax.lax.scan(step, (jnp.asarray(start), optimizer.init(start)), gradients)[1])

    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        start = rng.normal(size=(5, 2))
        coordinates, vectors = run(start, gradients), run(basis @ start, basis @ gradients)
    apart = np.abs(basis @ coordinates - vectors).max((1, 2))
    return bool(np.all(apart <= 1e-9 * np.abs(vectors).max((1, 2))))
