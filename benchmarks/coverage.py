"""Seeds added by the standard error alone: how often does the interval after stopping cover a true gain of 0?

    python benchmarks/coverage.py [--blocks 500]

Without upstream steps the inherited filters are as random as the fresh ones: the true gain is 0. Each block of seeds
runs `run_until` on four such cells of different spread. Printed: the share of intervals that cover 0, its standard
error over blocks (cells of a block share seeds), and the seeds spent.
"""

import argparse

import numpy as np

import pt_jax

BASE = pt_jax.Point(d=200, n1=1, n2=16, m=4, steps1=0, steps2=40, alpha=1.0, lr2=1.0, init_scale=0.1, flip2=0.2)
POINTS = [BASE, BASE._replace(v2=1.0), BASE._replace(n2=8), BASE._replace(sigma2=0.7)]
MOST = 512


def main() -> None:
    """Run the blocks and print the coverage."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=500)
    blocks = parser.parse_args().blocks
    pt_jax.use_all_cores()

    def sweep(start: int, count: int) -> pt_jax.Sweep:
        return pt_jax.Sweep(pt_jax.simulate, BASE, POINTS, range(start, start + count), ("gain",), lanes=32)

    pilot = pt_jax.stats.summary(pt_jax.run(sweep(10**6, 1024)))
    se = float(pilot["se"].mean()) * 1024**0.5 / 100**0.5  # about 100 seeds a cell
    covered, spent = np.zeros((2, blocks, len(POINTS)))
    for block in range(blocks):
        cells = pt_jax.stats.summary(pt_jax.run_until(sweep(block * MOST, MOST), se))
        covered[block], spent[block] = ~cells["clear"].values, cells["seeds"].values
    share, spread = covered.mean(), covered.mean(1).std(ddof=1) / blocks**0.5
    print(f"standard error wanted {se:.5f}; true gain 0 in {covered.size:,} cells")
    print(f"the interval covers 0 in {share:.4f} +- {spread:.4f} of them; by cell {covered.mean(0).round(3)}")
    print(f"seeds: mean by cell {spent.mean(0).round(0)}, from {spent.min():.0f} to {spent.max():.0f}")


if __name__ == "__main__":
    main()
