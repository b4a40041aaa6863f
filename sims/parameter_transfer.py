"""The claims of 'Towards Understanding Feature Learning in Parameter Transfer' (arXiv 2509.22056) as curves.

    python sims/parameter_transfer.py [--seeds N] [--quick] [--plan] [--shard i/n]

Test error with transfer and from scratch against alpha, N1, |u|, sigma1 and d, and the paired gain, with a strong
universal signal (|u| = 2) and without one. Printed: the 95% interval of the gain at both ends of each curve.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

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


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Errors and gain along each curve; print the gain at its ends."""
    results = ["gain", "error", "error_scratch"]
    rows = pd.concat([pt_jax.stats.table(ds, results).assign(curve=name) for name, ds in found.items()])
    for name in found:
        ends = rows[(rows.curve == name) & (rows.result == "gain")]
        ends = pt_jax.stats.cells(ends, "gain", list(dict.fromkeys([name, "u"]))).isel({name: [0, -1]})
        for _, end in ends.to_dataframe().reset_index().iterrows():
            print(f"{name} = {end[name]:<8g} |u| = {end.u:g}: gain in [{end.low:+.4f}, {end.high:+.4f}]")
    return rows


def draw(table: pd.DataFrame) -> plt.Figure:
    """Errors above, gain below, one column an axis."""
    figure, axes = plt.subplots(2, len(CURVES), figsize=(3.1 * len(CURVES), 5.6), sharex="col", layout="constrained")
    figure.suptitle(
        r"A strong universal signal ($\|u\| = 2$): inheriting helps, more so after more and cleaner upstream data. "
        r"None ($\|u\| = 0$): it hurts."
    )
    for column, name in enumerate(CURVES):
        upper, lower = axes[:, column]
        rows = table[table.curve == name]
        strong, weak = (rows, rows[:0]) if name == "u" else (rows[rows.u == 2], rows[rows.u == 0])
        for part, result, ax, colour in (
            *((strong, "error", upper, "tab:orange"), (strong, "error_scratch", upper, "tab:blue")),
            *((strong, "gain", lower, "tab:orange"), (weak, "gain", lower, "tab:purple")),
        ):
            if len(part):
                cells = pt_jax.stats.cells(part, result, [name])
                pt_jax.plot.curve(cells, (result,), ax=ax, colours=(colour,))
        upper.set(xlabel="", ylabel="test error" if column == 0 else "", title="" if name == "u" else r"$\|u\| = 2$")
        lower.set_ylabel("gain: scratch - transfer" if column == 0 else "")
        lower.set_xlabel(lower.get_xlabel().replace("of the upstream parameters ", ""))
        lower.axhline(0, color="0.5", lw=0.8)
    for ax, texts in (
        (axes[0, 2], {"orange": "with transfer", "blue": "from scratch"}),
        (axes[1, 3], {"orange": r"$\|u\| = 2$", "purple": r"$\|u\| = 0$"}),
    ):
        marks = [plt.Line2D([], [], color=f"tab:{colour}", marker="o", ms=4) for colour in texts]
        ax.legend(marks, list(texts.values()), frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64)
