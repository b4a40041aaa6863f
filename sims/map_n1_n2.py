"""Gain over both sample sizes, all filters inherited.

    python sims/map_n1_n2.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The lines are the simulated boundary and where theory puts it, see `pt_jax.theory`.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "Inheriting all filters pays with few target samples, most after many source samples; else it costs a little",
    pt_jax.Point(u=2.0, v2=3.0, alpha=1.0),
    {"n1": np.arange(10, 210, 5), "n2": np.arange(10, 90, 2)},
    bands={"n1": 3, "n2": 2},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
