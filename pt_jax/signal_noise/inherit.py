"""Inheritance: which upstream parameters replace the fresh ones before downstream training.

`filters`: of each sign, floor(alpha m + 1/2) whole filters with their biases: the first ones (filters are exchangeable
before training), or those that hold most signal or most noise. `weights`: each entry, and each bias, with probability
alpha, in the coordinates where e_u, e_1, e_2 are axes; a larger alpha takes a superset.

Above the first layer (`upper`): what belongs to an inherited filter comes with it and the rest is fresh, or all is
fresh, or all is inherited. With `weights`, each entry of what belongs to a filter comes with probability alpha, too.
With fresh upper layers, alpha = 1 and lr_ratio = 0, the head alone is trained.

Source: arXiv 2509.22056 (a proportion alpha of the upstream weights, picked at random).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.inputs.field import part_of
from pt_jax.signal_noise.models import by_unit, spread
from pt_jax.signal_noise.network import Net
from pt_jax.signal_noise.point import Static


def filters(alpha: Array, m: Array, score: Array) -> Array:
    """Return which filters are inherited, (2m,) bool: of each sign the floor(alpha m + 1/2) of largest score.

    Args:
        alpha: fraction inherited, in [0, 1].
        m: filters of each sign in use.
        score: what a filter is chosen by, (2 padded m,); ties go to the first filter.
    """
    count = part_of(alpha, m, jnp)
    index = jnp.arange(score.shape[0] // 2)
    by_sign = jnp.where(index[:, None] < m, score.reshape(-1, 2), -jnp.inf)
    better = (by_sign[:, None] < by_sign) | ((by_sign[:, None] == by_sign) & (index[:, None] > index)[..., None])
    return ((better.sum(1) < count) & (index[:, None] < m)).reshape(-1)


def weights(key: Array, alpha: Array, net: Net, rows: Any) -> Net:
    """Return which single parameters of the units are inherited: a Net of bool, each True with probability alpha.

    Those of a unit are drawn from its own key, so that padding changes none. `rows` are those of `by_unit`.
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(net.bias)))
    uniform = jax.vmap(lambda k: jax.random.uniform(k, (net.weights.shape[1] + 1,)))(keys)

    def above(number: int, count: int, x: Array) -> Array:
        if not count:
            return jnp.zeros((1,) * x.ndim, bool)
        of_unit = jax.vmap(lambda k: jax.random.uniform(jax.random.fold_in(k, number), (count, *x.shape[1:])))(keys)
        return of_unit.swapaxes(0, 1).reshape(x.shape) < alpha

    leaves, form = jax.tree.flatten(net.upper)
    upper = [above(i, count, x) for i, (count, x) in enumerate(zip(jax.tree.leaves(rows), leaves, strict=True))]
    return Net(uniform[:, 1:] < alpha, uniform[:, 0] < alpha, jax.tree.unflatten(form, upper))


def choice(key: Array, alpha: Array, m: Array, net: Net, signal: Array, noise: Array, static: Static) -> Net:
    """Return which parameters of the upstream network are inherited, a Net of bool that broadcasts to its shapes.

    Args:
        key: of this source of randomness.
        alpha: fraction inherited, in [0, 1].
        m: filters of each sign in use.
        net: the upstream network.
        signal: its `j <w, mu_1>`, (2m,).
        noise: its largest rho over the training noise, (2m,).
        static: `inherit`, `choose` and `upper`.
    """
    score = {"first": jnp.zeros_like(signal), "signal": signal, "noise": noise}[static.choose]
    units = filters(alpha, m, score)
    rows = by_unit(static)
    if static.inherit == "weights":
        taken = weights(key, alpha, net, rows)
    else:
        taken = Net(units[:, None], units, spread(units, rows, net.upper, otherwise=False))
    if static.upper == "units":
        return taken
    return taken._replace(upper=jax.tree.map(lambda x: jnp.full((1,) * x.ndim, static.upper == "whole"), net.upper))
