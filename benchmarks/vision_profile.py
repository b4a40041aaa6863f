"""Where the core time of training on images goes.

    python benchmarks/vision_profile.py [--settings vgg32,resnet32,...]

On one core, to which the process is bound where the system can do that. Of each setting of `image_group.py`:

- milliseconds of a step of training as it is, with all dials on the target's images, and with augmentation;
- the evaluation of 1,000 images, in such steps;
- the operations of 20 steps as the profiler of jax saw them: matrix products, copies that move or pad images, and the
  rest, which computes entry by entry. XLA names an operation by what it fused, and where there is arithmetic in a copy
  it counts as a copy: it reads and writes the same arrays.
"""

import argparse
import os
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
from clock import clock
from image_group import LR, SETTINGS, N, images_of, static_of, step, train_one

from pt_jax.vision import datasets, models, training
from pt_jax.vision import task as tasks
from pt_jax.vision.point import Point, Static

ADDED = {
    "all dials": {"labels2": 0.5, "invert2": 0.5, "pixels2": 0.5, "entries2": 0.5, "block2": 4, "noise2": 0.5},
    "augmentation": {"shift1": 2, "flip1": 0.5},
}
KINDS = {"products": "dot|ynn", "copies": "concatenate|pad|copy|transpose|slice|broadcast"}


def evaluation(static: Static, data: datasets.Pair) -> float:
    """Return milliseconds of core time in which N images are evaluated."""

    @jax.jit
    def outputs(key: jax.Array, point: Point) -> jax.Array:
        task, network = tasks.draw(key, data.target, "2", point, static), models.build(static, 10, False)
        params = network.init(key, jnp.zeros((1, *static.shape)))["params"]
        run = training.Run(point.lr2, point.steps2)
        return training.evaluate(network, params, task, task.order[:N], run, static).logits

    point = jax.tree.map(float, Point(n2=N))
    times = [clock(lambda: outputs(jax.random.key(0), point).block_until_ready()).cores for _ in range(4)]
    return statistics.median(times[1:]) * 1000


def operations(function: Callable[[], object]) -> Counter[str]:
    """Return the nanoseconds of each operation of a call, by its name without a number."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            function()
        (path,) = Path(folder).rglob("*.xplane.pb")
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
            for event in (event for line in plane.lines for event in line.events):
                name = re.sub(r"[.\d]+$", "", event.name)
                if "hlo_op" in dict(event.stats) and name not in ("while", "call", "conditional"):  # these hold others
                    found[name] += event.duration_ns
    return found


def measure(name: str) -> None:
    setting = SETTINGS[name]
    data = images_of(setting)
    plain = static_of(setting, data)
    alone = step(plain, data)
    print(f"{name}: a step of {setting.batch} images {alone:.2f} ms", flush=True)
    for words, fields in ADDED.items():
        print(f"  with {words}: {step(replace(plain, dials=tuple(fields)), data, **fields):.2f} ms", flush=True)
    print(f"  evaluation of {N:,} images: {evaluation(plain, data) / alone:.1f} steps", flush=True)

    one = jax.jit(lambda key, point: train_one(key, point, plain, data))

    def train(steps: int) -> None:
        jax.block_until_ready(one(jax.random.key(0), jax.tree.map(float, Point(n2=N, steps2=steps, lr2=LR))))

    train(0)  # compiles
    found = operations(lambda: train(22))
    found.subtract(operations(lambda: train(2)))
    kinds: Counter[str] = Counter()
    for operation, time in found.items():
        kinds[next((kind for kind, words in KINDS.items() if re.search(words, operation)), "the rest")] += time
    whole = sum(found.values())
    shares = ", ".join(f"{kind} {time / whole:.0%}" for kind, time in kinds.most_common())
    print(f"  operations: {shares}; {whole / 20e6:.2f} ms a step as profiled", flush=True)
    for operation, time in found.most_common(8):
        print(f"    {time / whole:4.0%} {operation}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Where the core time of training on images goes.")
    parser.add_argument("--settings", default="vgg8,vgg32,resnet32")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name in arguments.settings.split(","):
        measure(name)


if __name__ == "__main__":
    main()
