"""The published heat map of benign overfitting, 100,000 trainings, computed again: one task, error over |mu| and d.

    python sims/kou2023.py [--seeds N] [--quick] [--plan] [--shard i/n]

Settings of Kou, Chen, Chen, Gu (ICML 2023, arXiv 2303.04145): N = 20, 10 filters a class, biases, isotropic noise of
level 1, flips 0.1 in training and test, weights and biases uniform in +-1/sqrt(d), lr 0.1, 100 full-batch steps. The
network sums over filters and over both patches: the script published beside the table averages the patches and does not
reproduce the table, the sum does. Weights are Gaussian of the same variance here, equal in law as d grows. With the
mean over m filters of this package the same network has weights m times as large: lr = 0.1 m^2, init_scale =
m / sqrt(3 d). Printed: the twelve published block means beside ours, and the growth |mu| ~ d^k of five contours.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

FLIP, M, N = 0.1, 10, 20
# Published means over 10 x 10 cells centred at (d, |mu|), flipped test labels, and exponents of the contours.
BLOCKS = {145: (0.341, 0.245, 0.176, 0.123), 545: (0.416, 0.321, 0.219, 0.114), 1045: (0.439, 0.355, 0.255, 0.113)}
CENTRES = (1.45, 2.45, 3.45, 6.45)
EXPONENTS = {0.20: 0.15, 0.25: 0.19, 0.30: 0.24, 0.35: 0.29, 0.40: 0.37}


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """The whole map, or every fourth value of both axes."""
    d = np.arange(100, 1100, 10)[:: 4 if quick else 1]
    norm = np.round(np.arange(100) * 0.1, 1)[:: 4 if quick else 1]
    point = pt_jax.Point(n2=N, m=M, v2=0.0, flip2=FLIP, lr2=0.1 * M**2, steps2=100)
    axes = {"d,init_scale": np.stack([d, M / np.sqrt(3 * d)], axis=1), "u": norm}
    static = pt_jax.Static(noise="isotropic", bias=True, init="uniform")
    return {"map": pt_jax.Sweep(pt_jax.scratch, point, axes, seeds, outputs=("error_scratch",), static=static)}


def compare(error: xr.DataArray) -> None:
    """Print our block means and their standard error over seeds beside the published ones."""
    print(f"{'d':>6} {'|mu|':>6} {'published':>10} {'ours':>8} {'s.e.':>7} {'difference':>11}")
    worst = 0.0
    for d, row in BLOCKS.items():
        for norm, published in zip(CENTRES, row, strict=True):
            block = error.sel(d=slice(d - 50, d + 50), u=slice(norm - 0.5, norm + 0.5)).mean(("d", "u"))
            ours, spread = float(block.mean()), float(block.std(ddof=1)) / block.size**0.5
            worst = max(worst, abs(ours - published))
            print(f"{d:>6} {norm:>6} {published:>10.3f} {ours:>8.4f} {spread:>7.4f} {ours - published:>+11.4f}")
    print(f"largest difference of the twelve block means: {worst:.4f}")


def contours(mean: xr.DataArray) -> dict[float, tuple[np.ndarray, float, float]]:
    """Return, for each error level, |mu| at each d, and k and log c of the fit |mu| = c d^k."""
    found = {}
    for level in EXPONENTS:
        column = [np.interp(-level, -values, mean.u) for values in np.minimum.accumulate(mean.values, axis=1)]
        k, log_c = np.polyfit(np.log(mean.d), np.log(column), 1)
        found[level] = np.array(column), float(k), float(log_c)
    return found


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """The map; compare it with the published one."""
    ds = found["map"]
    error = (FLIP + (1 - 2 * FLIP) * ds.error_scratch.load()).assign_attrs(ds.error_scratch.attrs)
    if ds.sizes["d"] == 100:
        compare(error)
    for level, (_, k, _) in contours(error.mean("seed")).items():
        print(f"contour {level:.2f}: |mu| ~ d^{k:.2f}, published d^{EXPONENTS[level]:.2f}")
    quarter = ds.assign(error_scratch=error).isel(d=slice(None, None, 2), u=slice(None, None, 2))  # a small CSV
    return pt_jax.stats.table(quarter, ["error_scratch"]).drop(columns="init_scale")


def draw(table: pd.DataFrame) -> plt.Figure:
    """The map with our contours, the published exponents through their middles, and the d^(1/4) law of the theory."""
    mean = pt_jax.stats.cells(table, "error_scratch", ["d", "u"])["mean"]
    lines = contours(mean)
    figure, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    mesh = ax.pcolormesh(mean.d, mean.u, mean.T, shading="nearest", cmap="viridis", vmin=0.1, vmax=0.5, rasterized=True)
    figure.colorbar(mesh, label="test error (flipped test labels, floor 0.1)")
    middle = np.exp(np.log(mean.d.values).mean())
    for i, (level, (_, k, log_c)) in enumerate(lines.items()):
        height = np.exp(log_c + k * np.log(middle))
        names = ("contour of this map", r"published exponent $\|\mu\| \propto d^k$", r"theory $N\|\mu\|^4/d$ constant")
        shown = [name if i == 0 else None for name in names]
        ax.contour(mean.d, mean.u, mean.T, levels=[level], colors="w", linewidths=1.4)
        ax.plot([], [], "w-", lw=1.4, label=shown[0])
        ax.plot(mean.d, height * (mean.d / middle) ** EXPONENTS[level], "r--", lw=1, label=shown[1])
        ax.plot(mean.d, height * (mean.d / middle) ** 0.25, "k:", lw=1.2, label=shown[2])
        ax.text(1105, height * (1090 / middle) ** k, f"{level:.2f}", fontsize=8, va="center")
    ax.set(xlabel="dimension $d$", ylabel=r"signal norm $\|\mu\|$", ylim=(0, 6), xlim=(95, 1095))
    ax.legend(loc="upper left", fontsize=8, facecolor="0.6", framealpha=0.9)
    figure.suptitle(
        "The published heat map of 100,000 trainings, computed again: its contours grow as published\n"
        "(patches are summed, which gives the table; the script beside it averages them and does not)",
        fontsize=9,
    )
    parts = [f"$N$ = {N}", f"$m$ = {M} filters a class with biases", f"labels flipped = {FLIP:g}", "noise level = 1"]
    parts += ["variance of the weights = $1/(3d)$", "learning rate = 0.1", "100 steps"]
    pt_jax.plot.note(figure, [*parts, f"{table.seeds.max()} seeds a cell"])  # without the fields of a source
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=10)
