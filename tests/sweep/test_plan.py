"""What a plan says is what the run then does."""

from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import pt_jax
from pt_jax.sweep import cost, devices, store
from pt_jax.sweep import plan as planning
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.journal import runs
from pt_jax.sweep.lanes import SizeClass
from pt_jax.sweep.plan import in_words, plan, rate_in_words
from pt_jax.sweep.run import run
from tests.sweep.cases import Dice, throw, throw_sweep

AXES = {"shift": np.linspace(0, 1, 8), "scale": np.linspace(1, 2, 10)}


def test_counts_are_those_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_UNIT", 64)
    sweep, calls = throw_sweep(AXES, seeds=4, lanes=8), []
    before = plan(sweep, tmp_path)
    assert (before.cells, before.seeds, before.trajectories, before.known, before.classes) == (80, 4, 320, 0, 1)
    assert not list(tmp_path.iterdir())
    run(sweep, lambda *call: calls.append(call), store=tmp_path)
    assert before.units == calls[-1][3]
    after = plan(sweep, tmp_path)
    assert after.known == 320 and after.seconds == 0 and after.compiled == 0
    more = plan(throw_sweep({**AXES, "shift": np.linspace(0, 2, 15)}, seeds=8, lanes=8), tmp_path)
    assert (more.trajectories, more.known) == (15 * 10 * 8, 320)
    (ran,) = runs(tmp_path)  # tells how long a trajectory takes here
    each = ran["seconds"] / ran["computed"]
    assert more.compiled == 0 and more.rate == pytest.approx(1 / each)
    assert more.seconds == pytest.approx(each * (15 * 10 * 8 - 320)) and "as in the runs before" in str(more)
    # 1 byte `done`, 6 results and half.first in float32: of each trajectory.
    assert before.disk == 320 * (1 + 4 + 4 * 7)
    assert before.memory > 0 and before.free > before.memory and before.rate > 0
    for word in (
        "320, of which 0 are known",
        "each compiled once",
        "MB free",
        "/s after compilation, timed",
        "at most",
    ):
        assert word in str(before)


def test_another_sweep_is_refused(tmp_path):
    run(throw_sweep(AXES), store=tmp_path)
    with pytest.raises(ValueError, match="holds another sweep"):
        plan(throw_sweep(AXES, lanes=3), tmp_path)


class Sized(tuple):
    """A static with a size class for each value of `shift`."""

    def size_class(self, point, moving):
        return Sized((int(np.max(point.shift)),))


def longer(key, point, static, data):
    """Throw dice again and again, as often as the static says."""
    for _ in range(static[0]):
        thrown = throw(key, point, None, data)
        point = point._replace(share=point.share + thrown.total)
    return thrown


def sized(seeds=64):
    return Sweep(longer, Dice(), {"shift": [1.0, 2.0, 3.0, 4.0], "scale": [1.0, 2.0]}, seeds, static=Sized((0,)))


@pytest.fixture
def measured(monkeypatch):
    """Sizes of what is compiled for a plan; a compilation takes 100 seconds, a trajectory 0.1."""
    made = []

    def measure(job, say):
        made.append(job.cost.size)
        job.compiling, job.seconds, job.timed = 100.0, 0.1, True

    monkeypatch.setattr(planning._Job, "measure", measure)
    return made


def test_one_program_is_timed_and_the_others_are_taken_from_it(measured):
    found = plan(sized())
    size = [cost.of(sized().program(Sized((n,)))) for n in (1, 2, 3, 4)]
    assert measured == [size[3].size] and (found.classes, found.compiled) == (4, 1)
    running = sum(128 * 0.1 * one.work / size[3].work for one in size)
    compiling = sum(100.0 * one.size / size[3].size for one in size)
    assert found.seconds == pytest.approx(running + compiling) and found.rate == pytest.approx(512 / running)
    assert "1 of 4 programs timed" in str(found) and "at least" in str(found)


