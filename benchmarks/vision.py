"""Training small CNNs on 8 x 8 images: a group of 64 against a plain PyTorch loop, and against a group of 8.

    python benchmarks/vision.py [--repeats 5] [--settings small,vgg] [--steps 200] [--out FILE.json]

Settings: small, two convolutions of 16 and 32 channels; vgg, the default of `Static`, two of each. Every model is
trained from its own random weights on its own 1,000 of the digits by Adam, minibatches of 16, as `transfer` does it.
Competitors, timed in turn, each round with new seeds; the first round is a warm-up:

- torch: one model after the other, nn.Module, the fastest of Adam's implementations, on one thread or on all, as is
  faster.
- group of 64, group of 8: through `Sweep` on all cores, in groups of `Static.lanes`, as every sweep runs.

Printed: median milliseconds a model over the rounds, by the clock and summed over cores (what a machine shared with
other work does not distort); the time of the first round, which
compiles; the mean training loss, which must agree within the errors; median and range of the paired ratios.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import pt_jax
from pt_jax.vision import datasets, models, training
from pt_jax.vision import task as tasks
from pt_jax.vision.point import Point, Static

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit("vision.py needs PyTorch (a CPU build will do): pip install torch")

DEPTH = {"small": 1, "vgg": 2}
MODELS, FEW, LOOP = 64, 8, 6  # models of a group, of the small group, and of the loop in a round
N, BATCH, LR = 1000, 16, 0.003


class Result(NamedTuple):
    loss: jax.Array


def train_one(key: jax.Array, point: Point, static: Static, data: datasets.Pair) -> Result:
    """Train one model from random weights on the target; return its training loss."""
    task = tasks.draw(key, data.target, "2", point, static)
    network, run = models.build(static, 10, False), training.Run(point.lr2, point.steps2)
    loss = training.loss_function("cross_entropy", 0.0)
    start = network.init(key, jnp.zeros((1, *static.shape)))["params"]
    ones = jax.tree.map(lambda _: 1.0, start)
    trained = training.train(key, network, start, ones, task, run, static)
    index = task.order[:N]
    logits = training.evaluate(network, trained, task, index, run, static).logits
    return Result(jnp.mean(loss(logits, task.seen[index], point.classes2)))


def group(static: Static, data: datasets.Pair, steps: int, count: int) -> Callable[[int], float]:
    """Return a function of the round that trains `count` models and returns their mean loss."""

    def run(i: int) -> float:
        seeds = range(i * count, (i + 1) * count)
        point = Point(n2=N, steps2=steps, lr2=LR)
        sweep = pt_jax.Sweep(train_one, point, {}, seeds=list(seeds), static=static, data=data)
        return float(pt_jax.run(sweep).loss.mean())

    return run


def torch_model(depth: int, width: int = 16, classes: int = 10) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 1
    for out in (width, 2 * width):
        for _ in range(depth):
            conv: Any = nn.Conv2d(channels, out, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight)
            nn.init.zeros_(conv.bias)
            layers += [conv, nn.ReLU()]
            channels = out
        layers.append(nn.AvgPool2d(2))
    head = nn.Linear(4 * channels, classes)
    for tensor in head.parameters():
        nn.init.zeros_(tensor)
    return nn.Sequential(*layers, nn.Flatten(), head)


def loop(depth: int, data: datasets.Pair, steps: int, count: int) -> Callable[[int], float]:
    """Return a function of the round that trains `count` models, one after the other, and returns their mean loss."""
    split = data.target.train
    images = 2.0 * torch.from_numpy(np.moveaxis(split.images, 3, 1).copy())
    labels = torch.from_numpy(split.labels.astype(np.int64))

    def one(fused: bool) -> float:
        chosen = torch.randperm(len(labels))[:N]
        model = torch_model(depth)
        optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=fused)
        for _ in range(steps):
            index = chosen[torch.randint(0, N, (BATCH,))]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[index]), labels[index]).backward()
            optimizer.step()
        with torch.no_grad():
            return float(nn.functional.cross_entropy(model(images[chosen]), labels[chosen]))

    cores, choices = torch.get_num_threads(), {}
    for threads in {1, cores}:
        for fused in (False, True):
            torch.set_num_threads(threads)
            one(fused)
            choices[threads, fused] = clock(lambda fused=fused: one(fused))[0]  # type: ignore[misc]
    threads, fused = min(choices, key=lambda choice: choices[choice])
    print(f"  torch: {threads} threads, fused Adam: {fused}", flush=True)

    def run(i: int) -> float:
        torch.manual_seed(i)
        torch.set_num_threads(threads)
        return statistics.mean(one(fused) for _ in range(count))

    return run


def clock(function: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return seconds by the clock, seconds of all cores together, and what the function returned."""
    start, cores = time.perf_counter(), time.process_time()
    found = function()
    return time.perf_counter() - start, time.process_time() - cores, found


def measure(name: str, steps: int, repeats: int) -> dict[str, Any]:
    data = datasets.pair(datasets.digits(), datasets.digits())
    static = Static.covering(data, Point(n2=N), depth=DEPTH[name], batch=BATCH, dials=())
    print(f"{name}: {steps} steps, groups of {static.lanes} lanes", flush=True)
    runs = {
        "torch": (LOOP, loop(DEPTH[name], data, steps, LOOP)),
        "group of 64": (MODELS, group(static, data, steps, MODELS)),
        "group of 8": (FEW, group(static, data, steps, FEW)),
    }
    times: dict[str, list[float]] = {key: [] for key in runs}
    cores: dict[str, list[float]] = {key: [] for key in runs}
    losses: dict[str, list[float]] = {key: [] for key in runs}
    for i in range(repeats + 1):
        for key, (count, run) in runs.items():
            seconds, busy, loss = clock(lambda run=run, i=i: run(i))  # type: ignore[misc]
            times[key].append(seconds / count * 1000)
            cores[key].append(busy / count * 1000)
            losses[key].append(loss)
    found: dict[str, Any] = {key: statistics.median(values[1:]) for key, values in times.items()}
    for key, (count, _) in runs.items():
        first = times[key][0] * count / 1000
        error = statistics.stdev(losses[key][1:]) / (repeats**0.5) if repeats > 1 else 0.0
        busy = statistics.median(cores[key][1:])
        print(
            f"  {key:12} {found[key]:9.2f} ms a model, {busy:9.2f} ms of cores, first round {first:6.1f} s, "
            f"loss {statistics.mean(losses[key][1:]):.3f} +- {error:.3f}"
        )
    for a, b, target in (("torch", "group of 64", "at least 5"), ("group of 64", "group of 8", "at most 1.1")):
        ratios = [x / y for x, y in zip(times[a][1:], times[b][1:], strict=True)]
        found[f"{a} / {b}"] = statistics.median(ratios)
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        busy = statistics.median(x / y for x, y in zip(cores[a][1:], cores[b][1:], strict=True))
        print(f"  {a} / {b}: {found[f'{a} / {b}']:.2f} ({spread}; wanted: {target}); of cores {busy:.2f}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Vision training against PyTorch.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--settings", default="small,vgg")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    pt_jax.use_all_cores()
    found = {name: measure(name, arguments.steps, arguments.repeats) for name in arguments.settings.split(",")}
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
