"""Gain over the inherited fraction alpha (all 20 that 20 filters have) and the norm of the universal signal |u|,
after pretraining on N1 = 200 samples.

    python sims/map_alpha_u.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "The more filters are inherited, the stronger the universal signal must be",
    pt_jax.Point(n1=200, v2=3.0),
    {"alpha": np.linspace(0.05, 1, 20), "u": np.linspace(0, 4, 81)},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
