"""How often `pt-jax advise` decides, and how often it is right, on random problems whose answers are known.

    python benchmarks/advise.py [--problems N]

Problems are the points of `figures/theory_agreement.csv` with d up to 5,000 whose simulated gain is clear (99.7%
interval, 64 seeds). From each, one source and one target sample are drawn in R^d: as patches, and as vectors, the sum
of both patches, where flips cannot be seen and are given. Printed and written as JSON: the share that is decided, the
share of these that is right, with its 95% interval, and calibration.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from scipy.stats import binomtest, t

import pt_jax
from pt_jax.signal_noise.advise import Advice, Sample, advise
from pt_jax.signal_noise.data import Task, dense_world
from pt_jax.signal_noise.design import points

MOST = 5000
TRAINING = ("alpha", "lr1", "lr2", "steps1", "steps2", "init_scale")
REFUSED = Advice("undecided", 0.5, *(float("nan"),) * 3, pt_jax.Point(), False, None)
STATIC = pt_jax.Static(n1=300, n2=100, m=1, d=MOST, engine="dense")


@partial(jax.jit, static_argnames="static")
def tasks(key: jax.Array, point: pt_jax.Point, static: pt_jax.Static) -> tuple[Task, Task]:
    """Draw both tasks."""
    world = dense_world(key, point._replace(m=1.0), static)
    return world.task1, world.task2


def sample(task: Task, n: int, d: int, form: str) -> Sample:
    """Return what a user would have: both patches, or their sum."""
    x = np.stack([task.label[:n, None] * task.mu[None, :d], task.noise[:n, :d]], axis=1)
    return Sample(x if form == "patches" else x.sum(axis=1), np.asarray(task.seen[:n]))


def problems(count: int) -> list[tuple[pt_jax.Point, bool]]:
    """Return points and whether transfer helps there."""
    table = pd.read_csv(Path(__file__).parents[1] / "figures" / "theory_agreement.csv")
    drawn = points(len(table))
    clear = table.gain_mean.abs() > table.gain_se * t.ppf(1 - 0.003 / 2, table.seeds - 1)
    asked = zip(drawn, clear, table.gain_mean > 0, strict=True)
    return [(point, helps) for point, sure, helps in asked if sure and point.d <= MOST][:count]


def answers(form: str, asked: list[tuple[pt_jax.Point, bool]]) -> list[Advice]:
    """Return the advice for one sample of each problem; a sample that is refused as too small is undecided."""
    given = (*TRAINING, "flip1", "flip2") if form == "vectors" else TRAINING
    found = []
    for number, (point, _) in enumerate(asked):
        one, two = jax.device_get(tasks(jax.random.key(number), jax.tree.map(np.float32, point), STATIC))
        source, target = (sample(x, int(n), int(point.d), form) for x, n in ((one, point.n1), (two, point.n2)))
        training = pt_jax.Point(**{name: getattr(point, name) for name in given})
        try:
            found.append(advise(training, source, target))
        except ValueError as refused:
            print(f"problem {number}: {refused}")
            found.append(REFUSED)
    return found


def main() -> None:
    """Run all problems in both forms."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("results/advise.json"))
    flags = parser.parse_args()
    asked, record = problems(flags.problems), {}
    truth = np.array([helps for _, helps in asked])
    print(f"{len(asked)} problems, transfer helps in {truth.mean():.1%} of them")
    for form in ("patches", "vectors"):
        said = answers(form, asked)
        verdict = np.array([one.verdict for one in said])
        decided = verdict != "undecided"
        right = int(((verdict == "inherit") == truth)[decided].sum())
        low, high = binomtest(right, max(int(decided.sum()), 1)).proportion_ci()
        record[form] = {"decided": float(decided.mean()), "right": right / decided.sum(), "interval": [low, high]}
        print(
            f"{form}: decided {decided.mean():.1%}, of these right {right / decided.sum():.1%} [{low:.3f}, {high:.3f}]"
        )
        certainty = np.array([one.certainty for one in said])
        for ends in ((0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.01)):
            at = (certainty >= ends[0]) & (certainty < ends[1])
            if at.any():
                print(
                    f"  certainty {ends[0]} to {min(ends[1], 1)}: {at.sum()} problems, helps in {truth[at].mean():.1%}"
                )
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    flags.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
