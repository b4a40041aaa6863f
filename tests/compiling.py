"""Compilation for tests: in half the time, to slower code of the same program. No test is about speed."""

from functools import partial

import jax

# The older generator compiles sooner. It may round one formula differently in two places of a program.
_OLD = {"xla_cpu_use_fusion_emitters": False}
_NEW = {"xla_cpu_use_fusion_emitters": True}


def _options(level: int, generator: dict) -> dict:
    """Return options of XLA: the level of LLVM, and the code generator where this version has both."""
    try:
        jax.jit(lambda: 0, compiler_options=generator)()
    except jax.errors.JaxRuntimeError:
        generator = {}
    return {"xla_backend_optimization_level": level, **generator}


SOON = _options(0, _OLD)
FLAGS = " ".join(f"--{name}={str(value).lower()}" for name, value in SOON.items())

jit = partial(jax.jit, compiler_options=SOON)
jit_exact = partial(jax.jit, compiler_options=_options(0, _NEW))  # for what must agree bit for bit
LONG = _options(1, _OLD)
jit_long = partial(jax.jit, compiler_options=LONG)  # for long runs
