"""Gain over the dimension d, up to 100,000, and the upstream sample size N1.

    python sims/map_d_n1.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The lines are the simulated boundary and where theory puts it, see `pt_jax.theory`.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "The same inheritance hurts in low and helps in high dimension, which the criterion G does not see",
    pt_jax.Point(u=1.0, v2=3.0, alpha=1.0),
    {"d": np.geomspace(200, 100_000, 41).round(), "n1": np.unique(np.geomspace(10, 250, 42).round())},
    bands={"n1": 4},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
