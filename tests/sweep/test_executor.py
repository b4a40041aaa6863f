"""Units on the workers of an executor: the same store as in one process, whatever dies."""

import multiprocessing
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from pt_jax.sweep import store
from pt_jax.sweep.run import run
from tests.sweep.cases import throw_sweep

SWEEP = throw_sweep({"shift": np.linspace(0, 1, 8), "scale": [1.0, 2.0, 4.0, 8.0]}, lanes=4, dims={"each": ("die",)})


@pytest.fixture(autouse=True)
def _many_small_units(monkeypatch):
    monkeypatch.setattr(store, "_UNIT", 16)


@pytest.fixture(scope="module")
def whole():
    return run(SWEEP)


class Flaky(Executor):
    """Runs a task where it is submitted, but for the calls (counted from 0) that end in an error."""

    def __init__(self, errors):
        self.errors, self.calls = errors, 0

    def submit(self, function, /, *args, **kwargs):
        future, error = Future(), self.errors(self.calls)
        self.calls += 1
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(function(*args, **kwargs))
        return future


def test_any_executor_makes_the_same_store(tmp_path, whole):
    with ThreadPoolExecutor(2) as pool:
        assert run(SWEEP, store=tmp_path / "a", executor=pool).equals(whole)
        assert run(SWEEP, executor=pool).equals(whole)  # and in memory


def test_progress_counts_units(tmp_path):
    calls = []
    run(SWEEP, lambda *call: calls.append(call), store=tmp_path, executor=Flaky(lambda _: None))
    assert calls[0] == (0, 128, 0, 8) and calls[-1] == (128, 128, 8, 8)


def test_a_unit_whose_worker_died_is_submitted_again(tmp_path, whole):
    pool = Flaky(lambda call: OSError("worker lost") if call in (1, 2, 9) else None)
    assert run(SWEEP, store=tmp_path, executor=pool).equals(whole)
    assert pool.calls == 8 + 3


def test_a_unit_that_somebody_cancels_is_submitted_again(tmp_path, whole):
    class Cancelling(Flaky):
        def submit(self, function, /, *args, **kwargs):
            future = super().submit(function, *args, **kwargs)
            if self.calls % 3 or self.calls > 9:
                return future
            future = Future()
            future.cancel()
            return future

    pool = Cancelling(lambda _: None)
    assert run(SWEEP, store=tmp_path, executor=pool).equals(whole)
    assert pool.calls == 8 + 3


def test_a_unit_that_never_works_is_named_and_the_others_are_kept(tmp_path, whole):
    pool = Flaky(lambda call: OSError("worker lost") if call == 1 or call > 7 else None)
    with pytest.raises(RuntimeError, match=r"failed 3 times, the others are kept: OSError\('worker lost'\)"):
        run(SWEEP, store=tmp_path, executor=pool)
    calls = []
    assert run(SWEEP, lambda done, *_: calls.append(done), store=tmp_path).equals(whole)
    assert calls[0] == 112


def test_a_broken_pool_is_replaced_where_that_is_possible(tmp_path, whole):
    pools = []

    def make():
        pools.append(Flaky(lambda call: BrokenExecutor() if len(pools) < 3 and call > 1 else None))
        return pools[-1]

    assert run(SWEEP, store=tmp_path / "a", executor=make).equals(whole)
    assert len(pools) == 3
    with pytest.raises(RuntimeError, match="has lost a worker and takes no more; what is computed is kept"):
        run(SWEEP, store=tmp_path / "b", executor=Flaky(lambda call: BrokenExecutor() if call == 1 else None))
    with pytest.raises(RuntimeError, match="has lost a worker"):
        run(SWEEP, store=tmp_path / "c", executor=lambda: Flaky(lambda _: BrokenExecutor()))


def test_stop_ends_after_the_units_that_run(tmp_path, whole):
    part = run(SWEEP, store=tmp_path, executor=Flaky(lambda _: None), stop=lambda: True)
    assert not part["done"].any()
    assert run(SWEEP, store=tmp_path).equals(whole)


def test_forked_workers_are_refused():
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool,
        pytest.raises(ValueError, match="forked workers; use mp_context=get_context"),
    ):
        run(SWEEP, executor=pool)


def test_killed_processes_cost_a_unit_each(tmp_path, whole):
    pools, killed = [], []

    def make():
        pools.append(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")))
        return pools[-1]

    def report(done, total, unit, units):
        if unit == 3 and not killed:
            killed.append(unit)
            next(iter(pools[-1]._processes.values())).kill()

    assert run(SWEEP, report, store=tmp_path, executor=make).equals(whole)
    assert len(pools) == 2 or len(killed) == 1  # the kill may come after the last task


def test_what_only_looks_like_an_executor_is_refused():
    class Jobs:
        def submit(self, function, *args):
            raise AssertionError("never called")

    with pytest.raises(ValueError, match=r"Jobs object .* is not accepted: use a concurrent.futures.Executor"):
        run(SWEEP, executor=Jobs())
