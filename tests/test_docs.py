"""Every block of code in docs/ runs as it stands, and is short enough to be read; see `test_clusters.py` for files."""

import re
from pathlib import Path

import matplotlib
import pytest

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    if page.name != "clusters.md"
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
]


@pytest.mark.parametrize("code", BLOCKS)
def test_code_in_the_documentation_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    names = {"__name__": "docs"}
    exec(code, names)
    assert len([line for line in code.splitlines() if line.strip()]) <= 25
    if "ds" in names:
        assert names["ds"]["gain"].notnull().all() and list(tmp_path.glob("*.png"))


def test_links_between_pages_and_figures_lead_somewhere():
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
