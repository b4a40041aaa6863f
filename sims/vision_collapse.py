"""Neural collapse on the source, and on the target, against how well frozen features transfer.

    python sims/vision_collapse.py [--images cifar10] [--seeds N] [--quick] [--redraw] [--plan] [--shard i/n]

Left: NC1 of the source's training features against the target's test error by a linear probe, along each dial of
pretraining: steps, label smoothing, augmentation by shifts, loss and projection head. Right: NC1 of the same frozen
features on the target's training samples, for all these models. A row a pair of source and target, see `parts/`.
"""

import pt_jax.app.script  # isort: skip - first, for Ctrl-C
from collections.abc import Iterator
from itertools import product

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from matplotlib.ticker import LogLocator, NullLocator
from parts.images import POINTS
from parts.settings import COLLAPSE, DIALS
from parts.shared import with_point
from scipy.stats import rankdata

from pt_jax.report.findings import Finding
from pt_jax.vision.point import Static
from pt_jax.vision.transfer import transfer

SOURCE = "arXiv 2212.12206"
SIDES = {"nc1_upstream": "source", "nc1": "target"}
RESULTS = ("error", *SIDES)
TITLES = {
    "digits 8x8": "More collapse, on both sides, goes with better transfer; a projection head kept breaks the rule",
    "cifar10 32x32": "On CIFAR-10, too, more collapse, on both sides, goes with better transfer; not with a head kept",
}


def sweeps(quick: bool, seeds: int, images: str) -> dict[str, pt_jax.Sweep]:
    """Error and NC1 along each dial; what they start from is on that of the steps."""
    found, setting = {}, COLLAPSE[images]
    steps = setting.own["steps1"] / (1 + quick)
    for pair, data in ((pair, load()) for pair, load in setting.pairs.items()):
        classes = {f"classes{k}": part.train.labels.max() + 1 for k, part in ((1, data.source), (2, data.target))}
        point = POINTS[images]._replace(**setting.own | classes | {"steps1": steps})
        for name, (axis, _, options) in DIALS.items():
            static = Static.covering(data, method="probe", **options)
            values = setting.dials.get(name, [steps])
            if quick:
                values = [values[0], steps] if name == "steps" else values[-1:]
            found[f"{name}, {pair}"] = pt_jax.Sweep(transfer, point, {axis: values}, seeds, RESULTS, static, data)
    return found


def numbers(found: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Means of each model, with `pair`, `dial` and its `setting`."""
    tables = {key: pt_jax.stats.table(ds, RESULTS) for key, ds in _dials(found).items()}
    return pd.concat([rows.assign(pair=pair, dial=dial) for (dial, pair), rows in tables.items()])


def _dials(found: dict[str, xr.Dataset]) -> dict[tuple[str, str], xr.Dataset]:
    """The models along each dial, by dial and pair."""
    whole = {}
    for dial, pair in (name.split(", ") for name in found):
        ds, axis = found[f"{dial}, {pair}"], DIALS[dial][0]
        ds = ds.load() if axis == "steps1" else with_point(ds, axis, found[f"steps, {pair}"])
        whole[dial, pair] = ds.rename({axis: "setting"})
    return whole


def findings(found: dict[str, xr.Dataset]) -> Iterator[Finding]:
    """How NC1 on both sides goes with the transfer over all models, and what each dial does to it."""
    whole = _dials(found)
    for pair in dict.fromkeys(pair for _, pair in whole):
        each = [found[f"{dial}, {pair}"].load().rename({axis: "setting"}) for dial, (axis, *_) in DIALS.items()]
        models = xr.concat([ds[list(RESULTS)] for ds in each], "setting").transpose("setting", ...)
        error, *sides = (models[name].copy(data=rankdata(models[name], axis=0)) for name in RESULTS)
        source, target = (xr.corr(nc1, error, "setting") for nc1 in sides)
        words = f"rank correlation of NC1 and error, {pair}"
        yield Finding("less collapse on the source goes with better transfer", SOURCE, f"- {words}", -source, 0.1)
        yield Finding("more collapse on the target goes with better transfer", SOURCE, words, target, 0.1)

        end = {dial: whole[dial, pair]["error"].isel(setting=-1) for dial in DIALS}
        steps, plain = whole["steps", pair]["error"], whole["shifts", pair]["error"].sel(setting=0)
        first, half = steps.isel(setting=0), steps.isel(setting=-2)
        at = {name: f"{x.setting:,.6g}" for name, x in {**end, "first": first, "half": half}.items()}
        for claim, words, effect in (
            ("a shorter pretraining", "after {steps} - after {half} steps", end["steps"] - half),
            ("up to a point: one not too short", "after {first} - after {half} steps", first - half),
            ("no label smoothing", "with label smoothing {smoothing} - without", end["smoothing"] - plain),
            ("augmentation", "without - with shifts of {shifts} pixels", plain - end["shifts"]),
            ("a dropped projection head", "without - with a head dropped", plain - end["projection dropped"]),
            ("cross-entropy", "by squared loss - by cross-entropy", end["squared loss"] - plain),
        ):
            yield Finding(f"{claim} transfers better", SOURCE, f"error {words.format(**at)}, {pair}", effect, 0.01)


def draw(table: pd.DataFrame) -> plt.Figure:
    """Source and target side by side, one row a pair; one line a dial."""
    pairs = list(dict.fromkeys(table.pair))
    figure, axes = plt.subplots(len(pairs), 2, sharey="row", layout="constrained", squeeze=False)
    figure.set_size_inches(10.5, 0.5 + 3.5 * len(pairs))
    for (pair, name), ax in zip(product(pairs, SIDES), axes.flat, strict=True):
        for dial, (_, colour, _) in DIALS.items():
            rows = table[(table.dial == dial) & (table.pair == pair)]
            x, y = (pt_jax.stats.cells(rows, result, ["setting"]) for result in (name, "error"))
            words = f"{dial}, {x.setting[0]:g} to {x.setting[-1]:g} (large)" if x.setting.size > 1 else dial
            half = [z["high"] - z["mean"] for z in (y, x)]
            ax.errorbar(x["mean"], y["mean"], *half, color=colour, label=words, marker="o", ms=4, capsize=2, lw=1)
            ax.plot(x["mean"][1:][-1:], y["mean"][1:][-1:], "o", ms=8, color=colour)
        ax.set(xscale="log", title=pair, xlabel=f"NC1 of the {SIDES[name]}'s training features")
        ax.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), minor_locator=NullLocator(), major_formatter="{x:g}")
    plt.setp(axes[:, 0], ylabel="test error on the target, frozen features")
    pt_jax.plot.legend(figure, ax.get_legend_handles_labels()[0])
    figure.suptitle(TITLES[table.images.iloc[0]])
    return figure


if __name__ == "__main__":
    pt_jax.study.main(__doc__, sweeps, numbers, draw, seeds=64, findings=findings, images=list(COLLAPSE))
