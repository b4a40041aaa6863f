"""The network of `published_xor.py` in R^d by a plain PyTorch loop: prints `xor_plain.csv`. Needs torch.

    python sims/parts/xor_plain.py

    f(x) = F_+(x) - F_-(x),    F_j(x) = 1/m sum_r [relu(<w_jr, x_1>) + relu(<w_jr, x_2>)]

x_1 = s |a| e_1 + s y |b| e_2 with a random sign s, x_2 is noise. One training at a time, the test error on 4,000 fresh
samples; `seconds` is the median processor time of a training on one core, without the test.
"""

import time
from itertools import product

import numpy as np
import pandas as pd
import torch

FLIP, M, N, STEPS, TEST = 0.1, 20, 20, 200, 4000


def plain(cos: float, d: int, norm: float, seed: int) -> tuple[float, float]:
    """Train one network; return its test error and the processor seconds of the training."""
    g = torch.Generator().manual_seed(seed)
    half = np.arccos(cos) / 2

    def samples(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        y, s = (torch.randint(0, 2, (n,), generator=g) * 2.0 - 1 for _ in range(2))
        x = torch.zeros(2, n, d)
        x[0, :, 0], x[0, :, 1] = s * norm * np.cos(half), s * y * norm * np.sin(half)
        x[1] = torch.randn(n, d, generator=g)
        x[1, :, :2] = 0
        return x, y

    def f(x: torch.Tensor) -> torch.Tensor:
        plus, minus = (torch.relu(x @ one.T).mean(2).sum(0) for one in w)
        return plus - minus

    start = time.process_time()
    x, y = samples(N)
    seen = torch.where(torch.rand(N, generator=g) < FLIP, -y, y)
    w = [(torch.randn(M, d, generator=g) * N**0.5 / d).requires_grad_() for _ in range(2)]
    descent = torch.optim.SGD(w, lr=N * M / (2 * d))
    for _ in range(STEPS):
        descent.zero_grad()
        torch.nn.functional.softplus(-seen * f(x)).mean().backward()
        descent.step()
    seconds = time.process_time() - start
    with torch.no_grad():
        x, y = samples(TEST)
        margin = y * f(x)
    error = ((margin < 0).float() + 0.5 * (margin == 0).float()).mean().item()  # of a clean label
    return FLIP + (1 - 2 * FLIP) * error, seconds


if __name__ == "__main__":
    torch.set_num_threads(1)
    for d, cos, norm in product((500, 2000, 8000), (0.0, 0.8), (2.0, 4.0, 8.0)):
        trainings = 80 if d < 8000 else 20
        errors, seconds = np.transpose([plain(cos, d, norm, 10_000 * d + i) for i in range(trainings)])
        row = {"cos": cos, "d": d, "norm": norm, "published": errors.mean().round(5), "sd": errors.std(ddof=1).round(5)}
        row |= {"trainings": trainings, "seconds": np.median(seconds).round(4)}
        print(pd.DataFrame([row]).to_csv(index=False, header=(d, cos, norm) == (500, 0.0, 2.0)), end="", flush=True)
