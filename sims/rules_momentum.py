"""Does momentum move the boundary of negative transfer, or the larger step that comes with it?

    python sims/rules_momentum.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

With momentum mu a step is lr / (1 - mu) long in the end. So momentum 0.8 is run at the same lr / (1 - mu), 0.1, as the
descent without, and five times that; there it is beside descent without momentum, too. Both tasks have the rule, or
one. `parts/crossing.py` says how a move is measured.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from parts.rules import Rule

RULE = Rule(
    "At the same step momentum moves the boundary little; longer steps upstream widen the harm, downstream lessen it",
    ("momentum", "lr"),
    {
        "plain descent": (0.0, 0.1),
        r"$\mu$ = 0.8, same step": (0.8, 0.02),
        "plain, 5 x the step": (0.0, 0.5),
        r"$\mu$ = 0.8, 5 x the step": (0.8, 0.1),
    },
    (0, 0, 2),
    "that it is held against: the same step without momentum, or the shorter step",
)

if __name__ == "__main__":
    pt_jax.study.main(__doc__, RULE.sweeps, RULE.numbers, RULE.draw, seeds=48)
