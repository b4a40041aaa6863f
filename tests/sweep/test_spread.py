"""One sweep over devices, shards and job arrays: the same store bit for bit, whatever dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import pt_jax
from pt_jax.sweep import store
from pt_jax.sweep.run import run
from tests.sweep.cases import FILE, RERUN, throw_sweep

ROOT = Path(__file__).parents[2]
ON_DEVICES = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 8)
import pt_jax
from tests import conftest  # compiles quickly
from tests.sweep.test_spread import TRAJECTORIES
assert len(jax.local_devices()) == 8
pt_jax.run(TRAJECTORIES, store=sys.argv[1])
"""
TRAJECTORIES = pt_jax.Sweep(
    pt_jax.simulate,
    pt_jax.Point(d=50, n1=8, n2=8, m=3, steps1=5, steps2=5, lr1=0.5, lr2=0.5, init_scale=0.05),
    {"u": [0.0, 1.0, 2.0], "v2": [0.5, 2.0, 3.0, 4.0, 5.0]},
    4,
    ("gain", "loss", "loss_upstream", "rho", "signal_u"),
    pt_jax.Static(n_directions=16),
    lanes=8,
)
SHARD = """
import os, signal, sys
import pt_jax
from pt_jax.sweep import store
from tests.sweep.test_spread import SWEEP
store._UNIT = 8
def report(done, total, unit, units):
    if unit == 3:
        os.kill(os.getpid(), signal.SIGKILL)
pt_jax.run(SWEEP, report, store=sys.argv[1], shard=(0, 2))
"""
SWEEP = throw_sweep({"shift": np.linspace(0, 1, 9), "scale": [1.0, 2.0, 4.0]}, lanes=4)


def start(code, *args):
    env = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def end(process):
    _, err = process.communicate(timeout=600)
    return process.returncode, err


def stored(folder):
    return xr.open_zarr(folder / "data.zarr", consolidated=False).load()


@pytest.mark.long
def test_eight_devices_equal_one_bit_for_bit(tmp_path):
    process, one = start(ON_DEVICES, tmp_path), run(TRAJECTORIES)
    assert end(process) == (0, "")
    assert float(one["gain"].std()) > 0
    assert one.equals(stored(tmp_path)[list(one)])  # without the checksums


def test_two_shards_one_killed_half_way_and_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_UNIT", 8)
    process = start(SHARD, tmp_path)
    run(SWEEP, store=tmp_path, shard=(1, 2))
    assert end(process)[0] == -signal.SIGKILL
    done = int(stored(tmp_path)["done"].sum())
    assert 0 < done < SWEEP.trajectories
    run(SWEEP, store=tmp_path, shard=(0, 2))
    assert stored(tmp_path)["done"].all()
    assert run(SWEEP, store=tmp_path).equals(run(SWEEP))


@pytest.mark.long
def test_a_job_array_makes_the_whole(tmp_path):
    script, out = ROOT / "sims" / "slurm.sh", tmp_path / "out"
    (tmp_path / "throw.toml").write_text(FILE)
    code = "from pt_jax.app.cli import main; raise SystemExit(main())"
    command = [script, sys.executable, "-c", code, *RERUN, "throw.toml", "--out", str(out)]
    env = os.environ | {"PYTHONPATH": str(ROOT), "SLURM_ARRAY_TASK_COUNT": "2"}
    tasks = [subprocess.Popen(command, env=env | {"SLURM_ARRAY_TASK_ID": str(i)}, cwd=tmp_path) for i in range(2)]
    assert [task.wait(timeout=600) for task in tasks] == [0, 0]
    assert stored(out)["done"].all() and (out / "figure-total.png").exists()
    lost = subprocess.run([script, "true"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert lost.returncode == 2 and "usage" in lost.stderr
