"""A figure whose run is killed half way and continued: the same numbers as uninterrupted; its time and memory.

    python benchmarks/figure.py sims/vision_checkpoints.py --images cifar10 --quick

What follows is the command of the figure. It runs in processes of their own, with stores of their own: once to the end;
once killed with SIGKILL after half of that time; and once more, which continues. The two CSVs must be equal byte for
byte. Printed for each run: seconds by the clock and of all cores, peak memory (ru_maxrss), and what the store knew.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


def run(command: list[str], folder: Path, words: str, kill: float | None = None) -> float:
    """Run a figure with its store and output in a folder; return its seconds. `kill` is when it is killed."""
    start, log = time.perf_counter(), folder / "log"
    into = ["--yes", "--store", str(folder / "store"), "--out", str(folder / "out")]
    with log.open("w") as stream:
        process = subprocess.Popen([sys.executable, *command, *into], stdout=stream)
        timer = threading.Timer(kill or 0, process.kill)
        if kill is not None:
            timer.start()
        _, status, used = os.wait4(process.pid, 0)
        timer.cancel()
    code = os.waitstatus_to_exitcode(status)
    if code != (0 if kill is None else -9):
        sys.exit(f"{words}: {' '.join(command)} ended with {code}")
    seconds, cores, memory = time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
    print(f"{words}: {seconds:.0f} s, {cores:.0f} s of cores, at most {memory:.1f} GiB", flush=True)
    for line in log.read_text().splitlines():
        if "trajectories:" in line:
            print(f"  {line}", flush=True)
    return seconds


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(f"{__doc__}\nfigure.py needs the command of a figure.")
    command = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        for one in (whole, killed):
            one.mkdir()
        seconds = run(command, whole, "to the end")
        run(command, killed, "killed", seconds / 2)
        run(command, killed, "continued")
        tables = [{path.name: path.read_bytes() for path in (one / "out").glob("*.csv")} for one in (whole, killed)]
        if not tables[0] or tables[0] != tables[1]:
            sys.exit("the numbers differ")
        print(f"the same numbers: {', '.join(sorted(tables[0]))}")


if __name__ == "__main__":
    main()
