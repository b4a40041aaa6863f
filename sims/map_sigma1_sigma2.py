"""Gain over both noise levels.

    python sims/map_sigma1_sigma2.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The lines are the simulated boundary and where theory puts it, see `pt_jax.theory`.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "Clean upstream data help a noisy target; noisy upstream data hurt a clean one",
    pt_jax.Point(n1=100, u=1.0),
    {"sigma1": np.linspace(0.1, 2.1, 41), "sigma2": np.linspace(0.3, 1.9, 41)},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
