"""The files of docs/clusters.md run as they stand, on a slow sweep, and a process is killed in each."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import pt_jax
from tests.sweep.slow import SWEEP

ROOT = Path(__file__).parents[1]
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", (ROOT / "docs" / "clusters.md").read_text(), re.S))
# Package, what stands before the file in the command, and whether the sweep ends in spite of the kill.
ENGINES = {
    "dask_study.py": ("distributed", [sys.executable], True),
    "jobqueue_study.py": ("dask_jobqueue", [sys.executable], True),
    "mpi_study.py": ("mpi4py", ["mpiexec", "-n", "3", sys.executable, "-m", "mpi4py.futures"], False),
    "ray_study.py": ("ray", [sys.executable], True),
    "submitit_study.py": ("submitit", [sys.executable], False),
}
# The two commands of SLURM that dask-jobqueue uses, for one machine.
SLURM = {
    "sbatch": 'setsid bash "$1" > /dev/null 2>&1 & echo Submitted batch job $!',
    "scancel": "kill -- -$1",
}


def test_the_study_is_a_sweep():
    names = {}
    exec(FILES["study.py"], names)
    assert names["sweep"].trajectories == 101 * 101 * 64
    assert set(FILES) == {"study.py", "array_study.py", *ENGINES}


def test_a_task_of_an_array_is_a_shard(monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setitem(sys.modules, "study", SimpleNamespace(sweep=SWEEP))
    monkeypatch.setattr(pt_jax, "run", lambda sweep, store, shard: shards.append(shard))
    shards = []
    exec(FILES["array_study.py"], {})
    assert shards == [(3, 8)]


def done(folder):
    return len(list((folder / "results" / "study" / "data.zarr" / "done" / "c").glob("*")))


def wait_and_kill(folder, process):
    """Kill a process that has imported the study, the caller apart, when some of its units are done."""
    last = time.monotonic() + 300
    while done(folder) < 2 and process.poll() is None and time.monotonic() < last:
        time.sleep(0.01)
    found = [int(path.stem) for path in folder.glob("*.pid")]
    found = [pid for pid in found if pid != process.pid and psutil.pid_exists(pid)]
    os.kill(max(found), signal.SIGKILL)
    assert 2 <= done(folder) < 32


@pytest.mark.long
@pytest.mark.parametrize("name", ENGINES)
def test_a_kill_costs_no_number(name, tmp_path):
    package, command, survives = ENGINES[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    for file, text in FILES.items():
        (tmp_path / file).write_text(text)
    (tmp_path / "study.py").write_text("from tests.sweep.slow import SWEEP as sweep")
    for file, text in SLURM.items():
        (tmp_path / file).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / file).chmod(0o755)
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "PATH": path}
    env |= {"HOME": str(tmp_path), "STUDY_PIDS": str(tmp_path)}
    env.pop("JAX_NUM_CPU_DEVICES", None)
    with open(tmp_path / "log", "w") as log:
        options = {"cwd": tmp_path, "env": env, "stdout": log, "stderr": log}
        process = subprocess.Popen([shutil.which(command[0], path=path), *command[1:], name], **options)
        try:
            wait_and_kill(tmp_path, process)
            assert (process.wait(300) == 0) == survives, (tmp_path / "log").read_text()
        finally:
            process.kill()
        if not survives:
            subprocess.run([*command, name], check=True, timeout=300, **options)
    assert pt_jax.load(tmp_path / "results" / "study")["total"].equals(pt_jax.run(SWEEP, None)["total"])
