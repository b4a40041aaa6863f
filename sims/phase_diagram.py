"""The picture of the README: when does inheriting filters help, and when does it hurt?

    python sims/phase_diagram.py [--quick] [--out figures]

Gain over the norms of the universal signal |u| and of the downstream signal |v2|, for three inherited fractions, after
pretraining on N1 = 200 samples; all else at the defaults.
"""

from pathlib import Path

import numpy as np
import tyro

import pt_jax


def main(quick: bool = False, out: Path = Path("figures")) -> None:
    """Run the map, print the shares of cells and draw it."""
    pt_jax.use_all_cores()
    count, seeds = (9, 16) if quick else (33, 32)
    axes = {"u": np.linspace(0, 4, count), "v2": np.linspace(0, 4, count), "alpha": [0.25, 0.5, 1.0]}
    point = pt_jax.Point(n1=200)
    sweep = pt_jax.Sweep(pt_jax.simulate, point, axes, seeds, outputs=("gain",), static=pt_jax.Static())
    cells = pt_jax.summary(pt_jax.run(sweep))
    share = pt_jax.shares(cells)
    print(f"{sweep.trajectories:,} trajectories; " + ", ".join(f"{name} {value:.1%}" for name, value in share.items()))
    figure = pt_jax.plot.phase_diagram(cells, col="alpha")
    figure.suptitle(
        "A universal signal makes inheritance help (orange); without one it hurts (purple), more the more is inherited"
    )
    print(pt_jax.plot.save(figure, cells[["mean", "error"]], pt_jax.provenance(sweep), out / "phase_diagram"))


if __name__ == "__main__":
    tyro.cli(main)
