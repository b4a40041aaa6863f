"""What is read off a program before it is compiled, against what its operations are known to need."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest

from pt_jax.sweep import cost, lanes
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.program import trace
from pt_jax.sweep.run import run


class At(NamedTuple):
    """One number."""

    x: Any = 1.0


class Found(NamedTuple):
    """Two results, of which one may not be wanted."""

    small: Any
    large: Any


def product(n):
    """A function with one sum and one product of matrices n x 3 and 3 x n."""

    def function(key, point, static, data):
        del key, static, data
        a = jnp.full((n, 3), point.x) * jnp.arange(3.0)
        return Found(point.x + 1, jnp.sum(a @ jnp.sin(a).T))

    return function


def of(function, outputs=None):
    return cost.of(trace(function, None, At(), None, outputs))


def test_a_product_needs_its_factors_and_its_result_and_two_operations_a_term():
    found = of(product(100))
    assert found.memory == 4 * (2 * 300 + 100 * 100)
    # Beside the product: 300 to fill a, 300 to multiply, 300 for the sine, and a few single numbers and shapes.
    assert 2 * 3 * 100 * 100 + 900 <= found.work <= 2 * 3 * 100 * 100 + 2000


def test_what_no_result_needs_costs_nothing():
    assert of(product(100), ("small",)) == (0, 1, 1)


def test_what_is_fused_needs_no_memory_for_certain():
    def outer(key, point, static, data):
        row = jnp.arange(1000.0) * point.x
        return Found(jnp.sum(jnp.outer(row, row)), jnp.sum(row[:, None] == row))

    assert of(outer).memory == 0


def test_a_scan_counts_every_step_and_an_open_loop_a_hundred():
    def scanned(key, point, static, data):
        return Found(jax.lax.scan(lambda x, _: (x * 2, None), jnp.full(10, point.x), length=7)[0].sum(), 0.0)

    def looped(key, point, static, data):
        steps = point.x.astype(int)
        return Found(jax.lax.fori_loop(0, steps, lambda _, x: x * 2, jnp.full(10, point.x)).sum(), 0.0)

    assert 70 <= of(scanned).work < 70 + 30 and 1000 <= of(looped).work < 1000 + 300


def test_a_carried_key_counts_its_numbers():
    def walk(key, point, static, data):
        return Found(jax.random.uniform(jax.lax.fori_loop(0, 3, lambda i, k: jax.random.fold_in(k, i), key)), 0.0)

    assert of(walk).memory == 4 + jax.random.key(0).dtype.itemsize  # a counter and the key


def test_what_cannot_fit_is_refused_before_it_is_compiled(monkeypatch):
    monkeypatch.setattr(lanes, "_traced", None)
    with pytest.raises(ValueError, match=r"A group of 1 trajectories of this size is not accepted: it needs .* GB"):
        run(Sweep(product(10**7), At(), {"x": [1.0]}, 1))
