"""What griffe cannot read from the source: tables that a decorator fills in, wrapped functions, names in a row."""

import importlib
import inspect
import re

from griffe import Docstring, Extension

from pt_jax.signal_noise.fields import FIELDS

WRAPPED = {"run": "sweep.run", "run_until": "sweep.adaptive", "boundary": "sweep.adaptive", "plan": "sweep.plan"}
ROW = re.compile(r"^( *)(\w+(?:, \w+)+): (.*(?:\n\1 +.*)*)", re.MULTILINE)  # `error, gain: text` and what is below it


def fields() -> str:
    """Return the hyper-parameters of signals and noise as a table."""
    lines = ["| name | symbol | meaning | accepted | default | unit |", "| --- " * 6 + "|"]
    for name, field in FIELDS.items():
        words = (f"`{name}`", field.symbol, field.meaning, field.accepted, f"{field.default:g}", field.unit)
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


class Tables(Extension):
    """Show classes with their docstrings at run time, and `pt_jax.run` and its like as the functions that they wrap."""

    def on_object(self, *, obj, **_):
        """Fill in the table of a docstring, write that of `FIELDS`, and give each name of a row a line of its own."""
        if obj.path.endswith("signal_noise.fields.FIELDS"):
            obj.docstring = Docstring(fields(), parent=obj)
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
