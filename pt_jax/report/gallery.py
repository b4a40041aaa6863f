"""Write the gallery: for each figure of a folder its finding, picture, command, time and number of trajectories.

    python -m pt_jax.report.gallery figures

Everything comes from the JSON beside each picture, so it says what was really run.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from pt_jax.report import findings

_AGAIN = "Published experiments, computed again"
# Figures of each section, with the factor or question that each is about.
_SECTIONS = {
    "When does inheriting help, and when does it hurt?": {
        "phase_diagram": "strength of the signals",
        "parameter_transfer": "quality of the source data",
        "map_u_v2": "strength of the signals",
        "map_alpha_u": "inherited fraction",
        "map_n1_u": "sample sizes",
        "map_sigma1_sigma2": "noise levels",
        "map_n1_n2": "sample sizes",
        "map_d_n1": "dimension",
        "map_angle_u": "angle between the tasks",
        "map_flip1_alpha": "flipped labels",
    },
    "How should one train, and how much should one inherit?": {
        "best_alpha": "inherited fraction",
        "map_steps1_u": "upstream steps",
        "map_init_scale_lr": "initial scale and learning rate",
        "map_m_u": "width",
        "frozen": "frozen or trained",
        "which_half": "which filters, or weights",
        "filters_or_weights": "which filters, or weights",
        "rules_weight_decay": "weight decay",
        "rules_momentum": "momentum",
        "rules_label_noise": "label noise",
    },
    "What happens inside, and does theory know?": {
        "feature_growth": "signal and noise in the filters",
        "theory_agreement": "predictions without training",
    },
    "Real images: what carries over, and what does it do?": {
        "vision_transfer": "images: source data and inherited fraction",
        "vision_negative": "images: random source labels",
        "vision_layers": "images: which layers",
        "vision_blocks": "images: shuffled blocks",
        "vision_twins": "images: barriers between two networks",
        "vision_criticality": "images: criticality of layers",
        "vision_checkpoints": "images: length of pretraining",
        "vision_collapse": "images: neural collapse",
        "vision_methods": "images: probe or fine-tune",
        "vision_transferability": "images: transferability",
    },
    _AGAIN: {"kou2023": _AGAIN.lower()},
    "Extremes": {
        "million_trajectories": "a million trajectories",
        "million_dimensions": "dimension",
        "smallest_error": "smallest errors",
    },
}
_AGREES = 3  # standard errors of the difference


def entry(folder: Path, name: str, rows: pd.DataFrame) -> str:
    """Return the part of one figure; `rows` are its judged findings."""
    parts = _parts(folder, name)
    simulated = [part for part in parts if not part["function"].endswith(".predicted")]
    trajectories = sum(part["trajectories"] for part in simulated)
    minutes = sum(part.get("seconds", 0.0) for part in parts) / 60
    seeds = max(len(part["seeds"]) for part in simulated)
    spent = f"{minutes:.1f} minutes on {parts[0]['device']}"
    several = rows.groupby("claim")["verdict"].nunique() > 1  # verdicts: then what was measured tells them apart
    said = []
    for verdict, group in rows.groupby("verdict", sort=False):
        claims = [
            f"{claim}: {', '.join(part['measured'])}" if several[claim] else str(claim)
            for claim, part in group.groupby("claim", sort=False)
        ]
        said.append(f"{str(verdict).capitalize()}: {'; '.join(claims)} ({group['source'].iloc[0]}).")
    return (
        f'<a id="{name}"></a>\n\n'
        f"### {parts[0].get('finding') or name}\n\n![{name}]({name}.png)\n\n"
        f"`{_command(folder, name)}`: {trajectories:,} trajectories, {seeds} seeds a cell, {spent}.\n"
        + "".join(f"{line}\n" for line in said)
    )


def _parts(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the provenance of the sweeps of a figure."""
    record = json.loads((folder / f"{name}.json").read_text())
    return [record] if "function" in record else list(record.values())


