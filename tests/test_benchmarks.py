"""The benchmark of an accelerator runs on the processor, too, so that it is ready when there is one."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_benchmark_of_an_accelerator_runs_small_on_the_processor(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "accelerator.py", "--small", "--out", tmp_path / "numbers.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "numbers.json").read_text())
    assert {"limits", "lanes", "law", "map", "networks"} <= set(found)
    assert found["law"]["error"]["off"] < 1e-5  # the same seeds on the same device
    wrong = subprocess.run([*command, "--sections", "speed"], capture_output=True, text=True, timeout=600)
    assert wrong.returncode == 2 and "use some of limits,lanes" in wrong.stderr
