"""A program is what is traced now: nothing that an earlier run left in memory, and all that changes a number."""

import textwrap
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.trajectory import simulate
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.identity import base_of, identity
from pt_jax.sweep.plan import plan
from pt_jax.sweep.program import forget, settings, trace
from pt_jax.sweep.run import run
from tests.sweep.cases import throw_sweep
from tests.sweep.notebook import SOURCE, Place, Result, World, draw, module, simple, sweep_of, table


@pytest.mark.parametrize("name, value", [("SCALE", 30.0), ("TABLE", np.ones(2)), ("helper", lambda key, x: 7.0 * x)])
def test_one_process_never_returns_what_an_earlier_helper_or_global_gave(name, value):
    # SCALE is read below a jit of the user's own, which jax itself would not trace again.
    space = module(SOURCE)
    first = run(space["sweep"])
    space[name] = value
    second = run(space["sweep"])
    assert not np.array_equal(first["gain"], second["gain"])
    point = space["Place"](x=2.0)
    fresh = {k: v for k, v in space.items() if k != "jitted"}
    fresh["jitted"] = lambda x: space["SCALE"] * x
    direct = type(space["world"])(space["world"].__code__, fresh, None, space["world"].__defaults__)
    np.testing.assert_allclose(second["gain"][1, 0], direct(jax.random.key(0), point, None, None).gain, rtol=1e-6)


def test_an_attribute_that_changes_between_runs_counts(tmp_path):
    world = World(1.0)
    sweep = simple(world.run)
    first = run(sweep, store=tmp_path)
    world.scale = 4.0
    np.testing.assert_allclose(run(sweep)["gain"], 4 * first["gain"], rtol=1e-6)
    with pytest.raises(ValueError, match="program"):
        run(sweep, store=tmp_path)


def test_data_that_change_in_place_count(tmp_path):
    data = table(1.0)
    sweep = throw_sweep({"shift": [0.0]}, data=data)
    first = run(sweep, store=tmp_path)
    data["table"][1] = 5.0
    np.testing.assert_allclose(run(sweep)["total"], first["total"] + 4.0)
    with pytest.raises(ValueError, match="data"):
        run(sweep, store=tmp_path)


