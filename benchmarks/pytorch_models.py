"""The PyTorch competitors of `vs_pytorch.py`: the same computation in R^d, with 1,000 test samples.

- `loop`: plain PyTorch, one model after the other: nn.Module, SGD, backward(); any network of `pytorch_networks.py`.
- `batched`: many seeds at once, with the gradient by hand: two batched matrix products a step, the signal as one more
  row beside the noise, transfer and scratch in one product because they share their data, and d cut into blocks that
  fit the caches. On a CPU this is faster than torch.func.vmap of torch.func.grad, and than autograd on batched tensors.
- `published`: the style of a published script: one model at a time, samples made one by one in a Python loop.
"""

import copy
import math
from typing import Any, NamedTuple

import jax
import numpy as np
import torch
from pytorch_networks import Network, network_of, second_layer
from torch import Tensor, nn
from torch.nn.functional import softplus

import pt_jax
from pt_jax.signal_noise.data import World

TEST = 1000  # test samples of a network
FLIP, M, N, D, NORM, LR, STEPS = 0.1, 10, 20, 545, 5.0, 0.1, 100  # `published`; d is the middle of its map


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


def signs(like: Tensor, minus: float = 0.5) -> Tensor:
    """Return -1 with probability `minus`, else +1, in the shape of another tensor."""
    return 1.0 - 2.0 * (torch.rand_like(like) < minus)


def inherited(p: pt_jax.Point) -> int:
    """Return how many rows of the weights are inherited: the first filters of each sign."""
    return 2 * math.floor(p.alpha * p.m + 0.5)


def mistakes(f: Tensor, label: Tensor) -> Tensor:
    """Return the share of wrong signs along the last dimension; ties count one half."""
    return (1.0 - torch.sign(label * f)).mean(-1) / 2


# One model after the other.


def fit(network: nn.Module, patches: Tensor, seen: Tensor, steps: int, **options: Any) -> None:
    """Train by full-batch gradient descent, as a training loop is usually written."""
    optimizer = torch.optim.SGD(network.parameters(), **options)
    for _ in range(steps):
        optimizer.zero_grad()
        softplus(-seen * network(patches)).mean().backward()
        optimizer.step()


def fit_three(upstream: Network, scratch: Network, data: list[tuple[Tensor, Tensor]], p: pt_jax.Point) -> Network:
    """Train `upstream`, a copy of `scratch` that inherits from it, and `scratch`; return the copy."""
    fit(upstream, *data[0], p.steps1, lr=p.lr1, momentum=p.momentum1, weight_decay=p.weight_decay1)
    transfer = copy.deepcopy(scratch)
    transfer.take(upstream, inherited(p))
    for network in (transfer, scratch):
        fit(network, *data[1], p.steps2, lr=p.lr2, momentum=p.momentum2, weight_decay=p.weight_decay2)
    return transfer


def draw(task: Task, n: int) -> tuple[Tensor, Tensor]:
    """Return n samples: patches (n, 2, d) and clean labels (n,)."""
    noise = task.sigma * torch.randn(n, len(task.mu), device=task.mu.device)
    noise[:, task.quiet] = 0.0
    label = signs(noise[:, 0])
    return torch.stack([label[:, None] * task.mu, noise], 1), label


def loop(p: pt_jax.Point, count: int, device: str, model: str = "cnn") -> np.ndarray:
    """Return the errors with transfer and from scratch, (count, 2), one trajectory after the other."""
    both, found = tasks(p, device), []
    for _ in range(count):
        clean = [draw(task, task.n) for task in both]
        data = [(x, label * signs(label, task.flip)) for task, (x, label) in zip(both, clean, strict=True)]
        upstream, scratch = (Network(p.init_scale * torch.randn(2 * p.m, p.d, device=device), model) for _ in range(2))
        transfer = fit_three(upstream, scratch, data, p)
        with torch.no_grad():
            patches, label = draw(both[1], TEST)
            found.append(torch.stack([mistakes(network(patches), label) for network in (transfer, scratch)]))
    return torch.stack(found).cpu().numpy()  # waits for the GPU


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
        fit(network, *published_data(N, device), STEPS, lr=LR)
        with torch.no_grad():
            patches, label = published_data(TEST, device)
            found.append(mistakes(network(patches), label))
    return torch.stack(found).cpu().numpy()[:, None]


# Many seeds at once. Whatever has d coordinates is a list of blocks along d.


class Batch(NamedTuple):
    """Data of b seeds: noise, and mu as last row, in blocks (b, n + 1, .); clean and seen labels (b, n, 1)."""

    rows: list[Tensor]
    label: Tensor
    seen: Tensor


def noise_blocks(task: Task, b: int, n: int, width: int) -> list[Tensor]:
    """Return noise of b seeds in blocks (b, n, .)."""
    blocks = [torch.empty(b, n, len(mu), device=mu.device).normal_(std=task.sigma) for mu in task.mu.split(width)]
    blocks[0][..., task.quiet] = 0.0
    return blocks


