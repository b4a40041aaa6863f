"""Does weight decay move the boundary of negative transfer?

    python sims/rules_weight_decay.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Weight decay adds lambda w to the gradient, of both tasks or of one. `parts/crossing.py` says how a move is measured.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from parts.rules import Rule

RULE = Rule(
    "Weight decay shrinks the region of harm, on either task alone and more on both; at 0.1 nothing is left of it",
    ("weight_decay",),
    {"no weight decay": (0.0,), r"$\lambda$ = 0.01": (0.01,), r"$\lambda$ = 0.03": (0.03,), r"$\lambda$ = 0.1": (0.1,)},
)

if __name__ == "__main__":
    pt_jax.study.main(__doc__, RULE.sweeps, RULE.numbers, RULE.draw, seeds=48)
