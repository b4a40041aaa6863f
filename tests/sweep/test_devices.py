"""Several devices compute what one does; a sweep takes all cores of a machine."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def child(code):
    """Run Python in a process of its own, which never hangs for longer than two minutes."""
    env = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, cwd=ROOT)


def test_several_devices_equal_one():
    # Tiles that do not fill the devices.
    done = child(
        """
        import jax
        jax.config.update("jax_num_cpu_devices", 3)
        from pt_jax.sweep import lanes
        from pt_jax.sweep.run import run
        from tests.sweep.cases import by_loop, throw_sweep
        from tests.sweep.test_lanes import AXES
        assert len(jax.local_devices()) == 3
        for call in (8, 512):
            lanes._CALL = call
            for seeds, width in ((5, 4), (1, 32), (1, 4)):
                sweep = throw_sweep(AXES, seeds=seeds, lanes=width)
                assert (run(sweep)["total"].values == by_loop(sweep)).all()
        """
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_eight_devices_give_whole_trajectories_on_images_as_one_does():
    done = child(
        """
        import jax
        jax.config.update("jax_num_cpu_devices", 8)
        import numpy as np
        import pt_jax
        from pt_jax.vision.point import Static as Images
        from pt_jax.vision.transfer import transfer
        from tests import conftest  # compiles quickly
        from tests.sweep.test_export import PAIR, PROBE, TRANSFER

        options = {"width": 2, "stages": 1, "depth": 1, "batch": 4, **PROBE}
        images = Images.covering(PAIR, TRANSFER, **options)
        axes, every = {"alpha": np.linspace(0, 1, 5)}, jax.local_devices()
        sweep = pt_jax.Sweep(transfer, TRANSFER, axes, 4, ("gain", "loss"), images, data=PAIR, lanes=2)
        found = []
        for count in (8, 1):
            jax.local_devices = lambda count=count: every[:count]
            found.append(pt_jax.run(sweep))
        assert len(np.unique(found[1].loss)) > 10
        for name in ("gain", "loss"):  # of two programs: float32 may be rounded in another order
            np.testing.assert_allclose(*(ds[name] for ds in found), rtol=1e-4, atol=1e-4)
        """
    )
    assert done.returncode == 0, done.stderr


def test_use_all_cores_makes_a_device_a_core_and_says_when_it_comes_too_late():
    done = child(
        """
        import os, jax, pt_jax
        pt_jax.use_all_cores()
        assert len(jax.devices("cpu")) == len(os.sched_getaffinity(0))
        pt_jax.use_all_cores()  # again: nothing is wrong
        """
    )
    assert done.returncode == 0, done.stderr
    late = child(
        """
        import os, jax, pt_jax
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)) + 1)
        jax.devices()
        pt_jax.use_all_cores()
        """
    )
    assert late.returncode == 1 and "too late" in late.stderr.splitlines()[-1]
