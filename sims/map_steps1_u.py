"""Gain over the number of upstream steps (early stopping) and the norm of the universal signal |u|.

    python sims/map_steps1_u.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The lines are the simulated boundary and where theory puts it, see `pt_jax.theory`.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "Stopping upstream training early turns harm into benefit; G, blind to steps, misses it",
    pt_jax.Point(n1=100, v2=3.0, alpha=1.0),
    {"steps1": np.unique(np.geomspace(1, 400, 50).round())[:41], "u": np.linspace(0, 4, 41)},
    bands={"steps1": 2},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
