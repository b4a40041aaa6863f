"""A heat map of a labelled matrix: layer by layer similarity, or any numbers by two lists of names."""

from typing import Any

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pt_jax.report import panel, words

_INCH = 0.28  # side of a cell


def heat_map(values: xr.DataArray, ax: Axes | None = None, limits: panel.Limits = None) -> Figure:
    """Draw a matrix with the names of its rows and columns, such as `diagnostics.similarity_matrix.matrix` returns.

    Args:
        values: two dimensions with a coordinate each: the first up the plane, from below, the second along it.
        ax: axes to draw into.
        limits: lowest and highest value of the colours; by default those of the matrix. CKA has (0, 1).

    Returns:
        The figure. Cells that are NaN are grey.

    Raises:
        ValueError: another number of dimensions, or limits that are no two finite numbers in increasing order.
    """
    panel.check_limits(limits)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"values has the dimensions {dict(values.sizes)}; expected two, at least one cell.")
    up, along = map(str, values.dims)
    if ax is None:
        size = (2.4 + _INCH * values.sizes[along], 1.6 + _INCH * values.sizes[up])
        _, ax = plt.subplots(figsize=(max(size[0], 4), max(size[1], 3)), layout="constrained")
    figure: Figure = ax.get_figure()  # type: ignore[assignment]
    ax.set_facecolor("0.8")
    low, high = (None, None) if limits is None else limits
    image = ax.imshow(values, origin="lower", cmap="magma", vmin=low, vmax=high, interpolation="nearest")
    for axis, name, angle in ((ax.xaxis, along, 90), (ax.yaxis, up, 0)):
        labels: dict[str, Any] = {"labels": words.each(values[name].values.tolist()), "rotation": angle, "fontsize": 7}
        axis.set_ticks(range(values.sizes[name]), **labels)
        axis.set_label_text(words.label(values[name]))
    figure.colorbar(image, ax=ax, label=words.label(values))
    return figure
