"""Clients that are slow on purpose, over raw sockets: nobody else waits for them."""

import asyncio
import base64
import contextlib
import gc
import json
import socket
import ssl
import struct
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import predict_pb2

from export.server import grpc_api, http_connections

MODEL = "half_plus_three"
PREDICT = f"/v1/models/{MODEL}:predict"
HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
SMALL = b'{"instances": [1.0]}'
LIMIT_S = 0.4
PATIENCE_S = 20  # Until a test gives up; what is closed in time is closed long before.


@pytest.fixture(scope="module")
def server(toy_dir, run_server):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_HEADER_S", "_BODY_S", "_WRITE_S"):
            patch.setattr(http_connections, name, LIMIT_S)
        for name in ("_REQUEST_S", "_WRITE_S"):
            patch.setattr(grpc_api, name, LIMIT_S)
        patch.setattr(grpc_api, "_MAX_WATCHES", 2)
        with run_server(toy_dir) as server:
            yield server


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def trickle(connection, content):
    """Sends a byte now and then until the server has enough; returns what it says."""
    begin = time.monotonic()
    connection.settimeout(LIMIT_S / 10)
    for i in range(len(content)):
        with contextlib.suppress(ConnectionError):
            connection.sendall(content[i : i + 1])
        try:
            said = connection.recv(1 << 16)
        except TimeoutError:
            assert time.monotonic() < begin + PATIENCE_S, "the server waits for ever"
            continue
        except ConnectionError:
            said = b""
        assert time.monotonic() > begin + LIMIT_S / 2
        return said
    raise AssertionError("the server took it all")


def send_and_take_nothing(connection, port):
    """Asks for an answer of 9 MiB and more, and reads none of it."""
    picture = base64.b64encode(bytes(9 << 20)).decode()
    columns = {"image_bytes": [{"b64": picture}], "tag": [""]}
    body = json.dumps({"signature_name": "strings", "inputs": columns}).encode()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(PATIENCE_S)
    connection.connect(("127.0.0.1", port))
    connection.sendall((HEAD % len(body)).encode() + body)


