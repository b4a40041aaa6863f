"""What the networks hold while they train, in a run that transfer helps and in one that it harms.

    python sims/feature_growth.py [--seeds N] [--quick] [--plan] [--shard i/n]

Parameters carry universal knowledge (arXiv 2509.22056): the inherited filters start with the <w, u> that upstream
training gave them. Without a universal signal they carry memorised noise alone, and the network memorises more.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr

HELPED = pt_jax.Point(n1=200, u=2.0, v2=1.0, alpha=0.5)
HARMED = pt_jax.Point(n1=200, u=0.0, v2=2.5, alpha=1.0)
STEPS = tuple(range(0, 201, 10))
PARTS = {
    "signal_u": r"held: largest $j\langle w, e_u\rangle$",
    "gamma": r"signal learned, largest $\gamma$",
    "rho": r"noise memorised, largest $\rho$",
}


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """The curves of both runs during training, the helped one first."""
    del quick
    outputs = tuple(f"curves.{run}.{part}" for run in ("upstream", "transfer", "scratch") for part in PARTS)
    static = pt_jax.Static(record=STEPS)
    return {
        "runs": pt_jax.Sweep(
            pt_jax.simulate, HELPED, [HELPED, HARMED], seeds, (*outputs, "gain", "rho_inherited"), static
        )
    }


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """The curves, the gain and what the inherited filters hold; `point` is 0 for the helped run."""
    ds = found["runs"]
    curves = [str(name) for name in ds.data_vars if str(name).startswith("curves")]
    ends = pt_jax.stats.table(ds, ["gain", "rho_inherited"]).assign(step=0)
    return pd.concat([pt_jax.stats.table(ds, curves), ends])[["result", "point", "step", "mean", "se", "seeds"]]


def draw(table: pd.DataFrame) -> plt.Figure:
    """Signal held and learned, and noise memorised; upstream steps, then downstream steps; bands are 95% intervals."""
    figure, axes = plt.subplots(3, 2, figsize=(8.4, 7.6), sharex=True, sharey="row", layout="constrained")
    figure.suptitle(
        "Inherited filters bring the universal signal (left); without one, noise: more is memorised (right)"
    )
    colours = {"upstream": "0.4", "transfer": "tab:orange", "scratch": "tab:blue"}
    last = STEPS[-1]
    for column, case_name in enumerate(
        (r"helped: $\|u\| = 2$, $\|v_2\| = 1$", r"harmed: $\|u\| = 0$, $\|v_2\| = 2.5$")
    ):
        case = table[table.point == column]
        gain, inherited = (pt_jax.stats.cells(case, name, ["step"]).squeeze() for name in ("gain", "rho_inherited"))
        interval = f"gain {float(gain['mean']):+.3f} [{float(gain.low):.3f}, {float(gain.high):.3f}]"
        axes[0, column].set_title(f"{case_name}\n{interval}")
        for ax, (part, label) in zip(axes[:, column], PARTS.items(), strict=True):
            for run, colour in colours.items():
                cells = pt_jax.stats.cells(case, f"curves.{run}.{part}", ["step"])
                step = cells.step + (0 if run == "upstream" else last)
                ax.plot(step, cells["mean"], color=colour, label=run)
                ax.fill_between(step, cells["low"], cells["high"], color=colour, alpha=0.25, lw=0)
            ax.axvline(last, color="0.7", lw=0.8, ls=":")
            ax.set_ylabel(label if column == 0 else "")
        held = [float(inherited["mean"])] * 2
        axes[2, column].plot([last, 2 * last], held, "--", color="tab:orange", label="inherited, of task 1")
        axes[2, column].set_xlabel("training step: upstream, then downstream")
    axes[2, 0].legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64)
