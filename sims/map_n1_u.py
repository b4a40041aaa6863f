"""Gain over the upstream sample size N1 and the norm of the universal signal |u|, all filters inherited.

    python sims/map_n1_u.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The lines are the simulated boundary and where theory puts it, see `pt_jax.theory`.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "All filters inherited: without a strong universal signal, more upstream samples do more harm",
    pt_jax.Point(v2=3.0, alpha=1.0),
    {"n1": np.unique(np.geomspace(10, 250, 42).round()), "u": np.linspace(0, 4, 41)},
    bands={"n1": 4},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
