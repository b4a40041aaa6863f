"""What stands above the first layer: a pair of pure functions, by name or a user's own.

Of a sample they see the inner products H of its P patches with the 2m units, (n, P, 2m), biases included:

    cnn          f = sum_r a_r sum_p act(H_pr),  a = j/m fixed: +1/m for even units, -1/m for odd ones
    cnn_trained  the same, and a is trained from there
    mlp          h_0 = sum_p act(H_p),  h_l = act(V_l h_(l-1) + c_l),  f = a . h_L; He's initial weights, c = 0
    attention    f = sum_p softmax_p(q . H_p,even) v . H_p,odd: one head; q = 1 / sqrt(m) and v = 1/m at the start

With K classes there are K outputs: a and v have K columns, and for cnn unit r is for class r mod K, with a = K / 2m.
Units that pad the arrays have inner products of 0, and what belongs to them is 0 and is not trained.

Source: Kou et al., 2023 (arXiv 2303.04145) for the CNN; He et al., 2015 (arXiv 1502.01852) for the initial weights;
Magen et al., 2024 (arXiv 2410.07746) for one head on signal and noise.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pt_jax.inputs.field import shown
from pt_jax.signal_noise.functions import resolve
from pt_jax.signal_noise.generators import data_of
from pt_jax.signal_noise.network import Activation, Inner, patches, pooled, positive_root
from pt_jax.signal_noise.point import Static

_SAMPLES = 3  # that a model is tried with


class Model(NamedTuple):
    """A network above its first layer.

    Attributes:
        init: (key, readout (2m,)) -> its parameters; `readout` is j/m, and 0 for units that are padding.
        apply: (parameters, H (n, P, 2m), readout) -> outputs (n,), or (n, K).
        project: parameters -> B (2m, c) where `apply` sees H B alone, and gets that: there is less to put together.
        first, rest: where it sees sum_p act(H_p) V alone: (parameters, readout) -> V (2m, ...), and `apply` from there.
    """

    init: Callable[[Array, Array], Any]
    apply: Callable[[Any, Array, Array], Array]
    project: Callable[[Any], Array] | None = None
    first: Any = None
    rest: Any = None


def model_of(static: Static) -> Model:
    """Return the network above the first layer.

    Raises:
        ValueError: there is none of this name, or the functions or the module do not make one.
    """
    outputs = data_of(static).classes
    if not isinstance(static.model, str):
        return _own(static.model, static.m, len(data_of(static).noisy), outputs)
    if static.model == "attention":
        return Model(partial(_attention_init, outputs), _attention, _attention_project)
    activation = resolve("activation", static)
    parts: dict[str, tuple[Callable, ...]] = {
        "cnn": (_nothing, lambda _, readout: second_layer(readout, outputs), _as_seen),
        "cnn_trained": (lambda _, readout: second_layer(readout, outputs), lambda a, _: a, _as_seen),
        "mlp": (partial(_mlp_init, static.hidden, outputs), lambda upper, _: upper["units"], partial(_mlp, activation)),
    }
    init, first, rest = parts[static.model]
    whole = lambda upper, h, readout: rest(upper, jnp.sum(activation(h), axis=1) @ first(upper, readout))  # noqa: E731
    return Model(init, whole, first=first, rest=rest)


def outputs(inner: Inner, upper: Any, label: Array, coefficients: Array, readout: Array, static: Static) -> Array:
    """Return f of k networks on n samples, (n, k), or (n, k, K) of K classes.

    Args:
        inner: inner products of the units with signals and noise, the latter with the bias where there is one, which is
            also the last signal.
        upper: parameters above the first layer, each leaf with a first axis of k.
        label: labels, (n,); only the quick way for two patches reads them.
        coefficients: (n, P, S), see `with_bias`.
        readout: j/m, (2m,).
        static: model, data and activation.
    """
    model, activation, networks = model_of(static), resolve("activation", static), inner.signal.shape[1]
    quick = static.two_patches and model.first is not None
    if quick and model.rest is _as_seen:  # all networks in one product
        first = model.first(upper, readout)
        if first.ndim == 1:
            return pooled(inner, label, first, activation)
        own = (first[..., None] * jnp.eye(networks)[:, None]).reshape(-1, networks)
        return pooled(Inner(*(x.reshape(len(x), -1) for x in inner)), label, own, activation)

    def of(k: int) -> Array:  # one by one: a CPU multiplies matrices whose samples come first
        seen, params = jax.tree.map(lambda x: x[:, k], inner), jax.tree.map(lambda x: x[k], upper)
        if quick:
            return model.rest(params, pooled(seen, label, model.first(params, readout), activation))
        if model.project is not None:
            seen = Inner(*(x @ model.project(params) for x in seen))
        return model.apply(params, patches(seen, coefficients, data_of(static).noisy), readout)

    return jnp.stack([of(k) for k in range(networks)], axis=1)


def with_bias(coefficients: Array, static: Static) -> Array:
    """Return coefficients with a column for the bias: 1 in patches without noise, the others have it there."""
    without = jnp.asarray([0.0 if carries else 1.0 for carries in data_of(static).noisy])
    column = jnp.broadcast_to(without[:, None], (*coefficients.shape[:2], 1))
    return jnp.concatenate([coefficients, column], axis=-1)


def second_layer(readout: Array, outputs: int | None) -> Array:
    """Return the second layer of a CNN: j/m, (2m,), or of K classes (2m, K)."""
    if outputs is None:
        return readout
    of = jax.nn.one_hot(np.arange(len(readout)) % outputs, outputs)
    return jnp.abs(readout)[:, None] * of * (outputs / 2)


def by_unit(static: Static) -> Any:
    """Return for each parameter above how many rows a unit has on its first axis; 0 where it belongs to none.

    Such an axis is one that grows with the number of units: (units, ...), or (patches units, ...), patch after patch.

    Raises:
        ValueError: what belongs to a unit is to be inherited with it, and an axis grows otherwise.
    """
    model = model_of(static)

    def shapes(units: int) -> Any:
        return jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((units,), jnp.float32))

    def rows(small: Any, large: Any) -> int:
        grown = large.shape[0] - small.shape[0] if small.ndim else 0
        fits = grown % 2 == 0 and small.shape[:1] == (grown * static.m,)
        if grown and not fits and static.upper == "units":
            raise ValueError(
                f"model = {shown(static.model)} is not accepted with upper = 'units': a parameter of shape "
                f"{small.shape} grows with the units and is no rows of them: use (units, ...), (patches units, ...) or "
                "another upper."
            )
        return grown // 2 if grown and fits else 0

    return jax.tree.map(rows, shapes(2 * static.m), shapes(2 * static.m + 2))


def spread(units: Array, rows: Any, upper: Any, otherwise: Any) -> Any:
    """Return a value a unit, (2m,), on each parameter above that belongs to units, as `by_unit` says; else another."""

    def one(count: int, x: Array) -> Array:
        if not count:
            return jnp.full((1,) * x.ndim, otherwise, units.dtype)
        return jnp.tile(units, count).reshape(-1, *[1] * (x.ndim - 1))

    return jax.tree.map(one, rows, upper)


def _nothing(key: Array, readout: Array) -> tuple[()]:
    del key, readout
    return ()


def _as_seen(upper: Any, seen: Array) -> Array:
    del upper
    return seen


def _normal(key: Array, rows: int, columns: tuple[int, ...]) -> Array:
    """Draw standard normals, each row from its own key, so that more rows change none."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(rows))
    return jax.vmap(lambda k: jax.random.normal(k, columns))(keys)


