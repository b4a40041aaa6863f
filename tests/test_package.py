"""The house: what importing costs, which way imports run, and how long files may be."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import pt_jax

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "pt_jax").rglob("*.py"))
SIMS = sorted((ROOT / "sims").glob("*.py"))
# What each room may use. Only the two faces and the scripts use `app`.
ROOMS = {
    "inputs": set(),
    "signal_noise": {"inputs"},
    "diagnostics": set(),
    "vision": {"inputs", "diagnostics"},
    "sweep": set(),
    "report": {"sweep"},
    "app": {"inputs", "signal_noise", "diagnostics", "vision", "sweep", "report"},
    "__init__": {"signal_noise", "sweep", "report", "app"},
    "__main__": {"app"},
}


def imported(path):
    """Modules that a file imports anywhere, `import a.b` and `from a import b` alike as a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ("." * node.level) + (node.module or "")
            names |= {f"{package}.{alias.name}" for alias in node.names}
    return names


def part(path):
    """The part of pt_jax that a file belongs to: a folder, or the file's own name."""
    return path.relative_to(ROOT / "pt_jax").parts[0].removesuffix(".py")


def parts_used(path):
    """The parts of pt_jax that a file imports; "pt_jax" itself where it takes names from the top."""
    homes = {path.stem if path.is_file() else path.name for path in (ROOT / "pt_jax").iterdir()}
    used = set()
    for name in imported(path):
        first, *rest = name.split(".")
        if first == "pt_jax" and rest != ["__version__"]:  # a text, and nothing that runs
            used.add(rest[0] if rest and rest[0] in homes else "pt_jax")
    return used


def test_importing_pt_jax_and_its_tables_loads_no_jax():
    code = "import sys, pt_jax; from pt_jax import Point, Static, FIELDS; Static(); print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", pt_jax.__all__)
def test_every_name_is_there(name):
    thing = getattr(pt_jax, name)
    assert name == "plot" or thing is not None
    assert sorted(pt_jax.__all__) == sorted(set(pt_jax.__all__))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="transfer"):
        pt_jax.transfer  # noqa: B018


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    own = part(path)
    assert parts_used(path) <= ROOMS[own] | {own}, f"{path} belongs to {own}"
    if own not in ("app", "report"):
        assert not {name.split(".")[0] for name in imported(path)} & {"matplotlib", "rich", "tyro"}
    assert not any(name.startswith(".") for name in imported(path)), "relative imports hide where a name comes from"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_lengths():
    assert len((ROOT / "pt_jax" / "__init__.py").read_text().splitlines()) <= 60
    assert {path.name: n for path in SIMS if (n := len(path.read_text().splitlines())) > 120} == {}
    assert {path.name: n for path in SOURCES if (n := len(path.read_text().splitlines())) > 300} == {}


def test_the_console_script_is_the_command_line():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="pt-jax")
    assert script.value == "pt_jax.app.cli:main"
