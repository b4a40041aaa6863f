"""What is sent to workers, and which work they refuse."""

import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from pt_jax.sweep import units
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.run import run
from tests.sweep.cases import Dice, throw, throw_sweep
from tests.sweep.stores import AXES, SWEEP, counted, in_memory, small_units  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]


class Counting(Executor):
    """An executor of one worker elsewhere: each task is unpickled, and it is counted what was sent."""

    def __init__(self):
        self.sent, self.holds = [], {}

    def submit(self, function, *args):
        packed = cloudpickle.dumps((function, args))
        self.sent.append(len(packed))
        future = Future()
        here, units._HOLDS = units._HOLDS, self.holds
        try:
            function, args = cloudpickle.loads(packed)
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        finally:
            units._HOLDS = here
        return future


def test_data_are_sent_once_to_each_worker():
    data = {"offset": np.float32(0.0), "table": np.ones(250_000, np.float32)}
    sweep = throw_sweep(AXES, lanes=4, data=data)
    pools = [Counting(), Counting()]
    for pool in pools:
        assert run(sweep, executor=pool).equals(run(sweep))
        assert len(pool.sent) >= 4 and sum(pool.sent) < 1.1 * data["table"].nbytes


def test_a_worker_that_dies_before_it_is_sent_the_sweep_holds_nothing_up():
    class Dying(Counting):
        def submit(self, function, *args):
            if self.sent:
                return super().submit(function, *args)
            self.sent.append(0)
            future = Future()
            future.set_result(("a worker that lacks the sweep, and is never heard of again", None))
            return future

    assert run(SWEEP, executor=Dying()).equals(run(SWEEP))


def test_workers_that_live_for_one_task_make_the_same(whole):
    class Forgetful(Counting):
        def submit(self, function, *args):
            self.holds.clear()
            future = super().submit(function, *args)
            name, found = future.result()
            future = Future()
            future.set_result((f"{name}-{len(self.sent)}", found))
            return future

    pool = Forgetful()
    assert run(SWEEP, executor=pool).equals(whole)
    assert len(pool.sent) == 2 * 4  # each unit is refused once, then it brings the sweep


def test_a_worker_with_other_code_is_refused(monkeypatch):
    here, calls = units.identity, []

    def elsewhere(*args):
        calls.append(args)
        return here(*args) | ({"jaxlib": "0.0.1"} if len(calls) > 1 else {})

    monkeypatch.setattr(units, "identity", elsewhere)
    with pytest.raises(RuntimeError, match=r"would compute another sweep: jaxlib \(.* there, 0.0.1 here\)"):
        run(SWEEP, executor=Counting())


def test_a_function_of_a_notebook_is_refused_with_processes():
    code = """
        import linecache, sys, __main__
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from tests.sweep.cases import *
        import pt_jax
        def world(key, point, static, data):
            return throw(key, point, None, None)
        try:
            pool = lambda: ProcessPoolExecutor(1, mp_context=get_context("spawn"))
            pt_jax.run(Sweep(world, Dice(), {"shift": [0.0]}), executor=pool)
        except ValueError as error:
            print(error)
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=900, cwd=ROOT)
    assert "world is not accepted with worker processes, which cannot import it" in done.stdout, done.stderr


def test_a_function_within_another_is_refused_with_processes():
    sweep = Sweep(lambda *args: throw(*args), Dice(), {"shift": [0.0]})
    with pytest.raises(ValueError, match=r"lambda.* is not accepted with worker processes"):
        run(sweep, executor=lambda: ProcessPoolExecutor(1, mp_context=get_context("spawn")))
