"""The claims of 'Towards Understanding Feature Learning in Parameter Transfer' (arXiv 2509.22056) as curves.

    python sims/parameter_transfer.py [--seeds N] [--quick] [--plan] [--shard i/n]

Test error with transfer and from scratch against alpha, N1, |u|, sigma1 and d, and the paired gain, with a strong
universal signal (|u| = 2) and without one. Printed: the 95% interval of the gain at both ends of each curve.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import pt_jax

BASE = pt_jax.Point(n1=100)
CURVES = {
    "alpha": np.linspace(0, 1, 11),
    "n1": np.array([10, 20, 50, 100, 200, 400]),
    "u": np.linspace(0, 4, 9),
    "sigma1": np.linspace(0.25, 3, 8),
    "d": np.geomspace(200, 200_000, 7).round(),
}


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """Errors and gain along each axis, along all but |u| itself also at |u| = 0."""
    del quick
    found = {}
    for name, values in CURVES.items():
        axes = {name: values} if name == "u" else {name: values, "u": np.array([2.0, 0.0])}
        found[name] = pt_jax.Sweep(pt_jax.simulate, BASE, axes, seeds, ("error", "error_scratch", "gain"))
    return found


def draw_curves(found: dict[str, xr.Dataset]) -> plt.Figure:
    """Errors above, gain below, one column an axis."""
    figure, axes = plt.subplots(2, len(found), figsize=(3.1 * len(found), 5.6), sharex="col", layout="constrained")
    figure.suptitle(
        r"A strong universal signal ($\|u\| = 2$): inheriting helps, more so after more and cleaner upstream data. "
        r"None ($\|u\| = 0$): it hurts."
    )
    for column, (name, ds) in enumerate(found.items()):
        upper, lower = axes[:, column]
        pt_jax.plot.comparison(ds if name == "u" else ds.sel(u=2.0), name, (upper, lower))
        if name != "u":
            pt_jax.plot.curve(ds.sel(u=0.0), ("gain",), name, lower, colours=("tab:purple",))
        upper.get_legend().set_visible(name == "u")
        upper.set(ylabel="test error" if column == 0 else "", title="" if name == "u" else r"$\|u\| = 2$")
        lower.set_ylabel("gain: scratch - transfer" if column == 0 else "")
        lower.set_xlabel(pt_jax.plot.label(ds[name]).replace("of the upstream parameters ", ""))
        lower.axhline(0, color="0.5", lw=0.8)
    marks = [plt.Line2D([], [], color=f"tab:{colour}", marker="o", ms=4) for colour in ("orange", "purple")]
    axes[1, 3].legend(marks, [r"$\|u\| = 2$", r"$\|u\| = 0$"], frameon=False, fontsize=8, loc="upper right")
    return figure


def draw(found: dict[str, xr.Dataset], out: Path) -> None:
    """Print the gain at the ends of each curve and draw them."""
    results = ["gain", "error", "error_scratch"]
    numbers = pd.concat([pt_jax.stats.table(ds, results).assign(curve=name) for name, ds in found.items()])
    for name in found:
        rows = numbers.loc["gain"].query("curve == @name")
        for _, end in rows[rows[name].isin([rows[name].min(), rows[name].max()])].iterrows():
            print(f"{name} = {end[name]:<8g} |u| = {end.u:g}: gain in [{end.low:+.4f}, {end.high:+.4f}]")
    origin = {name: pt_jax.provenance(ds) for name, ds in found.items()}
    print(pt_jax.plot.save(draw_curves(found), numbers, origin, out / "parameter_transfer"))


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, draw, seeds=64)
