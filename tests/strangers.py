"""Files from strangers, read in a process of their own that notes what they make it do."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_CHILD = r"""
import importlib, json, os, re, sys
from pathlib import Path

module, name, *files = sys.argv[1:]
read = getattr(importlib.import_module(module), name)
acts, said, watching = [], {}, True
FILES = "remove rename mkdir rmdir link symlink truncate chmod system exec fork posix_spawn spawn"
STARTS = (*(f"os.{name}" for name in FILES.split()), "subprocess.", "shutil.", "socket.", "ctypes.", "pickle.")

def note(event, arguments):
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if watching and (writes or event.startswith(STARTS)):
        acts.append(event)

def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024

sys.addaudithook(note)
before = peak()
for file in files:
    try:
        read(Path(file))
        said[Path(file).name] = "read"
    except ValueError as error:
        said[Path(file).name] = str(error)
    except BaseException as error:
        said[Path(file).name] = f"{type(error).__name__}: no sentence"
watching = False
print(json.dumps({"said": said, "acts": acts, "memory": peak() - before}))
"""


class Outcome(NamedTuple):
    """What was said of each file, what was done beside reading, and memory that was taken, in MiB."""

    said: dict[str, str]
    acts: list[str]
    memory: float


def outcome(module: str, name: str, folder: Path) -> Outcome:
    """Read all that is in a folder by a function of a module; the process must live to the end."""
    files = sorted(str(path) for path in folder.iterdir())
    command = [sys.executable, "-c", _CHILD, module, name, *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and not done.stderr, done.stderr[-2000:]
    return Outcome(**json.loads(done.stdout))
