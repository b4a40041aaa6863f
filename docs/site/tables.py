"""What griffe cannot read from the source: tables that a decorator fills in, wrapped functions, names in a row."""

import importlib
import inspect
import re

from griffe import Extension

WRAPPED = {"run": "sweep.run", "run_until": "sweep.adaptive", "boundary": "sweep.adaptive", "plan": "sweep.plan"}
ROW = re.compile(r"^( *)(\w+(?:, \w+)+): (.*(?:\n\1 +.*)*)", re.MULTILINE)  # `error, gain: text` and what is below it


class Tables(Extension):
    """Show classes with their docstrings at run time, and `pt_jax.run` and its like as the functions that they wrap."""

    def on_object(self, *, obj, **_):
        """Fill in the table of a docstring, and give each name of a row a line of its own."""
        if not obj.docstring:
            return
        if "TABLE" in obj.docstring.value and obj.is_class:
            obj.docstring.value = inspect.getdoc(getattr(importlib.import_module(obj.module.path), obj.name))
        lines = lambda row: "\n".join(f"{row[1]}{name}: {row[3]}" for name in row[2].split(", "))  # noqa: E731
        obj.docstring.value = ROW.sub(lines, obj.docstring.value)

    def on_package(self, *, pkg, **_):
        """Replace what `_with_bar` returns."""
        for name, home in WRAPPED.items():
            function = pkg[f"{home}.{name}"]
            if "report" in {each.name for each in function.parameters}:
                function.parameters["report"].default = "Bar"
            pkg["app.progress"].set_member(name, function)
