"""Compilation for tests: in half the time, to slower code of the same program. No test is about speed."""

from functools import partial

import jax


def _known(**options) -> dict:
    """Return the options, or none where this version of XLA does not have them."""
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except jax.errors.JaxRuntimeError:
        return {}
    return options


_WHOLE = _known(xla_cpu_parallel_codegen_split_count=1)  # parts cost more in all, and each test has one core
# The older generator compiles sooner. It may round one formula differently in two places of a program.
_OLD = {**_WHOLE, **_known(xla_cpu_use_fusion_emitters=False)}
_NEW = {**_WHOLE, **_known(xla_cpu_use_fusion_emitters=True)}

SOON = {"xla_backend_optimization_level": 0, **_OLD}
FLAGS = " ".join(f"--{name}={str(value).lower()}" for name, value in SOON.items())

jit = partial(jax.jit, compiler_options=SOON)
jit_exact = partial(jax.jit, compiler_options={**SOON, **_NEW})  # for what must agree bit for bit
LONG = {**SOON, "xla_backend_optimization_level": 1}
jit_long = partial(jax.jit, compiler_options=LONG)  # for long runs
