"""The house: what importing costs, which way imports run, and how long files may be."""

import ast
import importlib
import re
import subprocess
import sys
import textwrap
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pt_jax

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "pt_jax").rglob("*.py"))
NAMED = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in SOURCES}
SIMS = sorted((ROOT / "sims").glob("*.py"))
# What each room may use. Only the two faces and the scripts use `app`.
ROOMS = {
    "inputs": set(),
    "signal_noise": {"inputs"},
    "diagnostics": {"inputs"},
    "vision": {"inputs", "diagnostics"},
    "sweep": set(),
    "report": {"sweep"},
    "app": {"inputs", "signal_noise", "diagnostics", "vision", "sweep", "report"},
    "__init__": {"signal_noise", "sweep", "report", "app"},
    "__main__": {"app"},
}


def imported(tree):
    """Names that a file imports anywhere, `import a.b` and `from a import b` alike as a.b."""
    names = set()
    for node in ast.walk(tree):
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
    for name in imported(ast.parse(path.read_text())):
        first, *rest = name.split(".")
        if first == "pt_jax" and rest != ["__version__"]:  # a text, and nothing that runs
            used.add(rest[0] if rest and rest[0] in homes else "pt_jax")
    return used


def test_importing_pt_jax_and_its_tables_loads_no_jax():
    code = "import sys, pt_jax; from pt_jax import Point, Static, FIELDS; Static(); print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.strip() == "False"


def test_a_sweep_in_memory_runs_where_what_a_store_and_the_command_line_need_is_not_installed():
    code = """
    import sys
    for name in ("zarr", "numcodecs", "tyro"):
        sys.modules[name] = None
    import pt_jax
    from tests.sweep.cases import throw_sweep
    print(pt_jax.run(throw_sweep({"shift": [0.0, 1.0]}), report=None).sizes["shift"])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert done.stdout.strip() == "2", done.stderr


@pytest.mark.parametrize("name", pt_jax.__all__)
def test_every_name_is_there(name):
    thing = getattr(pt_jax, name)
    assert name == "plot" or thing is not None
    assert sorted(pt_jax.__all__) == sorted(set(pt_jax.__all__))


def test_every_name_has_a_line_in_help_and_a_type():
    listed = re.findall(r"^    (\w+)  +\S", pt_jax.__doc__, re.MULTILINE)
    assert sorted(listed) == pt_jax.__all__ and set(listed) <= set(dir(pt_jax))
    stub = ast.parse((ROOT / "pt_jax" / "__init__.pyi").read_text())
    typed = {node.names[0].asname: f"{node.module}.{node.names[0].name}" for node in stub.body[:-1]}
    assert sorted(typed) == pt_jax.__all__
    for name, home in typed.items():
        module, _, attribute = home.rpartition(".")
        assert getattr(importlib.import_module(module), attribute) is getattr(pt_jax, name)


@pytest.mark.parametrize("world", ["signal_noise", "vision"])
def test_help_on_a_world_lists_its_fields_and_choices(world):
    module = importlib.import_module(f"pt_jax.{world}.point")
    for table, kind in ((module.FIELDS, module.Point), (module.OPTIONS, module.Static)):
        for name, row in table.items():
            (line,) = re.findall(rf"^ *{name}: {re.escape(row.meaning)}.*$", kind.__doc__, re.MULTILINE)
            assert all(choice in line for choice in getattr(row, "choices", ()))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="transfer"):
        pt_jax.transfer  # noqa: B018


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    own, names = part(path), imported(ast.parse(path.read_text()))
    assert parts_used(path) <= ROOMS[own] | {own}, f"{path} belongs to {own}"
    if own not in ("app", "report"):
        assert not {name.split(".")[0] for name in names} & {"matplotlib", "rich", "tyro"}
    assert not any(name.startswith(".") for name in names), "relative imports hide where a name comes from"


def modules_used(path):
    """The modules of pt_jax that a file imports, also within functions; not those for types alone."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    return {NAMED[found] for name in imported(tree) for found in (name, name.rpartition(".")[0]) if found in NAMED}


def test_no_imports_run_in_a_circle():
    graph = {path: modules_used(path) - {ROOT / "pt_jax" / "__init__.py"} for path in SOURCES}
    order = [path.stem for path in TopologicalSorter(graph).static_order()]  # raises CycleError, with the circle
    assert order.index("field") < order.index("fields") < order.index("training") < order.index("trajectory")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def longer(paths, most):
    """Names of the files of more lines."""
    return {path.name for path in paths if len(path.read_text().splitlines()) > most}


def test_lengths():
    assert not longer([ROOT / "pt_jax" / "__init__.py"], 60)
    assert not longer(SIMS, 120)
    assert not longer(SOURCES, 300)
    assert not longer((ROOT / "tests").rglob("*.py"), 300)


def test_the_console_script_is_the_command_line():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]  # a checkout need not be installed
    module, name = project["scripts"]["pt-jax"].split(":")
    assert callable(getattr(importlib.import_module(module), name))
