"""What griffe cannot read from the source: docstrings that a decorator fills in, and functions that one wraps."""

import importlib
import inspect

from griffe import Extension

WRAPPED = {"run": "sweep.run", "run_until": "sweep.adaptive", "boundary": "sweep.adaptive", "plan": "sweep.plan"}


class Tables(Extension):
    """Show a class with its docstring at run time, and `pt_jax.run` and its like as the functions that they wrap."""

    def on_class(self, *, cls, **_):
        """Replace the docstring of a class whose fields stand in a table."""
        if cls.docstring and "TABLE" in cls.docstring.value:
            kind = getattr(importlib.import_module(cls.module.path), cls.name)
            cls.docstring.value = inspect.getdoc(kind)

    def on_package(self, *, pkg, **_):
        """Replace what `_with_bar` returns."""
        for name, home in WRAPPED.items():
            pkg["app.progress"].set_member(name, pkg[f"{home}.{name}"])
