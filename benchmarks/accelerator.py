"""What this package does on an accelerator, measured in one run: a GPU or a TPU, or the processor where there is none.

    python benchmarks/accelerator.py [--sections limits,lanes,...] [--small] [--seconds 480] [--out FILE.json]

Sections, in this order; each compiles what it needs, and says for how long:

- limits: rates of a large matrix product, in float32 and as the device does it where nothing is asked; of a copy.
- lanes: trajectories a second of the first setting (d = 2,000, m = 20, N1 = N2 = 40, 200 + 200 steps) and memory, by
  the trajectories in a call. Share: operations of training over those that the product in float32 would do in the time.
- phases: where the time of a trajectory goes, at the fastest number of lanes; see `roofline.py`.
- precision: the same by precision of the products, and how far the errors are from those of the processor.
- dimension: d = 2,000 and d = 10^6.
- law: errors of this device against the processor's, on other seeds by two-sample tests, on the same seeds in pairs.
- heat map: the published map of 100,000 trainings of `kou2023.py`.
- map: 41 x 41 cells of (u, v2) by 16 seeds through `Sweep` into a store.
- networks: VGG-like networks on images of 8 and 32 pixels in groups, by form of the convolution.
- torch: the loop of `vs_pytorch.py` and its batched form on the same device; the loop of `vision.py`. Needs PyTorch.

A section that fails says so, the others go on, and the exit code is 1. After `--seconds` no section is begun. `--small`
has small sizes and five sections, so that a processor is through in a quarter of a minute.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from image_group import SETTINGS, images_of, static_of, sweep_of
from roofline import first_call, phases, rows_of, seconds, useful
from scipy import stats

import pt_jax
from pt_jax.sweep.provenance import machine
from pt_jax.vision.conv import FORMS

REPEATS = 5
FIRST = pt_jax.Point()
PRECISIONS = ("default", "float32", "TF32_TF32_F32_X3")
KEPT = ("gain", "error", "error_scratch", "loss", "loss_scratch")
Section = Callable[[bool, dict[str, Any]], dict[str, Any]]


def simulated(seeds: range, lanes: int | None = None, **fields: float) -> pt_jax.Sweep:
    """Return the first setting, one value of u and many seeds."""
    point = FIRST._replace(**fields)
    return pt_jax.Sweep(pt_jax.simulate, point, {"u": [point.u]}, list(seeds), KEPT, lanes=lanes)


def timed(sweep: pt_jax.Sweep, repeats: int = REPEATS) -> dict[str, Any]:
    """Return how long the first call of a sweep takes, its trajectories a second, and what it needs."""
    call = first_call(sweep)
    taken = statistics.median(call.run() for _ in range(repeats))
    row = {"trajectories": call.trajectories, "seconds": taken, "per_second": call.trajectories / taken}
    return row | {"compile_s": call.compile_s, "bytes": call.bytes}


def rate(work: float, run: Callable[[], Any]) -> float:
    """Return an amount of work over the least of some times."""
    jax.block_until_ready(run())
    return work / min(seconds(run) for _ in range(REPEATS))


def limits(small: bool, record: dict[str, Any]) -> dict[str, Any]:
    size = 256 if small else 8192
    x, found = jax.random.normal(jax.random.key(0), (size, size)), {}
    for precision in PRECISIONS[: 2 if small else 3]:
        with jax.default_matmul_precision(precision):
            product = jax.jit(lambda x: x @ x)
            found[precision] = rate(2 * size**3, partial(product, x))
            off = np.asarray(product(x))[:64] - np.asarray(x[:64], float) @ np.asarray(x, float)
            print(
                f"  product in {precision}: {found[precision] / 1e12:.2f} TFLOP/s, error {np.std(off) / size**0.5:.1e}"
            )
    passes = jax.jit(lambda x: jax.lax.fori_loop(0, 10, lambda _, x: x + 1, x))  # many: starting one takes time, too
    found["copy"] = rate(20 * x.nbytes, partial(passes, x))
    print(f"  copy: {found['copy'] / 1e9:.0f} GB/s")
    return found


def share(per_second: float, record: dict[str, Any]) -> float:
    """Return operations of training a second over the rate of a product in float32, NaN if that was not measured."""
    limit = record.get("limits", {}).get("float32", math.nan)
    return per_second * useful(FIRST, pt_jax.Static())["training"][0] / limit


def lanes(small: bool, record: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for count in (8,) if small else (4096, 16384, 65536, 1024, 256):
        try:
            row = found[str(count)] = timed(simulated(range(count), count), 2 if small else REPEATS)
        except (ValueError, jax.errors.JaxRuntimeError) as error:
            print(f"  {count:>6,}: {str(error).splitlines()[0][:200]}")
            continue
        row["share"] = share(row["per_second"], record)
        print(
            f"  {count:>6,}: {row['per_second']:>10,.0f} trajectories/s, {row['share']:4.0%} of the float32 limit, "
            f"{row['bytes'] / 1e9:.2f} GB, compiled in {row['compile_s']:.1f} s",
            flush=True,
        )
    best = max(found, key=lambda count: found[count]["per_second"])
    print(f"  fastest: {int(best):,} lanes")
    return found | {"best": int(best)}


def best_lanes(record: dict[str, Any]) -> int:
    """Return the fastest number of lanes, if it was measured."""
    return record.get("lanes", {}).get("best", 4096)


def by_phase(small: bool, record: dict[str, Any]) -> dict[str, Any]:
    count = best_lanes(record)
    programs = phases(count // 2 or 1, count)
    until = {
        name: statistics.median(call.run() / call.trajectories for _ in range(3)) for name, call in programs.items()
    }
    found = {}
    for name, (taken, flop, moved) in rows_of(until).items():
        found[name] = {"seconds": taken, "flop": flop, "bytes": moved}
        print(
            f"  {name:<18}{taken * 1e6:>9.2f} us, {flop / taken / 1e12:>7.2f} TFLOP/s, {moved / taken / 1e9:>7.0f} GB/s"
        )
    return found


def known(record: dict[str, Any]) -> dict[str, np.ndarray] | None:
    """Return the results of the processor."""
    if "reference" not in record:
        return None
    return {name: np.array(values) for name, values in json.loads(Path(record["reference"]).read_text()).items()}


def precision(small: bool, record: dict[str, Any]) -> dict[str, Any]:
    found, count = {}, best_lanes(record)
    names = KEPT[1:3]
    reference = known(record)
    for name in PRECISIONS[:1] if small else PRECISIONS:
        with jax.default_matmul_precision(name):
            row = found[name] = timed(simulated(range(count), count), 2 if small else REPEATS)
            said = ""
            if reference is not None:
                ds = pt_jax.run(simulated(range(len(reference["error"])), count))
                off = np.concatenate([ds[key].values.ravel() - reference[key] for key in names])
                row |= {"mean": float(np.mean(off)), "se": float(np.std(off) / len(off) ** 0.5)}
                row |= {"largest": float(np.abs(off).max()), "near": float(np.mean(np.abs(off) < 1e-5))}
                said = (
                    f"; errors off by {row['mean']:+.1e} +- {row['se']:.0e}, at most {row['largest']:.1e}, "
                    f"{row['near']:.1%} within 1e-5"
                )
        print(f"  {name}: {row['per_second']:,.0f} trajectories/s{said}", flush=True)
    return found


def dimension(small: bool, record: dict[str, Any]) -> dict[str, Any]:
    count = best_lanes(record)
    found = {str(d): timed(simulated(range(count), count, d=d), 2 if small else REPEATS) for d in (2000, 10**6)}
    a, b = (row["seconds"] for row in found.values())
    print(f"  d = 10^6 over d = 2,000: {b / a:.3f} of the time")
    return found


def law(small: bool, record: dict[str, Any]) -> dict[str, Any]:
    reference, found = known(record), {}
    if reference is None:
        raise RuntimeError("the processor's results are not there")
    count = len(reference["error"]) // 2
    ds = pt_jax.run(simulated(range(count), min(count, best_lanes(record))))
    for name in KEPT:
        here = ds[name].values.ravel()
        same, other = reference[name][:count], reference[name][count:]
        p = float(stats.ks_2samp(here, other).pvalue)
        off = np.abs(here - same)
        row = found[name] = {"p": p, "mean": float(here.mean()), "mean_cpu": float(other.mean())}
        row |= {"off": float(off.max()), "near": float(np.mean(off < 1e-5))}
        print(
            f"  {name:<14} {row['mean']:.5f}, processor {row['mean_cpu']:.5f} on other seeds, Kolmogorov-Smirnov "
            f"p = {p:.3f}; on the same at most {row['off']:.1e} apart, {row['near']:.1%} within 1e-5",
            flush=True,
        )
    return found


def heat_map(small: bool, record: dict[str, Any]) -> dict[str, Any]:
    from sims.kou2023 import sweeps

    return through(sweeps(small, 10)["map"], 1 if small else 3)


def mapped(small: bool, record: dict[str, Any]) -> dict[str, Any]:
    if small:
        count = best_lanes(record)
        return through(simulated(range(count), count), 1, stored=True)  # what is compiled already
    values = np.linspace(0, 4, 41)
    sweep = pt_jax.Sweep(pt_jax.simulate, FIRST._replace(n1=200), {"u": values, "v2": values}, 16, ("gain",))
    return through(sweep, 2, stored=True)


def through(sweep: pt_jax.Sweep, repeats: int, stored: bool = False) -> dict[str, Any]:
    """Return the seconds of whole runs of a sweep; the first compiles."""
    taken = []
    for _ in range(1 + repeats):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            pt_jax.run(sweep, store=f"{folder}/store" if stored else None, report=None)
            taken.append(time.perf_counter() - start)
    median = statistics.median(taken[1:])
    found = {"trajectories": sweep.trajectories, "first": taken[0], "seconds": median}
    print(f"  {sweep.trajectories:,} trajectories in {median:.2f} s, the first time {taken[0]:.1f} s", flush=True)
    return found


def networks(small: bool, record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    steps = 2 if small else 50
    for name in ("vgg8",) if small else ("vgg8", "vgg32"):
        data, forms = images_of(SETTINGS[name]), FORMS if not small else FORMS[:1]
        for count in (2,) if small else (64, 512, 4096):
            for form in forms:
                try:
                    row = timed(
                        sweep_of(static_of(SETTINGS[name], data, conv=form), data, range(count), steps, lanes=count), 2
                    )
                except (ValueError, jax.errors.JaxRuntimeError) as error:
                    print(f"  {name}, {count:>5,} by {form}: {str(error).splitlines()[0][:200]}", flush=True)
                    continue
                found[f"{name} {count} {form}"] = row
                each = row["seconds"] / count / steps * 1e6
                print(
                    f"  {name}, {count:>5,} by {form:<8}: {each:>9.2f} us a step and model, "
                    f"{row['bytes'] / 1e9:.2f} GB, compiled in {row['compile_s']:.1f} s",
                    flush=True,
                )
            rows = {form: found[key]["seconds"] for form in FORMS if (key := f"{name} {count} {form}") in found}
            forms = (min(rows, key=lambda form: rows[form]),) if rows else forms  # larger groups by the fastest alone
    return found


def by_torch(small: bool, record: dict[str, Any]) -> dict[str, Any]:
    import torch
    import vision
    from clock import clock
    from vs_pytorch import choose, models

    device, count, found = "cuda" if torch.cuda.is_available() else "cpu", 1 if small else 3, {}
    models.loop(FIRST, 1, device)
    found["loop"] = count / clock(partial(models.loop, FIRST, count, device)).seconds
    print(f"  loop: {found['loop']:.2f} trajectories/s", flush=True)
    if not small:
        b, width = choose("i", device)
        found["batched"] = b / clock(partial(models.batched, FIRST, b, width, device, b)).seconds
        print(f"  {b} seeds at once: {found['batched']:,.0f} trajectories/s", flush=True)
        for name in ("vgg8", "vgg32"):
            run = vision.loop(SETTINGS[name], images_of(SETTINGS[name]), 1, device)
            found[name] = clock(partial(run, 0)).seconds / vision.STEPS
            print(f"  {name}: {found[name] * 1e6:,.0f} us a step and model", flush=True)
    for count, row in record.get("lanes", {}).items():
        if count != "best":
            ratios = ", ".join(
                f"{row['per_second'] / found[name]:,.0f} ({name})" for name in found if "vgg" not in name
            )
            print(f"  the span engine with {int(count):,} lanes over PyTorch: {ratios}")
    return found


SECTIONS: dict[str, Section] = {
    "limits": limits,
    "lanes": lanes,
    "law": law,
    "torch": by_torch,
    "heat map": heat_map,
    "phases": by_phase,
    "map": mapped,
    "networks": networks,
    "dimension": dimension,
    "precision": precision,
}
SMALL = ("limits", "lanes", "law", "map", "networks")


def reference(path: str, count: int) -> None:
    """Write the results of the processor."""
    pt_jax.use_all_cores()
    ds = pt_jax.run(simulated(range(count)), report=None)
    Path(path).write_text(json.dumps({name: ds[name].values.ravel().tolist() for name in KEPT}))


def main() -> None:
    """Run the sections one after the other; write the numbers after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", help=f"some of {','.join(SECTIONS)}; by default all, or with --small the cheap")
    parser.add_argument("--small", action="store_true", help="small sizes, a quarter of a minute on a processor")
    parser.add_argument("--seconds", type=float, default=480, help="after which no section is begun")
    parser.add_argument("--out", type=Path, default=Path("results/accelerator.json"))
    parser.add_argument("--reference", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reference:
        return reference(options.reference[0], int(options.reference[1]))
    wanted = options.sections.split(",") if options.sections else list(SMALL if options.small else SECTIONS)
    if not set(wanted) <= set(SECTIONS):
        parser.error(f"--sections {options.sections}: use some of {','.join(SECTIONS)}")
    start = time.perf_counter()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path, count = f"{folder}/reference.json", 16 if options.small else 4096
        command = [sys.executable, __file__, "--reference", path, str(count)]
        child = subprocess.Popen(command, env=os.environ | {"JAX_PLATFORMS": "cpu"})
        pt_jax.use_all_cores()  # of no effect on an accelerator
        record: dict[str, Any] = {"machine": machine()}
        print(f"{record['machine']['device']}, jax {jax.__version__}", flush=True)
        for name in wanted:
            begun = time.perf_counter()
            if begun - start > options.seconds:
                print(f"{name}: left out, {options.seconds:.0f} s are over")
                continue
            print(name, flush=True)
            if name in ("law", "precision") and child.wait() == 0:
                record["reference"] = path
            try:
                record[name] = SECTIONS[name](options.small, record)
            except Exception as error:
                record[name] = {"failed": f"{type(error).__name__}: {error}"[:1500]}
                print(f"  {record[name]['failed']}", flush=True)
            print(f"  [{time.perf_counter() - begun:.1f} s]", flush=True)
            options.out.write_text(json.dumps(record, indent=1) + "\n")
        child.wait()
    print(options.out)
    if any("failed" in found for found in record.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
