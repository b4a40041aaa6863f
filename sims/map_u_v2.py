"""Gain over the norms of the universal signal |u| and of the downstream signal |v2|.

    python sims/map_u_v2.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The lines are the simulated boundary and where theory puts it, see `pt_jax.theory`.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "Inheriting half of the filters helps where |u| is more than about half of |v2|",
    pt_jax.Point(n1=100),
    {"u": np.linspace(0, 4, 41), "v2": np.linspace(0, 4, 41)},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
