"""Write pages of the explorer for maps of the atlas, from the CSV and the JSON beside their pictures.

python -m pt_jax.app.pages OUT sims/map_u_v2.py sims/map_alpha_u.py
"""

import json
import runpy
import sys
from pathlib import Path

from pt_jax.app import study
from pt_jax.app.atlas import Map
from pt_jax.report.explorer.page import explore


def write(script: Path, figures: Path, out: Path) -> Path:
    """Write the page of the map that a script draws, and return its path.

    Args:
        script: with a `Map` called MAP.
        figures: folder of its numbers.
        out: folder of the page, which is made.
    """
    drawn: Map = runpy.run_path(str(script))["MAP"]
    cells, lines = drawn.cells(study.read(figures / script.stem, drawn.sweeps(quick=False, seeds=1)))
    record = json.loads((figures / f"{script.stem}.json").read_text())["simulated-0"]
    out.mkdir(parents=True, exist_ok=True)
    return explore(cells.assign_attrs(provenance=json.dumps(record)), out / f"{script.stem}.html", lines=lines)


if __name__ == "__main__":
    for script in sys.argv[2:]:
        print(write(Path(script), Path("figures"), Path(sys.argv[1])))
