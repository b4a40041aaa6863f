"""What changes the numbers is refused by name with a store and computed anew without; what does not is accepted."""

import functools
import importlib.metadata
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import flax.linen as nn
import numpy as np
import optax
import pytest

from pt_jax.sweep.run import run
from tests.sweep.cases import throw_sweep
from tests.sweep.notebook import (
    SOURCE,
    Functions,
    Result,
    World,
    closure,
    module,
    scaled,
    simple,
    sweep_of,
    table,
    tall,
    trained,
)

ROOT = Path(__file__).parents[2]

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


def test_another_folder_file_name_and_hash_seed_are_accepted(tmp_path, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    run(sweep_of(), store=tmp_path / "store")
    (tmp_path / "go.py").write_text(
        SOURCE + f"import pt_jax\npt_jax.run(sweep, lambda *a: print(a[0]), store={str(tmp_path / 'store')!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "go.py"],
        cwd=tmp_path,
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "4"  # known before
