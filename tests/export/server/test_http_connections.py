"""HTTP as clients get it wrong: bodies that are too large or cut short, and what is no HTTP."""

import contextlib
import gzip
import json
import socket

from export.server import http_connections

MODEL = "/v1/models/half_plus_three"
PREDICT = f"{MODEL}:predict"


def test_requests_that_are_too_large(toy_dir, run_server):
    with run_server(toy_dir, max_request_mb=1) as server:
        error = "the request has more than 1 MB, the server's --max_request_mb"
        body = '{"instances": [1.0%s]}' % (" " * (1 << 20))
        answers = [
            server.ask("POST", PREDICT, body),
            # Of unknown length, and one that only grows when it is unpacked.
            server.ask("POST", PREDICT, iter([body.encode()])),
            server.ask("POST", PREDICT, gzip.compress(body.encode()), {"Content-Encoding": "gzip"}),
        ]
        for status, headers, text in answers:
            assert (status, json.loads(text)) == (413, {"error": error})
            assert headers["Content-Type"] == "application/json"
        small = gzip.compress(b'{"instances": [1.0]}')
        status, _, text = server.ask("POST", PREDICT, small, {"Content-Encoding": "gzip"})
        assert (status, text) == (200, '{"predictions": [3.5]}')
        for encoding in ("br", "zstd"):
            status, _, text = server.ask("POST", PREDICT, b"?", {"Content-Encoding": encoding})
            said = "Content-Encoding: must be gzip, deflate or none"
            assert (status, json.loads(text)) == (415, {"error": said})


def talk(server, content, half_close=False):
    """Sends bytes on a new connection; returns all that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(content)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(1 << 16):
                answer += chunk
    return answer


def request(body, length=None, more=""):
    length = len(body) if length is None else length
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{more}\r\n"
    return head.encode() + body


def test_half_closed_connections(server):
    whole = request(b'{"instances": [1.0]}')
    answer = talk(server, whole, half_close=True)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b'{"predictions": [3.5]}')
    answer = talk(server, request(b'{"instances": [', length=100), half_close=True)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'{"error": "the request\'s body ends early"}')
    assert talk(server, b"POST /v1", half_close=True) == b""
    assert talk(server, b"", half_close=True) == b""


def test_connections_that_say_nothing_are_closed(toy_dir, run_server, monkeypatch):
    monkeypatch.setattr(http_connections, "_IDLE_S", 0.1)
    monkeypatch.setattr(http_connections, "_BODY_S", 0.1)
    with run_server(toy_dir) as server:
        assert talk(server, b"") == b""
        assert talk(server, b"POST /v1/models") == b""
        answer = talk(server, request(b'{"instances": [', length=100))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'{"error": "the request did not arrive within' in answer


def test_what_is_no_http(server):
    for content in (
        b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
    ):
        answer = talk(server, content, half_close=True)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 400 ")
        assert json.loads(body)["error"].startswith("Malformed request: ")
    long = talk(server, b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 20_000))
    assert long.startswith(b"HTTP/1.0 400 ")
    chunked = request(b"zz\r\n", more="Transfer-Encoding: chunked\r\n").replace(
        b"Content-Length: 4\r\n", b""
    )
    assert talk(server, chunked, half_close=True).startswith(b"HTTP/1.0 400 ")


def test_a_client_may_ask_before_it_sends(server):
    content = request(b"", length=20, more="Expect: 100-continue\r\nConnection: close\r\n")
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(content)
        assert connection.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b'{"instances": [1.0]}')
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
