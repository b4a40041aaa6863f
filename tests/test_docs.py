"""The documentation: every block of code and every command in it runs, at smaller sizes, and every link leads."""

import json
import re
import shlex
import shutil
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import pt_jax
from pt_jax.app import commands, explore, startup
from pt_jax.app.cli import main
from pt_jax.sweep import devices

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "docs").rglob("*.ipynb"))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in PAGES}
BLOCKS = {
    name: [(text.count("\n", 0, found.start(1)), found[1]) for found in re.finditer(r"```python\n(.*?)```", text, re.S)]
    if name.endswith(".md")
    else [(0, "".join(cell["source"])) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    for name, text in TEXTS.items()
    if name != "docs/clusters.md"  # files: see `test_clusters.py`
}
CODE = "\n".join(code for blocks in BLOCKS.values() for _, code in blocks)
SMALLER = {
    r"seeds=\d+": "seeds=2",
    r"np\.linspace\(0\.5, 5, \d+\)": "np.array([0.5, 2.0, 5.0])",
    r"np\.linspace\(([^,]+), ([^,]+), \d+\)": r"np.linspace(\1, \2, 3)",
    r"np\.arange\(5, 105, 5\)": "np.arange(5, 105, 50)",
    r"Point\(n2=20\)": "Point(n1=20, n2=20, steps1=2, steps2=2)",
    r"Static\.covering\(pair\)": "Static.covering(pair, width=2, stages=1, depth=1)",
    r'model="vgg", inherit': 'model="vgg", width=2, stages=1, depth=1, inherit',
    r"resamples=\d+": "resamples=10",
}
# Real networks compile for long: tests/vision trains them.
IMAGES = ("docs/images.md", "docs/vision.md", "docs/notebooks/images.ipynb")
LINE = re.compile(r"^    (?:sbatch .*?sims/slurm\.sh )?((?:pt-jax|python|make) [^#\n]*[^#\s])", re.M)
COMMANDS = dict.fromkeys(
    found.replace("results/demo", "results/map")
    for name, text in TEXTS.items()
    if name.endswith(".md")
    for found in LINE.findall(text)
    if " ..." not in found and "--serve" not in found
)


def smaller(code):
    """Return a block of code with fewer seeds, smaller axes and tiny networks."""
    for large, small in SMALLER.items():
        code = re.sub(large, small, code)
    return code


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the one map that all pages look at: that of the README."""
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(devices, "use_all_cores", lambda: None)
        ((_, code),) = BLOCKS["README.md"]
        exec(smaller(code), {})
    for name in ("map", "study", "until", "boundary", "other"):
        shutil.copytree(folder / "results" / "first", folder / "results" / name)
    return folder


@pytest.fixture(autouse=True)
def at_home(home, monkeypatch):
    """In that folder, in a process whose jax has started."""
    monkeypatch.chdir(home)
    matplotlib.use("Agg")
    plt.close("all")
    for module, name in ((devices, "use_all_cores"), (startup, "set_up")):
        monkeypatch.setattr(module, name, lambda: None)


def traced(sweep, **_):
    """The dataset of a sweep that is traced, not computed: all gains are 0."""
    results = sweep.results(sweep.static_of(sweep.point))
    dims = [axis.name for axis in sweep.grid] + ["seed"]
    variables = {
        name: (dims + sweep.own_dims(name, len(kind.shape)), np.zeros(sweep.shape + kind.shape))
        for name, kind in results.items()
    }
    return xr.Dataset(variables, sweep.coordinates())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name == "docs/networks.md" else [])
        for name, blocks in BLOCKS.items()
        if blocks
    ],
)
def test_code_in_the_documentation_runs(name, home, monkeypatch):
    """The blocks of a page one after the other, as a reader would."""
    if name in IMAGES:
        monkeypatch.setattr(pt_jax, "run", traced)
    names = {"__name__": "docs"}
    for old in home.glob("*.png"):
        old.unlink()
    for line, code in BLOCKS[name]:
        assert len([each for each in code.splitlines() if each.strip()]) <= 25, "too long to be read"
        exec(compile("\n" * line + smaller(code), ROOT / name, "exec"), names)
    if "ds" in names:
        assert names["ds"]["gain"].notnull().all()
    drawn = [Path(picture).name for _, code in BLOCKS[name] for picture in re.findall(r'savefig\("(.*?)"\)', code)]
    assert {path.name for path in home.glob("*.png")} >= set(drawn)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_in_the_documentation_run(command, home, monkeypatch, capsys):
    """Reading commands as they stand on a tiny map; of those that compute all but the computation."""
    program, *words = shlex.split(command)
    if program == "make":
        targets = re.findall(r"^([\w-]+)(?= *[\w ]*:)", (ROOT / "Makefile").read_text(), re.M)
        assert words[0] in " ".join(targets).split()
    elif program == "python":
        assert words[0] in TEXTS["docs/sweeps.md"] or (ROOT / words[0]).exists()
    else:
        computed = []
        monkeypatch.setattr(commands, "_carry_out", lambda sweeps, *_: computed.extend(sweeps.values()))
        monkeypatch.setattr(commands, "_advise", lambda options: computed.append(commands._given(options)))
        monkeypatch.setattr(explore, "_serve", lambda *_: None)
        words = [str(ROOT / word) if word.startswith("figures/") else word for word in words]
        reads = words[0] in ("show", "plot", "explore")
        # What theory says is compiled for seconds: `app/test_atlas.py` has it.
        if reads and words[1] != "--theory":
            words = [word for word in words if word != "--theory"]
        assert main(words) == 0, capsys.readouterr().err
        assert reads or computed


def slugs(text):
    """The anchors of a page."""
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w]+", "-", head.lower()).strip("-") for head in heads} | set(
        re.findall(r"^::: (\S+)", text, re.M)
    )


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name):
    for target, anchor in re.findall(r"\]\((?![a-z]+:)([^)#\s]*)#?([^)\s]*)\)", TEXTS[name]):
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in slugs(path.read_text()), f"{target}#{anchor}"


def test_every_public_name_is_on_a_page_of_the_api_and_in_an_example():
    shown = set(re.findall(r"^::: (\S+)", "\n".join(text for name, text in TEXTS.items() if "/api/" in name), re.M))
    for name in pt_jax.__all__:
        assert f"pt_jax.{name}" in shown or name == "plot"
        assert re.search(rf"\bpt_jax\.{name}\b|from pt_jax import .*\b{name}\b", CODE), name
    for name in ("phase_diagram", "curve", "comparison", "heat_map", "save"):
        assert f"pt_jax.plot.{name}" in shown and f"plot.{name}(" in CODE
    measures = {f"pt_jax.diagnostics.{path.stem}" for path in (ROOT / "pt_jax" / "diagnostics").glob("[a-z]*.py")}
    assert measures - shown == {f"pt_jax.diagnostics.{name}" for name in ("arrays", "jacobi", "labels")}  # helpers
    for name in ("summary", "shares", "survives", "table", "cells", "bootstrap"):
        assert f"stats.{name}(" in CODE
