"""What changes the numbers is refused by name with a store and computed anew without; what does not is accepted."""

import dataclasses
import functools
import importlib.metadata
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.trajectory import simulate
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.identity import base_of, identity
from pt_jax.sweep.plan import plan
from pt_jax.sweep.program import forget
from pt_jax.sweep.run import run
from tests.sweep.cases import throw_sweep

ROOT = Path(__file__).parents[2]

SOURCE = """
import jax
import numpy as np
from typing import NamedTuple
from pt_jax import Sweep

SCALE = 3.0
TABLE = np.arange(5.0)


class Place(NamedTuple):
    x: float = 0.0


class Result(NamedTuple):
    gain: jax.Array


def helper(key, x):
    return 2.0 * x + jax.random.normal(key)


@jax.jit
def jitted(x):
    return SCALE * x


def world(key, point, static, data, weight=1.5):
    middle = helper(key, point.x)
    return Result(weight * (middle + jitted(point.x)) + TABLE.sum())


sweep = Sweep(world, Place(), {"x": [1.0, 2.0]}, seeds=2)
"""


def module(text, name="notebook"):
    """Run a text as a module of its own."""
    space = {"__name__": name}
    exec(compile(text, f"{name}.py", "exec"), space)
    return space


def sweep_of(old="", new=""):
    """Return the sweep of the source after an edit."""
    assert old in SOURCE
    return module(SOURCE.replace(old, new))["sweep"]


class Place(NamedTuple):
    x: float = 0.0


class Result(NamedTuple):
    gain: jax.Array


def draw(key, point, static, data):
    return Result(point.x + jax.random.normal(key))


def scaled(scale, key, point, static, data):
    return Result(scale * draw(key, point, static, data).gain)


@dataclasses.dataclass
class World:
    """A world with an attribute, and a method that reads it."""

    scale: float

    def run(self, key, point, static, data):
        return scaled(self.scale, key, point, static, data)


def closure(scale):
    def inner(key, point, static, data):
        return scaled(scale, key, point, static, data)

    return inner


class Functions(NamedTuple):
    """A static that holds an optimizer, an activation, a loss and a network."""

    optimizer: Callable = optax.sgd
    activation: Callable = jax.nn.relu
    loss: Callable = optax.l2_loss
    network: nn.Module = nn.Dense(1)


def trained(key, point, static, data):
    x = jax.random.normal(key, (3, 2))
    params = static.network.init(key, x)
    rule = static.optimizer(0.1)
    slope = jax.grad(lambda p: jnp.sum(static.loss(static.activation(static.network.apply(p, x)) - point.x)))(params)
    updates, _ = rule.update(slope, rule.init(params), params)
    return Result(sum(map(jnp.sum, jax.tree.leaves(optax.apply_updates(params, updates)))))


def simple(function, **options):
    return Sweep(function, Place(), {"x": [1.0, 2.0]}, 2, **options)


def tall(x):
    return nn.relu(x) ** 2


CHANGES = {  # two sweeps with other numbers, and the name of what differs
    "helper": lambda: (sweep_of(), sweep_of("2.0 * x", "2.5 * x"), "program"),
    "global": lambda: (sweep_of(), sweep_of("SCALE = 3.0", "SCALE = 4.0"), "program"),
    "default argument": lambda: (sweep_of(), sweep_of("weight=1.5", "weight=2"), "program"),
    "constant array": lambda: (sweep_of(), sweep_of("arange(5.0)", "arange(6.0)"), "program"),
    "one number of an array": lambda: (sweep_of(), sweep_of("arange(5.0)", "array([0, 1, 2, 3, 5.0])"), "program"),
    "closure": lambda: (simple(closure(1.0)), simple(closure(1.5)), "program"),
    "partial": lambda: (simple(functools.partial(scaled, 1.0)), simple(functools.partial(scaled, 1.5)), "program"),
    "bound attribute": lambda: (simple(World(1.0).run), simple(World(1.5).run), "program"),
    **{
        name: lambda name=name, other=other: (
            simple(trained, static=Functions()),
            simple(trained, static=Functions()._replace(**{name: other})),
            "program",
        )
        for name, other in {
            "optimizer": optax.adam,
            "activation": tall,
            "loss": optax.log_cosh,
            "network": nn.Dense(2),
        }.items()
    },
    "lambda": lambda: (simple(lambda k, p, s, d: Result(p.x)), simple(lambda k, p, s, d: Result(2 * p.x)), "program"),
    "data": lambda: (
        throw_sweep({"shift": [0.0]}, data=table(1.0)),
        throw_sweep({"shift": [0.0]}, data=table(2.0)),
        "data",
    ),
    "lane width": lambda: (sweep_of(), replace(sweep_of(), lanes=2), "lanes"),
    "base value": lambda: (
        throw_sweep({"shift": [0.0]}),
        replace(s := throw_sweep({"shift": [0.0]}), point=s.point._replace(share=0.5)),
        "point.share",
    ),
}