def _mlp_init(hidden: tuple[int, ...], outputs: int | None, key: Array, readout: Array) -> Any:
    keys = jax.random.split(key, len(hidden) + 1)
    units = _normal(keys[0], len(readout), hidden[:1]) * positive_root(jnp.abs(readout))[:, None]  # 1/m is 2 / fan-in
    inner = [
        jnp.sqrt(2.0 / a) * _normal(k, a, (b,)) for k, a, b in zip(keys[1:-1], hidden[:-1], hidden[1:], strict=True)
    ]
    last = _normal(keys[-1], hidden[-1], () if outputs is None else (outputs,)) / jnp.sqrt(float(hidden[-1]))
    return {"units": units, "inner": inner, "bias": [jnp.zeros(width) for width in hidden], "last": last}


def _mlp(activation: Activation, upper: Any, h: Array) -> Array:
    """Return f from V_1 sum_p act(H_p), (n, width)."""
    h = activation(h + upper["bias"][0])
    for weights, bias in zip(upper["inner"], upper["bias"][1:], strict=True):
        h = activation(h @ weights + bias)
    return h @ upper["last"]


def _attention_init(outputs: int | None, key: Array, readout: Array) -> Any:
    del key
    query, value = positive_root(readout), jnp.maximum(-readout, 0.0)
    if outputs is None:
        return {"query": query, "value": value}
    of = jax.nn.one_hot(np.arange(len(readout)) // 2 % outputs, outputs)
    return {"query": query, "value": value[:, None] * of * outputs}


def _attention_project(upper: Any) -> Array:
    query, value = upper["query"], upper["value"].reshape(len(upper["query"]), -1)
    even = jnp.arange(len(query))[:, None] % 2 == 0
    return jnp.where(even, query[:, None] * jnp.eye(1, 1 + value.shape[1]), jnp.pad(value, ((0, 0), (1, 0))))


def _attention(upper: Any, seen: Array, readout: Array) -> Array:
    """Return f from q . H_even and v . H_odd of each patch, (n, P, 1 + outputs)."""
    del readout
    f = jnp.sum(jax.nn.softmax(seen[..., :1], axis=1) * seen[..., 1:], axis=1)
    return f if upper["value"].ndim == 2 else f[:, 0]


def _own(model: Any, m: int, patches: int, outputs: int | None) -> Model:
    if isinstance(model, nn.Module):
        init: Any = lambda key, units: model.init(key, jnp.zeros((1, patches, units)))  # noqa: E731
        apply: Any = model.apply
    else:
        init, apply = model
    _check(model, init, apply, m, patches, outputs)

    def drawn(key: Array, readout: Array) -> Any:  # flax draws float32 also where the default is double
        return jax.tree.map(lambda x: jnp.asarray(x, float), init(key, len(readout)))

    return Model(drawn, lambda upper, h, _: apply(upper, h))


@cache
def _check(model: Any, init: Callable, apply: Callable, m: int, patches: int, outputs: int | None) -> None:
    """Refuse what is no pair (init, apply): tried with a few samples."""
    wanted = "(n,)" if outputs is None else f"(n, {outputs})"
    try:
        with jax.ensure_compile_time_eval():
            upper = init(jax.random.key(0), 2 * m)
            h = jnp.asarray(np.random.default_rng(0).normal(size=(_SAMPLES, patches, 2 * m)), float)
            whole = apply(upper, h)
            alone = jnp.concatenate([apply(upper, x[None]) for x in h])
        said = f"it returns {whole.shape} for {_SAMPLES} samples"
        right = whole.shape == (_SAMPLES, *(() if outputs is None else (outputs,)))
        if right and not np.allclose(whole, alone, rtol=1e-3, equal_nan=True):
            right, said = False, "an output depends on the other samples"
        if others := set(upper) - {"params"} if isinstance(model, nn.Module) else set():
            right, said = False, f"it keeps {', '.join(sorted(others))}"
        if not all(jnp.issubdtype(jnp.result_type(x), jnp.floating) for x in jax.tree.leaves(upper)):
            right, said = False, "a parameter is no array of real numbers"
        cause = None
    except Exception as error:  # whatever somebody's function raises
        right, said, cause = False, " ".join(str(error).split())[:200] or type(error).__name__, error
    if not right:
        raise ValueError(
            f"model = {shown(model)} is not accepted ({said}): use functions init(key, units) and apply(parameters, "
            f"H), H (n, patches, units), or a flax.linen module of H, that give {wanted}."
        ) from cause
