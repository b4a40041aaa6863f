"""The command `pt-jax show`: what a folder holds, and the numbers of its cells."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pt_jax.app import flags, section
from pt_jax.inputs.field import one_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_EXAMPLES = """
  pt-jax show results/demo --at u=2,v2=1                all results of one cell
  pt-jax show results/demo --at v2=1 --value error      one result along the axes that are left"""
_LEAST = 1e-7  # standard error from which on decimals are written out
_FEW = 10  # folders that are named
_BESIDE = ("error", "error_scratch")  # the gain is their difference


def run(args: list[str]) -> None:
    """Run the command with its arguments."""
    flags.parse(_show, "show", args, _EXAMPLES)


def _show(
    folder: flags.Folder, /, at: flags.Place = None, value: flags.Name = None, json: flags.Switch = False
) -> None:
    """Tell what a folder holds: how much is done, the configuration and where it comes from; also while it is written.

    With --at or --value, the numbers: mean over seeds, 95% t interval (low to high), standard error (se), seeds, and
    whether the sign is clear: the interval excludes 0.

    Args:
        folder: written by pt-jax map or a script.
        at: where, as u=2,v2=1 or sigma1,sigma2=0.5: the nearest computed cell; axes that are not named make a table.
        value: result of the table; by default the gain, or the first result.
        json: print the numbers as JSON, with all their digits.
    """
    ds, folder = opened(folder)
    if at is None and value is None and not json:
        _print_store(ds, folder)
        return
    asked, value = value, value_of(ds, value)
    part, given = (ds, {}) if at is None else section.cut(ds, at)
    table = _table(part, value, asked is not None)
    if json:
        print(_as_json(table, given))
        return
    if given:
        print(section.written(given))
    print(_aligned(table))
    print("mean over seeds, low to high: 95% t interval, se: standard error, clear: whether the interval excludes 0")
    if "diverged" in part and part["diverged"].dims == ("seed",) and bool((part["diverged"] == 1).any()):
        print(f"diverged: {int((part['diverged'] == 1).sum())} of {part.sizes['seed']} seeds; such a cell has no mean")
    if bool((part["done"] != 1).any()):
        print(f"{progress(part)} are computed")


def opened(folder: Path) -> tuple["xr.Dataset", Path]:
    """Return the dataset in a folder that a user named, and the folder.

    Raises:
        ValueError: it holds no store; the sentence names those in folders below.
    """
    from pt_jax.sweep.dataset import load
    from pt_jax.sweep.store import folder_of

    folder = folder_of(folder, "folder")
    folder = folder.parent if folder.name == "data.zarr" else folder
    below = sorted(str(path.parent) for path in folder.glob("*/data.zarr"))
    if below and not (folder / "data.zarr").exists():
        listed = ", ".join(below[:_FEW]) + (" ..." if len(below) > _FEW else "")
        raise ValueError(f"{folder} is not accepted: it holds stores in folders; use one of them, {listed}.")
    return load(folder), folder


def value_of(ds: "xr.Dataset", value: str | None) -> str:
    """Return the result that is asked for; without a name the gain, or the first one.

    Raises:
        ValueError: the dataset has no such result.
    """
    results = [str(name) for name in ds.data_vars if name != "done"]
    if value is not None and value not in results:
        raise ValueError(f"--value = {value} is not accepted: use {one_of(value, results)}.")
    return value or ("gain" if "gain" in results else results[0])


def progress(ds: "xr.Dataset") -> str:
    """Say how much of a dataset is computed."""
    return f"{int((ds['done'] == 1).sum()):,} of {ds['done'].size:,} trajectories"


def _print_store(ds: "xr.Dataset", folder: Path) -> None:
    from pt_jax.sweep.journal import runs
    from pt_jax.sweep.plan import rate_in_words
    from pt_jax.sweep.provenance import provenance
    from pt_jax.sweep.run import locked

    print(f"{progress(ds)}, {'being written' if locked(folder) else 'nobody writes'}")
    print("axes: " + ", ".join(f"{name} ({size})" for name, size in ds["done"].sizes.items()))
    for one in runs(folder):
        rate = rate_in_words(one["computed"] / max(one["seconds"], 1e-9))
        print(
            f"run {one['start']} to {one['end']}, shard {one['shard']}, {one['device']}: "
            f"{one['computed']:,} computed, {rate}, compilation included"
        )
    for name, value in provenance(ds).items():
        text = json.dumps(value)
        print(f"{name}: {text if len(text) < 200 else text[:200] + ' ...'}")


def _table(ds: "xr.Dataset", value: str, alone: bool) -> "pd.DataFrame":
    """Return the numbers of a result, one row a cell; of a single cell all results of one number, unless alone."""
    import pandas as pd

    from pt_jax.sweep import stats

    def rows(name: str) -> "pd.DataFrame":
        cells = stats.summary(ds, name)
        dims = [str(dim) for dim in cells["mean"].dims]
        coords = [name for dim in dims for name in (dim, *_moving(cells, dim))]
        table = cells.to_dataframe(dims).reset_index() if dims else pd.DataFrame([{n: cells[n].item() for n in cells}])
        words = [_word(row, name) for _, row in table.iterrows()]
        beside = {
            n: stats.summary(ds, n)["mean"].values.ravel() for n in _BESIDE if name == "gain" and dims and n in ds
        }
        columns = [*dict.fromkeys(coords), "mean", "low", "high", "se", "seeds"]
        return table[columns].assign(clear=words, **beside)

    if ds[value].dims != ("seed",):
        return rows(value)
    scalars = [str(name) for name in ds.data_vars if ds[name].dims == ("seed",) and name not in ("done", "diverged")]
    names = dict.fromkeys((value,) if alone else (value, *scalars))
    meanings = (ds[name].attrs.get("long_name", "") for name in names)
    tables = [rows(name).assign(meaning=text) for name, text in zip(names, meanings, strict=True)]
    return pd.concat(tables, ignore_index=True).assign(result=list(names)).set_index("result").reset_index()


def _moving(cells: "xr.Dataset", dim: str) -> list[str]:
    """Return the coordinates that vary along a dimension."""
    return [str(c) for c in cells.coords if cells[c].dims == (dim,) and len(set(cells[c].values.tolist())) > 1]


def _word(row: Any, value: str) -> str:
    """Say what is known of the sign of a mean."""
    if row["seeds"] == 0:
        return "not computed"
    if row["diverged"]:
        return "diverged"
    if not row["clear"]:
        return "unclear"
    if value == "gain":
        return "helps" if row["mean"] > 0 else "hurts"
    return "clear"


def _aligned(table: "pd.DataFrame") -> str:
    """Return a table as text: decimal points below each other, as many digits as the standard error bears."""
    columns = []
    for name in table.columns:
        if table[name].dtype.kind not in "iufb":
            texts = [name, *table[name].astype(str)]
            columns.append([text.ljust(max(map(len, texts))) for text in texts])
            continue
        by_error = name in ("mean", "low", "high", "se", *_BESIDE)
        texts = [_number(x, se if by_error else 0.0) for x, se in zip(table[name], table["se"], strict=True)]
        decimals = [len(text) - (text.find(".") if "." in text else len(text)) for text in texts]
        texts = [text + " " * (max(decimals) - own) for text, own in zip(texts, decimals, strict=True)]
        columns.append([text.rjust(max(map(len, [name, *texts]))) for text in [name, *texts]])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _number(value: float, se: float) -> str:
    """Return a number to the second digit of its standard error, to five digits where there is none."""
    if not math.isfinite(value):
        return "-"
    return f"{value:z.{max(0, 1 - math.floor(math.log10(se)))}f}" if _LEAST < se < math.inf else f"{value:.5g}"


def _as_json(table: "pd.DataFrame", given: dict[str, Any]) -> str:
    """Return the same numbers as JSON, null where there is none."""
    rows = table.replace({math.nan: None}).to_dict("records")
    return json.dumps({"at": given, "cells": rows}, indent=1)
