"""A thousand malformed requests get a clear no, and the good ones between them their answer."""

import contextlib
import json
import random
import socket

import grpc
import numpy as np
import pytest
from request_bodies import b64, png_of, request_for

REQUESTS = 1000
PREDICT = "/v1/models/tiny:predict"


def damaged(rng, picture):
    """A file that is no picture, or half of one, or one that is far too large."""
    return rng.choice(
        [
            lambda: picture[: rng.randrange(len(picture) - 60)],
            lambda: rng.randbytes(rng.randrange(100)),
            lambda: b"\xff\xd8\xff" + rng.randbytes(40),
            lambda: b"GIF89a" + rng.randbytes(40),
            lambda: png_of(rng.choice([100_000, 2**31 - 1]), rng.choice([100_000, 2**31 - 1])),
            lambda: png_of(20_000, 20_000, rows=3),
            lambda: png_of(0, 0),
            lambda: picture[:33] + rng.randbytes(len(picture) - 33),
        ]
    )()


def bad_t(rng):
    bad = [float("nan"), float("inf"), -0.01, 1.01, 1e30, -1e30, 2, "0.5", None, [], [[0.5]], {}]
    return rng.choice([*bad, True, {"b64": "AAAA"}])


def malformed_bodies(rng, picture):
    """Makes one malformed body for each kind of mistake: [(kind, function -> bytes or dict)]."""
    good = {"first_bytes": b64(picture), "second_bytes": b64(picture), "t": 0.5}
    frame = np.zeros([64, 64, 3]).tolist()

    def row(**changed):
        return {"instances": [{**good, **changed}]}

    def cut():
        text = json.dumps({"instances": [good]})
        return text[: rng.randrange(1, len(text) - 2)]

    def shape():
        wrong = np.zeros([rng.choice([1, 63, 65]), 64, rng.choice([1, 3, 4])]).tolist()
        row = {"first": wrong, "second": frame, "t": 0.5}
        return {"signature_name": "inbetween", "instances": [row]}

    def ragged():
        wrong = json.loads(json.dumps(frame))
        del wrong[rng.randrange(64)][rng.randrange(64)]
        row = {"first": wrong, "second": frame, "t": 0.5}
        return {"signature_name": "inbetween", "instances": [row]}

    def nested():
        depth = rng.choice([9, 100, 10_000, 200_000])
        return f'{{"signature_name": "decode", "instances": {"[" * depth}1{"]" * depth}}}'

    def rows_differ():
        one, two = [b64(picture)], [b64(picture)] * 2
        return {"inputs": {"first_bytes": one, "second_bytes": two, "t": [0.5]}}

    return [
        ("picture", lambda: row(**{rng.choice([*good][:2]): b64(damaged(rng, picture))})),
        ("t", lambda: row(t=bad_t(rng))),
        ("not base64", lambda: row(first_bytes={"b64": rng.choice(["a", "é", "!!!!", "abc$"])})),
        ("type", lambda: row(first_bytes=rng.choice([1, 2.5, None, True, [], {"b65": ""}]))),
        ("cut JSON", cut),
        ("not JSON", lambda: rng.randbytes(rng.randrange(60))),
        ("JSON of another kind", lambda: rng.choice([b"[]", b"1", b"null", b'"x"', b"{}", b""])),
        (
            "signature",
            lambda: {
                **row(),
                "signature_name": rng.choice(["", "x", "__saved_model_init_op", 3]) or "y",
            },
        ),
        ("missing", lambda: {"instances": [{k: good[k] for k in rng.sample(list(good), 2)}]}),
        ("unknown input", lambda: row(**{f"x{rng.random()}": 1})),
        ("both", lambda: {**row(), "inputs": {}}),
        ("no rows", lambda: {"instances": []}),
        ("too many rows", lambda: {"instances": [good] * 65}),
        ("shape", shape),
        ("ragged", ragged),
        ("deep", nested),
        ("rows differ", rows_differ),
        (
            "too long a sequence",
            lambda: {"signature_name": "sequence_png", "instances": [{**good, "t": [0.5] * 5000}]},
        ),
        (
            "values",
            lambda: {
                "signature_name": "decode",
                "instances": [[rng.choice([float("nan"), float("inf"), 1e39, "1"])] * 3],
            },
        ),
        (
            "pixels",
            lambda: {
                "signature_name": "encode",
                "instances": [np.full([64, 64, 3], rng.choice([255, -1, float("nan")])).tolist()],
            },
        ),
    ]