def test_a_program_that_calls_back_is_refused_with_a_store_and_run_without(tmp_path):
    def called(key, point, static, data):
        shape = jax.ShapeDtypeStruct((), np.float32)
        return Result(jax.pure_callback(lambda x: x, shape, point.x, vmap_method="expand_dims"))

    assert run(simple(called))["gain"].values.tolist() == [[1, 1], [2, 2]]
    with pytest.raises(
        ValueError, match=r"called is not accepted with a store or an executor: it calls back into Python"
    ):
        run(simple(called), store=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_plan_keeps_nothing_for_the_run_that_follows():
    space = module(SOURCE)
    plan(space["sweep"])
    space["SCALE"] = 30.0
    np.testing.assert_array_equal(
        run(space["sweep"])["gain"], run(module(SOURCE.replace("3.0", "30.0"))["sweep"])["gain"]
    )


def test_another_setting_of_jax_is_another_program():
    sweep = sweep_of()
    first = run(sweep)
    before = jax.config.jax_threefry_partitionable
    try:
        jax.config.update("jax_threefry_partitionable", not before)
        assert not np.array_equal(run(sweep)["gain"], first["gain"])
    finally:
        jax.config.update("jax_threefry_partitionable", before)
    assert run(sweep).equals(first)


def test_the_order_of_the_fields_of_a_point_counts(tmp_path):
    def first_minus_second(key, point, static, data):
        x, y = point
        return Result(x - y)

    def made(names):
        return Sweep(
            first_minus_second, NamedTuple("Pair", [(name, float) for name in names])(1.0, 1.0), {"a": [3.0]}, 1
        )

    assert run(made("ab"), store=tmp_path)["gain"].item() == 2
    assert run(made("ba"))["gain"].item() == -2
    with pytest.raises(ValueError, match=r"fields \(\[a, b\] there, \[b, a\] here"):
        run(made("ba"), store=tmp_path)


def test_the_rule_for_lanes_of_a_function_counts(tmp_path):
    def made(factor):
        @jax.custom_batching.custom_vmap
        def scale(x):
            return factor * x

        @scale.def_vmap
        def _(size, batched, x):
            return factor * x, batched[0]

        return simple(lambda key, point, static, data: Result(scale(point.x)))

    first = run(made(2.0), store=tmp_path)
    np.testing.assert_array_equal(run(made(5.0))["gain"], 2.5 * first["gain"])
    with pytest.raises(ValueError, match="program"):
        run(made(5.0), store=tmp_path)


def test_printing_and_the_order_of_outputs_and_types_of_the_same_numbers_do_not_count(tmp_path):
    def printing(key, point, static, data):
        jax.debug.print("x = {}", point.x)
        return draw(key, point, static, data)

    first = run(simple(draw), store=tmp_path / "a")
    assert run(simple(printing), store=tmp_path / "a").equals(first)
    for outputs in (("total", "each"), ("each", "total")):
        ds = run(throw_sweep({"shift": [0.0]}, outputs=outputs), store=tmp_path / "b")
        assert set(outputs) <= set(ds.data_vars)
    for number in (0.1, np.float32(0.1)):
        sweep = throw_sweep({"shift": [0.0]}, data=table(number))
        run(replace(sweep, point=sweep.point._replace(share=number)), store=tmp_path / "c")


def test_minus_zero_is_zero(tmp_path):
    def inverse(key, point, static, data):
        return Result(1 / point.x)

    for zero in (0.0, -0.0):
        assert run(Sweep(inverse, Place(), {"x": [zero]}, 1), store=tmp_path)["gain"].item() == np.inf


def test_double_precision_runs_and_is_another_sweep(tmp_path):
    run(sweep_of(), store=tmp_path)
    with jax.enable_x64(True):
        ds = run(sweep_of())
        assert ds["gain"].dtype == np.float64
        with pytest.raises(ValueError, match=r"float \(float32 there, float64 here"):
            run(sweep_of(), store=tmp_path)


# The default world.


def digest(**options):
    sweep = Sweep(simulate, Point(n1=8, n2=8, m=2, steps1=3, steps2=3), {"u": [0.0]}, static=Static(**options))
    return identity(sweep, base_of(sweep))["program"]


def test_options_of_the_default_world_are_in_its_program():
    own = textwrap.dedent(
        """
        import optax
        MOMENTUM = 0.9
        def optimizer(lr):
            return optax.sgd(lr, momentum=MOMENTUM)
        """
    )
    first, second = module(own), module(own.replace("0.9", "0.5"))
    digests = [
        digest(),
        digest(bias=True),
        digest(noise="isotropic"),
        digest(engine="dense"),
        digest(engine="dense", activation="gelu"),
        digest(engine="dense", optimizer=first["optimizer"]),
        digest(engine="dense", optimizer=second["optimizer"]),
    ]
    assert len(set(digests)) == len(digests)
    assert digest() == digests[0]
    first["MOMENTUM"] = 0.5  # the same function: jax would not trace it again
    forget()  # as every run does at its end
    assert digest(engine="dense", optimizer=first["optimizer"]) == digests[-1]


def at_nan(sweep, field):
    return replace(sweep, point=sweep.point._replace(**{field: float("nan")}))


@pytest.mark.parametrize("field, there", [("shift", 0.5), ("share", float("nan"))], ids=["on an axis", "nan again"])
def test_a_base_value_of_nan_continues_where_it_is_the_same_or_does_not_count(field, there, tmp_path):
    sweep, calls = at_nan(throw_sweep({"shift": [0.0, 1.0]}), field), []
    first = run(replace(sweep, point=sweep.point._replace(**{field: there})), store=tmp_path)
    assert run(sweep, lambda *call: calls.append(call), store=tmp_path).equals(first)
    assert calls == [(sweep.trajectories, sweep.trajectories, 0, 0)]  # nothing was left to compute


@pytest.mark.parametrize("device, full", [("gpu", True), ("tpu", True), ("cpu", False)])  # a CPU has no other
def test_products_are_in_float32_on_every_device_unless_another_precision_is_asked_for(monkeypatch, device, full):
    def product(key, point, static, data):
        return Result(jnp.ones((2, 3)) @ jnp.ones(3) * point.x)

    monkeypatch.setattr(jax, "default_backend", lambda: device)
    assert ("HIGHEST" in str(trace(product, None, Place(), None, None).jaxpr)) == full
    with jax.default_matmul_precision("tensorfloat32"):
        assert "HIGHEST" not in str(trace(product, None, Place(), None, None).jaxpr)
        assert settings()["matmul_precision"] == "tensorfloat32"
    assert settings()["matmul_precision"] == ("float32" if full else None)
