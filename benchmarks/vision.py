"""Training small CNNs on images: a group of models against a plain PyTorch loop and a smaller group.

    python benchmarks/vision.py [--repeats 5] [--settings small,vgg8,vgg28,...] [--out FILE.json]

Settings, of 8, 28 and 32 pixels: small, two convolutions of 16 and 32 channels; vgg, the default of `Static`, two of
each; resnet, the default ResNet-like. Those that end in b32 have minibatches of 32, all others of 16. Every model is
trained from its own random weights on its own 1,000 of the digits, enlarged and with three equal channels where there
are 28 or 32 pixels, by Adam, as `transfer` does it. Competitors, timed in turn, each round with new seeds; the first is
a warm-up:

- torch: one model after the other on one thread, nn.Module, the fastest of channels last or not and Adam fused or not.
  That is how it is run mostly.
- torch, all cores: the same in a process for each core, all at the same time: what PyTorch gets out of a whole machine.
- group, small group: through `Sweep` on all cores, in groups of `Static.lanes`, as every sweep runs.

Last, the core time of a step of training by itself: with ours, and with XLA's convolutions, where Python calls each
step, and in a loop of XLA.

Printed: median milliseconds a model over the rounds, by the clock and summed over cores (what a machine shared with
other work does not distort); the share of a core's rate in large matrix products that the useful operations come to;
the time of the first round, which compiles; the mean training loss, which must agree within the errors; median and
range of the paired ratios.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from clock import Clocked, clock
from image_group import LR, SETTINGS, STEPS, N, Setting, images_of, static_of, step, step_by_lax, sweep_of
from scipy.stats import truncnorm

import pt_jax
from pt_jax.vision import datasets
from pt_jax.vision.point import Static

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit("vision.py needs PyTorch (a CPU build will do): pip install torch")


def group(static: Static, data: datasets.Pair, count: int) -> Callable[[int], float]:
    """Return a function of the round that trains `count` models and returns their mean loss."""
    return lambda i: float(pt_jax.run(sweep_of(static, data, range(i * count, (i + 1) * count))).loss.mean())


def conv(below: int, channels: int, side: int = 3) -> nn.Module:
    made: Any = nn.Conv2d(below, channels, side, padding=side // 2)
    # He's normal as flax has it, cut at two standard deviations and scaled to the same variance: with the whole normal
    # the ResNet-like network learns sooner.
    spread = (2 / made.weight[0].numel()) ** 0.5 / truncnorm.std(-2, 2)
    nn.init.trunc_normal_(made.weight, std=spread, a=-2 * spread, b=2 * spread)
    nn.init.zeros_(made.bias)
    return made


class Block(nn.Module):
    """A residual block, as `models.ResNet` has it."""

    def __init__(self, below: int, channels: int, scale: float):
        super().__init__()
        self.scale, self.shrinks = scale, below != channels
        self.branch = nn.Sequential(nn.ReLU(), conv(below, channels), nn.ReLU(), conv(channels, channels))
        self.shortcut = conv(below, channels, 1) if self.shrinks else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.avg_pool2d(x, 2) if self.shrinks else x
        return self.shortcut(x) + self.scale * self.branch(x)


def torch_model(setting: Setting, width: int = 16, classes: int = 10) -> nn.Module:
    layers: list[nn.Module] = []
    channels = setting.channels
    if setting.model == "resnet":
        layers, channels = [conv(channels, width), nn.ReLU()], width
    for out in (width, 2 * width):
        for _ in range(setting.depth):
            if setting.model == "resnet":
                layers.append(Block(channels, out, (2 * setting.depth) ** -0.5))
            else:
                layers += [conv(channels, out), nn.ReLU()]
            channels = out
        layers += [nn.AvgPool2d(2)] if setting.model == "vgg" else []
    average = [nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    features = channels * (setting.side // 4) ** 2 if setting.model == "vgg" else channels
    head = nn.Linear(features, classes)
    for tensor in head.parameters():
        nn.init.zeros_(tensor)
    return nn.Sequential(*layers, *(average if setting.model == "resnet" else []), nn.Flatten(), head)


def loop(setting: Setting, data: datasets.Pair, count: int, device: str = "cpu") -> Callable[[int], float]:
    """Return a function of the round that trains `count` models, one after the other, and returns their mean loss."""
    split = data.target.train
    pixels = 2.0 * torch.from_numpy(np.moveaxis(split.images, 3, 1).copy()).to(device)
    labels = torch.from_numpy(split.labels.astype(np.int64)).to(device)
    torch.set_num_threads(1)

    def one(last: bool, fused: bool) -> float:
        chosen = torch.randperm(len(labels), device=device)[:N]
        order = torch.channels_last if last else torch.contiguous_format
        model: Any = torch_model(setting)
        model, images = model.to(device, memory_format=order), pixels.to(memory_format=order)
        optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=fused)
        for _ in range(STEPS):
            index = chosen[torch.randint(0, N, (setting.batch,), device=device)]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[index]), labels[index]).backward()
            optimizer.step()
        with torch.no_grad():
            outputs = torch.cat([model(images[index]) for index in chosen.split(64)])
            return float(nn.functional.cross_entropy(outputs, labels[chosen]))

    choices = {}
    for last in (False, True):
        for fused in (False, True):
            one(last, fused)
            # Of three: a choice that a noisy core has spoiled would slow down all rounds.
            choices[last, fused] = min(clock(lambda last=last, fused=fused: one(last, fused))[1] for _ in range(3))
    last, fused = min(choices, key=lambda choice: choices[choice])
    print(f"  torch: channels last: {last}, fused Adam: {fused}", flush=True)

    def run(i: int) -> float:
        torch.manual_seed(i)
        return statistics.mean(one(last, fused) for _ in range(count))

    return run


_loops: dict[str, Callable[[int], float]] = {}  # of this process


def looped(name: str, i: int) -> Clocked:
    """Train the models of the loop in a process of its own; their mean loss."""
    if name not in _loops:
        _loops[name] = loop(SETTINGS[name], images_of(SETTINGS[name]), SETTINGS[name].models[2])
    return clock(lambda: _loops[name](i))


def on_all_cores(name: str, pool: ProcessPoolExecutor, cores: int) -> Callable[[int], Clocked]:
    """Return a function of the round that trains the models of the loop on each core; their mean loss."""

    def run(i: int) -> Clocked:
        start = time.perf_counter()
        found = list(pool.map(looped, [name] * cores, range(i * cores, (i + 1) * cores)))
        busy, losses = sum(one.cores for one in found), [one.result for one in found]
        return Clocked(time.perf_counter() - start, busy, statistics.mean(losses))

    return run


def operations(setting: Setting) -> float:
    """Return the operations of a model's convolutions, forth and twice back, without the first to its images."""
    side, channels, found = setting.side, setting.channels, 0.0
    model = torch_model(setting)
    shapes: list[tuple[nn.Conv2d, int]] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, _, y: shapes.append((module, y[0, 0].numel())))
    model(torch.zeros(1, channels, side, side))
    for i, (module, places) in enumerate(shapes):
        found += (2 if i == 0 else 3) * 2 * places * module.weight.numel()
    return found * setting.batch * STEPS


