"""Inheritance: which upstream parameters replace the fresh ones before downstream training.

`filters`: of each sign, floor(alpha m + 1/2) whole filters with their biases: the first ones (filters are exchangeable
before training), or those that hold most signal or most noise. `weights`: each entry, and each bias, with probability
alpha, in the coordinates where e_u, e_1, e_2 are axes; a larger alpha takes a superset.

Source: arXiv 2509.22056 (a proportion alpha of the upstream weights, picked at random).
"""

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.signal_noise.network import Net
from pt_jax.signal_noise.point import Static


def filters(alpha: Array, m: Array, score: Array) -> Array:
    """Return which filters are inherited, (2m,) bool: of each sign the floor(alpha m + 1/2) of largest score.

    Args:
        alpha: fraction inherited, in [0, 1].
        m: filters of each sign in use.
        score: what a filter is chosen by, (2 padded m,); ties go to the first filter.
    """
    count = jnp.floor(alpha * m + 0.5)
    index = jnp.arange(score.shape[0] // 2)
    by_sign = jnp.where(index[:, None] < m, score.reshape(-1, 2), -jnp.inf)
    better = (by_sign[:, None] < by_sign) | ((by_sign[:, None] == by_sign) & (index[:, None] > index)[..., None])
    return ((better.sum(1) < count) & (index[:, None] < m)).reshape(-1)


def weights(key: Array, alpha: Array, net: Net) -> Net:
    """Return which single parameters are inherited: a Net of bool, each True with probability alpha."""
    rows = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(net.bias)))
    uniform = jax.vmap(lambda k: jax.random.uniform(k, (net.weights.shape[1] + 1,)))(rows)
    return Net(weights=uniform[:, 1:] < alpha, bias=uniform[:, 0] < alpha)


def choice(key: Array, alpha: Array, m: Array, net: Net, signal: Array, noise: Array, static: Static) -> Net:
    """Return which parameters of the upstream network are inherited, a Net of bool that broadcasts to its shapes.

    Args:
        key: of this source of randomness.
        alpha: fraction inherited, in [0, 1].
        m: filters of each sign in use.
        net: the upstream network.
        signal: its j <w, mu_1>, (2m,).
        noise: its largest rho over the training noise, (2m,).
        static: `inherit` and `choose`.
    """
    if static.inherit == "weights":
        return weights(key, alpha, net)
    score = {"first": jnp.zeros_like(signal), "signal": signal, "noise": noise}[static.choose]
    taken = filters(alpha, m, score)
    return Net(weights=taken[:, None], bias=taken)
