"""Pages for browsers on this machine, made anew whenever they are asked for, and answers to what a page asks."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pt_jax.app.ending import in_a_line

_EVERY = 10  # seconds after which a browser asks again
_LONGEST = 2**16  # bytes of a question

Pages = Mapping[str, Callable[[], tuple[str, bool]]]
Answers = Mapping[str, Callable[[Any], Iterable[dict[str, Any]]]]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a browser may leave at any time
            super().handle_error(request, client_address)


def serve(pages: Pages, port: int = 0, answers: Answers | None = None) -> ThreadingHTTPServer:
    """Return a server, not yet started, that answers on 127.0.0.1 alone.

    Args:
        pages: by address, as "/": returns the page, and whether it will change: then a browser loads it again after ten
            seconds. Looked up anew for each request. A ValueError or an OSError is said in its place until it is gone.
        port: of the server; 0 takes a free one.
        answers: by address: takes what a page of this server asks, as JSON, and yields what is told of it. What it
            cannot do is told as `error`, in a sentence; a browser that leaves ends the answer.

    Raises:
        OSError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if not self._is_ours() or path not in pages:
                self.send_error(404)
                return
            status, kind, headers = 200, "text/html", {}
            try:
                text, changes = pages[path]()
                # Not by a header: it would load the address as it was, without what has been chosen since.
                text += f"<script>setTimeout(() => location.reload(), {1000 * _EVERY})</script>" * changes
            except (ValueError, OSError) as error:  # the store is moved, or damaged
                status, kind, text, headers = 503, "text/plain", in_a_line(error), {"Refresh": str(_EVERY)}
            raw = text.encode()
            self._begin(kind, {"Content-Length": str(len(raw))} | headers, status)
            self.wfile.write(raw)

        def do_POST(self) -> None:
            origin = self.headers["Origin"]
            if not self._is_ours() or self.path not in (answers or {}) or origin != f"http://{self.headers['Host']}":
                self.send_error(404)
                return
            try:
                length = int(self.headers["Content-Length"])
                asked = json.loads(self.rfile.read(length)) if 0 <= length <= _LONGEST else None
            except (ValueError, TypeError, RecursionError):  # no number, no text, no JSON, or one nested too deeply
                asked = None
            self._begin("application/x-ndjson", {})
            try:
                for told in answers[self.path](asked):  # type: ignore[index]
                    self._tell(told)
            except (ValueError, OSError, RuntimeError, MemoryError) as error:  # as in `ending.exits`
                self._tell({"error": in_a_line(error)})

        def _is_ours(self) -> bool:
            # A page of another site may have its name point to this machine.
            name, _, port = (self.headers["Host"] or "").lower().partition(":")
            return name in ("127.0.0.1", "localhost") and (port or "80") == str(server.server_port)

        def _begin(self, kind: str, headers: Mapping[str, str], status: int = 200) -> None:
            self.send_response(status)
            about = {"Content-Type": f"{kind}; charset=utf-8", "Cache-Control": "no-store"}
            for name, value in (about | dict(headers)).items():
                self.send_header(name, value)
            self.end_headers()

        def _tell(self, what: dict[str, Any]) -> None:
            self.wfile.write((json.dumps(what, allow_nan=False) + "\n").encode())
            self.wfile.flush()

        def log_message(self, *args: object) -> None:
            pass  # the terminal is for what the command says

    server = _Server(("127.0.0.1", port), Handler)
    return server
