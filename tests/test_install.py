"""The package in strange places: beside its clone, without a home, on other systems, from a source distribution."""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import pt_jax
from pt_jax.app.cli import main
from pt_jax.sweep import locks

ROOT = Path(__file__).parents[1]
ABOUT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def called(*command, **how):
    """Return what a command printed; it must end well."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, **how)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The source distribution and the wheel, as their files by name."""
    folder = tmp_path_factory.mktemp("dist")
    called(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with tarfile.open(sdist) as tar:
        source = {name.partition("/")[2] for name in tar.getnames()}
    with zipfile.ZipFile(wheel) as file:
        return source, {name: file.read(name).decode() for name in file.namelist()}


def test_a_source_distribution_has_what_its_tests_need(built):
    names = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "constraints.txt", ".ci/run"}
    for folder in ("pt_jax", "tests", "sims", "figures", "benchmarks"):
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        names |= {path.relative_to(ROOT).as_posix() for path in files}
    assert names - built[0] == set() and "tests/sweep/cases.py" in names


def test_a_wheel_has_the_package_its_types_and_a_page_without_broken_pictures(built):
    (about,) = (text for name, text in built[1].items() if name.endswith("/METADATA"))
    assert "pt_jax/py.typed" in built[1] and {name.partition("/")[0] for name in built[1]} == {
        "pt_jax",
        f"pt_jax-{pt_jax.__version__}.dist-info",
    }
    assert "## Where to go" in about and "](" not in about
    assert re.search(r"!\[.*\]\(figures/.*\)\n\n", (ROOT / "README.md").read_text())


def test_a_script_beside_the_clone_finds_the_package(tmp_path):
    """The clone has the package's own name, and a folder of that name is found first."""
    clone, venv, script = tmp_path / "pt_jax", tmp_path / "venv", tmp_path / "mine.py"
    clone.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    shutil.copytree(ROOT / "pt_jax", clone / "pt_jax")
    script.write_text("import pt_jax; print(pt_jax.__file__, pt_jax.Point().u)")
    called(sys.executable, "-m", "venv", "--without-pip", venv)
    env = os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")}  # of this environment, less what is editable
    how = ["--no-deps", "--no-build-isolation", "--no-index", "-q"]
    called(sys.executable, "-m", "pip", "--python", venv, "install", *how, "-e", clone, env=env)
    said = called(venv / "bin" / "python", script, env=env, cwd=tmp_path)
    assert said.split()[0] == str(clone / "pt_jax" / "__init__.py")


def test_the_version(capsys):
    assert main(["--version"]) == 0 and capsys.readouterr().out == f"pt_jax {pt_jax.__version__}\n"
    assert f"version: {pt_jax.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"version = {{{pt_jax.__version__}}}" in (ROOT / "docs" / "cite.md").read_text()
    code = "import sys, runpy; sys.argv = ['pt_jax', '--version']\ntry: runpy.run_module('pt_jax')\n"
    code += "except SystemExit as stop: print(stop.code)\nprint('jax' in sys.modules)"
    said = called(sys.executable, "-c", code.replace("run_module('pt_jax')", "run_module('pt_jax', None, '__main__')"))
    assert said == f"pt_jax {pt_jax.__version__}\n0\nFalse\n"


def test_extras_for_accelerators_are_those_of_jax():
    known = importlib.metadata.metadata("jax").get_all("Provides-Extra")
    for extra in ("cuda12", "cuda13", "tpu"):
        assert ABOUT["optional-dependencies"][extra] == [f"jax[{extra}]"] and extra in known


def test_windows_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    spec = importlib.util.spec_from_file_location("elsewhere", locks.__file__)
    with pytest.raises(RuntimeError, match=r"^Sweeps run on Linux and macOS: on Windows use pt_jax within WSL\.$"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert not any("Windows" in each for each in ABOUT["classifiers"])


def test_a_sweep_without_a_home_and_without_what_only_linux_has(tmp_path):
    """As by `docker run -u 12345`, and on macOS: no name, no home; no /proc, no affinity, no free pages."""
    code = f"""
        import os, pathlib, psutil, pwd, sys
        memory, sysconf = psutil.virtual_memory(), os.sysconf

        def known(name):
            if name == "SC_AVPHYS_PAGES":
                raise ValueError("unrecognized configuration name")
            return sysconf(name)

        def nobody(*_):
            raise KeyError("getpwuid(): uid not found")

        def no_proc(event, given):
            if event == "open" and str(given[0]).startswith(("/proc/cpuinfo", "/proc/meminfo", "/proc/self")):
                raise FileNotFoundError(given[0])

        del os.sched_getaffinity, os.sched_setaffinity
        os.process_cpu_count = os.cpu_count  # so it is where there is no affinity
        os.sysconf, pwd.getpwuid = known, nobody
        psutil.virtual_memory = lambda: memory  # psutil has its own ways there
        pathlib.Path.exists = lambda path: not str(path).startswith("/proc") and os.path.exists(path)
        sys.addaudithook(no_proc)
        for name in ("HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
            os.environ.pop(name, None)
        from pt_jax.app import startup, study
        from tests.sweep.cases import throw_sweep
        startup.set_up()
        study.carry_out({{"dice": throw_sweep({{"shift": [0.0, 1.0]}})}}, {{"dice": {str(tmp_path)!r}}}, study.Flags())
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    said = called(sys.executable, "-W", "error", "-c", lines, cwd=ROOT)
    (run,) = (json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*.json"))
    assert f"device: {run['device']}\n" in said and run["device"].endswith(" x cpu") and " computed in " in said


def test_an_environment_of_another_python_is_not_taken(tmp_path):
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 9.99\n")
    other.chmod(0o755)
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").touch()
    command = ["make", "-C", str(ROOT), "test", f"PYTHON={other}", f"VENV={tmp_path}/venv"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "was made by another Python than 9.99: make clean" in done.stdout
