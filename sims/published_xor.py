"""The published threshold of benign overfitting on XOR data, |mu| ~ (d / n)^(1/4), by simulation up to d = 128,000.

    python sims/published_xor.py [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Meng, Zou, Cao 2024, 'Benign overfitting in two-layer ReLU convolutional neural networks for XOR data' (ICML 2024, arXiv
2310.01975). A sample is a signal, +-(a + b) for label +1 and +-(a - b) for -1, a orthogonal to b, and a patch of noise
orthogonal to both. |mu| = |a + b| = |a - b|, theta is the angle between them, so |a| = |mu| cos(theta / 2) and |b| =
|mu| sin(theta / 2). A share p = 0.1 of the labels is flipped, in training and test. The theorem: the test error is near
p if n |mu|^4 >= C sigma^4 d, and p plus a constant if n |mu|^4 <= C' sigma^4 d.

The paper's code, figures and settings were not at hand. All settings are chosen here, with d >= n^2; lr = n m / (2 d)
and init_scale = sqrt(n) / d keep pace with d. So `published` is the exponent of the theorem, and for some cells the
mean of a plain PyTorch loop over this network in R^d, `parts/xor_plain.py`. Exponents are k of |mu| ~ d^k or n^k along
a contour, their standard errors of the bootstrap over seeds. Where cos(theta) = 0.8 the contour at 0.3 leaves the map:
it is not fitted.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from functools import partial
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from parts import published
from parts.contour import contour, exponent

import pt_jax

TABLE = Path(__file__).parent / "parts" / "xor_plain.csv"
FLIP, M, N, D = 0.1, 20, 20, 10_000  # n where d varies, d where n does
LEVELS = {0.0: [0.3, 0.4], 0.8: [0.4]}  # of the test error along which exponents are fitted, by cos(theta)
SIZES = {"d": 500 * 2 ** np.arange(9), "n2": np.array([10, 14, 20, 28, 40, 57, 80])}
THEOREM = {"d": 0.25, "n2": -0.25}
WORDS = {"d": f"dimension $d$ ($n$ = {N})", "n2": f"training samples $n$ ($d$ = {D:,})"}


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """Error over d or n and |mu|, for both angles; or every second value of each."""
    norm, found = 2.0 ** (np.arange(0, 25, 2 if quick else 1) / 4), {}
    for cos in LEVELS:
        signals = np.outer(norm, np.sqrt([(1 + cos) / 2, (1 - cos) / 2]))
        for name, sizes in SIZES.items():
            size = sizes[:: 2 if quick else 1]
            d, n = (size, N) if name == "d" else (D, size)
            rates = np.stack([size, n * M / (2 * d), np.sqrt(n) / d], axis=1)
            axes = {f"{name},lr2,init_scale": rates, "u,v2": signals}
            point, static = pt_jax.Point(d=D, n2=N, m=M, flip2=FLIP), pt_jax.Static(data="xor")
            sweep = pt_jax.Sweep(pt_jax.scratch, point, axes, seeds, ("error_scratch",), static)
            found[f"{name}_{cos}"] = sweep
    return found


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Cells and exponents beside the published ones, then the maps; print whether they agree, and the speed."""
    known, maps, rows = pd.read_csv(TABLE), [], []
    for key, ds in found.items():
        name, cos = key.split("_")
        norm = np.hypot(ds["u"].values, ds["v2"].values).round(4)
        ds = ds.drop_vars(["u", "v2", "lr2", "init_scale"]).rename(u="norm").assign_coords(norm=norm).compute()
        ds["error"] = FLIP + (1 - 2 * FLIP) * ds["error_scratch"]
        same = {"cos": float(cos), "axis": name}
        here = pt_jax.stats.table(ds, ["error"]).rename(columns={"mean": "here", name: "size"})
        maps.append(here.assign(**same, result="map"))
        if name == "d":
            theirs = known.loc[known["cos"] == float(cos), ["d", "norm", "published", "trainings"]]
            cells = published.beside(ds, "error", theirs).rename(columns={"d": "size"})
            rows.append(cells.assign(**same, result="error"))
        for level in LEVELS[float(cos)]:
            low, high = pt_jax.stats.bootstrap(ds, partial(exponent, level=level))
            one = {"published": THEOREM[name], "here": exponent(ds, level), "se": (high - low) / 3.92}
            rows.append(pd.DataFrame([one]).assign(**same, result="exponent", level=level))
    compared = published.compare(pd.concat(rows, ignore_index=True))
    seconds = known["seconds"][known["d"] == 2000].mean()
    compared.loc[0, "times_as_fast"] = published.speed(sweeps(False, 1)["d_0.0"], seconds)
    return pd.concat([compared, *maps], ignore_index=True)


