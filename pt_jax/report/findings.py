"""Published findings, and whether they are seen here: one effect over paired seeds for each.

An effect is signed so that it is above 0 where the finding holds. Its verdict follows from its mean over the seeds,
with the false-discovery rate over all findings that are judged together held at 5% (Benjamini and Yekutieli):

    seen, reversed      the mean differs from 0, above or below
    not seen            it does not, and the whole 95% t interval lies below `matters`
    unclear             neither
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from pt_jax.sweep import stats


@dataclass(frozen=True, eq=False)
class Finding:
    """One published finding as an effect.

    Attributes:
        claim: what is said to hold.
        source: where, such as "arXiv 2008.11687".
        measured: what the effect is, with its unit.
        effect: over the dimension `seed`, above 0 where the claim holds.
        matters: the smallest effect that one would care about, in the same unit.
    """

    claim: str
    source: str
    measured: str
    effect: xr.DataArray
    matters: float


def whole(found: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return datasets of sweeps as findings are made from: of the seeds that all cells have, NaN where one diverged.

    An effect is a difference of cells, and survivors are never averaged.
    """
    common = [ds["seed"].values[_everywhere(ds.get("done", xr.ones_like(ds["seed"])) == 1)] for ds in found.values()]
    kept = sorted(set.intersection(*(set(seeds.tolist()) for seeds in common)))
    chosen = {name: ds.sel(seed=kept) for name, ds in found.items()}
    return {name: ds.where(ds["diverged"] != 1) if "diverged" in ds else ds for name, ds in chosen.items()}


def _everywhere(done: xr.DataArray) -> np.ndarray:
    """Return for each seed whether it is done in all cells."""
    return done.all([dim for dim in done.dims if dim != "seed"]).values


def numbers(findings: Iterable[Finding], images: str = "") -> pd.DataFrame:
    """Return one row a finding: its words, mean, standard error and seeds, and the images that it is of."""
    rows = []
    for one in findings:
        cells = stats.summary(xr.Dataset({"effect": one.effect}), "effect")
        words = {name: getattr(one, name) for name in ("claim", "source", "measured", "matters")}
        words["images"] = images
        rows.append(words | {name: cells[name].item() for name in ("mean", "se", "seeds")})
    return pd.DataFrame(rows)


def keep(path: Path, findings: Iterable[Finding], images: str = "") -> None:
    """Write `path`.findings.csv, and print what the findings come to by themselves."""
    rows = numbers(findings, images)
    rows.to_csv(f"{path}.findings.csv", index=False, float_format="%.6g")
    for row in judged(rows).itertuples():
        print(f"{row.verdict}: {row.claim}; {row.measured} {row.mean:+.4g} [{row.low:+.4g}, {row.high:+.4g}]")


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `numbers`, of one figure or of many together, with `low`, `high`, `p` and `verdict`."""
    cells = stats.cells(rows.assign(result="effect", row=np.arange(len(rows))), "effect", ["row"])
    low, high, p = (cells[name].values for name in ("low", "high", "p"))
    sure = stats.survives(p)
    mean, matters = rows["mean"].to_numpy(), rows["matters"].to_numpy()
    verdict = np.select(
        [sure & (mean > 0), sure & (mean < 0), high < matters], ["seen", "reversed", "not seen"], "unclear"
    )
    return rows.assign(low=low, high=high, p=p, verdict=verdict)


def markdown(rows: pd.DataFrame) -> list[str]:
    """Return a table of judged rows, which also have the column `command`."""
    lines = ["| finding | source | images | effect | mean and 95% interval | here | command |", "| --- " * 7 + "|"]
    for row in rows.fillna({"images": ""}).itertuples():
        interval = f"{row.mean:+.3g} [{row.low:+.3g}, {row.high:+.3g}]"
        cells = (row.claim, row.source, row.images, row.measured, interval, f"**{row.verdict}**", f"`{row.command}`")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def by_images(rows: pd.DataFrame) -> list[str]:
    """Return a table of the verdicts on each claim, a column for each of the images; bold where they disagree."""
    images = [name for name in dict.fromkeys(rows["images"].fillna("")) if name]
    lines = [f"| finding | {' | '.join(images)} |", "| --- " * (1 + len(images)) + "|"]
    for claim, part in rows.groupby("claim", sort=False):
        found = [part["verdict"][part["images"] == name].value_counts() for name in images]
        cells = [", ".join(f"{word} {n}" if n < each.sum() else word for word, n in each.items()) for each in found]
        sure = [words for each in found if (words := set(each.index) - {"unclear"})]
        mark = "**" if len(sure) > 1 and not set.intersection(*sure) else ""
        lines.append(f"| {claim} | {' | '.join(f'{mark}{cell}{mark}' if cell else '' for cell in cells)} |")
    return lines
