"""The whole trajectory on several virtual CPU devices ends: LAPACK calls inside lanes were seen to deadlock there."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.signal_noise.cases import BASE, lanes

SCRIPT = """
import json

import jax
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from pt_jax.signal_noise.trajectory import simulate
from tests.compiling import jit
from tests.signal_noise.cases import BASE, POINT

assert len(jax.devices()) == 4
def lane(seed):
    outcome = simulate(jax.random.key(seed), POINT, BASE)
    return {name: x for name, x in outcome._asdict().items() if x is not None}

def width_16(seeds):
    return jax.lax.map(lane, seeds, batch_size=16)

seeds = jnp.arange(64)
lanes = PartitionSpec("lane")
mesh = Mesh(np.array(jax.devices()), ("lane",))
shared = jit(jax.shard_map(width_16, mesh=mesh, in_specs=lanes, out_specs=lanes, check_vma=False))
for _ in range(3):
    on_four = jax.block_until_ready(shared(seeds))
assert len(on_four["error"].sharding.device_set) == 4
print(json.dumps({name: np.asarray(x, float).tolist() for name, x in on_four.items()}))
"""


def test_trajectories_on_four_devices_end_and_equal_those_on_one():
    # A deadlock would hang for ever; the script takes some 10 s.
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=600, cwd=root)
    assert done.returncode == 0, done.stderr
    on_four, on_one = json.loads(done.stdout), lanes(BASE, np.arange(64))
    assert len(on_four) > 10 and np.std(on_one.error) > 0
    for name, values in on_four.items():
        # The same vmap width in two programs: float32 sums may be in another order, and a unit at zero may flip.
        np.testing.assert_allclose(values, getattr(on_one, name), rtol=2e-4, atol=2e-4, err_msg=name)
