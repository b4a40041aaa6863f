"""Pages of maps of the gallery."""

from pathlib import Path

import numpy as np
import pandas as pd

from pt_jax.app import pages
from tests.report.pages import read

ROOT = Path(__file__).parents[2]


def test_the_page_of_a_map_has_the_numbers_of_its_csv(tmp_path):
    path = pages.write(ROOT / "sims" / "map_u_v2.py", ROOT / "figures", tmp_path / "new")
    assert path == tmp_path / "new" / "map_u_v2.html" and path.stat().st_size < 3e6
    about, table = read(path), pd.read_csv(ROOT / "figures" / "map_u_v2.csv")
    (gain,) = about["results"]
    np.testing.assert_array_equal(gain["mean"].ravel(), table["mean"].astype("f4"))
    np.testing.assert_array_equal(about["lines"][0]["mean"].ravel(), table["predicted"].astype("f4"))
    assert [line["name"] for line in about["lines"]] == ["mean-field prediction", "criterion G"]
    assert "n1=100" in about["rerun"]["python"] and "--n1 100" in about["rerun"]["command"]
