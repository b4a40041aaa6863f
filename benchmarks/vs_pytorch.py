"""Trajectories per second against PyTorch, in one run on the same cores.

    python benchmarks/vs_pytorch.py [--repeats 5] [--settings i,ii,iii] [--quick] [--device cpu] [--out FILE.json]

Settings: (i) the default point, d = 2,000; (ii) the same at d = 20,000; (iii) the published heat map of
`sims/kou2023.py`, one training on one task. Competitors:

- loop: plain PyTorch, one model after the other: nn.Module, SGD, backward(), data and 1,000 test samples in R^d.
- batched: many seeds at once, the same computation in R^d with the gradient by hand: two batched matrix products a
  step, the signal as one more row beside the noise, transfer and scratch in one product because they share their data,
  and d cut into blocks that fit the caches. On a CPU this is faster than torch.func.vmap of torch.func.grad, and than
  autograd on batched tensors. Batch and block are chosen before the timing.
- published: the style of the published script: one model at a time, samples made one by one in a Python loop.
- dense: pt_jax's engine in R^d.
- span: pt_jax's default engine; at (iii) it runs the whole map, the published style the cell in its middle column.

First `check` trains loop, batched and dense on the same vectors. Competitors are timed in turn, each round with new
seeds. The first round is a warm-up; for pt_jax, what it takes beyond the others is the compilation. Printed: medians
over the other rounds, the median of the paired ratios, and mean errors with standard errors over all rounds.
"""

import argparse
import copy
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import pt_jax
from pt_jax.signal_noise import dense, inherit
from pt_jax.signal_noise.data import World, dense_world
from pt_jax.signal_noise.network import Net, readout
from pt_jax.signal_noise.training import Descent
from pt_jax.sweep.provenance import machine

try:
    import torch
    from torch import Tensor, nn
    from torch.nn.functional import softplus
except ImportError:
    sys.exit("vs_pytorch.py needs PyTorch (a CPU build will do): pip install torch")

TEST = 1000  # test samples of a PyTorch network
POINTS = {"i": pt_jax.Point(), "ii": pt_jax.Point(d=20_000)}
FLIP, M, N, D, NORM, LR, STEPS = 0.1, 10, 20, 545, 5.0, 0.1, 100  # (iii); d is the middle of the map
LOOP, BATCHED = {"i": 2, "ii": 1}, {"i": 16, "ii": 4}  # trajectories a repeat; BATCHED in whole batches
DENSE = {"i": (16, 2), "ii": (4, 1)}  # trajectories a repeat and lanes, on 2 cores: few lanes were the fastest
BATCHES = {"cpu": {"i": (4, 8, 16), "ii": (2, 4, 8)}, "cuda": {"i": (64, 256, 1024), "ii": (16, 64, 128)}}
BLOCK = 2000  # along d, in `batched`: what a step touches of a seed is then about 1 MB


class Task(NamedTuple):
    """A law of samples: mu (d,), axes without noise, noise level, share of flipped labels, training samples."""

    mu: Tensor
    quiet: list[int]
    sigma: float
    flip: float
    n: int


def tasks(p: pt_jax.Point, device: str) -> tuple[Task, Task]:
    """Return both tasks of a point whose task signals are orthogonal: u, v_1, v_2 lie on axes 0, 1, 2."""
    mu1, mu2 = torch.zeros(2, p.d, device=device)
    mu1[0] = mu2[0] = p.u
    mu1[1], mu2[2] = p.v1, p.v2
    return Task(mu1, [0, 1], p.sigma1, p.flip1, p.n1), Task(mu2, [0, 2], p.sigma2, p.flip2, p.n2)


def signs(*shape: int, device: str, minus: float = 0.5) -> Tensor:
    """Return -1 with probability `minus`, else +1."""
    return 1.0 - 2.0 * (torch.rand(shape, device=device) < minus)


