"""What the cost model of `benchmarks` reads off a program, against counts by hand."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.cost_model import Machine, Pass, passes, predict
from pt_jax.sweep.program import trace
from tests.sweep.test_cost import At, Found


def of(function):
    return passes(trace(lambda key, point, static, data: Found(function(point.x), 0.0), None, At(), None, ("small",)))


def test_a_step_has_its_product_and_what_follows_is_one_pass():
    matrix = jnp.arange(100.0).reshape(10, 10)

    def step(w, _):
        return w - 0.1 * jnp.tanh(matrix @ w) * w, None

    found = of(lambda x: jax.lax.scan(step, jnp.full((10, 3), x), length=7)[0].sum())
    product = Pass(2 * 10 * 10 * 3, 4 * (100 + 30 + 30), 7)
    update = Pass(0, 4 * (30 + 30 + 30), 7)  # reads the product and w, writes w
    assert [x for x in found if x.times == 7] == [product, update]


def test_a_product_with_a_vector_is_a_pass_and_its_operand_is_fused():
    found = of(lambda x: jnp.sum(jnp.maximum(jnp.full((10, 3), x), 0) @ jnp.arange(3.0)))
    assert all(x.flop == 0 for x in found) and sum(x.bytes for x in found) <= 4 * (10 + 10 + 1 + 30)


def test_a_loop_of_unknown_length_is_refused():
    with pytest.raises(ValueError, match="length of a loop"):
        of(lambda x: jax.lax.fori_loop(0, x.astype(int), lambda _, y: y + 1, x))


def test_each_pass_takes_as_long_as_its_limit():
    machine = Machine(flops=100.0, bandwidth=20.0, memory=0.0, reached=0.5)
    assert predict([Pass(300, 10, 1), Pass(0, 5, 2)], machine) == (4.0, 0.25)  # 3 s of FLOP; 2 x 0.5 s of bytes
