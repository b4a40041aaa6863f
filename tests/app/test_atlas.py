"""Maps of the atlas: bands of one grid, numbers through a CSV, and a figure with theory over it."""

import numpy as np
import pandas as pd
import pytest

import pt_jax
from pt_jax import study
from pt_jax.app import atlas
from pt_jax.sweep import stats

POINT = pt_jax.Point(d=40, n1=8, n2=8, m=3, steps1=4, steps2=4)
AXES = {"n1": [3, 5, 8], "u": [0.0, 2.0], "lr1,lr2": [0.1, 0.5]}
MAP = atlas.Map("A finding.", POINT, AXES | {"n1": [5, 8]}, bands={"n1": 2})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The numbers as they are read back."""
    path = tmp_path_factory.mktemp("map") / "map"
    made = MAP.sweeps(False, 3)
    numbers = MAP.numbers({name: pt_jax.run(sweep) for name, sweep in made.items()})
    numbers.to_csv(f"{path}.csv", index=False, float_format="%.6g")
    return study.read(path, made)


def test_bands_make_the_whole_grid_with_one_program_each():
    made = atlas.Map("", POINT, AXES, bands={"n1": 2}).sweeps(False, 3)
    assert [sweep.shape for sweep in made.values()] == [(2, 2, 2, 3), (1, 2, 2, 3), (3, 2, 2, 1)]
    assert [made[f"simulated-{i}"].static.n1 for i in (0, 1)] == [5, 8]
    assert all(sweep.classes() == [1, 1, 1] for sweep in made.values())
    whole = atlas.Map("", POINT, AXES).sweeps(True, 2)
    assert set(whole) == {"simulated-0", "predicted"} and whole["simulated-0"].shape == (3, 2, 2, 2)


def test_quick_maps_are_coarser():
    fine = atlas.Map("", POINT, {"u": np.linspace(0, 4, 41), "v2": np.linspace(0, 4, 12)})
    assert fine.sweeps(True, 2)["simulated-0"].shape == (11, 6, 2)


def test_numbers_survive_the_csv(table):
    cells = stats.cells(table, "gain", MAP.dims)
    for i, n1 in enumerate(MAP.axes["n1"]):
        static = MAP.sweeps(False, 3)[f"simulated-{i}"].static
        sweep = pt_jax.Sweep(pt_jax.simulate, POINT, MAP.axes | {"n1": [n1]}, 3, ("gain",), static)
        expected = stats.summary(pt_jax.run(sweep))
        for name in ("mean", "se", "low", "high", "p"):
            # Six digits are written; bands of other maxima differ by rounding.
            found = cells[name].sel(n1=[n1])
            np.testing.assert_allclose(found, expected[name], rtol=1e-3, atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(cells["seeds"], 3)
    assert cells["u"].attrs["symbol"] == r"$\|u\|$" and cells.attrs["value"] == "gain"
    assert np.isfinite(cells["predicted"]).all() and "lr2" in cells


def test_the_figure_has_its_finding_and_both_lines_of_theory(table):
    figure = MAP.draw(table)
    assert figure.get_suptitle() == "A finding."
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[:3] == ["simulated: gain 0", "mean-field prediction", "criterion G"]
    lazy = atlas.Map("", POINT, {"init_scale": [0.1, 1.0], "lr1,lr2": [0.1, 0.5]})
    rows = pd.DataFrame(
        {"result": "gain", "init_scale": [0.1, 0.1, 1, 1], "lr1": [0.1, 0.5] * 2, "lr2": [0.1, 0.5] * 2}
    )
    figure = lazy.draw(rows.assign(mean=[1.0, -1, 1, -1], se=0.1, seeds=4, predicted=0.5))
    assert "criterion G" not in [text.get_text() for text in figure.legends[0].get_texts()]