def second_layer(m: int, device: str) -> Tensor:
    """Return +1/m, -1/m, +1/m, ..., (2m,): the order of filters in pt_jax."""
    return torch.tensor([1.0, -1.0], device=device).repeat(m) / m


def inherited(p: pt_jax.Point) -> int:
    """Return how many rows of the weights are inherited: the first filters of each sign."""
    return 2 * math.floor(p.alpha * p.m + 0.5)


def mistakes(f: Tensor, label: Tensor) -> Tensor:
    """Return the share of wrong signs along the last dimension; ties count one half."""
    return (1.0 - torch.sign(label * f)).mean(-1) / 2


class Network(nn.Module):
    """The two-layer CNN of the loop, from initial filters (2m, d)."""

    readout: Tensor

    def __init__(self, weights: Tensor):
        super().__init__()
        self.weights = nn.Parameter(weights)
        self.register_buffer("readout", second_layer(len(weights) // 2, str(weights.device)))

    def forward(self, patches: Tensor) -> Tensor:
        """Return f, (n,), of patches (n, 2, d)."""
        return (patches @ self.weights.T).relu().sum(1) @ self.readout


def fit(network: nn.Module, patches: Tensor, seen: Tensor, lr: float, steps: int) -> None:
    """Train by full-batch gradient descent, as a training loop is usually written."""
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        softplus(-seen * network(patches)).mean().backward()
        optimizer.step()


def fit_three(upstream: Network, scratch: Network, data: list[tuple[Tensor, Tensor]], p: pt_jax.Point) -> Network:
    """Train `upstream`, a copy of `scratch` that inherits from it, and `scratch`; return the copy."""
    fit(upstream, *data[0], p.lr1, p.steps1)
    transfer, rows = copy.deepcopy(scratch), inherited(p)
    with torch.no_grad():
        transfer.weights[:rows] = upstream.weights[:rows]
    for network in (transfer, scratch):
        fit(network, *data[1], p.lr2, p.steps2)
    return transfer


def draw(task: Task, n: int, device: str) -> tuple[Tensor, Tensor]:
    """Return n samples: patches (n, 2, d) and clean labels (n,)."""
    label, noise = signs(n, device=device), task.sigma * torch.randn(n, len(task.mu), device=device)
    noise[:, task.quiet] = 0.0
    return torch.stack([label[:, None] * task.mu, noise], 1), label


def loop(p: pt_jax.Point, count: int, device: str) -> np.ndarray:
    """Return the errors with transfer and from scratch, (count, 2), one trajectory after the other."""
    both, found = tasks(p, device), []
    for _ in range(count):
        clean = [draw(task, task.n, device) for task in both]
        data = [(x, y * signs(len(y), device=device, minus=t.flip)) for t, (x, y) in zip(both, clean, strict=True)]
        upstream, scratch = (Network(p.init_scale * torch.randn(2 * p.m, p.d, device=device)) for _ in range(2))
        transfer = fit_three(upstream, scratch, data, p)
        with torch.no_grad():
            patches, label = draw(both[1], TEST, device)
            found.append(torch.stack([mistakes(network(patches), label) for network in (transfer, scratch)]))
    return torch.stack(found).cpu().numpy()  # waits for the GPU


class Batch(NamedTuple):
    """Data of b seeds: noise, and mu as last row, in blocks along d (b, n + 1, .); clean and seen labels (b, n, 1)."""

    rows: list[Tensor]
    label: Tensor
    seen: Tensor


def push(inner: Tensor, batch: Batch, readout: Tensor, lr: float) -> Tensor:
    """Return how much of each row of data a step adds to each filter, for k networks side by side: (b, n + 1, k 2m).

    `inner` are the products of the rows with the filters, of the same shape, `readout` is the second layer (2m,).
    """
    inner = inner.unflatten(2, (-1, len(readout)))
    noise, signal, plus = inner[:, :-1], inner[:, -1:], batch.label > 0
    f = noise.relu() @ readout + torch.where(plus, signal.relu() @ readout, (-signal).relu() @ readout)
    s = lr / f.shape[1] * batch.seen * torch.sigmoid(-batch.seen * f)
    s_plus, s_minus = (s * plus).sum(1)[..., None], (s * ~plus).sum(1)[..., None]
    change = torch.empty_like(inner)
    torch.mul(noise > 0, s[..., None] * readout, out=change[:, :-1])
    change[:, -1] = readout * ((signal[:, 0] > 0) * s_plus - (signal[:, 0] < 0) * s_minus)
    return change.flatten(2)


def products(rows: list[Tensor], weights: list[Tensor]) -> Tensor:
    """Return the inner products of rows and filters, (b, rows, filters), from their blocks."""
    return torch.stack([torch.bmm(x, w.mT) for x, w in zip(rows, weights, strict=True)]).sum(0)


def descend(weights: list[Tensor], batch: Batch, readout: Tensor, lr: float, steps: int) -> None:
    """Train filters in place, (b, k 2m, .) in the blocks of the data; a block is changed and used while in cache."""
    inner = products(batch.rows, weights)
    for _ in range(steps):
        change = push(inner, batch, readout, lr).mT
        inner.zero_()
        for x, w in zip(batch.rows, weights, strict=True):
            w.baddbmm_(change, x)
            inner.baddbmm_(x, w.mT)


def descend_three(upstream: list[Tensor], fresh: list[Tensor], data: list[Batch], p: pt_jax.Point) -> list[Tensor]:
    """Train upstream in place; return filters (b, 4m, .): those with transfer, then those from scratch."""
    rows, readout = inherited(p), second_layer(p.m, str(fresh[0].device))
    descend(upstream, data[0], readout, p.lr1, p.steps1)
    both = [torch.cat([old[:, :rows], new[:, rows:], new], 1) for old, new in zip(upstream, fresh, strict=True)]
    descend(both, data[1], readout, p.lr2, p.steps2)
    return both


def noise_blocks(task: Task, b: int, n: int, width: int) -> list[Tensor]:
    """Return noise of b seeds in blocks along d, (b, n, .)."""
    blocks = [torch.empty(b, n, len(mu), device=mu.device).normal_(std=task.sigma) for mu in task.mu.split(width)]
    blocks[0][..., task.quiet] = 0.0
    return blocks


@torch.inference_mode()
def batched(p: pt_jax.Point, b: int, width: int, device: str, count: int) -> np.ndarray:
    """Return the errors with transfer and from scratch, (count, 2), b seeds at once, in blocks of at most `width`."""
    both, found = tasks(p, device), []
    for _ in range(count // b):
        data = []
        for task in both:
            rows, label = noise_blocks(task, b, task.n + 1, width), signs(b, task.n, 1, device=device)
            for block, mu in zip(rows, task.mu.split(width), strict=True):
                block[:, -1] = mu
            data.append(Batch(rows, label, label * signs(b, task.n, 1, device=device, minus=task.flip)))
        start = both[1]._replace(quiet=[], sigma=p.init_scale)
        upstream, fresh = (noise_blocks(start, b, 2 * p.m, width) for _ in range(2))
        found.append(batched_test(descend_three(upstream, fresh, data, p), both[1], width))
    return torch.cat(found).cpu().numpy()


def batched_test(weights: list[Tensor], task: Task, width: int) -> Tensor:
    """Return the errors of both networks, (b, 2), on the same samples."""
    (b, filters, _), device = weights[0].shape, str(task.mu.device)
    label = signs(b, TEST, 1, device=device)
    noise = products(noise_blocks(task, b, TEST, width), weights)
    signal = weights[0] @ task.mu[:width]  # the signal lies on the first axes
    hidden = noise.relu() + (label * signal[:, None]).relu()
    f = hidden.unflatten(2, (2, -1)) @ second_layer(filters // 4, device)
    return mistakes(f.mT, label.mT)


def choose(name: str, device: str) -> tuple[int, int]:
    """Return the batch and the block of the fastest of a few short trials."""
    p, seconds = POINTS[name], {}
    short = p._replace(steps1=p.steps1 // 4, steps2=p.steps2 // 4)
    for b in BATCHES[device][name]:
        for width in sorted({p.d, *([BLOCK] if device == "cpu" else [])}):
            batched(short, b, width, device, b)
            timed = [clock(partial(batched, short, b, width, device, b))[0] for _ in range(3)]
            seconds[b, width] = min(timed) / b
    return min(seconds, key=lambda option: seconds[option])


class PublishedNetwork(nn.Module):
    """The published network: m filters a class with biases, summed over filters and patches; uniform +-1/sqrt(d)."""

    def __init__(self) -> None:
        super().__init__()
        self.plus, self.minus = nn.Linear(D, M), nn.Linear(D, M)  # nn.Linear starts from that law by itself

    def forward(self, patches: Tensor) -> Tensor:
        """Return f, (n,), of patches (n, 2, d)."""
        return self.plus(patches).relu().sum((1, 2)) - self.minus(patches).relu().sum((1, 2))


def published_data(n: int, device: str) -> tuple[Tensor, Tensor]:
    """Return patches (n, 2, d) and flipped labels (n,), made sample by sample."""
    mu, patches, labels = torch.zeros(D, device=device), [], []
    mu[0] = NORM
    for _ in range(n):
        y = 1.0 if torch.rand(()) < 0.5 else -1.0
        patches.append(torch.stack([y * mu, torch.randn(D, device=device)]))
        labels.append(-y if torch.rand(()) < FLIP else y)
    return torch.stack(patches), torch.tensor(labels, device=device)


def published(count: int, device: str) -> np.ndarray:
    """Return the errors on flipped test labels, (count, 1)."""
    found = []
    for _ in range(count):
        network = PublishedNetwork().to(device)
        fit(network, *published_data(N, device), LR, STEPS)
        with torch.no_grad():
            patches, label = published_data(TEST, device)
            found.append(mistakes(network(patches), label))
    return torch.stack(found).cpu().numpy()[:, None]


def run_anew(sweep: pt_jax.Sweep, turn: int) -> np.ndarray:
    """Run a sweep with new seeds in each turn; return its errors, (seeds, 2), or those of the map, (seeds, 1)."""
    count = len(sweep.seed_values)
    ds = pt_jax.run(replace(sweep, seeds=list(range(turn * count, (turn + 1) * count))))
    if "error" in ds:
        return np.stack([ds.error.values.ravel(), ds.error_scratch.values.ravel()], 1)
    between = ds.error_scratch.interp(d=D, u=NORM)  # from the four cells around that of `published`
    return FLIP + (1 - 2 * FLIP) * between.values[:, None]


class Competitor(NamedTuple):
    """What is timed: trajectories a repeat, and a function of the turn that returns their errors."""

    trajectories: int
    run: Callable[[int], np.ndarray]
    note: str = ""


def heat_map(quick: bool) -> pt_jax.Sweep:
    """Return the sweep of `sims/kou2023.py`."""
    norm, d = (x[:: 4 if quick else 1] for x in (np.round(np.arange(100) * 0.1, 1), np.arange(100, 1100, 10)))
    p = pt_jax.Point(n2=N, m=M, v2=0.0, flip2=FLIP, lr2=LR * M**2, steps2=STEPS)
    axes = {"d,init_scale": np.stack([d, M / np.sqrt(3 * d)], axis=1), "u": norm}
    static = pt_jax.Static(noise="isotropic", bias=True, init="uniform")
    return pt_jax.Sweep(pt_jax.scratch, p, axes, 10, ("error_scratch",), static)


def competitors(name: str, device: str, quick: bool) -> dict[str, Competitor]:
    """Return the competitors of a setting."""
    if name == "iii":
        whole = heat_map(quick)
        span = Competitor(whole.trajectories, partial(run_anew, whole), "x".join(map(str, whole.shape)))
        return {"published": Competitor(5, lambda turn: published(5, device)), "span": span}
    p, (b, width) = POINTS[name], choose(name, device)
    many = b * max(1, BATCHED[name] // b)
    (in_d, lanes), in_span = (DENSE[name], 2048) if jax.default_backend() == "cpu" else ((64, 64), 32768)
    # The gain is the difference of the two errors: keeping them costs nothing more, and they are reported.
    one = pt_jax.Sweep(pt_jax.simulate, p, {"u": [p.u]}, in_span, ("gain", "error", "error_scratch"))
    other = replace(one, seeds=in_d, lanes=lanes, static=pt_jax.Static(engine="dense"))
    return {
        "loop": Competitor(LOOP[name], lambda turn: loop(p, LOOP[name], device)),
        "batched": Competitor(many, lambda turn: batched(p, b, width, device, many), f"{b} seeds, blocks of {width}"),
        "dense": Competitor(in_d, partial(run_anew, other), f"{lanes} lanes"),
        "span": Competitor(in_span, partial(run_anew, one)),
    }


def clock(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def measure(field: dict[str, Competitor], repeats: int) -> dict[str, dict[str, Any]]:
    """Time the competitors in turn; return the numbers of each."""
    rounds = [{name: clock(partial(one.run, turn)) for name, one in field.items()} for turn in range(repeats + 1)]
    rates = {name: [one.trajectories / r[name][0] for r in rounds[1:]] for name, one in field.items()}
    rows: dict[str, dict[str, Any]] = {}
    for name, one in field.items():
        seconds, errors = [r[name][0] for r in rounds], np.concatenate([r[name][1] for r in rounds])
        ratio = [span / own for span, own in zip(rates["span"], rates[name], strict=True)]
        row = {"per_second": statistics.median(rates[name]), "span_ratio": statistics.median(ratio), "note": one.note}
        row |= {"seconds": seconds, "trajectories_a_repeat": one.trajectories, "errors": len(errors)}
        row |= {"mean": errors.mean(0).tolist(), "se": (errors.std(0, ddof=1) / len(errors) ** 0.5).tolist()}
        row["compile_s"] = seconds[0] - statistics.median(seconds[1:]) if name in ("dense", "span") else None
        rows[name] = row
    return rows


def show(setting: str, rows: dict[str, dict[str, Any]]) -> None:
    """Print the rows of one setting."""
    for name, row in rows.items():
        errors = "  ".join(f"{mean:.4f} +- {se:.4f}" for mean, se in zip(row["mean"], row["se"], strict=True))
        compiled = "" if row["compile_s"] is None else f"{row['compile_s']:.1f}"
        speed = f"{row['per_second']:>14,.2f}{row['span_ratio']:>17,.1f}{compiled:>11}"
        print(f"{setting:<8}{name:<10}{speed}   {errors:<36}  {row['note']}", flush=True)


def reference(world: World, p: pt_jax.Point, static: pt_jax.Static) -> np.ndarray:
    """Return the filters that the dense engine trains: upstream, with transfer, from scratch, (6m, d)."""
    taken = inherit.filters(jnp.float32(p.alpha), jnp.float32(p.m), jnp.zeros(2 * p.m))[:, None]

    def trained(weights: Any, task: Any, lr: float, steps: int) -> jax.Array:
        net, descent = Net(weights, jnp.zeros(2 * p.m)), Descent(lr, Net(1.0, 1.0), steps)  # type: ignore[arg-type]
        return dense.train(jax.random.key(0), net, task, descent, readout(p.m, p.m), steps, static).net.weights

    upstream, fresh = trained(world.upstream.weights, world.task1, p.lr1, p.steps1), world.fresh.weights
    starts = (jnp.where(taken, upstream, fresh), fresh)
    return np.concatenate([upstream, *(trained(start, world.task2, p.lr2, p.steps2) for start in starts)])


def check() -> None:
    """Train dense, loop and batched on the same vectors of two seeds; exit where the weights disagree."""
    p = pt_jax.Point(d=100, m=3, n1=8, n2=8, steps1=30, steps2=30)
    static = pt_jax.Static.covering(p, engine="dense")
    worlds = [dense_world(jax.random.key(seed), jax.tree.map(jnp.float32, p), static) for seed in range(2)]
    expected, looped = np.stack([reference(world, p, static) for world in worlds]), []
    for w in (jax.tree.map(lambda x: torch.tensor(np.asarray(x)), world) for world in worlds):
        data = [(torch.stack([t.label[:, None] * t.mu, t.noise], 1), t.seen) for t in (w.task1, w.task2)]
        upstream, scratch = Network(w.upstream.weights.clone()), Network(w.fresh.weights.clone())
        transfer = fit_three(upstream, scratch, data, p)
        looped.append(torch.cat([network.weights.detach() for network in (upstream, transfer, scratch)]))
    both = jax.tree.map(lambda *x: torch.tensor(np.stack(x)), *worlds)
    rows = [torch.cat([t.noise, t.mu[:, None]], 1).split(40, 2) for t in (both.task1, both.task2)]
    labels = [(t.label[..., None], t.seen[..., None]) for t in (both.task1, both.task2)]
    batches = [Batch(list(x), *y) for x, y in zip(rows, labels, strict=True)]
    old, new = (list(net.weights.split(40, 2)) for net in (both.upstream, both.fresh))
    blocks = [torch.cat(pair, 1) for pair in zip(old, descend_three(old, new, batches, p), strict=True)]
    for name, found in {"loop": torch.stack(looped), "batched": torch.cat(blocks, 2)}.items():
        off = float(np.abs(found.numpy() - expected).max() / np.abs(expected).max())
        if not off < 1e-3:  # float32: a unit near zero may switch a step earlier or later
            sys.exit(f"{name} and the dense engine disagree by {off:.1e} of the largest weight.")
        print(f"check: {name} and the dense engine agree to {off:.0e} of the largest weight")


def main() -> None:
    """Check, measure each setting, print the table and write all numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--settings", default="i,ii,iii", help="some of i,ii,iii")
    parser.add_argument("--quick", action="store_true", help="every 4th value of both axes of the map")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="of PyTorch; jax uses what it has")
    parser.add_argument("--out", type=Path, default=Path("results/vs_pytorch.json"))
    flags = parser.parse_args()
    names = flags.settings.split(",")
    if not set(names) <= {"i", "ii", "iii"} or flags.repeats < 1:
        parser.error(
            f"--settings {flags.settings} --repeats {flags.repeats}: use some of i,ii,iii, and at least 1 repeat"
        )
    load = os.getloadavg()[0]  # of others, before anything runs here
    pt_jax.use_all_cores()  # of no effect on a GPU
    check()
    device = torch.cuda.get_device_name() if flags.device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    record: dict[str, Any] = {"machine": machine(), "load_before": load, "settings": {}}
    record["torch"] = {"version": torch.__version__, "device": device}
    print(f"torch {torch.__version__} on {device}; jax {jax.__version__} on {record['machine']['device']}")
    if load > 0.5:  # PyTorch's threads wait for each other at every operation, pt_jax's devices do not
        print(f"The load was {load:.1f} before the start: on a busy machine PyTorch is slowed down most.")
    print("The span engine's test error has the variance of about 50 x 128 = 6,400 test samples, PyTorch's of 1,000:")
    print("the comparison favours PyTorch. Errors: with transfer, from scratch; (iii): on flipped labels.")
    print(f"{'':<18}{'trajectories/s':>14}{'span/competitor':>17}{'compile s':>11}   error +- standard error")
    for name in names:
        rows = measure(competitors(name, flags.device, flags.quick), flags.repeats)
        record["settings"][name] = rows
        show(name, rows)
        flags.out.parent.mkdir(parents=True, exist_ok=True)
        flags.out.write_text(json.dumps(record, indent=1) + "\n")  # after each setting: the run may be stopped
    print(flags.out)


if __name__ == "__main__":
    main()
