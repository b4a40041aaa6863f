"""Gain over the share of flipped upstream labels and the inherited fraction alpha.

    python sims/map_flip1_alpha.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The lines are the simulated boundary and where theory puts it, see `pt_jax.theory`.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "Flipped upstream labels turn benefit into harm, sooner the more is inherited",
    pt_jax.Point(n1=100),
    {"flip1": np.linspace(0, 1, 81), "alpha": np.linspace(0.05, 1, 20)},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
