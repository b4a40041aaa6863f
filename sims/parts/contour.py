"""Where an error falls through a level along |mu|, and how that |mu| grows: |mu| = c size^k along a contour."""

import numpy as np
import xarray as xr


def contour(error: xr.DataArray, level: float) -> np.ndarray:
    """Return the |mu| at which an error (size, norm) falls to a level, linear in log |mu| in between.

    The first or the last |mu| where it is below or above the level everywhere: a map must hold the whole contour.
    """
    falling = np.minimum.accumulate(error.values, axis=1)
    return np.exp([np.interp(-level, -row, np.log(error["norm"])) for row in falling])


def exponent(ds: xr.Dataset, level: float) -> float:
    """Return k of the least-squares line of log |mu| over log size, for `error` (size, norm, seed) in the mean."""
    error = ds["error"].mean("seed")
    return float(np.polyfit(np.log(error[error.dims[0]]), np.log(contour(error, level)), 1)[0])
