"""Does label noise move the boundary of negative transfer?

    python sims/rules_label_noise.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

At each step each training label is flipped anew with probability q, in both tasks or in one. `parts/crossing.py` says
how a move is measured.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from parts.rules import Rule

RULE = Rule(
    "Label noise upstream lessens the harm, downstream it adds to it; on both these nearly cancel up to 0.2",
    ("label_noise",),
    {"no label noise": (0.0,), "$q$ = 0.1": (0.1,), "$q$ = 0.2": (0.2,), "$q$ = 0.4": (0.4,)},
)

if __name__ == "__main__":
    pt_jax.study.main(__doc__, RULE.sweeps, RULE.numbers, RULE.draw, seeds=48)
