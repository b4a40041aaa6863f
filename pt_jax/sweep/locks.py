"""Locks that the system gives back when a process ends, however it ends."""

import contextlib
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl
except ModuleNotFoundError:  # Windows: its locks hide a file from readers, and no folder in use can be renamed there
    raise RuntimeError("Sweeps run on Linux and macOS: on Windows use pt_jax within WSL.") from None

_HELD: Any = weakref.WeakSet()  # a forked child must not keep the locks of its parent alive
os.register_at_fork(after_in_child=lambda: [file.close() for file in list(_HELD)])


@contextlib.contextmanager
def lock(path: Path, shared: bool = False, patience: float = 1.0, mode: str = "a+") -> Iterator[None]:
    """Hold a lock on a file, which is made; without a lock where the file system grants none.

    Args:
        path: of the file.
        shared: with others that share it.
        patience: seconds to wait; who only asks whether it is held, holds it for a moment.
        mode: in which the file is opened: for reading and writing, as network file systems grant no other locks.

    Raises:
        BlockingIOError: another process holds it.
    """
    last = time.monotonic() + patience
    with open(path, mode) as file:
        _HELD.add(file)
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > last:
                    raise
                time.sleep(0.02)
            except OSError:  # not granted here, as on Lustre without flock: see `Journal`
                break
        yield


def held(path: Path) -> bool:
    """Return whether another process holds a lock, as far as can be told from here."""
    try:
        with lock(path, patience=0, mode="r+"):
            return False
    except BlockingIOError:
        return True
    except OSError:  # there is no such file, or it cannot be opened for writing
        return False
