"""A sweep of small units in a store, for the tests of what may happen to it."""

import pytest

from pt_jax.sweep import store
from pt_jax.sweep.run import run
from tests.sweep.cases import throw_sweep

AXES = {"shift": [0.0, 1.0], "scale": [1.0, 2.0, 4.0, 8.0]}
SWEEP = throw_sweep(AXES, lanes=4)


@pytest.fixture(autouse=True, name="_small_units")
def small_units(monkeypatch):
    monkeypatch.setattr(store, "_UNIT", 8)


@pytest.fixture(name="folder")
def stored(tmp_path):
    run(SWEEP, store=tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture(scope="module", name="whole")
def in_memory():
    return run(SWEEP)


def counted(sweep, folder, **options):
    """Run into a store; return the dataset and how many trajectories were computed."""
    calls = []
    ds = run(sweep, lambda done, *_: calls.append(done), store=folder, **options)
    return ds, calls[-1] - calls[0]


def chunks(folder, name):
    return sorted(path for path in (folder / "data.zarr" / name / "c").rglob("*") if path.is_file())
