"""Gain over the scale of the initial weights and the learning rate of both trainings.

From feature learning (left) to lazy training (right), where the weights hardly move.

    python sims/map_init_scale_lr.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "From feature learning (left) to lazy training (right) transfer helps, hurts and helps again",
    pt_jax.Point(n1=100, u=1.0, v2=3.0),
    {"init_scale": np.geomspace(1e-4, 1, 41), "lr1,lr2": np.geomspace(0.01, 10, 41)},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
