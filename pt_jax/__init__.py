"""pt_jax: when does inheriting parameters from a pretrained network help, and when does it hurt?

    Sweep          what to run: a pure function over a product of axes and seeds
    run            run a sweep, to a labelled xarray dataset; store=DIR keeps and continues it
    load           the dataset that a store holds, also while it is written
    plan           what a sweep will cost, before it is run
    run_until      run, adding seeds to a cell until its standard error is small
    boundary       trace where the gain is 0, computing only the cells near it
    provenance     where a dataset comes from: configuration, versions, device
    use_all_cores  let sweeps on a CPU use all of its cores; call it first
    stats          means over seeds, paired intervals, clear cells, false-discovery control
    plot           phase diagrams and curves, and the numbers beside them
    explore        the same maps to explore in a browser: one file, no network
    simulate       one trajectory: pretrain, inherit, train, compare with scratch on the same data
    Outcome        what simulate returns
    scratch        one task alone, from fresh weights
    Scratch        what scratch returns
    Point          the hyper-parameters of a trajectory: what an axis moves
    Static         its options: what fixes shapes or code
    Data           a law of samples of your own: signals, and how much of which is in each patch
    FIELDS         default, range, unit and meaning of every field of a Point
    DERIVED        quantities that follow of a Point, to draw over
    theory         test errors predicted without training, and criteria in closed form
    study          scripts with the flags of pt-jax map

`pt_jax.vision` (real images) and `pt_jax.diagnostics` (measures on your own networks) are imported by these names.
Names are loaded when they are first used, so that `pt-jax --help` loads no jax. Their types are in `__init__.pyi`.
"""

__version__ = "0.1.0"

# fmt: off
_HOMES = {
    "app": ["study"], "report": ["plot"], "signal_noise": ["theory"], "sweep": ["stats"],
    "report.explorer.page": ["explore"],
    "signal_noise.derived": ["DERIVED"], "signal_noise.fields": ["FIELDS"], "signal_noise.generators": ["Data"],
    "signal_noise.point": ["Point", "Static"],
    "signal_noise.trajectory": ["Outcome", "Scratch", "scratch", "simulate"],
    "app.progress": ["boundary", "plan", "run", "run_until"], "sweep.dataset": ["load"],
    "sweep.devices": ["use_all_cores"], "sweep.grid": ["Sweep"], "sweep.provenance": ["provenance"],
}
# fmt: on
__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(__import__(f"pt_jax.{home}", fromlist=[name]), name)  # from pt_jax.HOME import NAME
    raise AttributeError(f"module 'pt_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
