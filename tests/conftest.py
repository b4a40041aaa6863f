"""Programs are compiled quickly, and once for all processes of a test run."""

import gc
import os
import shutil
import tempfile

# Several tests state what only a processor does, such as a plan's timing; JAX_PLATFORMS=cuda tries the others on a GPU.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
_MADE = None
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # workers inherit what the first process has made
    _MADE = os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="pt_jax-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"

from pt_jax.sweep import lanes  # noqa: E402 - jax reads the variables when it is imported
from tests import compiling  # noqa: E402

lanes.CPU_OPTIONS = compiling.SOON
os.environ["XLA_FLAGS"] = compiling.FLAGS  # of workers and of processes that tests start
gc.set_threshold(20_000, 10, 10)  # a trace makes many objects that live on: looked through less often


def pytest_unconfigure():
    if _MADE is not None:
        shutil.rmtree(_MADE, ignore_errors=True)
