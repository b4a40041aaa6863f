"""From labelled datasets to pictures and pages."""

from importlib import import_module


def __getattr__(name: str) -> object:
    if name == "explore":  # loaded when it is used: plots need no page, and it needs plots
        return import_module("pt_jax.report.explorer.page").explore
    raise AttributeError(f"module 'pt_jax.report' has no attribute {name!r}")
