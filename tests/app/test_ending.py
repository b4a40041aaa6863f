"""How commands end: Ctrl-C at any moment, readers that have gone, full disks and narrow terminals."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pt_jax.app.ending import Output, Stopped, exits
from tests.sweep.cases import FILE, RERUN

ROOT = Path(__file__).parents[2]
MAIN = "from pt_jax.app.cli import main; raise SystemExit(main())"
SIZES = {"d": 20, "n1": 4, "n2": 4, "m": 2, "steps1": 2, "steps2": 2, "seeds": 2}
MAP = ["map", "--x", "u=0,1", *(text for name, value in SIZES.items() for text in (f"--{name}", str(value)))]
# Ctrl-C while a module is imported, where an exception might be caught by whoever imports.
AT_IMPORT = """
import importlib.abc, os, signal, sys
class Ctrl(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *_):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Ctrl())
"""
# Ctrl-C in a destructor, where an exception would be printed and forgotten.
IN_DESTRUCTOR = """
import os, signal
import pt_jax.app.show
class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
def run(*_):
    Late()
    print("went on")
pt_jax.app.show.run = run
"""


def command(*args, code="", cwd, **how):
    env = os.environ | {"PYTHONPATH": str(ROOT)} | how.pop("env", {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.run([sys.executable, "-c", code + MAIN, *args], cwd=cwd, env=env, timeout=300, **pipes)


@pytest.mark.parametrize("name", ["numpy", "tyro", "jax", "xarray", "matplotlib", "pt_jax.sweep.stats"])
def test_ctrl_c_while_importing_is_one_sentence(name, tmp_path):
    done = command(*MAP, "--out", "a", code=AT_IMPORT.format(name=name), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr == b"pt-jax: interrupted; what was computed is kept.\n"


def test_ctrl_c_before_anything_is_loaded_ends_without_a_traceback(tmp_path):
    done = command("--help", code=AT_IMPORT.format(name="pt_jax.app.ending"), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_ctrl_c_is_not_swallowed_by_a_destructor(tmp_path):
    done = command("show", "a", code=IN_DESTRUCTOR, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr == b"pt-jax: interrupted; what was computed is kept.\n"


@pytest.mark.parametrize("name", ["numpy", "pandas", "jax"])
def test_ctrl_c_in_a_script_is_one_sentence(name, tmp_path):
    path = str(ROOT / "sims" / "feature_growth.py")
    code = AT_IMPORT.format(name=name)
    code += f"import runpy\nsys.argv = [{path!r}, '--quick']\nrunpy.run_path({path!r}, run_name='__main__') #"
    done = command(code=code, cwd=tmp_path)
    assert done.returncode == 130 and done.stdout == b""
    assert done.stderr.endswith(b"feature_growth: interrupted; what was computed is kept.\n")


@pytest.mark.parametrize(
    "how",
    ["narrow, full progress", *(pytest.param(how, marks=pytest.mark.long) for how in ("nobody reads", "closed"))],
)
def test_output_that_cannot_be_written_ends_nothing(how, tmp_path):
    folder = "größe"
    if how == "narrow, full progress":
        pipes = {"env": {"PYTHONIOENCODING": "ascii"}, "stderr": os.open("/dev/full", os.O_WRONLY)}
    else:
        reader, writer = os.pipe()
        os.close(reader)
        pipes = {"stdout": writer, "stderr": writer}
    start = "import os; os.close(1); os.close(2)\n" if how == "closed" else ""
    (tmp_path / "throw.toml").write_text(FILE)
    done = command(*RERUN, "throw.toml", "--out", folder, code=start, cwd=tmp_path, **pipes)
    assert done.returncode == 0, done.stderr
    made = {path.name for path in (tmp_path / folder).iterdir()}
    assert {"figure-total.png", "figure-total.csv", "figure-total.json"} <= made
    if how == "narrow, full progress":
        assert b"figure: gr\\xf6\\xdfe/figure-total.png\n" in done.stdout


def test_a_full_disk_under_the_output_is_told(capfd):
    with open("/dev/full", "w") as full:
        output = Output(full)
        output.write("text")
        output.flush()
        assert output.lost == "No space left on device"
        output.write("more")
    with open("/dev/full", "wb") as full:
        done = command("--help", cwd=ROOT, stdout=full)
    assert done.returncode == 2
    assert done.stderr == b"pt-jax: the output cannot be written (No space left on device).\n"


@pytest.mark.parametrize(
    "error, code, out, err",
    [
        (ValueError("u = 1 is wrong.\nmore"), 2, "", "x: u = 1 is wrong.\n"),
        (RuntimeError(""), 2, "", "x: RuntimeError\n"),
        (OSError(2, "No such file", "a"), 2, "", "x: a cannot be used (No such file): name another file or folder.\n"),
        (MemoryError("9 TB"), 2, "", "x: there is not enough memory for this (9 TB): make it smaller.\n"),
        (KeyboardInterrupt(), 130, "", "x: interrupted; what was computed is kept.\n"),
        (Stopped("kept.", 130), 130, "kept.\n", ""),
        (SystemExit(7), 7, "", ""),
    ],
)
def test_what_ends_a_command_is_a_sentence_and_a_code(error, code, out, err, capsys):
    with pytest.raises(SystemExit) as stop, exits("x", alone=False):
        raise error
    assert stop.value.code == code and capsys.readouterr() == (out, err)


def test_the_end_of_a_plan_is_no_failure(capsys):
    with exits("x", alone=False):
        raise Stopped("", 0)
    with exits("x", alone=False):
        raise SystemExit(0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "task, said",
    [
        ({"ID": 0, "MIN": 0, "COUNT": 8}, "0/8"),
        ({"ID": 1, "MIN": 1, "COUNT": 8}, "0/8"),
        ({"ID": 8, "MIN": 1, "COUNT": 8}, "7/8"),
        ({"ID": 5, "MIN": 1, "COUNT": 3, "STEP": 2}, "2/3"),
        ({"ID": 3, "MIN": 3, "COUNT": 1, "SHARDS": 8, "FIRST": 1}, "2/8"),  # one task of eight again
        ({"ID": 7, "MIN": 1, "COUNT": 3}, "task 7 is not one of 3 from 1 on in steps of 1"),  # --array=1,3,7
    ],
)
def test_a_job_array_may_start_anywhere(task, said):
    own = {"SHARDS", "FIRST"}
    env = os.environ | {(k if k in own else f"SLURM_ARRAY_TASK_{k}"): str(v) for k, v in task.items()}
    script = str(ROOT / "sims" / "slurm.sh")
    done = subprocess.run(["bash", script, "echo"], env=env, capture_output=True, text=True, timeout=600)
    assert (done.stdout == f"--yes --shard {said}\n") if "/" in said else (said in done.stderr and done.returncode == 2)