def test_a_thousand_malformed_requests_over_rest(tiny_server, picture):
    rng = random.Random(0)
    good = {"instances": [{"first_bytes": b64(picture), "second_bytes": b64(picture), "t": 0.5}]}
    kinds = malformed_bodies(rng, picture)
    refused = 0
    for i in range(REQUESTS):
        kind, make = kinds[i % len(kinds)]
        path = PREDICT
        if i % 50 == 49:
            kind, path = (
                "path",
                rng.choice(
                    [
                        "/v1/models/other:predict",
                        "/v1/models/tiny:guess",
                        "/v1/models/tiny/versions/9:predict",
                        "/v1/models/tiny/labels/x:predict",
                        "/v1/models/tiny/versions/99999999999999999999:predict",
                        "/../../etc/passwd",
                        "/v1/models/%ff:predict",
                    ]
                ),
            )
        body = make()
        content_type = rng.choice(
            ["application/json", "image/png", "text/plain", "", "multipart/form-data"]
        )
        status, headers, answer = tiny_server.ask(
            "POST", path, body, {"Content-Type": content_type}
        )
        assert 400 <= status < 500, (kind, status, answer)
        assert headers["Content-Type"].startswith("application/json")
        content = json.loads(answer)
        assert set(content) == {"error"}, kind
        assert content["error"].strip(), kind
        assert "\n" not in content["error"], kind
        assert len(content["error"]) <= 1000, kind
        for leak in ("Traceback", "node", "/", "__inference") if kind in ("picture", "t") else ():
            assert leak not in content["error"], (kind, content)
        refused += 1
        status, _, answer = tiny_server.ask("POST", PREDICT, good)
        assert status == 200, (kind, answer)
    assert refused == REQUESTS


def test_connections_that_end_early_leave_the_server_well(tiny_server, picture):
    good = {"instances": [{"first_bytes": b64(picture), "second_bytes": b64(picture), "t": 0.5}]}
    body = json.dumps(good).encode()
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    rng = random.Random(1)
    for _ in range(60):
        with socket.create_connection(("127.0.0.1", tiny_server.port), timeout=30) as connection:
            whole = head + body
            sent = whole[: rng.randrange(len(whole))]
            connection.sendall(sent)
            # Half closed: no more comes, but an answer could still be read.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            if rng.random() < 0.5:
                with contextlib.suppress(OSError):
                    answer = connection.recv(65536)
                    if answer:
                        assert answer.startswith(b"HTTP/1.1 4"), answer[:80]
    status, _, answer = tiny_server.ask("POST", PREDICT, good)
    assert status == 200, answer
    with socket.create_connection(("127.0.0.1", tiny_server.port), timeout=30) as connection:
        connection.sendall(head + body)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def test_malformed_requests_over_grpc(tiny_stub, picture):
    rng = random.Random(0)
    good = {"first_bytes": [picture], "second_bytes": [picture], "t": np.float32([0.5])}
    frames = {"first": np.zeros([1, 64, 64, 3], "f"), "second": np.zeros([1, 64, 64, 3], "f")}

    def proto_lies():
        request = request_for("", good)
        tensor = request.inputs["t"]
        tensor.tensor_shape.dim[0].size = rng.choice([-1, 2**40, 10**6])
        return request

    def other_model():
        request = request_for("", good)
        request.model_spec.name = rng.choice(["", "other"])
        return request

    def filtered():
        request = request_for("", good)
        request.output_filter.append("nothing")
        return request

    makers = [
        lambda: request_for("", {**good, "first_bytes": [damaged(rng, picture)]}),
        lambda: request_for("", {**good, "t": np.float32([rng.choice([np.nan, -1, 2, np.inf])])}),
        lambda: request_for("", {**good, "t": np.float64([0.5])}),
        lambda: request_for("", {**good, "t": np.float32([[0.5]])}),
        lambda: request_for("", {**good, "t": np.float32([0.5, 0.5])}),
        lambda: request_for("", {"t": np.float32([0.5])}),
        lambda: request_for("", {**good, "x": np.float32([0.5])}),
        lambda: request_for("nothing", good),
        lambda: request_for(
            "inbetween", {**frames, "t": np.float32([0.5]), "first": 300 + frames["first"]}
        ),
        lambda: request_for(
            "inbetween", {**frames, "t": np.float32([0.5]), "first": frames["first"][:, :32]}
        ),
        lambda: request_for(
            "sample", {**frames, "t": np.float32([0.5]), "seed": np.int32([[1, 2]])}
        ),
        proto_lies,
        other_model,
        filtered,
    ]
    for i in range(200):
        with pytest.raises(grpc.RpcError) as caught:
            tiny_stub.Predict(makers[i % len(makers)](), timeout=30)
        assert caught.value.code() in REFUSALS, caught.value
        details = caught.value.details()
        assert details.strip()
        assert "\n" not in details
        if i % 5 == 0:
            assert "frame_bytes" in tiny_stub.Predict(request_for("", good), timeout=30).outputs
