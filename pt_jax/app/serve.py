"""The page of a store that is being written, for browsers on this machine: made anew whenever it is asked for."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_EVERY = 10  # seconds after which a browser asks again


def serve(page: Callable[[], tuple[str, bool]], port: int = 0) -> ThreadingHTTPServer:
    """Return a server, not yet started, that answers on 127.0.0.1 alone.

    Args:
        page: returns the page, and whether it will change: then a browser loads it again after ten seconds.
        port: of the server; 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here = {f"{host}:{server.server_port}" for host in ("127.0.0.1", "localhost")}
            # A page of another site may have its name point to this machine.
            if self.headers["Host"] not in here or self.path != "/":
                self.send_error(404)
                return
            text, changes = page()
            raw = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(raw)))
            self.send_header("Cache-Control", "no-store")
            if changes:
                self.send_header("Refresh", str(_EVERY))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: object) -> None:
            pass  # the terminal is for what the command says

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    return server
