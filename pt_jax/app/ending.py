"""How a command ends, whatever ends it: with one sentence and an exit code, and its output is never a reason.

It loads nothing beside the standard library, so that Ctrl-C is heard while all else is imported.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

INTERRUPTED = 130  # exit code, as a shell has it


class Stopped(Exception):
    """The run ended before its sweeps did; the message says what is kept and how to go on."""

    def __init__(self, message: str, code: int):
        """Keep the exit code."""
        super().__init__(message)
        self.code = code


class Output:
    """A text stream that cannot fail: what nobody reads, or has no room, is dropped.

    Attributes:
        lost: why something was dropped, "" where nothing was. A reader that has gone needs no more and is no reason.
    """

    def __init__(self, stream: Any):
        """Write to a stream; characters that it does not have are escaped."""
        self._stream, self.lost = stream, ""
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write a text or drop it."""
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream or drop what is in it."""
        with self._dropping():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.lost = error.strerror or str(error)
            with open(os.devnull, "w") as nowhere:  # also for what the stream still holds
                os.dup2(nowhere.fileno(), self._stream.fileno())


@contextlib.contextmanager
def exits(name: str, alone: bool = True) -> Iterator[None]:
    """Turn what ends a command early into one sentence and an exit code.

    Args:
        name: of the command.
        alone: whether the process is the command's alone: then Ctrl-C ends it at once wherever it is, also in an
            import or a destructor, where an exception would be lost.
    """
    with _outputs() as output:
        if alone:
            listen(name)
        code = 0
        try:
            yield
        except Stopped as stop:
            code = stop.code
            if str(stop):
                print(stop)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except KeyboardInterrupt:
            code = INTERRUPTED
            print(_sentence(name), file=sys.stderr)
        except MemoryError as error:
            code = 2
            print(f"{name}: there is not enough memory for this ({error}): make it smaller.", file=sys.stderr)
        except (ValueError, OSError, RuntimeError, ImportError) as error:
            code = 2
            print(f"{name}: {in_a_line(error)}", file=sys.stderr)
        sys.stdout.flush()
        if output.lost and not code:
            code = 2
            print(f"{name}: the output cannot be written ({output.lost}).", file=sys.stderr)
    if code:
        raise SystemExit(code)


def in_a_line(error: BaseException) -> str:
    """Return what an exception says, on one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used ({error.strerror}): name another file or folder."
    return str(error).partition("\n")[0] or type(error).__name__


def listen(name: str) -> None:
    """Let Ctrl-C end this process at once, with one sentence, from now on."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda *_: _leave(name))
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # all is done: let it be


def _sentence(name: str) -> str:
    return f"{name}: interrupted; what was computed is kept."


def _leave(name: str) -> None:
    """End the process from within a signal handler: nothing that runs at this moment can go on or object."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    shown = "\033[?25h\n" if os.isatty(2) else ""  # a progress bar hides the cursor
    with contextlib.suppress(OSError):
        os.write(2, f"{shown}{_sentence(name)}\n".encode())
    os._exit(INTERRUPTED)


@contextlib.contextmanager
def _outputs() -> Iterator[Output]:
    """Let standard output and error never fail; yield the former."""
    with contextlib.ExitStack() as stack:
        for descriptor in range(3):  # a file opened later must not take the place of a closed one
            try:
                os.fstat(descriptor)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
        before = sys.stdout, sys.stderr
        streams = [stack.enter_context(open(os.devnull, "w")) if each is None else each for each in before]
        output = sys.stdout, sys.stderr = Output(streams[0]), Output(streams[1])
        try:
            yield output[0]
        finally:
            sys.stdout.flush()
            sys.stdout, sys.stderr = before
