"""Where along |u| negative transfer ends, with one value for each seed.

    crossing = the |u| where the mean gain over seeds rises through 0 after its minimum at that |v2|; linear in between
    value of seed i = n crossing(all n seeds) - (n - 1) crossing(all but i)                               the jackknife

Means and t intervals over these values are those of the crossing; differences of two crossings are paired by seed. A
crossing counts where the gain is clearly below 0 and, at a larger |u|, clearly above: clear is what survives control of
the false-discovery rate over all cells.
"""

import numpy as np
import xarray as xr

import pt_jax


def crossings(ds: xr.Dataset) -> xr.DataArray:
    """Return the value of each seed from a sweep over u and other axes; NaN where there is no crossing."""
    cells, u, n = pt_jax.stats.summary(ds), ds["u"], ds.sizes["seed"]
    sure = cells["clear"].copy(data=pt_jax.stats.survives(cells["p"].values))
    there = u.where(sure & (cells["mean"] > 0)).max("u") > u.where(sure & (cells["mean"] < 0)).min("u")
    gain = ds["gain"].astype(float).transpose(..., "seed", "u")
    total = gain.values.sum(-2, keepdims=True)
    values = n * _zero(total / n, u.values) - (n - 1) * _zero((total - gain.values) / (n - 1), u.values)
    found = gain.isel(u=0, drop=True).copy(data=values)
    return found.where(there & found.notnull().all("seed"))


def _zero(mean: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return the |u| where means (..., u) rise through 0 after their minimum; NaN where they do not."""
    above = (mean >= 0) & (np.arange(len(u)) > mean.argmin(-1)[..., None])
    after = np.maximum(above.argmax(-1), 1)
    low, high = (np.take_along_axis(mean, k[..., None], -1)[..., 0] for k in (after - 1, after))
    share = high / np.where(above.any(-1) & (low < 0), high - low, np.nan)
    return u[after] - share * (u[after] - u[after - 1])
