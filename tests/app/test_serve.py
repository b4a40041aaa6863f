"""Pages for this machine: what is answered, to whom, and when it is asked for again."""

import http.client
import json
import socket
import struct
import threading
from contextlib import contextmanager

import pytest

import pt_jax
from pt_jax.app import explore, serve
from pt_jax.app.cli import main
from tests.app.worlds import sweep

AGAIN = "<script>setTimeout(() => location.reload(), 10000)</script>"


def double(asked):
    yield {"done": 0.5}
    yield {"found": 2 * int(asked["x"])}


@contextmanager
def running(server):
    """The server while it runs; in the end its threads are waited for."""
    server.daemon_threads = False
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server():
    """A server of pages 1, 2, ..., of which the second is the last one."""
    pages = iter([("one", True), ("two", False)])
    with running(serve.serve({"/": lambda: next(pages)}, answers={"/double": double})) as made:
        yield made


def ask(server, path="/", **headers):
    there = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    there.request("GET", path, headers=headers)
    answer = there.getresponse()
    return answer.status, answer.read().decode(), answer.getheader("Refresh")


def test_a_page_is_made_when_it_is_asked_for_until_all_is_computed(server):
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server) == (200, f"one{AGAIN}", None)
    assert ask(server, "/?from=mail", Host=f"LOCALHOST:{server.server_port}") == (200, "two", None)


def question(server, x, path="/double", **headers):
    there = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    here = {"Origin": f"http://127.0.0.1:{server.server_port}"}
    there.request("POST", path, x if isinstance(x, bytes) else json.dumps({"x": x}), here | headers)
    answer = there.getresponse()
    text = answer.read().decode()
    return [json.loads(line) for line in text.splitlines()] if answer.status == 200 else answer.status


def test_a_question_is_answered_line_by_line_and_wrong_input_in_words(server):
    assert question(server, 3) == [{"done": 0.5}, {"found": 6}]
    (_, told) = question(server, "three")
    assert "invalid literal" in told["error"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{", {}),
        (b"[" * 60_000, {}),
        (b"\xff", {}),
        (b"9" * 5000, {}),
        (b'{"x": 1}', {"Content-Length": "-1"}),
        (b'{"x": 1}', {"Content-Length": "x"}),
        (b'{"x": 1}' + b" " * 2**16, {}),
    ],
)
def test_what_is_no_question_is_asked_as_none(body, headers, capfd):
    with running(serve.serve({}, answers={"/what": lambda asked: [{"asked": asked}]})) as server:
        assert question(server, body, "/what", **headers) == [{"asked": None}]
    assert capfd.readouterr().err == ""


def test_what_cannot_be_done_is_told(capfd):
    errors = iter([OSError(28, "No space left", "data"), RuntimeError("out of memory\nthere"), MemoryError("")])

    def answer(asked):
        yield {"done": 0.5}
        raise next(errors)

    with running(serve.serve({}, answers={"/": answer})) as server:
        said = [question(server, 3, "/")[-1]["error"] for _ in range(3)]
    assert said[0].startswith("data cannot be used (No space left)") and said[1:] == ["out of memory", "MemoryError"]
    assert capfd.readouterr().err == ""


def test_others_cannot_ask(server):
    assert question(server, 3, Origin="http://example.org") == 404
    assert question(server, 3, Host="example.org", Origin="http://example.org") == 404
    assert question(server, 3, path="/") == 404


def test_a_browser_does_not_name_port_80(server):
    port, server.server_port = server.server_port, 80
    there = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    there.request("GET", "/", headers={"Host": "localhost"})
    assert there.getresponse().status == 200


def test_others_get_nothing(server):
    assert ask(server, "/other")[0] == 404 and ask(server, Host="example.org")[0] == 404
    assert ask(server)[1] == f"one{AGAIN}"


def test_the_command_serves_what_the_store_holds(tmp_path, monkeypatch, capsys):
    pt_jax.run(sweep({"x": [0.0, 1.0]}), store=tmp_path, report=None)
    pages = []
    monkeypatch.setattr(explore, "_serve", lambda live, port: pages.append((live["/"](), port)))
    assert main(["explore", str(tmp_path), "--serve", "--port", "8000"]) == 0
    (((text, changes), port),) = pages
    assert "<!doctype html>" in text and not changes and port == 8000 and capsys.readouterr().out == ""
    assert not (tmp_path / "explore.html").exists()


def test_a_page_that_cannot_be_made_is_a_sentence_and_comes_back(capfd):
    found = iter([ValueError("It holds no data.zarr."), FileNotFoundError("It is gone."), ("back", False)])

    def page():
        if isinstance(now := next(found), Exception):
            raise now
        return now

    with running(serve.serve({"/": page})) as server:
        assert ask(server) == (503, "It holds no data.zarr.", "10")
        assert ask(server) == (503, "It is gone.", "10")
        assert ask(server) == (200, "back", None)
    assert capfd.readouterr() == ("", "")


def test_a_browser_that_leaves_is_not_reported_but_a_fault_is(capfd):
    asked, left = threading.Event(), threading.Event()

    def page():
        asked.set()
        left.wait(60)
        return "x" * 10**7, False

    with running(serve.serve({"/": page})) as server:
        there = socket.create_connection(server.server_address)
        there.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode())
        asked.wait(60)
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not end
        there.close()
        left.set()
    assert capfd.readouterr().err == ""
    with running(serve.serve({"/": lambda: 1 / 0})) as server, pytest.raises(http.client.RemoteDisconnected):
        ask(server)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_port_that_is_taken_is_named(server, tmp_path, capsys):
    pt_jax.run(sweep({"x": [0.0, 1.0]}), store=tmp_path, report=None)
    for port, words in ((server.server_port, "cannot be had"), (70000, "is not accepted: use one from 0 to 65535")):
        assert main(["explore", str(tmp_path), "--serve", "--port", str(port)]) == 2
        assert f"--port = {port} {words}" in capsys.readouterr().err
    assert main(["explore", str(tmp_path), "--serve", "--out", "a.html"]) == 2
    assert "--out is not accepted with --serve" in capsys.readouterr().err
