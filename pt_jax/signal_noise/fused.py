"""All steps of the default network in one kernel of a GPU: a trajectory stays in the registers of a processor.

Plain descent of k networks in coefficients, as `span` and `training` have it, with the derivatives by hand:

    A = A(0) + K C,    h = h(0) + |mu|^2 c            C of the noise (n, k 2m), c of the signal (k 2m,)
    f_i = sum_r a_r (relu(A_ir) + relu(y_i h_r)),    q_i = -dL/df_i = weight_i seen_i / (1 + exp(seen_i f_i))
    C_ir += lr_r a_r q_i 1[A_ir > 0],    c_r += lr_r a_r sum_i q_i y_i 1[y_i h_r > 0]

As operations of XLA each step moves about nine such arrays through memory, which is what it takes: on an H100, 11.7 us
a trajectory of 200 steps at n = 40, 2m = 40, k = 2, and 3.0 us here. The product is put together from three in TF32: it
is as far from float64 as one in float32, which takes 4.5 us; nine in bfloat16 take 4.1. Pieces of 32 + 16 rows in place
of 64, and 8 warps in place of 4, were slower. A kernel wants sides that are powers of 2.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn import relu, sigmoid

from pt_jax.signal_noise.data import Task
from pt_jax.signal_noise.descent import Descent
from pt_jax.signal_noise.point import Static
from pt_jax.signal_noise.span import Coefficients, Start

_SAMPLES, _UNITS = 64, 128  # at most: more do not fit into registers
_DEFAULTS = ("engine", "model", "noise", "bias", "optimizer", "optimizer2", "activation", "loss", "schedule", "record")
_WARPS = 4


def fits(start: Any, rules: Any, size: int | None, static: Static) -> bool:
    """Return whether the kernel makes these steps: on an NVIDIA GPU, plain descent of the default network.

    Args:
        start: what does not move; a `span.Start` where the engine is the default.
        rules: what is added to plain descent.
        size: of the minibatches, None for all samples.
        static: engine and options.
    """
    plain = static.two_patches and all(getattr(static, name) == getattr(Static, name) for name in _DEFAULTS)
    if not plain or rules or size is not None or not _has_tensor_cores():
        return False
    samples, networks, units = start.inner.noise.shape
    return samples <= _SAMPLES and networks * units <= _UNITS and start.gram.dtype == jnp.float32


def descend(
    start: Start, rate: Coefficients, task: Task, descent: Descent, readout: Array, length: int, interpret: bool = False
) -> Coefficients:
    """Return the coefficients after min(`descent.steps`, `length`) steps from 0.

    Args:
        start: what does not move; arrays (n, k, 2m) and (1, k, 2m).
        rate: factors on the learning rate, (k, 2m) in each part.
        task: the training set.
        descent: learning rate and steps.
        readout: a = j/m, (2m,).
        length: maximum of the steps.
        interpret: compute it without a kernel, on any device, in any precision.
    """
    n, k, units = start.inner.noise.shape
    rows, columns = _power_of_2(n), _power_of_2(k * units)
    a, number = jnp.tile(readout, k), start.gram.dtype
    of_units = jnp.stack([start.inner.signal.reshape(-1), a, descent.lr * rate.noise.reshape(-1) * a])
    of_samples = jnp.stack([task.label, task.seen, task.weight])
    steps = jnp.minimum(descent.steps, length).astype(jnp.int32)
    of_noise, of_signal = _end(
        (k, units, length, interpret),
        steps.reshape(1),
        start.signals.reshape(1).astype(number),
        _filled(start.gram, rows, rows),
        _filled(start.inner.noise.reshape(n, -1), rows, columns),
        _filled(of_units.astype(number), 3, columns),
        _filled(of_samples.astype(number), 3, rows),
    )
    noise, signal = of_noise[:n, : k * units].reshape(n, k, units), of_signal[: k * units].reshape(1, k, units)
    return Coefficients(jnp.ones((k, units), number), signal, noise)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _end(sizes: tuple[int, int, int, bool], *given: Array) -> tuple[Array, Array]:
    """Return the coefficients at the end, by the kernel; sizes are k, units, length and whether to interpret it."""
    from jax.experimental import pallas  # takes time to import, for what only a GPU needs
    from jax.experimental.pallas import triton

    k, units, _, interpret = sizes
    shape = given[3].shape
    noise, signal = pallas.pallas_call(
        partial(_kernel, k, units, None if interpret else "TF32_TF32_F32_X3"),
        out_shape=[jax.ShapeDtypeStruct(of, given[3].dtype) for of in (shape, shape[1:])],
        compiler_params=triton.CompilerParams(num_warps=_WARPS, num_stages=1),
        interpret=interpret,
        name="descend",
    )(*given)
    return noise, signal


@_end.defjvp
def _derivative(sizes: tuple[int, int, int, bool], given: Any, along: Any) -> tuple[Any, Any]:
    """Return the end and its derivative along something: a kernel has none, so XLA makes the steps."""
    k, units, length, _ = sizes

    def end(steps: Array, *given: Array) -> tuple[Array, Array]:
        step, state = _training(k, units, None, *given)

        def active(state: Any, t: Array) -> tuple[Any, None]:
            return jax.tree.map(partial(jnp.where, t < steps[0]), step(t, state), state), None

        return jax.lax.scan(active, state, jnp.arange(length))[0]

    return jax.jvp(end, given, along)


def _kernel(k: int, units: int, precision: Any, *refs: Any) -> None:
    """Train k networks of so many units; the last two references are written."""
    steps, *given, noise_end, signal_end = refs
    step, state = _training(k, units, precision, *given)
    noise_end[...], signal_end[...] = jax.lax.fori_loop(0, steps[0], step, state)


def _training(
    k: int, units: int, precision: Any, squared: Any, gram: Any, start: Any, of_units: Any, of_samples: Any
) -> tuple[Callable[[Any, tuple[Array, Array]], tuple[Array, Array]], tuple[Array, Array]]:
    """Return the step of k networks of so many units, and the coefficients at first; of references, or of arrays."""
    gram, first, squared = gram[...], start[...], squared[0]
    (first_signal, a, rate), (label, seen, weight) = ([x[i, :] for i in range(3)] for x in (of_units, of_samples))
    column = jax.lax.broadcasted_iota(jnp.int32, a.shape, 0)
    own = [(column >= i * units) & (column < (i + 1) * units) for i in range(k)]  # the units of each network

    def step(_: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        noise, signal = state
        h = first + jax.lax.dot(gram, noise, precision=precision, preferred_element_type=noise.dtype)
        along = first_signal + squared * signal
        outputs = relu(h) * a[None, :]
        plus, minus = relu(along) * a, relu(-along) * a
        push, push_signal = jnp.zeros_like(h), jnp.zeros_like(along)
        for units_of in own:
            of_plus, of_minus = (jnp.sum(jnp.where(units_of, x, 0)) for x in (plus, minus))
            f = jnp.sum(jnp.where(units_of[None, :], outputs, 0), axis=1) + jnp.where(label > 0, of_plus, of_minus)
            q = weight * seen * sigmoid(-seen * f)
            up, down = jnp.sum(jnp.where(label > 0, q, 0)), jnp.sum(jnp.where(label > 0, 0, q))
            push = jnp.where(units_of[None, :], q[:, None], push)
            push_signal = jnp.where(units_of, jnp.where(along > 0, up, 0) - jnp.where(along < 0, down, 0), push_signal)
        return noise + jnp.where(h > 0, push, 0) * rate[None, :], signal + rate * push_signal

    return step, (jnp.zeros_like(first), jnp.zeros_like(first_signal))


def _power_of_2(count: int) -> int:
    return max(16, 1 << (count - 1).bit_length())


def _filled(x: Array, *shape: int) -> Array:
    return jnp.pad(x, [(0, to - have) for have, to in zip(x.shape, shape, strict=True)])


def _has_tensor_cores() -> bool:
    """Whether the device is an NVIDIA GPU that multiplies in TF32, and jax still compiles kernels by Triton."""
    if jax.default_backend() != "gpu" or find_spec("jax.experimental.pallas.triton") is None:
        return False
    device = jax.local_devices()[0]
    return device.device_kind.startswith("NVIDIA") and float(device.compute_capability) >= 8.0
