"""What `--help` says: every field, option and result, examples, and that it loads no jax."""

import os
import re
import subprocess
import sys
from dataclasses import fields

import pytest

import pt_jax
from pt_jax.app.cli import main
from pt_jax.signal_noise.fields import FIELDS, OPTIONS, OUTPUTS
from pt_jax.signal_noise.point import Static
from tests.app.test_cli import words_missing


def test_help_names_every_field_and_option_and_loads_no_jax():
    code = """
import sys
from pt_jax.app.cli import main
from tests.app.test_cli import words_missing
try:
    main(["map", "--help"])
finally:
    assert "jax" not in sys.modules and "matplotlib" not in sys.modules
"""
    env = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, env=env)
    assert done.returncode == 0, done.stderr
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m|[^\x00-\x7f]", " ", done.stdout).split())
    text = re.sub(r"--(bias|nesterov), --no-\1", r"--\1 SWITCH", text)  # the flags that take no value
    flags = dict(re.findall(r" --([a-z][\w-]*) (.*?)(?= --(?!no-)[a-z][\w-]* [A-Z]|$)", text))
    for name, about in FIELDS.items():
        words = [about.meaning[1:], about.accepted, f"Unit: {about.unit}.", f"(default: {about.default:g})"]
        assert words_missing(flags[name.replace("_", "-")], words) == [], name
    defaults = {option.name: option.default for option in fields(Static)} | {"hidden": 32}
    for name, option in OPTIONS.items():
        words = [
            option.meaning[1:],
            f"(default: {'none' if defaults[name] in (None, ()) else defaults[name]})",
            *option.choices,
        ]
        assert words_missing(flags[name.replace("_", "-")], words) == [], name
    assert {"x", "y", "col", "row", "seeds", "out", "value"} <= set(flags)
    for name in ("x", "y", "col", "record"):  # what takes several values shows how
        assert re.search(r"\bas [\w=:., ]*\d", flags[name], re.IGNORECASE), name
    assert words_missing(flags["value"], [f"{name}," for name in OUTPUTS[:-1]] + [f"{OUTPUTS[-1]};"]) == []


def test_the_results_that_help_names_are_those_of_a_trajectory():
    assert {*OUTPUTS, "curves"} == set(pt_jax.Outcome._fields)


@pytest.mark.parametrize("command", ["map", "show", "plot", "rerun", "advise"])
def test_help_ends_with_examples_whose_flags_are_there(command, capsys):
    assert main([command, "--help"]) == 0
    text, _, examples = capsys.readouterr().out.partition("\nexamples:\n")
    assert len(examples.splitlines()) >= 2
    for line in examples.splitlines():
        assert line.startswith(f"  pt-jax {command} ")
        assert words_missing(text, re.findall(r"--[a-z][\w-]*", line)) == []