def test_sweeps_of_one_plan_share_what_is_timed(measured):
    found = planning.plans({"a": throw_sweep(AXES), "b": sized()}, {})
    assert len(measured) == 1 and [one.compiled for one in found.values()] == [0, 1]
    assert found["a"].seconds > 0 and "from another program" in str(found["a"])


def test_more_is_timed_where_that_is_a_tenth_of_the_run(measured):
    assert plan(sized(seeds=20000)).compiled == 4  # of 160,000 trajectories


def test_a_run_of_few_blocks_is_not_timed(measured):
    found = plan(throw_sweep({"shift": [0.0, 1.0]}, 16))
    assert not measured and np.isnan(found.seconds) and "fewer than 8 blocks is not timed" in str(found)


def test_a_plan_calls_one_block_and_says_what_it_does(monkeypatch):
    calls, said = [], []
    arguments = SizeClass.arguments
    monkeypatch.setattr(SizeClass, "arguments", lambda size, group: calls.append(group) or arguments(size, group))
    report = type("Report", (), {"phase": staticmethod(said.append)})
    sweep = throw_sweep(AXES, seeds=64, lanes=8)
    planning.plans({"": sweep}, {}, report=report)
    many, where = len(jax.local_devices()), devices.in_words()
    assert [len(group) for group in calls] == [many]
    assert said == ["tracing", f"compiling for {where}", f"timing {8 * many} on {where}"]


class Total(NamedTuple):
    total: Any


class Walk(NamedTuple):
    steps1: Any = 10.0
    steps2: Any = 10.0


def walk(key, point, static=None, data=None):
    """Products of matrices, as many as `steps1` says when it runs."""
    x = jax.random.normal(key, (30, 30))
    return Total(jax.lax.fori_loop(0, point.steps1.astype(int), lambda _, y: x @ y, x).sum())


def loops_in_a_loop(key, point, static=None, data=None):
    """Poisson numbers, each drawn by a loop of its own."""
    times = point.steps1.astype(int)
    return Total(jax.lax.fori_loop(0, times, lambda i, x: x + jax.random.poisson(jax.random.fold_in(key, i), 2.0), 0))


def test_a_run_is_long_by_its_longest_loop_and_its_largest_point():
    few, many, moved = (
        planning.roughly(Sweep(walk, Walk(steps), axes, 8))
        for steps, axes in ((10.0, {}), (1e6, {}), (10.0, {"steps1": [10, 1e6], "steps2": [1, 2]}))
    )
    assert few == pytest.approx(8 * 100 * 2 * 30**3 / 1e11, rel=0.1) and many == pytest.approx(1e4 * few, rel=0.1)
    assert moved == pytest.approx(4 * many)
    zipped = planning.roughly(Sweep(walk, Walk(), {"steps1,steps2": [(10, 1), (1e6, 1)]}, 8))
    assert zipped == planning.roughly(Sweep(walk, Walk(), [Walk(10.0), Walk(1e6)], 8)) == pytest.approx(2 * many)
    within = planning.roughly(Sweep(loops_in_a_loop, Walk(1e6), {}, 8))
    assert within < 200 * planning.roughly(Sweep(loops_in_a_loop, Walk(1e4), {}, 8))
    point = pt_jax.Point(n1=5, n2=5, m=1, steps1=3, steps2=3)
    one, grown = (planning.roughly(Sweep(pt_jax.simulate, point, {"n1": n1}, 8)) for n1 in ([5], [500, 5]))
    assert grown > 100 * one


def test_rates_in_words():
    assert [rate_in_words(x) for x in (1234.5, 1.26, 0.125, np.nan)] == ["1,234/s", "1.3/s", "8.0 s each", "not known"]


def test_times_in_words():
    assert [in_words(s) for s in (5, 600, 7200)] == ["5 seconds", "10 minutes", "2.0 hours"]
