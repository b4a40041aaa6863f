"""Programs that take over a second to compile are compiled quickly, and once for all processes of a test run."""

import os
import shutil
import tempfile

_MADE = None
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # workers inherit what the first process has made
    _MADE = os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="pt_jax-")

from pt_jax.sweep import lanes  # noqa: E402 - jax reads the variable when it is imported
from tests import compiling  # noqa: E402

lanes.CPU_OPTIONS = compiling.SOON
os.environ["XLA_FLAGS"] = compiling.FLAGS  # of workers and of processes that tests start


def pytest_unconfigure():
    if _MADE is not None:
        shutil.rmtree(_MADE, ignore_errors=True)
