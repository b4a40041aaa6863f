"""Gain over the number of filters of each sign, half of them inherited, and the norm of the universal signal |u|.

    python sims/map_m_u.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The lines are the simulated boundary and where theory puts it, see `pt_jax.theory`.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    r"From 8 to 80 filters the boundary stays near $\|u\| = 1.5$; the wider the network, the less it can lose",
    pt_jax.Point(n1=100, v2=3.0),
    {"m": np.arange(2, 82, 2), "u": np.linspace(0, 4, 41)},
    bands={"m": 3},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