def draw_batch(task: Task, b: int, width: int) -> Batch:
    """Return the training data of b seeds."""
    rows = noise_blocks(task, b, task.n + 1, width)
    for block, mu in zip(rows, task.mu.split(width), strict=True):
        block[:, -1] = mu
    label = signs(rows[0][:, :-1, :1])
    return Batch(rows, label, label * signs(label, task.flip))


def products(rows: list[Tensor], weights: list[Tensor]) -> Tensor:
    """Return the inner products of rows and filters, (b, rows, filters), from their blocks."""
    return torch.stack([torch.bmm(x, w.mT) for x, w in zip(rows, weights, strict=True)]).sum(0)


def output(inner: Tensor, label: Tensor, readout: Tensor) -> Tensor:
    """Return f of k networks, (b, n, k), from the products of the rows with their filters, (b, n + 1, k 2m)."""
    inner = inner.unflatten(2, (-1, len(readout)))
    noise, signal = inner[:, :-1], inner[:, -1:]
    return noise.relu() @ readout + torch.where(label > 0, signal.relu() @ readout, (-signal).relu() @ readout)


def push(inner: Tensor, batch: Batch, readout: Tensor, lr: float) -> Tensor:
    """Return how much of each row of data a step adds to each filter, in the shape of `inner`, see `output`."""
    f, plus = output(inner, batch.label, readout), batch.label > 0
    inner = inner.unflatten(2, (-1, len(readout)))
    noise, signal = inner[:, :-1], inner[:, -1]
    s = lr / f.shape[1] * batch.seen * torch.sigmoid(-batch.seen * f)
    s_plus, s_minus = (s * plus).sum(1)[..., None], (s * ~plus).sum(1)[..., None]
    change = torch.empty_like(inner)
    torch.mul(noise > 0, s[..., None] * readout, out=change[:, :-1])
    change[:, -1] = readout * ((signal > 0) * s_plus - (signal < 0) * s_minus)
    return change.flatten(2)


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
    rows, readout = inherited(p), second_layer(2 * p.m).to(fresh[0])
    descend(upstream, data[0], readout, p.lr1, p.steps1)
    both = [torch.cat([old[:, :rows], new[:, rows:], new], 1) for old, new in zip(upstream, fresh, strict=True)]
    descend(both, data[1], readout, p.lr2, p.steps2)
    return both


@torch.inference_mode()
def batched(p: pt_jax.Point, b: int, width: int, device: str, count: int) -> np.ndarray:
    """Return the errors with transfer and from scratch, (count, 2), b seeds at once, in blocks of at most `width`."""
    both, found = tasks(p, device), []
    start = both[1]._replace(quiet=[], sigma=p.init_scale)
    for _ in range(count // b):
        data = [draw_batch(task, b, width) for task in both]
        upstream, fresh = (noise_blocks(start, b, 2 * p.m, width) for _ in range(2))
        weights = descend_three(upstream, fresh, data, p)
        test = draw_batch(both[1]._replace(n=TEST), b, width)
        f = output(products(test.rows, weights), test.label, second_layer(2 * p.m).to(fresh[0]))
        found.append(mistakes(f.mT, test.label.mT))
    return torch.cat(found).cpu().numpy()


# What `vs_pytorch.check` compares: training losses at the end, (b, 3), upstream, with transfer and from scratch, from
# the vectors of b trajectories in a World of pt_jax.


def loop_losses(world: World, p: pt_jax.Point, model: str = "cnn") -> np.ndarray:
    """Return the losses of networks trained by `fit_three`."""
    found = []
    for i in range(len(world.fresh.weights)):
        both = (jax.tree.map(lambda x, i=i: torch.tensor(x[i]), task) for task in (world.task1, world.task2))
        data = [(torch.stack([t.label[:, None] * t.mu, t.noise], 1), t.seen) for t in both]
        upstream, scratch = (
            network_of(jax.tree.map(lambda x, i=i: x[i], net), model) for net in (world.upstream, world.fresh)
        )
        networks = (upstream, fit_three(upstream, scratch, data, p), scratch)
        pairs = zip(networks, [data[0], data[1], data[1]], strict=True)
        found.append([softplus(-seen * network(patches)).mean().item() for network, (patches, seen) in pairs])
    return np.array(found)


def batched_losses(world: World, p: pt_jax.Point, width: int = 40) -> np.ndarray:
    """Return the losses of networks trained by `descend_three`."""
    batches = []
    for t in (jax.tree.map(torch.tensor, task) for task in (world.task1, world.task2)):
        rows = torch.cat([t.noise, t.signals], 1).split(width, 2)
        batches.append(Batch(list(rows), t.label[..., None], t.seen[..., None]))
    upstream, fresh = (list(torch.tensor(net.weights).split(width, 2)) for net in (world.upstream, world.fresh))
    trained = [upstream, descend_three(upstream, fresh, batches, p)]
    readout = second_layer(2 * p.m).to(fresh[0])
    f = [output(products(t.rows, w), t.label, readout) for t, w in zip(batches, trained, strict=True)]
    seen = [batches[0].seen, batches[1].seen, batches[1].seen]
    return softplus(-torch.cat(seen, 2) * torch.cat(f, 2)).mean(1).numpy()