def eventually(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def open_connections(server):
    return server.server._rest._http._runner.server.connections


def test_a_head_that_trickles(server):
    with connect(server.port) as connection:
        assert trickle(connection, b"GET / HTTP/1.1\r\nX: " + b"x" * 1000) == b""


@pytest.mark.slow
def test_a_second_head_that_trickles(server):
    with connect(server.port) as connection:
        connection.sendall((HEAD % len(SMALL)).encode() + SMALL)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert trickle(connection, b"GET / HTTP/1.1\r\nX: " + b"x" * 1000) == b""


@pytest.mark.slow
def test_a_connection_may_rest_between_requests(server):
    with connect(server.port) as connection:
        for _ in range(2):
            connection.sendall((HEAD % len(SMALL)).encode() + SMALL)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            time.sleep(1.5 * LIMIT_S)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_trickles(server, chunked):
    with connect(server.port) as connection:
        if chunked:
            head = HEAD.replace("Content-Length: %d", "Transfer-Encoding: chunked").encode()
            content = b"1\r\n \r\n" * 200
        else:
            head, content = (HEAD % 1000).encode(), b" " * 1000
        connection.sendall(head)
        said = trickle(connection, content)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"the request did not arrive within" in said


def test_an_answer_that_nobody_takes(server, monkeypatch):
    monkeypatch.setattr(http_connections, "_BODY_S", PATIENCE_S)
    eventually(lambda: not open_connections(server))
    access = server.server._rest._access
    with socket.socket() as connection:
        send_and_take_nothing(connection, server.port)
        eventually(lambda: access._buffered > 2 * (9 << 20))  # The question and the answer.
        assert access._concurrent == 0
        eventually(lambda: not open_connections(server))
        eventually(lambda: access._buffered == 0)


def test_a_server_that_stops_leaves_no_connection_open(toy_dir, run_server, monkeypatch):
    monkeypatch.setattr(http_connections, "_HEADER_S", PATIENCE_S)
    monkeypatch.setattr(http_connections, "_WRITE_S", PATIENCE_S)
    with run_server(toy_dir) as server, socket.socket() as connection, connect(server.port):
        send_and_take_nothing(connection, server.port)
        eventually(lambda: server.server._rest._access._buffered > 2 * (9 << 20))
        server.server._rest._http._runner._shutdown_timeout = LIMIT_S
        transports = [c.transport for c in open_connections(server)]
        server.call(server.server._rest.stop())
        assert [t.get_extra_info("socket").fileno() for t in transports] == [-1, -1]


@pytest.mark.parametrize("turns", range(4))
def test_connections_made_while_it_stops_are_closed(toy_dir, run_server, turns):
    async def stop(server, stack):
        connections = [stack.enter_context(connect(server.port)) for _ in range(5)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.server._rest.stop()
        return connections

    with run_server(toy_dir) as server, contextlib.ExitStack() as stack:
        for connection in server.call(stop(server, stack)):
            with contextlib.suppress(ConnectionError):
                assert connection.recv(1) == b""
    gc.collect()  # What was dropped unclosed warns here, and a warning fails the test.


@pytest.mark.slow
def test_the_quick_do_not_wait_for_the_slow(server):
    with contextlib.ExitStack() as stack:
        for i in range(150):
            connection = stack.enter_context(connect(server.port))
            connection.sendall((HEAD % 1000).encode()[: [0, 20, None][i % 3]])
        begin = time.monotonic()
        status, _, text = server.ask("POST", PREDICT, SMALL)
        assert (status, text) == (200, '{"predictions": [3.5]}')
        assert time.monotonic() < begin + PATIENCE_S / 2
        eventually(lambda: not open_connections(server))


@pytest.mark.slow
def test_a_handshake_that_never_comes(toy_dir, run_server, tmp_path, monkeypatch):
    monkeypatch.setattr(http_connections, "_HEADER_S", LIMIT_S)
    monkeypatch.setattr(grpc_api, "_HANDSHAKE_S", LIMIT_S)
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    files = {
        "ssl_certificate": str(tmp_path / "server.pem"),
        "ssl_key": str(tmp_path / "server.key"),
    }
    with run_server(toy_dir, **files) as server:
        for port in (server.port, server.grpc_port):
            with connect(port) as connection:
                assert connection.recv(1 << 16) == b""
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with (
            connect(server.port) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            assert connection.recv(1 << 16) == b""  # Nor does a head come.


def frame(kind, flags, stream, payload=b""):
    """A frame of HTTP/2 (RFC 9113)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


DATA, HEADERS, RESET, SETTINGS = 0, 1, 3, 4


def call_head(stream, path="/tensorflow.serving.PredictionService/Predict"):
    """The frame that opens a gRPC call; names and values are literal, without Huffman."""
    headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "a"}
    headers |= {"te": "trailers", "content-type": "application/grpc"}
    fields = [part.encode() for pair in headers.items() for part in pair]
    block = b"".join(
        b"\0" + b"".join(bytes([len(part)]) + part for part in fields[i : i + 2])
        for i in range(0, len(fields), 2)
    )
    return frame(HEADERS, 4, stream, block)


@contextlib.contextmanager
def http2(server, *settings):
    """A connection that has said hello; a function that reads one frame: kind, flags, stream."""
    with connect(server.grpc_port) as connection, connection.makefile("rb") as reader:
        values = b"".join(struct.pack(">HI", *pair) for pair in settings)
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, values))

        def read():
            head = reader.read(9)
            if len(head) < 9:
                return None
            size = int.from_bytes(head[:3])
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            reader.read(size)
            if kind == SETTINGS and not flags & 1:
                connection.sendall(frame(SETTINGS, 1, 0))
            return kind, flags, stream

        yield connection, read


def ends(read, stream):
    """Reads until the server ends a call."""
    while (got := read()) is not None:
        kind, flags, number = got
        if number == stream and (kind == RESET or (kind == HEADERS and flags & 1)):
            return True
    return False


def test_a_call_whose_request_never_comes(server):
    begin = time.monotonic()
    with http2(server) as (connection, read):
        connection.sendall(call_head(1))
        assert ends(read, 1)
        assert time.monotonic() > begin + LIMIT_S / 2
        # Half of a message is no message either.
        connection.sendall(call_head(3) + frame(DATA, 0, 3, b"\0\0\0\1\0half"))
        assert ends(read, 3)
        connection.sendall(call_head(5, "/grpc.health.v1.Health/Check"))
        assert ends(read, 5)


def test_an_answer_over_grpc_that_nobody_takes(server):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([1])))
    content = request.SerializeToString()
    access = server.server._rpc._access
    with http2(server, (4, 0)) as (connection, read):  # It takes no byte of a stream's data.
        message = b"\0" + struct.pack(">I", len(content)) + content
        connection.sendall(call_head(1) + frame(DATA, 1, 1, message))
        while read() != (HEADERS, 4, 1):  # The answer's head.
            pass
        eventually(lambda: access._buffered == 0)
        assert access._concurrent == 0


def test_watches_are_counted(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        watches = [stub.Watch(request) for _ in range(2)]
        for watch in watches:
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            next(stub.Watch(request))
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stub.Check(request).status == health_pb2.HealthCheckResponse.SERVING
        for watch in watches:
            watch.cancel()
        eventually(lambda: server.server._rpc._watches == 0)
