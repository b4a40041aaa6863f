"""The picture of the README: when does inheriting filters help, and when does it hurt?

    python sims/phase_diagram.py [--seeds N] [--quick] [--plan] [--shard i/n]

Gain over the norms of the universal signal |u| and of the downstream signal |v2|, for three inherited fractions, after
pretraining on N1 = 200 samples; all else at the defaults.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import numpy as np

from pt_jax.app import atlas

MAP = atlas.Map(
    "A universal signal makes inheritance help (orange); without one it hurts (purple), more the more is inherited",
    pt_jax.Point(n1=200),
    {"u": np.linspace(0, 4, 33), "v2": np.linspace(0, 4, 33), "alpha": [0.25, 0.5, 1.0]},
)

if __name__ == "__main__":
    atlas.main(__doc__, MAP)
