"""Exact gradient descent on coefficients: its cost does not depend on d.

Full-batch gradient descent on the logistic loss never leaves the span of mu and the noise vectors it has seen:

    w_{j,r}(t) = w_{j,r}(0) + C_{j,r,mu} mu + sum_i C_{j,r,i} xi_i

so it is enough to carry the coefficients. With K_il = <xi_i, xi_l>, A_i = <w, xi_i> and a step size lr,

    A = A(0) + K C + <mu, xi> C_mu,    <w, mu> = <w(0), mu> + C_mu |mu|^2 + <mu, xi> C
    s_i = lr/n sigmoid(-yhat_i f_i) yhat_i
    C_i  += j/m s_i 1[A_i + b > 0]
    C_mu += j/m sum_i s_i y_i 1[y_i <w, mu> + b > 0]
    C_b  += j/m sum_i s_i 1[y_i <w, mu> + b > 0],    b = b(0) + C_b + sum_i C_i      (only with biases)

for each filter (j, r). The inequalities are strict, as relu'(0) = 0. <mu, xi> is 0 where noise is projected; else it is
one more row of K, and so are the ones that sum C_i for the bias. A step costs O(m n^2). Arrays are (samples, networks,
filters), so that networks that train on one task share one product with K: a CPU multiplies a matrix of 80 columns a
quarter faster than two of 40.

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
    """What descent carries: `signal` C_mu (k, 2m), `noise` C (n, k, 2m), `bias` C_b (k, 2m), for k networks."""

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
    one = jax.tree.map(lambda x: x[None], (net, descent.ratio))
    trained = train_together(key, one[0], task, descent._replace(ratio=one[1]), readout, length, static)
    return jax.tree.map(lambda x: x[0], trained)


def train_together(
    key: Array, nets: Net, task: Task, descent: Descent, readout: Array, length: int, static: Static
) -> Trained:
    """Train k networks on the same task: as `train`, with a first axis of k in nets, descent.ratio and the result."""
    del key
    gram, norm = task.noise @ task.noise.T, task.mu @ task.mu
    noise_start, signal_start = jnp.einsum("np,kfp->nkf", task.noise, nets.weights), nets.weights @ task.mu
    cross = [task.noise @ task.mu] if static.noise == "isotropic" else []
    rows = jnp.concatenate([gram, *(row[None] for row in cross), *([jnp.ones((1, len(gram)))] if static.bias else [])])
    rate = readout * descent.lr * descent.ratio.bias  # a filter shares its bias's factor
    label, seen, weight = task.label[:, None], task.seen[:, None], task.weight[:, None]

    def inner_products(c: Coefficients) -> tuple[Array, Array, Array]:
        product = jnp.einsum("ni,ikf->nkf", rows, c.noise)
        noise, signal, bias = noise_start + product[: len(gram)], signal_start + c.signal * norm, nets.bias
        if static.noise == "isotropic":
            noise, signal = noise + cross[0][:, None, None] * c.signal, signal + product[len(gram)]
        if static.bias:
            bias = bias + c.bias + product[-1]
        return noise, signal, bias

    def step(c: Coefficients, t: Array) -> tuple[Coefficients, Any]:
        noise, signal, bias = inner_products(c)
        bias = bias if static.bias else jnp.zeros_like(bias)  # a constant that the compiler drops
        f = output(noise, signal, label, bias, readout, relu)
        push = weight * seen * jax.nn.sigmoid(-seen * f)
        by_noise = jnp.where(noise + bias > 0, push[..., None], 0.0)
        by_plus = jnp.where(signal + bias > 0, jnp.sum(push, axis=0, where=label > 0)[:, None], 0.0)
        by_minus = jnp.where(bias - signal > 0, jnp.sum(push, axis=0, where=label < 0)[:, None], 0.0)
        lr = jnp.where(t < descent.steps, rate, 0.0)
        new = Coefficients(
            signal=c.signal + lr * (by_plus - by_minus),
            noise=c.noise + lr * by_noise,
            bias=c.bias + lr * (by_plus + by_minus) if static.bias else c.bias,
        )
        return new, record(c) if static.record else None

    def gamma_rho(c: Coefficients) -> tuple[Array, Array]:
        return jnp.sign(readout) * c.signal * norm, jnp.moveaxis(c.noise * jnp.diag(gram)[:, None, None], 1, 0)

    def loss(c: Coefficients) -> Array:
        noise, signal, bias = inner_products(c)
        f = output(noise, signal, label, bias, readout, relu)
        return task.weight @ logistic(seen, f)

    def record(c: Coefficients) -> Curves:
        gamma, rho = gamma_rho(c)
        along_u = nets.weights[..., 0] + c.signal * task.mu[0] + jnp.einsum("i,ikf->kf", task.noise[:, 0], c.noise)
        parts = (gamma, rho, jnp.sign(readout) * along_u)
        return Curves(loss(c), *(jax.vmap(largest, (0, None, None))(x, readout, task) for x in parts))

    nothing = jnp.zeros_like(signal_start)
    start = Coefficients(nothing, jnp.zeros_like(noise_start), nothing)
    end, during = jax.lax.scan(step, start, jnp.arange(length))
    learned = end.signal[..., None] * task.mu + jnp.einsum("ikf,ip->kfp", end.noise, task.noise)
    curves = None
    if static.record:
        curves = jax.vmap(lambda x, last: at_recorded_steps(x, last, static), (1, 0))(during, record(end))
    net = Net(nets.weights + learned, inner_products(end)[2])
    return Trained(net, *gamma_rho(end), loss(start), loss(end), curves)
