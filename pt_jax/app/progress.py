"""Progress of a run: a bar where one waits before a screen, a line now and then in a log.

The public `run`, `run_until`, `boundary` and `plan` are those of the engine with this bar as the default report.
"""

import inspect
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import Concatenate, ParamSpec, Self, TypeVar

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pt_jax.sweep import adaptive
from pt_jax.sweep import plan as planning
from pt_jax.sweep import run as running
from pt_jax.sweep.grid import Sweep

_FIRST, _PAUSE = 3.0, 30.0  # seconds before the first line of a log, and between two
_COMPILED = 1.0  # seconds; what is sooner there was compiled before

P = ParamSpec("P")
T = TypeVar("T")


class Bar:
    """The report of a run, within a `with` block: what is done, how fast, for how long yet, and what is under way.

    A bar with a running clock on a terminal and in a notebook; lines, half a minute apart, on a terminal that cannot
    move its cursor. Nothing is left of a run that failed or had nothing to compute.
    """

    def __init__(self, name: str = "", log: bool = False, console: Console | None = None):
        """Show a run by this name on standard error; `log` writes lines also where that is no terminal."""
        self._name, self._console = name, Console(stderr=True) if console is None else console
        self._log = log or self._console.is_terminal or self._console.is_jupyter
        self._phase, self._since = "preparing", time.monotonic()
        self._start, self._computing = self._since, 0.0  # seconds spent in phases before this one that compute
        self._known, self._done, self._total, self._at = 0, 0, 0, 0.0  # the last: seconds of computing for what is done
        self._programs, self._compiled = 0, 0.0  # compiled by now, and the seconds that they took
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        """Start to show."""
        screen = self._console
        widget = screen.is_jupyter and find_spec("ipywidgets") is not None  # what rich draws a bar in there
        if screen.is_interactive or widget:
            self._live = Live(get_renderable=self._bar, console=screen, redirect_stdout=sys.stdout.isatty())
            self._live.start()
        elif self._log:
            threading.Thread(target=self._write, daemon=True).start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Leave the finished bar."""
        self.phase("")
        self._ended.set()
        if hasattr(self, "_live"):
            self._live.transient = kind is not None or self.new == 0
            self._live.refresh()
            self._live.stop()

    def __call__(self, done: int, total: int, unit: int, units: int) -> None:
        """Note what is done; arguments as in `run`."""
        del unit, units
        if total != self._total:  # the start, or another round: what it adds was known
            self._known += done - self._done
        self._done, self._total, self._at = done, total, self.computing

    def phase(self, text: str) -> None:
        """Note what comes next."""
        now = time.monotonic()
        if self._phase.startswith("compiling") and now - self._since > _COMPILED:
            self._programs, self._compiled = self._programs + 1, self._compiled + now - self._since
        self._computing, self._since, self._phase = self.computing, now, text

    @property
    def new(self) -> int:
        """Trajectories computed by now."""
        return self._done - self._known

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start

    @property
    def computing(self) -> float:
        """Seconds spent on computing, compilation apart."""
        return self._computing + self._phase.startswith("computing") * (time.monotonic() - self._since)

    def __str__(self) -> str:
        """Say it in one line."""
        parts = [f"{self._done:,} of {self._total:,}"] if self._total else []
        if self.new and self._at:
            parts.append(planning.rate_in_words(self.new / self._at))
        parts.append(_clock(self.seconds))
        if self.new and self._done < self._total:
            # Where several programs are compiled, it is not known how many are left: as many a trajectory as before.
            each = (self._at + self._compiled * (self._programs > 1)) / self.new
            left = each * (self._total - self._done) - (self.computing - self._at)
            parts.append(f"{_clock(max(0.0, left))} left")
        return f"{self._name}: " * bool(self._name) + ", ".join([*parts, self._phase] if self._phase else parts)

    def _bar(self) -> Table:
        text = Text(str(self), no_wrap=True, overflow="ellipsis")
        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(self._total or None, self._done, self._console.width // 6), text)
        return row

    def _write(self) -> None:
        pause = _FIRST
        while not self._ended.wait(pause):
            self._console.print(str(self), highlight=False, markup=False, soft_wrap=True)
            pause = _PAUSE


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"


def _with_bar(function: Callable[Concatenate[Sweep, P], T]) -> Callable[Concatenate[Sweep, P], T]:
    """Return a function of the engine that shows a bar where it is given no report."""
    signature = inspect.signature(function)

    @wraps(function)
    def shown(sweep: Sweep, *args: P.args, **how: P.kwargs) -> T:
        given = signature.bind(sweep, *args, **how)
        if "report" in given.arguments or "report" in given.kwargs:
            return function(sweep, *args, **how)
        with Bar() as how["report"]:
            return function(sweep, *args, **how)

    parts = [part.replace(default=Bar) if part.name == "report" else part for part in signature.parameters.values()]
    shown.__signature__ = signature.replace(parameters=parts)  # type: ignore[attr-defined]
    return shown


run = _with_bar(running.run)
run_until = _with_bar(adaptive.run_until)
boundary = _with_bar(adaptive.boundary)
plan = _with_bar(planning.plan)
