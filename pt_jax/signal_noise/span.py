"""Exact gradient descent on coefficients: its cost does not depend on d.

Full-batch gradient descent on the logistic loss never leaves the span of mu and the noise vectors it has seen:

    w_{j,r}(t) = w_{j,r}(0) + C_{j,r,mu} mu + sum_i C_{j,r,i} xi_i

so it is enough to carry the coefficients. With K_il = <xi_i, xi_l>, A_i = <w, xi_i> and a step size lr,

    A = A(0) + K C + <mu, xi> C_mu,    <w, mu> = <w(0), mu> + C_mu |mu|^2 + <mu, xi> C
    s_i = lr/n sigmoid(-yhat_i f_i) yhat_i
    C_i  += j/m s_i 1[A_i + b > 0]
    C_mu += j/m sum_i s_i y_i 1[y_i <w, mu> + b > 0]
    b    += j/m sum_i s_i (1[A_i + b > 0] + 1[y_i <w, mu> + b > 0])                 (only with biases)

for each filter (j, r). The inequalities are strict, as relu'(0) = 0. <mu, xi> is 0 where noise is projected. A step
costs O(m n^2). Arrays are (samples, filters): on a CPU that order is a quarter faster than its transpose.

Up to a norm, C is the signal-noise decomposition of the theory: gamma = j C_mu |mu|^2, rho_i = C_i |xi_i|^2.
Source: Cao, Chen, Belkin, Gu, 2022 (arXiv 2202.06526) and Kou et al., 2023 (arXiv 2303.04145) for the decomposition.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn import relu

from pt_jax.signal_noise.data import Task
from pt_jax.signal_noise.network import Net, logistic, output
from pt_jax.signal_noise.point import Static
from pt_jax.signal_noise.training import Curves, Descent, Trained, at_recorded_steps, largest


class Coefficients(NamedTuple):
    """What descent carries: `signal` C_mu (2m,), `noise` C (n, 2m), `bias` b (2m,)."""

    signal: Array
    noise: Array
    bias: Array


def train(key: Array, net: Net, task: Task, descent: Descent, readout: Array, length: int, static: Static) -> Trained:
    """Train a network by full-batch gradient descent.

    Args:
        key: unused; the dense engine draws minibatches with it.
        net: initial parameters.
        task: the training set.
        descent: learning rate, factors and number of steps.
        readout: second layer, (2m,).
        length: maximum of the number of steps.
        static: `noise`, `bias` and `record` are used.

    Returns:
        The trained network and what it has learned.
    """
    del key
    gram, norm = task.noise @ task.noise.T, task.mu @ task.mu
    noise_start, signal_start = task.noise @ net.weights.T, net.weights @ task.mu
    cross = task.noise @ task.mu if static.noise == "isotropic" else None
    rate = readout * descent.lr * descent.ratio.bias  # a filter shares its bias's factor

    def inner_products(c: Coefficients) -> tuple[Array, Array]:
        noise, signal = noise_start + gram @ c.noise, signal_start + c.signal * norm
        if cross is None:
            return noise, signal
        return noise + jnp.outer(cross, c.signal), signal + cross @ c.noise

    def step(c: Coefficients, t: Array) -> tuple[Coefficients, Any]:
        noise, signal = inner_products(c)
        bias = c.bias if static.bias else jnp.zeros_like(c.bias)  # a constant that the compiler drops
        f = output(noise, signal, task.label, bias, readout, relu)
        push = task.weight * task.seen * jax.nn.sigmoid(-task.seen * f)
        by_noise = jnp.where(noise + bias > 0, push[:, None], 0.0)
        by_plus = jnp.where(signal + bias > 0, jnp.sum(push, where=task.label > 0), 0.0)
        by_minus = jnp.where(bias - signal > 0, jnp.sum(push, where=task.label < 0), 0.0)
        lr = jnp.where(t < descent.steps, rate, 0.0)
        new = Coefficients(
            signal=c.signal + lr * (by_plus - by_minus),
            noise=c.noise + lr * by_noise,
            bias=c.bias + lr * (by_noise.sum(0) + by_plus + by_minus) if static.bias else c.bias,
        )
        return new, record(c) if static.record else None

    def gamma_rho(c: Coefficients) -> tuple[Array, Array]:
        return jnp.sign(readout) * c.signal * norm, c.noise * jnp.diag(gram)[:, None]

    def loss(c: Coefficients) -> Array:
        f = output(*inner_products(c), task.label, c.bias, readout, relu)
        return task.weight @ logistic(task.seen, f)

    def record(c: Coefficients) -> Curves:
        gamma, rho = gamma_rho(c)
        along_u = jnp.sign(readout) * (net.weights[:, 0] + c.signal * task.mu[0] + task.noise[:, 0] @ c.noise)
        return Curves(
            loss(c), largest(gamma, readout, task), largest(rho, readout, task), largest(along_u, readout, task)
        )

    start = Coefficients(jnp.zeros_like(signal_start), jnp.zeros_like(noise_start), net.bias)
    end, during = jax.lax.scan(step, start, jnp.arange(length))
    weights = net.weights + jnp.outer(end.signal, task.mu) + end.noise.T @ task.noise
    curves = at_recorded_steps(during, record(end), static) if static.record else None
    return Trained(Net(weights, end.bias), *gamma_rho(end), loss(start), loss(end), curves)