def product_rate(size: int = 1024, repeats: int = 5) -> float:
    """Return operations a second of core time in products of large matrices."""
    product, x = jax.jit(jnp.matmul), jnp.ones((size, size))
    product(x, x).block_until_ready()
    times = [clock(lambda: product(x, x).block_until_ready()).cores for _ in range(repeats)]
    return 2 * size**3 / statistics.median(times)


def measure(name: str, repeats: int, pool: ProcessPoolExecutor, processes: int) -> dict[str, Any]:
    setting = SETTINGS[name]
    data = images_of(setting)
    static = static_of(setting, data)
    print(f"{name}: {STEPS} steps, groups of {static.lanes} lanes, {static.at_once} samples at once", flush=True)
    many, few, single = setting.models

    def here(run: Callable[[int], float]) -> Callable[[int], Clocked]:
        return lambda i: clock(lambda: run(i))

    runs = {
        "torch": (single, here(loop(setting, data, single))),
        "torch, all cores": (single * processes, on_all_cores(name, pool, processes)),
        "group": (many, here(group(static, data, many))),
        "small group": (few, here(group(static, data, few))),
    }
    times: dict[str, list[float]] = {key: [] for key in runs}
    cores: dict[str, list[float]] = {key: [] for key in runs}
    losses: dict[str, list[float]] = {key: [] for key in runs}
    for i in range(repeats + 1):
        for key, (count, run) in runs.items():
            seconds, busy, loss = run(i)
            times[key].append(seconds / count * 1000)
            cores[key].append(busy / count * 1000)
            losses[key].append(loss)
    found: dict[str, Any] = {key: statistics.median(values[1:]) for key, values in times.items()}
    rate = product_rate()
    for key, (count, _) in runs.items():
        first = times[key][0] * count / 1000
        error = statistics.stdev(losses[key][1:]) / (repeats**0.5) if repeats > 1 else 0.0
        busy = statistics.median(cores[key][1:])
        share = operations(setting) / (busy / 1000) / rate
        print(
            f"  {key:16} {found[key]:9.2f} ms a model, {busy:9.2f} ms of cores, {share:4.0%} of {rate / 1e9:.0f} "
            f"GFLOP/s, first round {first:6.1f} s, loss {statistics.mean(losses[key][1:]):.3f} +- {error:.3f}"
        )
    for a, b, target in (
        ("torch", "group", "as it is run mostly"),
        ("torch, all cores", "group", "wanted: 1, better 1.2, at 28 and 32 pixels"),
        ("group", "small group", "wanted: at most 1.1"),
    ):
        ratios = [x / y for x, y in zip(times[a][1:], times[b][1:], strict=True)]
        found[f"{a} / {b}"] = statistics.median(ratios)
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        busy = found[f"{a} / {b}, cores"] = statistics.median(
            x / y for x, y in zip(cores[a][1:], cores[b][1:], strict=True)
        )
        print(f"  {a} / {b}: {found[f'{a} / {b}']:.2f} ({spread}; {target}); of cores {busy:.2f}", flush=True)
    found["step"], found["step, lax"] = step(static, data), step_by_lax(static, data, setting.batch)
    found["step, lax in a loop"] = step(replace(static, conv="lax"), data)
    print(
        f"  a step: {found['step']:.2f} ms of cores; by lax.conv {found['step, lax']:.2f} ms called from Python, "
        f"{found['step, lax in a loop']:.2f} ms in a loop of XLA",
        flush=True,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Vision training against PyTorch.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    pt_jax.use_all_cores()
    processes = len(jax.devices())
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        found = {name: measure(name, arguments.repeats, pool, processes) for name in arguments.settings.split(",")}
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
