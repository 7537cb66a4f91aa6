"""The exported model behind the server.

Every way in gives the Keras model's answers; a thousand malformed requests get a clear no, and the
good ones between them their answer.
"""

import base64
import contextlib
import io
import json
import random
import socket
import struct
import zipfile
import zlib

import grpc
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from export.golden_requests import cases
from tf_inbetween import images

REQUESTS = 1000
PREDICT = "/v1/models/tiny:predict"


@pytest.fixture(scope="module")
def server(exported, run_server):
    with run_server(exported) as server:
        yield server


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def as_json(array):
    """An array as nested lists, bytes as {"b64": ...}."""
    if array.dtype == object:
        return [as_json(value) if isinstance(value, np.ndarray) else b64(value) for value in array]
    return array.tolist()


def b64(value):
    return {"b64": base64.b64encode(value).decode()}


def from_json(value):
    """What `as_json` made, as an array again."""
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        parts = [from_json(item) for item in value]
        if isinstance(parts[0], bytes):
            array = np.empty(len(parts), object)
            array[:] = parts
            return array
        return np.array(parts)
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return np.array(value)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for key, wanted in expected.items():
        if wanted.dtype == object:
            pairs = zip(np.ravel(found[key]), wanted.ravel(), strict=True)
            for file, other in pairs:
                pixels, wanted_pixels = (
                    np.asarray(PIL.Image.open(io.BytesIO(f)), int) for f in (file, other)
                )
                assert np.abs(pixels - wanted_pixels).max() <= 1
        else:
            assert np.shape(found[key]) == wanted.shape
            np.testing.assert_allclose(found[key], wanted, atol=1e-5)


@pytest.fixture(scope="module")
def expected(trained_model):
    """Three rows for every signature: [(name, inputs, outputs)]."""
    model, config = trained_model
    return list(cases(model, config, float(model.scale.numpy()), batch=3))


def test_rows_over_rest(server, expected):
    for name, inputs, outputs in expected:
        columns = {key: as_json(value) for key, value in inputs.items()}
        instances = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        status, _, body = server.ask(
            "POST", PREDICT, {"signature_name": name, "instances": instances}
        )
        assert status == 200, body
        predictions = json.loads(body)["predictions"]
        if len(outputs) == 1:
            predictions = [{key: row for key in outputs} for row in predictions]
        found = {key: from_json([row[key] for row in predictions]) for key in outputs}
        assert_same(found, outputs)


def test_columns_over_rest(server, expected):
    for name, inputs, outputs in expected:
        columns = {key: as_json(value) for key, value in inputs.items()}
        status, _, body = server.ask("POST", PREDICT, {"signature_name": name, "inputs": columns})
        assert status == 200, body
        found = json.loads(body)["outputs"]
        found = found if len(outputs) > 1 else {key: found for key in outputs}
        assert_same({key: from_json(value) for key, value in found.items()}, outputs)