def table(last):
    return {"offset": np.float32(0.0), "table": np.array([1.0, last], np.float32)}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_refused_by_name_and_computed_anew_in_memory(tmp_path, name):
    before, after, words = CHANGES[name]()
    first, second = run(before, store=tmp_path), run(after)
    result = str(next(iter(first.data_vars)))
    if name != "lane width":
        assert not np.array_equal(first[result], second[result])
    with pytest.raises(ValueError, match=rf"holds another sweep: .*\b{words} \(.* there, .* here"):
        run(after, store=tmp_path)
    again = run(before, lambda done, total, *_: done == total or pytest.fail("computed again"), store=tmp_path)
    assert again.equals(first)


@pytest.mark.parametrize("package", ["jax", "jaxlib"])
def test_another_version_is_refused(tmp_path, monkeypatch, package):
    run(sweep_of(), store=tmp_path)
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.1" if name == package else real(name))
    with pytest.raises(ValueError, match=rf"{package} \(.* there, 0.0.1 here"):
        run(sweep_of(), store=tmp_path)


def test_flags_of_xla_that_may_change_numbers_are_refused_and_the_number_of_devices_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    run(sweep_of(), store=tmp_path)
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3")
    run(sweep_of(), store=tmp_path)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    with pytest.raises(ValueError, match=r"xla .*fast_math"):
        run(sweep_of(), store=tmp_path)


HARMLESS = {
    "comment": ("    middle =", "    # the middle\n    middle ="),
    "renamed local": ("middle", "centre"),
    "renamed helper": ("helper", "assistant"),
    "reformatted": ('Place(), {"x": [1.0, 2.0]}, seeds=2', "\n    Place(),\n    {'x': [1., 2.]},\n    seeds = 2,\n"),
    "another order of definitions": ("SCALE = 3.0\nTABLE = np.arange(5.0)", "TABLE = np.arange(5.0)\nSCALE = 3.0"),
    "a docstring": ("def helper(key, x):\n", "def helper(key, x):\n    '''Help.'''\n"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_changes_no_number_is_accepted(tmp_path, name):
    first = run(sweep_of(), store=tmp_path)
    changed = module(SOURCE.replace(*HARMLESS[name]), name="elsewhere")["sweep"]
    again = run(changed, lambda done, total, *_: done == total or pytest.fail("computed again"), store=tmp_path)
    assert again.equals(first)


def test_another_folder_file_name_and_hash_seed_are_accepted(tmp_path):
    said = set()
    for i in range(2):
        folder = tmp_path / f"folder{i}"
        folder.mkdir()
        (folder / f"go{i}.py").write_text(
            SOURCE + f"import pt_jax\npt_jax.run(sweep, lambda *a: print(a[0]), store={str(tmp_path / 'store')!r})\n"
        )
        done = subprocess.run(
            [sys.executable, f"go{i}.py"],
            cwd=folder,
            env={"PYTHONHASHSEED": str(i), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr
        said.add(done.stdout.split()[0])
    assert said == {"0", "4"}  # known before


# Programs that are kept in memory.


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


def test_the_base_value_of_a_field_on_an_axis_does_not_count(tmp_path):
    run(throw_sweep({"shift": [0.0, 1.0]}), store=tmp_path)
    moved = throw_sweep({"shift": [0.0, 1.0]})
    again = replace(moved, point=moved.point._replace(shift=float("nan")))
    run(again, lambda done, total, *_: done == total or pytest.fail("computed again"), store=tmp_path)


def test_a_base_value_of_nan_continues(tmp_path):
    sweep = throw_sweep({"shift": [0.0]})
    sweep = replace(sweep, point=sweep.point._replace(share=float("nan")))
    run(sweep, store=tmp_path)
    run(sweep, lambda done, total, *_: done == total or pytest.fail("computed again"), store=tmp_path)
