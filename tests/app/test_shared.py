"""Curves of the figures on images meet in one point, or say why not."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

POINT = {"a": 1.0, "b": 5.0, "c": 7.0}


@pytest.fixture
def with_point(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "sims")
    return import_module("parts.shared").with_point


def curve(point=POINT, static=2, seeds=(0, 1), **axes):
    """A dataset of a sweep whose numbers say where they are from."""
    found = xr.DataArray(np.zeros(len(seeds)), {"seed": list(seeds)}, "seed")
    for name, values in axes.items():
        found = found + 10 * xr.DataArray(values, {name: values}, name)
    about = {"function": "f", "data": "d", "static": {"n": static}, "point": point}
    return xr.Dataset({"x": found + found.seed}, attrs={"provenance": json.dumps(about)})


def test_a_curve_gets_the_cell_where_both_meet(with_point):
    joined = with_point(curve(a=[0.0, 2.0]), "a", curve(b=[4.0, 5.0]))
    np.testing.assert_array_equal(joined["x"].sel(seed=1).transpose("a"), [1, 51, 21])
    assert list(joined.a.values) == [0, 1, 2]


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (curve(POINT | {"c": 8.0}, b=[5.0]), "the curve along a has another c than that which it should meet"),
        (curve(static=3, b=[5.0]), "the curve along a has another static"),
        (curve(seeds=(0, 1, 2), b=[5.0]), "cannot align|exact"),
        (curve(POINT | {"b": 9.0}, b=[5.0, 9.0]), "the curve along a has another b than that which it should meet"),
        (curve(b=[4.0, 6.0]), "the curve along b has no point 5, where that along a should meet it"),
    ],
    ids=["point", "static", "seeds", "where it meets", "no such cell"],
)
def test_curves_that_do_not_meet_are_refused(with_point, other, sentence):
    with pytest.raises(ValueError, match=sentence):
        with_point(curve(a=[0.0, 2.0]), "a", other)


def test_a_curve_along_more_than_its_axis_is_refused(with_point):
    for axes in ({"a": [0.0, 2.0], "c": [7.0, 8.0]}, {"c": [7.0, 8.0]}):
        with pytest.raises(ValueError, match=r"the curve along a moves along .*: use one along a alone"):
            with_point(curve(**axes), "a", curve(b=[5.0]))
    joined = with_point(curve(a=[0.0, 2.0], c=[7.0, 8.0]), "a", curve(b=[4.0, 5.0], c=[7.0, 8.0]))
    assert joined["x"].sel(a=1, c=8, seed=0) == 130


def test_a_curve_that_has_the_cell_is_refused(with_point):
    with pytest.raises(ValueError, match="the curve along a has the point 1 already"):
        with_point(curve(a=[0.0, 1.0]), "a", curve(b=[5.0]))
