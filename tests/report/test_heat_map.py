"""A matrix with names: its numbers, names and colours, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from pt_jax import plot

VALUES = xr.DataArray(
    [[0.1, 0.9], [np.nan, 0.4], [0.2, 0.3]], {"layer_a": ["stem", "b1", "b2"], "layer_b": ["conv", "head"]}, name="CKA"
)


def test_a_matrix_has_its_numbers_names_and_limits():
    figure = plot.heat_map(VALUES, limits=np.array([0.0, 1.0]))
    ax, bar = figure.axes
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array().filled(np.nan), VALUES)
    assert image.get_clim() == (0, 1) and image.origin == "lower"
    assert [x.get_text() for x in ax.get_xticklabels()] == ["conv", "head"]
    assert [x.get_text() for x in ax.get_yticklabels()] == ["stem", "b1", "b2"]
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == ("layer_b", "layer_a", "CKA")
    other, ax = plt.subplots()
    assert plot.heat_map(VALUES, ax=ax) is other and ax.images[0].get_clim() == (0.1, 0.9)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"values has the dimensions \{'layer_b': 2\}; expected two"):
        plot.heat_map(VALUES[0])
    with pytest.raises(ValueError, match="limits"):
        plot.heat_map(VALUES, limits=(1, 0))
