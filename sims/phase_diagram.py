"""The picture of the README: when does inheriting filters help, and when does it hurt?

    python sims/phase_diagram.py [--seeds N] [--quick] [--plan] [--shard i/n]

Gain over the norms of the universal signal |u| and of the downstream signal |v2|, for three inherited fractions, after
pretraining on N1 = 200 samples; all else at the defaults.
"""

from pathlib import Path

import numpy as np
import xarray as xr

import pt_jax


def sweeps(quick: bool, seeds: int) -> dict[str, pt_jax.Sweep]:
    """The map."""
    count = 9 if quick else 33
    axes = {"u": np.linspace(0, 4, count), "v2": np.linspace(0, 4, count), "alpha": [0.25, 0.5, 1.0]}
    return {"map": pt_jax.Sweep(pt_jax.simulate, pt_jax.Point(n1=200), axes, seeds, outputs=("gain",))}


def draw(found: dict[str, xr.Dataset], out: Path) -> None:
    """Print the shares of cells and draw the map."""
    ds = found["map"]
    cells = pt_jax.stats.summary(ds)
    share = pt_jax.stats.shares(cells)
    print(f"{ds['gain'].size:,} trajectories; " + ", ".join(f"{name} {value:.1%}" for name, value in share.items()))
    figure = pt_jax.plot.phase_diagram(cells, col="alpha")
    figure.suptitle(
        "A universal signal makes inheritance help (orange); without one it hurts (purple), more the more is inherited"
    )
    numbers = cells[["mean", "error", "seeds"]]
    print(pt_jax.plot.save(figure, numbers, pt_jax.provenance(ds), out / "phase_diagram"))


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, draw, seeds=32)
