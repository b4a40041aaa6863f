"""Gain over the dimension d, up to a million, and the norm of the universal signal |u|.

    python sims/million_dimensions.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

The signal of the target is scaled with d so that scratch stays equally hard, N2 |mu_2|^4 / d = 4 at |u| = 0.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

D = np.geomspace(1000, 1_000_000, 41).round()
MAP = atlas.Map(
    "The stronger the universal signal, the higher the dimension at which transfer helps, up to a million",
    pt_jax.Point(n1=100, alpha=1.0),
    {"d,v1,v2": np.stack([D, (D / 10) ** 0.25, (D / 10) ** 0.25], axis=1), "u": np.linspace(0, 16, 41)},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
