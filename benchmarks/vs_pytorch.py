"""Trajectories per second against PyTorch, in one run on the same cores.

    python benchmarks/vs_pytorch.py [--repeats 5] [--settings i,momentum] [--quick] [--device cpu] [--out FILE.json]

Settings: (i) the default point, d = 2,000; (ii) the same at d = 20,000; (iii) the published heat map of
`sims/kou2023.py`, one training on one task; cnn_trained, mlp, attention: (i) with this network; momentum: (i) with
momentum 0.9 and weight decay 1e-3 on both tasks. All of them unless `--settings` names some. Competitors:

- loop, batched, published: PyTorch, see `pytorch_models.py`. Batch and block of `batched` are chosen before the timing,
  and whether loop and published are faster on one thread or on all.
- dense: pt_jax's engine in R^d.
- span: pt_jax's default engine; at (iii) it runs the whole map, the published style the cell in its middle column.

First `check` trains loop, batched and the dense engine on the same vectors in double precision. Competitors are timed
in turn, each round with new seeds. The first round is a warm-up; for pt_jax, what it takes beyond the others is the
compilation. Printed: medians over the other rounds; the median of the paired ratios, by the clock and in processor time
of all cores together; and mean errors with standard errors over all rounds.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from clock import clock

import pt_jax
from pt_jax.signal_noise.data import dense_world
from pt_jax.sweep.provenance import machine
from sims.kou2023 import sweeps

try:
    import pytorch_models as models
    import torch
except ImportError:
    sys.exit("vs_pytorch.py needs PyTorch (a CPU build will do): pip install torch")

RULES = {"momentum1": 0.9, "momentum2": 0.9, "weight_decay1": 1e-3, "weight_decay2": 1e-3}
POINTS = {"i": pt_jax.Point(), "ii": pt_jax.Point(d=20_000), "momentum": pt_jax.Point(**RULES)}
NETWORKS = ("cnn_trained", "mlp", "attention")  # settings of their own
SETTINGS = ("i", "ii", "iii", *NETWORKS, "momentum")
LOOP, BATCHED = {"ii": 1}, {"i": 16, "ii": 4}  # trajectories a repeat, 2 if not said; BATCHED in whole batches
DENSE = {"i": (16, 2), "ii": (4, 1)}  # trajectories a repeat and lanes, on 2 cores: few lanes were the fastest
BATCHES = {"cpu": {"i": (4, 8, 16), "ii": (2, 4, 8)}, "cuda": {"i": (64, 256, 1024), "ii": (16, 64, 128)}}
BLOCK = 2000  # along d, in `batched`: what a step touches of a seed is then about 1 MB


def choose(name: str, device: str) -> tuple[int, int]:
    """Return the batch and the block of the fastest of a few short trials."""
    p, seconds = POINTS[name], {}
    short = p._replace(steps1=p.steps1 // 4, steps2=p.steps2 // 4)
    for b in BATCHES[device][name]:
        for width in sorted({p.d, *([BLOCK] if device == "cpu" else [])}):
            models.batched(short, b, width, device, b)
            timed = [clock(partial(models.batched, short, b, width, device, b)).seconds for _ in range(3)]
            seconds[b, width] = min(timed) / b
    return min(seconds, key=lambda option: seconds[option])


def threaded(run: Callable[[int], np.ndarray], count: int) -> "Competitor":
    """Return a competitor on one thread or on all, as is faster: a function of a number of trajectories, and theirs."""
    every, seconds = torch.get_num_threads(), {}

    def on(threads: int, trajectories: int) -> np.ndarray:
        torch.set_num_threads(threads)
        try:
            return run(trajectories)
        finally:
            torch.set_num_threads(every)

    for threads in sorted({1, every}):
        on(threads, 1)
        seconds[threads] = min(clock(partial(on, threads, 1)).seconds for _ in range(3))
    best = min(seconds, key=lambda threads: seconds[threads])
    return Competitor(count, lambda turn: on(best, count), f"{best} of {every} threads")


def run_anew(sweep: pt_jax.Sweep, turn: int) -> np.ndarray:
    """Run a sweep with new seeds in each turn; return its errors, (seeds, 2), or those of the map, (seeds, 1)."""
    count = len(sweep.seed_values)
    ds = pt_jax.run(replace(sweep, seeds=list(range(turn * count, (turn + 1) * count))))
    if "error" in ds:
        return np.stack([ds.error.values.ravel(), ds.error_scratch.values.ravel()], 1)
    between = ds.error_scratch.interp(d=models.D, u=models.NORM)  # from the four cells around that of `published`
    return models.FLIP + (1 - 2 * models.FLIP) * between.values[:, None]


class Competitor(NamedTuple):
    """What is timed: trajectories a repeat, and a function of the turn that returns their errors."""

    trajectories: int
    run: Callable[[int], np.ndarray]
    note: str = ""


def competitors(name: str, device: str, quick: bool) -> dict[str, Competitor]:
    """Return the competitors of a setting."""
    if name == "iii":
        whole = sweeps(quick, 10)["map"]
        span = Competitor(whole.trajectories, partial(run_anew, whole), "x".join(map(str, whole.shape)))
        return {"published": threaded(lambda count: models.published(count, device), 5), "span": span}
    p, model = POINTS.get(name, POINTS["i"]), name if name in NETWORKS else "cnn"
    field = {"loop": threaded(lambda count: models.loop(p, count, device, model), LOOP.get(name, 2))}
    # The gain is the difference of the two errors: keeping them costs nothing more, and they are reported.
    in_span, kept = 2048 if jax.default_backend() == "cpu" else 32768, ("gain", "error", "error_scratch")
    one = pt_jax.Sweep(pt_jax.simulate, p, {"u": [p.u]}, in_span, kept, pt_jax.Static(model=model))
    if name in BATCHED:
        b, width = choose(name, device)
        many = b * max(1, BATCHED[name] // b)
        in_d, lanes = DENSE[name] if jax.default_backend() == "cpu" else (64, 64)
        other = replace(one, seeds=in_d, lanes=lanes, static=pt_jax.Static(engine="dense"))
        field["batched"] = Competitor(
            many, lambda turn: models.batched(p, b, width, device, many), f"{b} seeds, blocks of {width}"
        )
        field["dense"] = Competitor(in_d, partial(run_anew, other), f"{lanes} lanes")
    return field | {"span": Competitor(in_span, partial(run_anew, one))}


def measure(field: dict[str, Competitor], repeats: int) -> dict[str, dict[str, Any]]:
    """Time the competitors in turn; return the numbers of each."""
    rounds = [{name: clock(partial(one.run, turn)) for name, one in field.items()} for turn in range(repeats + 1)]
    rows: dict[str, dict[str, Any]] = {}
    for name, one in field.items():
        taken, errors = [r[name] for r in rounds], np.concatenate([r[name].result for r in rounds])
        seconds, cores = [x.seconds for x in taken], [x.cores for x in taken]
        each = one.trajectories / field["span"].trajectories
        row: dict[str, Any] = {"per_second": statistics.median(one.trajectories / x for x in seconds[1:])}
        row["span_ratio"] = statistics.median(r[name].seconds / r["span"].seconds / each for r in rounds[1:])
        row["span_ratio_cores"] = statistics.median(r[name].cores / r["span"].cores / each for r in rounds[1:])
        row |= {"seconds": seconds, "cores": cores, "trajectories_a_repeat": one.trajectories, "errors": len(errors)}
        row |= {"mean": errors.mean(0).tolist(), "se": (errors.std(0, ddof=1) / len(errors) ** 0.5).tolist()}
        row["compile_s"] = seconds[0] - statistics.median(seconds[1:]) if name in ("dense", "span") else None
        rows[name] = row | {"note": one.note}
    return rows


def show(setting: str, rows: dict[str, dict[str, Any]]) -> None:
    """Print the rows of one setting."""
    for name, row in rows.items():
        errors = "  ".join(f"{mean:.4f} +- {se:.4f}" for mean, se in zip(row["mean"], row["se"], strict=True))
        compiled = "" if row["compile_s"] is None else f"{row['compile_s']:.1f}"
        speed = f"{row['per_second']:>14,.2f}{row['span_ratio']:>17,.1f}{row['span_ratio_cores']:>10,.1f}{compiled:>11}"
        print(f"{setting:<12}{name:<10}{speed}   {errors:<36}  {row['note']}", flush=True)


def check(settings: Iterable[str]) -> None:
    """Train loop, batched and dense from the same draws of two seeds; exit where the training losses disagree."""
    small = {"d": 100, "m": 3, "n1": 8, "n2": 8, "steps1": 30, "steps2": 30, "lr1": 0.5, "lr2": 0.5, "init_scale": 0.1}
    for setting in settings:
        p, model = POINTS.get(setting, POINTS["i"])._replace(**small), setting if setting in NETWORKS else "cnn"
        static, keys = pt_jax.Static.covering(p, engine="dense", model=model), [jax.random.key(seed) for seed in (0, 1)]
        with jax.enable_x64(True):
            floats = jax.tree.map(jnp.float64, p)
            ends = [pt_jax.simulate(key, p, static) for key in keys]
            expected = np.array([[end.loss_upstream, end.loss, end.loss_scratch] for end in ends])
            world = jax.tree.map(lambda *x: np.stack(x), *(dense_world(key, floats, static) for key in keys))
        losses = {"loop": models.loop_losses(world, p, model)}
        if setting in BATCHED:
            losses["batched"] = models.batched_losses(world, p)
        for name, found in losses.items():
            off = float(np.abs(found / expected - 1).max())
            if not off < 1e-9:
                sys.exit(f"{setting}: {name} and the dense engine disagree by {off:.1e} of a training loss.")
            print(f"check: {setting}: {name} and the dense engine agree to {off:.0e} of a training loss")


def main() -> None:
    """Check, measure each setting, print the table and write all numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--settings", default=",".join(SETTINGS), help=f"some of {','.join(SETTINGS)}")
    parser.add_argument("--quick", action="store_true", help="every 4th value of both axes of the map")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="of PyTorch; jax uses what it has")
    parser.add_argument("--out", type=Path, default=Path("results/vs_pytorch.json"))
    flags = parser.parse_args()
    names = flags.settings.split(",")
    if not set(names) <= set(SETTINGS) or flags.repeats < 1:
        parser.error(
            f"--settings {flags.settings} --repeats {flags.repeats}: use some of {', '.join(SETTINGS)}; 1 or more"
        )
    load = os.getloadavg()[0]  # of others, before anything runs here
    pt_jax.use_all_cores()  # of no effect on a GPU
    check(name for name in names if name not in ("ii", "iii"))
    device = torch.cuda.get_device_name() if flags.device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    record: dict[str, Any] = {"machine": machine(), "load_before": load, "settings": {}}
    record["torch"] = {"version": torch.__version__, "device": device}
    print(f"torch {torch.__version__} on {device}; jax {jax.__version__} on {record['machine']['device']}")
    if load > 0.5:  # PyTorch's threads wait for each other at every operation, pt_jax's devices do not
        print(f"The load was {load:.1f} before the start: on a busy machine PyTorch is slowed down most.")
    print(
        "The span engine's test error has the variance of about 50 x 128 = 6,400 test samples (mlp, attention: 1,024),"
    )
    print("PyTorch's of 1,000. Errors: with transfer, from scratch; (iii): on flipped labels.")
    print(
        f"{'':<22}{'trajectories/s':>14}{'span/competitor':>17}{'of cores':>10}{'compile s':>11}   error +- its error"
    )
    for name in names:
        rows = measure(competitors(name, flags.device, flags.quick), flags.repeats)
        record["settings"][name] = rows
        show(name, rows)
        flags.out.parent.mkdir(parents=True, exist_ok=True)
        flags.out.write_text(json.dumps(record, indent=1) + "\n")  # after each setting: the run may be stopped
    print(flags.out)


if __name__ == "__main__":
    main()
