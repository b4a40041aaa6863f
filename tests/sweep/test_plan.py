"""What a plan says is what the run then does."""

import numpy as np
import pytest

from pt_jax.sweep import store
from pt_jax.sweep.plan import in_words, plan
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
    assert after.known == 320 and after.seconds == 0
    more = plan(throw_sweep({**AXES, "shift": np.linspace(0, 2, 15)}, seeds=8, lanes=8), tmp_path)
    assert (more.trajectories, more.known) == (15 * 10 * 8, 320)
    # 1 byte `done`, 6 results and half.first in float32: of each trajectory.
    assert before.disk == 320 * (1 + 4 + 4 * 7)
    assert before.memory > 0 and before.free > before.memory and before.rate > 0
    for word in ("320, of which 0 are known", "each compiled once", "MB free", "trajectories/s", "at most"):
        assert word in str(before)


def test_another_sweep_is_refused(tmp_path):
    run(throw_sweep(AXES), store=tmp_path)
    with pytest.raises(ValueError, match="holds another sweep"):
        plan(throw_sweep(AXES, lanes=3), tmp_path)


def test_every_size_class_is_counted_and_few_are_measured(monkeypatch):
    from pt_jax.sweep import plan as module
    from pt_jax.sweep.grid import Sweep

    class Sized(tuple):
        def size_class(self, point, moving):
            return Sized((int(np.max(point.shift)),))

    measured = []
    monkeypatch.setattr(module, "_measure", lambda size: measured.append(size) or (10.0, 1.0, 0.5))
    found = plan(Sweep(throw, Dice(), {"shift": [1.0, 2.0, 3.0, 4.0, 5.0], "scale": [1.0, 2.0]}, 4, static=Sized((0,))))
    assert found.classes == 5 and len(measured) == 3
    assert found.seconds == 5 * 1.0 + 40 * 0.5 and found.rate == 2.0


def test_times_in_words():
    assert [in_words(s) for s in (5, 600, 7200)] == ["5 seconds", "10 minutes", "2.0 hours"]