def request_for(signature, inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "tiny", signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def test_arrays_and_files_over_grpc(stub, expected):
    for name, inputs, outputs in expected:
        answer = stub.Predict(request_for(name, inputs), timeout=30).outputs
        assert_same({key: tf.make_ndarray(value) for key, value in answer.items()}, outputs)


@pytest.fixture(scope="module")
def picture(stored):
    """A frame of the scene as a PNG file."""
    frame = stored.load("test")[0].frames[0]
    with io.BytesIO() as file:
        PIL.Image.fromarray(frame).save(file, "PNG")
        return file.getvalue()


def test_a_jpeg_of_another_size_over_both(server, stub, picture, trained_model, tmp_path):
    model, config = trained_model
    with PIL.Image.open(io.BytesIO(picture)) as frame, io.BytesIO() as file:
        frame.resize((200, 160)).save(file, "JPEG", quality=95)
        jpeg = file.getvalue()
    (tmp_path / "a.jpg").write_bytes(jpeg)
    end = images.read_frame(tmp_path / "a.jpg", config.image_size, config.channels, lambda _: None)
    drawn = images.to_uint8(model.reconstruct(end[None]).numpy()[0])
    row = {"first_bytes": b64(jpeg), "second_bytes": b64(jpeg), "t": 0.0}
    status, _, body = server.ask("POST", PREDICT, {"instances": [row]})
    assert status == 200, body
    over_rest = base64.b64decode(json.loads(body)["predictions"][0]["frame_bytes"]["b64"])
    inputs = {"first_bytes": [jpeg], "second_bytes": [jpeg], "t": np.float32([0])}
    answer = stub.Predict(request_for("", inputs), timeout=30).outputs["frame_bytes"]
    assert over_rest == answer.string_val[0]
    assert np.abs(np.asarray(PIL.Image.open(io.BytesIO(over_rest)), int) - drawn).max() <= 4


def png_of(width, height, rows=1):
    """A valid PNG header of any size before too few pixels."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(rows * (3 * min(width, 10**6) + 1)))
    ends = chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + ends


def strip(width, height):
    """A real PNG of so many pixels, red."""
    content = io.BytesIO()
    PIL.Image.new("RGB", (width, height), "red").save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(("width", "height"), [(100_000, 1), (1, 100_000), (1, 1), (16_000, 1_000)])
def test_pictures_of_odd_sizes_are_drawn(server, width, height):
    row = {"first_bytes": b64(strip(width, height)), "second_bytes": b64(strip(1, 1)), "t": 0.0}
    status, _, answer = server.ask("POST", PREDICT, {"instances": [row]})
    assert status == 200, answer
    row["first_bytes"] = b64(strip(64, 64))
    # All of one colour: the size makes no difference.
    assert json.loads(answer) == json.loads(server.ask("POST", PREDICT, {"instances": [row]})[2])


def test_what_is_behind_a_picture_does_not_come_back(server, picture):
    tail = b"<!doctype html><script>alert(1)</script>"
    with io.BytesIO() as file:
        file.write(picture + tail)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("a.txt", "hidden")
        polyglot = file.getvalue()
    frames = []
    for first in (picture, polyglot):
        row = {"first_bytes": b64(first), "second_bytes": b64(first), "t": 0.0}
        status, _, answer = server.ask("POST", PREDICT, {"instances": [row]})
        assert status == 200, answer
        frames.append(base64.b64decode(json.loads(answer)["predictions"][0]["frame_bytes"]["b64"]))
    assert frames[0] == frames[1]
    assert frames[0].endswith(b"IEND\xaeB`\x82")


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


def test_a_thousand_malformed_requests_over_rest(server, picture):
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
        status, headers, answer = server.ask("POST", path, body, {"Content-Type": content_type})
        assert 400 <= status < 500, (kind, status, answer)
        assert headers["Content-Type"].startswith("application/json")
        found = json.loads(answer)
        assert set(found) == {"error"}, kind
        assert found["error"].strip(), kind
        assert "\n" not in found["error"], kind
        assert len(found["error"]) <= 1000, kind
        for leak in ("Traceback", "node", "/", "__inference") if kind in ("picture", "t") else ():
            assert leak not in found["error"], (kind, found)
        refused += 1
        status, _, answer = server.ask("POST", PREDICT, good)
        assert status == 200, (kind, answer)
    assert refused == REQUESTS


def test_connections_that_end_early_leave_the_server_well(server, picture):
    good = {"instances": [{"first_bytes": b64(picture), "second_bytes": b64(picture), "t": 0.5}]}
    body = json.dumps(good).encode()
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    rng = random.Random(1)
    for _ in range(60):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
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
    status, _, answer = server.ask("POST", PREDICT, good)
    assert status == 200, answer
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
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


def test_malformed_requests_over_grpc(stub, picture):
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
            stub.Predict(makers[i % len(makers)](), timeout=30)
        assert caught.value.code() in REFUSALS, caught.value
        details = caught.value.details()
        assert details.strip()
        assert "\n" not in details
        if i % 5 == 0:
            assert "frame_bytes" in stub.Predict(request_for("", good), timeout=30).outputs
