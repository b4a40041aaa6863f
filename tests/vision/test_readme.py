"""The README's example of the diagnostics runs as it stands."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def examples(name):
    return [x for x in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if name in x]


def test_the_example_of_the_diagnostics_runs(capsys):
    (code,) = examples("landscape")
    names = {}
    exec(code, names)
    similarities, barrier = capsys.readouterr().out.splitlines()
    assert "layers_0" in similarities and float(barrier) >= 0
    found = names["similarity"].modules(names["model"].apply, names["a"], names["b"], names["images"])
    assert 0 < found["layers_0"] < 1  # two networks with other weights


def test_the_example_of_a_sweep_is_accepted():
    (code,) = examples("mnist_to_digits")
    names = {}
    exec(code.split("ds = ")[0], names)
    assert names["sweep"].shape == (3, 5, 16) and len(names["static"].counts2) == 10
