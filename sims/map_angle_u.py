"""Gain over the angle between the task signals v1 and v2 and the norm of the universal signal |u|.

    python sims/map_angle_u.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The lines are the simulated boundary and where theory puts it, see `pt_jax.theory`.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "Task signals that point apart hurt; a universal signal makes up for it, even for opposite ones",
    pt_jax.Point(n1=100, alpha=1.0),
    {"angle": np.linspace(0, 180, 41), "u": np.linspace(0, 4, 41)},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
