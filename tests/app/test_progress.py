"""What is shown while one waits, where, and that nothing else changes."""

import inspect
import subprocess
import sys
import threading
import warnings
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

import pt_jax
from pt_jax.app import progress
from pt_jax.app.progress import Bar
from pt_jax.sweep.run import run
from tests.sweep.cases import throw_sweep
from tests.sweep.test_adaptive import circle, noisy

SWEEP = throw_sweep({"shift": np.linspace(0, 1, 8), "scale": np.linspace(1, 2, 8)}, seeds=16, lanes=8)


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


@pytest.fixture
def screen(monkeypatch):
    """Text of a terminal of 120 columns, which the bars of `pt_jax.run` write to."""
    text = StringIO()
    monkeypatch.setattr(
        progress, "Console", lambda stderr: Console(file=text, force_terminal=True, force_interactive=True, width=120)
    )
    return text


def test_a_bar_says_done_rate_time_left_and_what_comes_next(clock):
    bar = Bar("map")
    assert str(bar) == "map: 0:00, preparing"
    bar(100, 1100, 0, 2)
    clock.now = 50.0
    bar.phase("compiling for 2 x cpu")
    clock.now = 60.0
    assert str(bar) == "map: 100 of 1,100, 1:00, compiling for 2 x cpu"
    bar.phase("computing 500 on 2 x cpu")
    clock.now = 160.0
    bar(600, 1100, 0, 2)  # 500 in 100 seconds, the compilation apart
    assert str(bar) == "map: 600 of 1,100, 5.0/s, 2:40, 1:40 left, computing 500 on 2 x cpu"
    clock.now = 200.0  # and the clock moves on within a call
    assert str(bar) == "map: 600 of 1,100, 5.0/s, 3:20, 1:00 left, computing 500 on 2 x cpu"
    clock.now = 3660.0
    bar.phase("")
    bar(1100, 1100, 2, 2)
    assert str(bar) == "map: 1,100 of 1,100, 3.6 s each, 1:01:00" and bar.new == 1000


def test_time_left_counts_programs_that_are_compiled_on_the_way(clock):
    bar = Bar()
    bar(0, 400, 0, 1)
    for program in range(1, 3):  # 10 seconds each to compile, 1 to compute 100
        bar.phase("compiling for 2 x cpu")
        clock.now += 10.0
        bar.phase("computing 100 on 2 x cpu")
        clock.now += 1.0
        bar(100 * program, 400, 0, 1)
    assert str(bar) == "200 of 400, 100/s, 0:22, 0:22 left, computing 100 on 2 x cpu"
    bar.phase("compiling for 2 x cpu")
    clock.now += 0.1  # this one was there
    bar.phase("computing 100 on 2 x cpu")
    assert "0:22 left" in str(bar)


@pytest.mark.parametrize("name", ["run", "run_until", "boundary", "plan"])
def test_a_terminal_shows_a_bar_by_default(screen, name):
    how = {"run": (SWEEP,), "run_until": (noisy(64), 0.1), "boundary": (circle(17),), "plan": (SWEEP,)}
    getattr(pt_jax, name)(*how[name], **({} if name == "plan" else {"report": None}))
    if name != "plan":
        assert screen.getvalue() == ""
        getattr(pt_jax, name)(*how[name])
        assert " of " in screen.getvalue() and "━" in screen.getvalue()
    assert "\x1b[?25h" in screen.getvalue()  # the cursor is back


def test_the_finished_bar_stays_but_not_that_of_nothing(screen, tmp_path):
    pt_jax.run(SWEEP, store=tmp_path)
    assert "1,024 of 1,024, " in screen.getvalue().splitlines()[-2]
    screen.truncate(0)
    screen.seek(0)
    pt_jax.run(SWEEP, store=tmp_path)
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K")  # one line up, and erased
    screen.truncate(0)
    screen.seek(0)
    with pytest.raises(ValueError, match="holds another sweep"):
        pt_jax.run(throw_sweep({"shift": [0.0]}), store=tmp_path)
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K")


def test_a_pipe_and_the_engine_show_nothing(capsys):
    pt_jax.run(SWEEP)
    run(SWEEP)
    assert capsys.readouterr() == ("", "")


def test_a_report_of_ones_own_takes_the_place_of_the_bar(screen):
    calls = []
    pt_jax.run(SWEEP, lambda *call: calls.append(call))
    assert calls[0] == (0, 1024, 0, 1) and calls[-1] == (1024, 1024, 1, 1) and screen.getvalue() == ""


def test_help_names_the_bar():
    assert inspect.signature(pt_jax.run).parameters["report"].default is Bar
    assert inspect.signature(run).parameters["report"].default is None
    assert inspect.getdoc(pt_jax.run) == inspect.getdoc(run) and pt_jax.run.__name__ == "run"


def test_lines_of_a_log_come_now_and_then_also_within_a_long_call(monkeypatch):
    text, written = StringIO(), threading.Event()
    console = Console(file=text, force_terminal=True, force_interactive=False, width=40)
    for name in ("_FIRST", "_PAUSE"):
        monkeypatch.setattr(progress, name, 0.01)
    write = console.print
    monkeypatch.setattr(console, "print", lambda *a, **k: (write(*a, **k), written.set()))
    with Bar("a long name: [bold]x[/]", console=console) as bar:
        bar(0, 4, 0, 1)
        bar.phase("computing 4 on cpu")
        written.clear()
        assert written.wait(10) and "a long name: [bold]x[/]: 0 of 4, 0:00, computing 4 on cpu\n" in text.getvalue()
    assert "━" not in text.getvalue() and "\x1b" not in text.getvalue()


def test_a_notebook_without_widgets_gets_lines_and_no_warning(monkeypatch):
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    console = Console(file=StringIO(), force_jupyter=True, width=80, height=20)
    with warnings.catch_warnings(action="error"), Bar(console=console) as bar:
        assert bar(1, 2, 0, 1) is None and not hasattr(bar, "_live") and bar._log


def test_importing_the_package_loads_no_rich():
    code = "import sys, pt_jax, pt_jax.app.study; print({'rich', 'jax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.strip() == "set()"