def draw(table: pd.DataFrame) -> plt.Figure:
    """Error over d and over n for both angles, with contours here and of the theorem's slope; beside them the cells."""
    figure = plt.figure(figsize=(12.6, 7.4), layout="constrained")
    grid = figure.add_gridspec(1, 2, width_ratios=(2.4, 1))
    maps = grid[0].subgridspec(2, 2).subplots(sharex="col", sharey=True, squeeze=False)
    for (i, cos), (j, name) in product(enumerate(LEVELS), enumerate(SIZES)):
        of = table[(table["cos"] == cos) & (table["axis"] == name)]
        error = of[of["result"] == "map"].set_index(["size", "norm"])["here"].to_xarray()
        ax, size = maps[i, j], error["size"].values
        mesh = ax.pcolormesh(size, error["norm"], error.T, cmap="viridis", vmin=FLIP, vmax=0.5, rasterized=True)
        ax.contour(size, error["norm"], error.T, levels=LEVELS[cos], colors="w", linewidths=1.4)
        for level in LEVELS[cos]:
            middle = np.exp(np.log(contour(error, level)).mean() - THEOREM[name] * np.log(size / size[0]).mean())
            ax.plot(size, middle * (size / size[0]) ** THEOREM[name], "r--", lw=1.2)
        fits = of[of["result"] == "exponent"].itertuples()
        words = ", ".join(f"{row.here:.3f} $\\pm$ {1.96 * row.se:.3f} (at {row.level})" for row in fits)
        ax.set_title(f"$\\cos\\theta$ = {cos}: {words}", fontsize=9)
        ax.set(xscale="log", yscale="log", xlabel=WORDS[name], ylabel=r"signal norm $\|\mu\|$")
        ax.set_xticks(ticks := size[::2], labels=[f"{x:,.0f}" for x in ticks], minor=False)
        ax.minorticks_off()
        ax.label_outer()
    figure.colorbar(mesh, ax=maps, label=f"test error (flipped labels, floor {FLIP})", location="bottom", aspect=50)
    cells = table[table["result"] == "error"]
    published.agreement(ax := figure.add_subplot(grid[1], aspect="equal"), cells)
    ax.set_xlabel("plain loop in $R^d$")
    lines = [plt.Line2D([], [], color="0.6", lw=1.4, label="contours at 0.4, above also at 0.3 (white)")]
    lines += [plt.Line2D([], [], color="r", ls="--", lw=1.2, label=r"theorem: $n\,\|\mu\|^4 / d$ constant")]
    pt_jax.plot.legend(figure, lines)
    agree = f"{(cells['off'].abs() <= published.LIMIT).sum()} of {len(cells)} cells as by a plain loop"
    title = "The signal needed for XOR data grows with d nearly as the theorem says, and falls at least as fast with n"
    figure.suptitle(f"{title}\n({agree})")
    parts = ["titles: exponents of the contours", f"$m$ = {M} filters a class", f"labels flipped = {FLIP}", "200 steps"]
    parts += ["noise level = 1", "learning rate = $n m / 2 d$", r"standard deviation of the weights = $\sqrt{n} / d$"]
    pt_jax.plot.note(figure, [*parts, f"{table.seeds.max():.0f} seeds a cell"])  # without the fields of a source
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64)
