"""The gallery says what the JSON beside each picture says."""

import json
import re
from pathlib import Path

from pt_jax.report import gallery

FIGURES = Path(__file__).parents[2] / "figures"
PART = {"function": "pt_jax.x.transfer", "trajectories": 9, "seeds": [0], "device": "2 x cpu", "seconds": 9}


def test_every_figure_has_an_entry_under_its_heading(tmp_path):
    part = {"function": "pt_jax.x.simulate", "trajectories": 1000, "seeds": [0, 1], "device": "2 x cpu", "seconds": 90}
    guess = part | {"function": "pt_jax.x.predicted", "trajectories": 7, "seeds": [0], "seconds": 30}
    (tmp_path / "kou2023.json").write_text(json.dumps(part | {"finding": "One task."}))
    (tmp_path / "mine.json").write_text(json.dumps({"a": part | {"finding": "Two."}, "b": part, "predicted": guess}))
    text = gallery.write(tmp_path).read_text()
    assert "### One task.\n\n![kou2023](kou2023.png)" in text and text.index("## Published") < text.index("## More")
    assert "`python sims/kou2023.py`: 1,000 trajectories, 2 seeds a cell, 1.5 minutes on 2 x cpu." in text
    assert "`python sims/mine.py`: 2,000 trajectories, 2 seeds a cell, 3.5 minutes on 2 x cpu." in text
    assert "theory" not in text.split("## More")[0]


def test_a_table_of_factors_leads_to_the_pictures(tmp_path):
    for name in ("map_n1_u", "map_n1_n2", "vision_blocks", "vision_blocks_cifar10", "mine"):
        (tmp_path / f"{name}.json").write_text(json.dumps(PART))
    head, *entries = gallery.write(tmp_path).read_text().split("\n## ")
    assert "| sample sizes | [map_n1_u](#map_n1_u), [map_n1_n2](#map_n1_n2) |" in head
    links = re.findall(r"\]\(#(\w+)\)", head)
    assert sorted(links) == sorted(re.findall(r'<a id="(\w+)">', "".join(entries))) and len(links) == 5


def test_a_claim_with_two_verdicts_says_what_was_measured(tmp_path):
    head = "claim,source,measured,matters,mean,se,seeds,images\n"
    rows = (
        "it helps,arXiv 2,gain at 20,0.01,0.05,0.01,64,digits\nit helps,arXiv 2,gain at 50,0.01,-0.05,0.01,64,digits\n"
    )
    (tmp_path / "vision_a.findings.csv").write_text(head + rows)
    (tmp_path / "vision_a.json").write_text(json.dumps(PART))
    text = gallery.write(tmp_path).read_text()
    assert "Seen: it helps: gain at 20 (arXiv 2)." in text and "Reversed: it helps: gain at 50 (arXiv 2)." in text


def test_findings_of_all_figures_are_judged_together(tmp_path):
    head = "claim,source,measured,matters,mean,se,seeds,images\n"
    (tmp_path / "vision_a.findings.csv").write_text(head + "it helps,arXiv 2,gain,0.01,0.05,0.01,64,digits 8x8\n")
    (tmp_path / "vision_b.findings.csv").write_text(head + "it harms,arXiv 1,- gain,0.01,-0.05,0.01,64,\n")
    (tmp_path / "vision_a.json").write_text(json.dumps(PART))
    text = gallery.write(tmp_path).read_text()
    assert "minutes on 2 x cpu.\nSeen: it helps (arXiv 2).\n" in text
    table = text.split("## Published findings")[1]
    assert (
        "| it helps | arXiv 2 | digits 8x8 | gain | +0.05 [+0.03, +0.07] | **seen** | `python sims/vision_a.py` |"
    ) in table
    assert table.index("arXiv 1") < table.index("arXiv 2") and "**reversed** | `python sims/vision_b.py`" in table


def test_images_that_disagree_on_a_finding_are_bold(tmp_path):
    head = "claim,source,measured,matters,mean,se,seeds,images\n"
    rows = [f"it helps,arXiv 2,gain,0.01,{mean},0.01,64,{images}\n" for images, mean in (("a", 0.09), ("b", -0.09))]
    rows += [f"it harms,arXiv 2,{i},0.01,{mean},0.01,64,b\n" for i, mean in enumerate((0.09, 0.09, -0.09))]
    rows += ["it harms,arXiv 2,3,0.01,0.09,0.01,64,a\n", "it stays,arXiv 2,5,0.01,0.09,0.01,64,b\n"]
    rows += ["it turns,arXiv 2,6,0.01,0.09,0.01,64,a\n", "it turns,arXiv 2,6,0.01,-0.09,0.01,64,b\n"]
    rows += ["it turns,arXiv 2,6,0.01,0.01,0.01,64,c\n"]
    (tmp_path / "vision_a.findings.csv").write_text(head + "".join(rows))
    (tmp_path / "vision_a.json").write_text(json.dumps(PART))
    lines = gallery.write(tmp_path).read_text().splitlines()
    start = lines.index("| finding | a | b | c |")
    assert lines[start + 2 : start + 6] == [
        "| it helps | **seen** | **reversed** |  |",  # nothing was measured on c
        "| it harms | seen | seen 2, reversed 1 |  |",
        "| it stays |  | seen |  |",
        "| it turns | **seen** | **reversed** | **unclear** |",
    ]


def test_a_figure_of_other_images_comes_after_that_of_the_first(tmp_path):
    for name, images in (("vision_blocks", "digits 8x8"), ("vision_blocks_cifar10", "cifar10 32x32"), ("vision_x", "")):
        (tmp_path / f"{name}.json").write_text(json.dumps(PART | {"images": images}))
    text = gallery.write(tmp_path).read_text()
    commands = [line.split("`")[1] for line in text.splitlines() if line.startswith("`python sims")]
    first = "python sims/vision_blocks.py"
    assert commands == [first, f"{first} --images cifar10", "python sims/vision_x.py"]


def test_published_numbers_are_counted_beside_ours(tmp_path):
    part = {"function": "pt_jax.x.scratch", "trajectories": 9, "seeds": [0], "device": "2 x cpu", "seconds": 9}
    (tmp_path / "published_a.json").write_text(json.dumps(part | {"finding": "As published."}))
    rows = [",0.3,,80", "0.5,0.51,1,", "0.5,0.54,4,", "0,0,0,", "0.5,0.48,-2,"]  # the first has no number
    (tmp_path / "published_a.csv").write_text("\n".join(["published,here,off,times_as_fast", *rows]))
    text = gallery.write(tmp_path).read_text()
    assert "### As published." in text.split("## Published experiments")[1]
    assert "| `python sims/published_a.py` | 4 | 75.0% | +0.0075 | 80 |" in text and "## More" not in text


def test_the_committed_numbers_call_a_standard_error_se():
    heads = [path.read_text().partition("\n")[0].split(",") for path in FIGURES.glob("*.csv")]
    assert len(heads) > 40 and all("error" not in head for head in heads)
    assert all("se" in head or "gain_se" in head for head in heads)