def _command(folder: Path, name: str) -> str:
    """Return the command that makes a figure: NAME_images is by NAME.py."""
    there = (folder / f"{name}.json").exists()
    word = _parts(folder, name)[0].get("images", "").partition(" ")[0] if there else ""
    script = name.removesuffix(f"_{word}")
    return f"python sims/{script}.py" + (f" --images {word}" if script != name else "")


def write(folder: Path) -> Path:
    """Write README.md in the folder and return its path."""
    there = {path.stem for path in folder.glob("*.json")}
    lines = [
        "# Gallery\n",
        "Each title is what its picture shows. Intervals are 95% t intervals over paired seeds; in hatched cells they\n"
        "include 0: the sign is unclear. `make figures` draws every picture again from the CSV beside it,\n"
        "`make figures RERUN=1` computes everything anew, `make figures QUICK=1` a coarse version in `results/`.\n",
    ]
    rows = _judged(folder)
    known = {name for names in _SECTIONS.values() for name in names}
    others = {name: name.rpartition("_")[0] for name in there - known}  # a figure of other images is NAME_images
    again = sorted(name for name in there - known if name.startswith("published_"))
    more = sorted(name for name in there - known - set(again) if others[name] not in known)
    about: dict[str, list[str]] = {}
    entries = []
    for title, words in {**_SECTIONS, "More": dict.fromkeys(more, "more")}.items():
        words = words | dict.fromkeys(again, words["kou2023"]) if title == _AGAIN else words
        shown = []
        for name, factor in words.items():
            for each in (name, *sorted(x for x in others if others[x] == name)):
                if each in there:
                    shown.append(entry(folder, each, rows[rows["figure"] == each]))
                    about.setdefault(factor, []).append(f"[{each}](#{each})")
        entries += [f"## {title}\n", *shown] if shown else []
        entries += _beside(folder, again) if title == _AGAIN and again else []
    lines += ["| factor or question | pictures |", "| --- | --- |"]
    lines += [f"| {factor} | {', '.join(links)} |" for factor, links in about.items()]
    lines += ["", *entries]
    if len(rows):
        lines += [
            "## Published findings on real networks\n",
            "Each effect is above 0 where the finding holds. Seen and reversed survive control of the false-discovery\n"
            "rate over the whole table at 5%; not seen: the interval holds nothing that would matter; else unclear.\n"
            "These are small networks. In short, with the number of effects where a finding has several verdicts,\n"
            "and in bold where the images disagree:\n",
            *findings.by_images(rows),
            "\nIn full:\n",
            *findings.markdown(rows.assign(command=[_command(folder, name) for name in rows["figure"]])),
            "",
        ]
    path = folder / "README.md"
    path.write_text("\n".join(lines))
    return path


def _beside(folder: Path, names: list[str]) -> list[str]:
    """Return a table of how far the numbers in the CSV of each figure are from the published ones in it."""
    lines = [
        "Numbers here beside the published ones, in standard errors of the difference; where rare errors decide, in\n"
        "those of a normal law that is as far out with the same probability. Times as fast: core time of their script\n"
        "over ours for a training, both on the same cores.\n",
        f"| command | numbers compared | within {_AGREES} standard errors | mean difference | times as fast |",
        "| --- " * 5 + "|",
    ]
    for name in names:
        whole = pd.read_csv(folder / f"{name}.csv")
        table = whole.dropna(subset=["published", "here"])
        apart = table["here"] - table["published"]
        agree = (table["off"].abs() <= _AGREES).mean()
        faster = f"{whole['times_as_fast'].max():,.0f}" if "times_as_fast" in whole else ""
        lines.append(f"| `python sims/{name}.py` | {len(table):,} | {agree:.1%} | {apart.mean():+.4f} | {faster} |")
    return [*lines, ""]


def _judged(folder: Path) -> pd.DataFrame:
    """Return all published findings of the folder, judged together, by paper."""
    paths = sorted(folder.glob("*.findings.csv"))
    if not paths:
        return pd.DataFrame(columns=["figure", "claim", "verdict"])
    parts = [pd.read_csv(path).assign(figure=path.name.removesuffix(".findings.csv")) for path in paths]
    return findings.judged(pd.concat(parts, ignore_index=True)).sort_values("source", kind="stable")


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
