"""How much pretraining is enough: fine-tuning from checkpoints of one pretraining.

    python sims/vision_checkpoints.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Test error on the source when pretraining stops, and on the target after fine-tuning from there, against the steps of
pretraining. `parts/images.py` names the images.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from parts.images import PAIRS, POINTS

from pt_jax.report.findings import Finding
from pt_jax.vision.point import Static
from pt_jax.vision.transfer import transfer

SOURCE = "arXiv 2008.11687"
STEPS = [0, 25, 50, 100, 200, 400, 800, 1600, 3200]
OWN = {"digits 8x8": {"n1": 2000}, "cifar10 32x32": {"n2": 1000}}  # what of the point is its own
TITLES = {
    "digits 8x8": "The target gains for as long as the source does; a quarter of pretraining brings most",
    "cifar10 32x32": "On CIFAR-10 the target gains for as long as the source does: no saturation in 3,200 steps",
}
RESULTS = ("error", "error_scratch", "error_upstream", "gain")


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """All errors over the steps of pretraining."""
    data, point = PAIRS[images](), POINTS[images]._replace(**OWN[images])
    axes = {"steps1": [0, *STEPS[-3:]] if quick else STEPS}
    return {"steps": pt_jax.Sweep(transfer, point, axes, seeds, RESULTS, Static.covering(data, point), data)}


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """All errors."""
    return pt_jax.stats.table(found["steps"], RESULTS)


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """Compare what a quarter of the pretraining brings, on target and source."""
    ds = found["steps"].load()
    whole, none = STEPS[-1], STEPS[0]
    early = whole // 4
    gain, error = ds["gain"], ds["error_upstream"]
    words = f"gain after {whole:,} steps of pretraining"
    yield Finding("pretraining helps", SOURCE, words, gain.sel(steps1=whole) - gain.sel(steps1=none), 0.01)
    left = 0.01 - (gain.sel(steps1=whole) - gain.sel(steps1=early))
    words = f"0.01 - what steps {early:,} to {whole:,} of pretraining add to the gain"
    yield Finding("the target's accuracy saturates before pretraining ends", SOURCE, words, left, 0.01)
    still = error.sel(steps1=early) - error.sel(steps1=whole)
    words = f"fall of the source's error, steps {early:,} to {whole:,}"
    yield Finding("while the source's still improves", SOURCE, words, still, 0.01)


def draw(table: pd.DataFrame) -> plt.Figure:
    """Errors on source and target over the steps."""
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    for result, colour, label in (
        ("error", "tab:orange", "target, fine-tuned from the checkpoint"),
        ("error_scratch", "tab:blue", "target, from scratch"),
        ("error_upstream", "0.4", "source, at the checkpoint"),
    ):
        cells = pt_jax.stats.cells(table, result, ["steps1"])
        pt_jax.plot.line(ax, cells, "steps1", color=colour, label=label)
    ax.set_xscale("symlog", linthresh=25)
    ax.set(
        xticks=STEPS, xticklabels=[f"{x:,}" for x in STEPS], xlabel="steps of pretraining $T_1$", ylabel="test error"
    )
    ax.set_yscale("log")
    limits, ticks = ax.get_ylim(), (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1)
    ax.set_yticks(ticks, [f"{y:g}" for y in ticks])
    ax.set_ylim(limits)  # those of the errors: ticks would widen them
    ax.minorticks_off()
    ax.tick_params("x", labelsize=8)
    ax.legend(frameon=False, fontsize=8)
    figure.suptitle(TITLES[table.images.iloc[0]])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64, findings=findings, images=list(OWN))
