"""The REST API, as TensorFlow Serving's documentation of it has it: forms, answers, errors."""

import base64
import contextlib
import gzip
import io
import json
import math
import random
import shutil
import socket
import struct
import urllib.request
import zlib

import numpy as np
import PIL.Image
import pytest

from export.server import http_connections

MODEL = "/v1/models/half_plus_three"
PREDICT = f"{MODEL}:predict"
METRICS = "/monitoring/prometheus/metrics"


@pytest.fixture(scope="module")
def server(toy_dir, run_server):
    with run_server(toy_dir, max_image_pixels=10_000) as server:
        yield server


@pytest.fixture
def predict(server):
    """Sends a predict request; returns its status and its parsed body."""

    def ask(path=PREDICT, **body):
        status, headers, text = server.ask("POST", path, body)
        assert headers["Content-Type"] == "application/json"
        return status, json.loads(text)

    return ask


def png(width, height):
    """A PNG that says that it has so many pixels, and has none."""

    def chunk(kind, content):
        content = kind + content
        size = struct.pack(">I", len(content) - 4)
        return size + content + struct.pack(">I", zlib.crc32(content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


def test_the_documented_example(server):
    status, headers, text = server.ask("GET", MODEL)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert text == (
        '{\n "model_version_status": [\n  {\n   "version": "123",\n   "state": "AVAILABLE",\n'
        '   "status": {\n    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}'
    )
    # curl -d sends this type.
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, headers, text = server.ask("POST", PREDICT, '{"instances": [1.0,2.0,5.0]}', form)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(text) == {"predictions": [3.5, 4.0, 5.5]}
    status, headers, text = server.ask(
        "POST", "/v1/models/half:predict", '{"instances": [1.0,5.0]}'
    )
    assert (status, headers["Content-Type"]) == (404, "application/json")
    assert text == '{"error": "Servable not found for request: Latest(half)"}'


@pytest.mark.parametrize(
    "path", [PREDICT, f"{MODEL}/versions/123:predict", f"{MODEL}/labels/stable:predict"]
)
def test_versions_and_labels(toy_dir, run_server, path, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "123").symlink_to(toy_dir / "123")
    (tmp_path / "models" / "models.config").write_text(
        'model_config_list { config { name: "half_plus_three" base_path: "/models/toy"'
        ' version_labels { key: "stable" value: 123 } } }'
    )
    with run_server(tmp_path / "models") as server:
        assert server.ask("POST", path, {"inputs": [2.0]})[0::2] == (200, '{"outputs": [4.0]}')
        status, _, text = server.ask("GET", path.removesuffix(":predict"))
        assert (status, json.loads(text)["model_version_status"][0]["version"]) == (200, "123")
        status, _, text = server.ask("GET", path.removesuffix(":predict") + "/metadata")
        assert (status, json.loads(text)["model_spec"]["version"]) == (200, "123")


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/other", 404, "Could not find any versions of model other"),
        ("GET", f"{MODEL}/versions/9", 404, "Could not find version 9 of model half_plus_three"),
        ("GET", f"{MODEL}/labels/beta", 400, "Unrecognized servable version label: beta"),
        (
            "GET",
            f"{MODEL}/versions/9223372036854775808",
            400,
            "Failed to convert version: 9223372036854775808 to numeric.",
        ),
        ("GET", "/v1/models/o/metadata", 404, "Servable not found for request: Latest(o)"),
        (
            "GET",
            f"{MODEL}/versions/9/metadata",
            404,
            "Servable not found for request: Specific(half_plus_three, 9)",
        ),
        (
            "POST",
            f"{MODEL}/versions/9:predict",
            404,
            "Servable not found for request: Specific(half_plus_three, 9)",
        ),
        ("POST", f"{MODEL}/labels/beta:predict", 400, "Unrecognized servable version label: beta"),
        ("POST", MODEL, 400, f"Malformed request: POST {MODEL}"),
        ("POST", f"{MODEL}:forget", 400, f"Malformed request: POST {MODEL}:forget"),
        ("GET", PREDICT, 400, f"Malformed request: GET {PREDICT}"),
        ("PUT", PREDICT, 400, f"Malformed request: PUT {PREDICT}"),
        ("DELETE", MODEL, 400, f"Malformed request: DELETE {MODEL}"),
        ("GET", "/v1/", 400, "Malformed request: GET /v1/"),
        ("GET", "/v1/models/%ff", 400, "Failed to decode model name:%ff"),
        ("GET", "/", 404, "Not found: /; --demo serves a page there"),
        ("GET", "/v2/models", 404, "Not found: /v2/models"),
        ("POST", METRICS, 405, "POST is not allowed here"),
        ("OPTIONS", PREDICT, 400, "Origin header is missing in CORS preflight"),
        (
            "POST",
            f"{MODEL}:classify",
            501,
            "This server has no classify API: use predict, or TensorFlow Serving",
        ),
        (
            "POST",
            f"{MODEL}:regress",
            501,
            "This server has no regress API: use predict, or TensorFlow Serving",
        ),
    ],
)
def test_errors_of_paths(server, method, path, status, error):
    body = '{"instances": [1.0]}' if method == "POST" else None
    got, headers, text = server.ask(method, path, body)
    assert (got, json.loads(text)) == (status, {"error": error})
    assert headers["Content-Type"] == "application/json"


def test_paths_know_no_case(server):
    status, _, text = server.ask("POST", "/V1/Models/half_plus_three:PREDICT", {"inputs": [2.0]})
    assert (status, text) == (200, '{"outputs": [4.0]}')
    status, _, _ = server.ask("GET", "/v1/models/half%5Fplus%5Fthree?a=query")
    assert status == 200


def test_rows_of_several_inputs(predict):
    rows = [{"a": [1.5, 2.0], "b": 2}, {"a": [3, 4], "b": -1}]
    assert predict(signature_name="pair", instances=rows) == (
        200,
        {
            "predictions": [
                {"scaled": [3.0, 4.0], "total": 3.5},
                {"scaled": [-3.0, -4.0], "total": 7.0},
            ]
        },
    )


def test_columns_of_several_inputs(predict):
    columns = {"a": [[1.5, 2.0], [3, 4]], "b": [2, -1], "more": "is not looked at"}
    assert predict(signature_name="pair", inputs=columns) == (
        200,
        {"outputs": {"scaled": [[3.0, 4.0], [-3.0, -4.0]], "total": [3.5, 7.0]}},
    )


def test_one_input_with_and_without_its_name(predict):
    assert predict(instances=[{"x": 2.0}]) == (200, {"predictions": [4.0]})
    assert predict(inputs={"x": [2.0]}) == (200, {"outputs": [4.0]})
    assert predict(inputs=[2.0]) == (200, {"outputs": [4.0]})
    assert predict(signature_name="serving_default", inputs=[2.0])[0] == 200
    assert predict(inputs=[]) == (200, {"outputs": []})


def test_bytes(predict):
    content = bytes(range(256))
    for text in (b64(content)["b64"], b64(content)["b64"].rstrip("="), b64(content)["b64"] + "\n"):
        rows = [{"image_bytes": {"b64": text}, "tag": "täg"}, {"image_bytes": "é", "tag": "\x00"}]
        assert predict(signature_name="strings", instances=rows) == (
            200,
            {
                "predictions": [
                    {"same_bytes": b64(content), "size": 256, "tag": "täg"},
                    {"same_bytes": b64("é".encode()), "size": 2, "tag": "\x00"},
                ]
            },
        )
    columns = {"image_bytes": [b64(content)], "tag": [b64(b"ascii")]}
    assert predict(signature_name="strings", inputs=columns) == (
        200,
        {"outputs": {"same_bytes": [b64(content)], "size": [256], "tag": ["ascii"]}},
    )


def test_all_types(predict):
    values = {
        "bool": True,
        "float64": 0.1,
        "int8": -128,
        "uint8": 255,
        "int16": 32767,
        "int32": -(2**31),
        "int64": 2**63 - 1,
        "uint32": 2**32 - 1,
        "uint64": 2**64 - 1,
    }
    status, answer = predict(signature_name="types", inputs=values)
    assert (status, answer) == (200, {"outputs": values})
    for name, value in {
        "bool": 1,
        "int8": 128,
        "uint8": -1,
        "int32": 1.0,
        "int64": 2**63,
        "uint64": -1,
        "float64": "1",
        "int16": True,
        "uint32": None,
    }.items():
        status, answer = predict(signature_name="types", inputs={**values, name: value})
        assert status == 400
        wanted = "double" if name == "float64" else name
        assert answer["error"].endswith(f" is not of expected type: {wanted}")


def test_numbers_are_written_as_short_as_they_read_back(server):
    numbers = [0.1, 1 / 3, 16777217, 1e-30, -0.0, 3e38, 5e-324, 1435774380]
    body = {"inputs": {"a": [[n, n] for n in numbers], "b": [1] * len(numbers)}}
    _, _, text = server.ask("POST", PREDICT, {"signature_name": "pair", **body})
    scaled = json.loads(text)["outputs"]["scaled"]
    np.testing.assert_array_equal(
        np.float32(scaled), np.float32([[number, number] for number in numbers])
    )
    assert "[0.1, 0.1]" in text
    assert "0.33333334" in text
    assert "1.4357743e+09" in text


def test_tokens_that_are_not_json(server):
    body = '{"signature_name": "pair", "inputs": {"a": [[NaN, Infinity], [-Infinity, 1]],'
    status, _, text = server.ask("POST", PREDICT, body + ' "b": [1, 1]}}')
    assert status == 200
    assert '"scaled": [[NaN, Infinity], [-Infinity, 1.0]]' in text
    scaled = json.loads(text)["outputs"]["scaled"]
    assert math.isnan(scaled[0][0])


def test_outputs_that_have_no_rows(predict):
    assert predict(signature_name="any_rank", inputs=4) == (200, {"outputs": 0.25})
    status, answer = predict(signature_name="any_rank", instances=[4])
    assert (status, answer) == (400, {"error": "Tensor name: y has no shape information"})


def test_metadata(server):
    status, headers, text = server.ask("GET", f"{MODEL}/metadata")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    content = json.loads(text)
    assert content["model_spec"] == {
        "name": "half_plus_three",
        "signature_name": "",
        "version": "123",
    }
    signatures = content["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"] == {
        "x": {
            "dtype": "DT_FLOAT",
            "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
            "name": "serving_default_x:0",
        }
    }
    assert signatures["pair"]["method_name"] == "tensorflow/serving/predict"
    assert set(signatures) >= {"serving_default", "pair", "__saved_model_init_op"}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("{", "JSON Parse error: Expecting property name enclosed in double quotes at offset: 1"),
        ('{"instances": [1]} x', "JSON Parse error: Extra data at offset: 19"),
        (b'{"instances": ["\xff"]}', "JSON Parse error: not UTF-8 at offset: 16"),
        ('{"instances": ' + "[" * 100_000, "nested too deeply"),
        ('{"instances": ' + "[" * 40 + "]" * 40 + "}", "lists are nested more than 32 deep"),
        ('{"instances": [' + "9" * 5000 + "]}", "JSON Parse error: Exceeds the limit"),
        ('{"instances": [' + "9" * 400 + "]}", "is too large for type: float"),
        ('{"instances": [1e39]}', "1e+39 is too large for type: float"),
        ('{"instances": [1e999]}', "is too large for type: float"),
        ("[1, 2]", "JSON Value: [1, 2] Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": [1], "inputs": [1]}', "expecting only one of 'inputs' or 'instances'"),
        ('{"instances": 1}', "Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"signature_name": 1, "inputs": [1]}', "'signature_name' key must be a string value."),
        (
            '{"signature_name": "no", "inputs": [1]}',
            'Serving signature name: "no" not found in signature def',
        ),
        (
            '{"signature_name": "__saved_model_init_op", "inputs": [1]}',
            'Serving signature name: "__saved_model_init_op" not found in signature def',
        ),
        (
            '{"instances": ["a"]}',
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT:"
            ' JSON Value: "a" Type: String is not of expected type: float',
        ),
        ('{"instances": [1, null]}', "element: 1 of 'instances' list."),
        ('{"instances": [1, true]}', "JSON Value: true Type: True is not of expected type: float"),
        ('{"instances": [[1], [1, 2]]}', "Expecting tensor size: 1 but got: 2"),
        ('{"instances": [[[1, 2]], [[1], [2]]]}', "Expecting shape [1,2] but got: [2,1]"),
        ('{"instances": [[[1, 2], [3]]]}', "Encountered list at unexpected size: 1 at level: 1"),
        ('{"instances": [[1, [2]]]}', "Encountered list at unexpected level: 1 expected < 1"),
        ('{"instances": [[[1], 2]]}', "found at incorrect level: 2 in the JSON DOM. Expected at"),
        ('{"instances": [[1, 2]]}', "input 'x' must have shape [-1], got [1,2]"),
        ('{"inputs": 1}', "input 'x' must have shape [-1], got []"),
        ('{"instances": [{"y": 1}]}', "key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON"),
        ('{"instances": [{"x": 1}, 2]}', "Expecting object but got list at item 1 of input list"),
        ('{"instances": [1, {"x": 2}]}', "Expecting value/list but got object at item 1 of input"),
        ('{"inputs": {"y": 1}}', "Missing named input: x in 'inputs' object."),
        (
            '{"signature_name": "pair", "instances": [1]}',
            "instances is a plain list, but expecting list of objects as multiple",
        ),
        (
            '{"signature_name": "pair", "instances": [{"a": [1, 2]}]}',
            "0 of 'instances' list. JSON object: {\"a\": [1, 2]} keys must be equal to: a,b",
        ),
        ('{"signature_name": "pair", "inputs": [1]}', "inputs is a plain value/list, but"),
        (
            '{"signature_name": "pair", "inputs": {"a": [[1, 2]], "b": [1, 2]}}',
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
        (
            '{"signature_name": "pair", "inputs": {"a": [[1, 2, 3]], "b": [1]}}',
            "input 'a' must have shape [-1,2], got [1,3]",
        ),
        (
            '{"signature_name": "strings", "inputs": {"image_bytes": [{"b64": "*"}], "tag": [""]}}',
            "Unable to base64 decode",
        ),
        (
            '{"signature_name": "strings", "inputs": {"image_bytes": [{"b65": ""}], "tag": [""]}}',
            'JSON Value: {"b65": ""} not formatted correctly for base64 data',
        ),
        (
            '{"signature_name": "strings", "inputs": {"image_bytes": ["\\ud800"], "tag": [""]}}',
            "The surrogate pair in string is invalid.",
        ),
        (
            '{"signature_name": "checked", "inputs": [1.5]}',
            "assertion failed: t must lie in [0, 1] Condition x <= y did not hold element-wise:"
            " x = 1.5 y = 1",
        ),
        ('{"signature_name": "checked", "inputs": [NaN]}', "t must lie in [0, 1]"),
        (json.dumps({"inputs": [1] * 65}), "Task size 65 is larger than maximum input"),
        (json.dumps({"instances": [1] * 65}), "Task size 65 is larger than maximum"),
        (
            json.dumps({"signature_name": "sequence", "inputs": [[1] * 257]}),
            "input 't' of shape [1,257] has a dimension of more than 256, the server's"
            " --max_sequence",
        ),
        (
            json.dumps({"signature_name": "sequence", "inputs": [[1] * 60] * 20}),
            "input 't' of shape [20,60] has 1200 items, more than 1024, the server's --max_items",
        ),
    ],
)
def test_errors_of_bodies(server, body, error):
    status, headers, text = server.ask("POST", PREDICT, body)
    assert (status, headers["Content-Type"]) == (400, "application/json")
    content = json.loads(text)
    assert error in content["error"]
    assert list(content) == ["error"]
    assert "\n" not in content["error"]
    assert "{{" not in content["error"]


def test_types_without_a_form_in_json(predict):
    status, answer = predict(signature_name="halves", inputs=[1])
    assert (status, answer) == (501, {"error": "Conversion of JSON Value: 1 to type: half"})


@pytest.mark.parametrize(
    ("pictures", "error"),
    [
        ([png(101, 100)], "have more than 10000 pixels, the server's --max_image_pixels"),
        ([png(100, 60), png(100, 60)], "have more than 10000 pixels"),
        ([png(40_000, 40_000)], "have more than 10000 pixels"),
        ([png(2**31 - 1, 2**31 - 1)], "have more than 10000 pixels"),
        ([png(10, 10)[:20]], "input 'image_bytes' has a PNG picture that cannot be read"),
        ([b"\xff\xd8\xff\xe0"], "input 'image_bytes' has a JPEG picture that cannot be read"),
        ([b"\xff\x0a"], "input 'image_bytes' has a JPEG XL picture"),
        ([b"BM" + bytes(10_000)], "have more than 10000 pixels"),
    ],
)
def test_pictures_that_are_refused_before_they_are_decoded(predict, pictures, error):
    columns = {"image_bytes": [b64(p) for p in pictures], "tag": [""] * len(pictures)}
    status, answer = predict(signature_name="strings", inputs=columns)
    assert status == 400
    assert error in answer["error"]


def test_pictures_that_are_taken(predict):
    contents = [png(100, 50), png(50, 100), b"", b"GIF", b"no picture"]
    columns = {"image_bytes": [b64(content) for content in contents], "tag": [""] * 5}
    assert predict(signature_name="strings", inputs=columns)[0] == 200
    for form in ("PNG", "JPEG", "WEBP", "BMP", "GIF"):
        content = io.BytesIO()
        PIL.Image.new("RGB", (100, 20)).save(content, form)
        columns = {"image_bytes": [b64(content.getvalue())], "tag": [""]}
        assert predict(signature_name="strings", inputs=columns)[0] == 200


def test_an_animated_gif_is_refused(predict):
    frames = [PIL.Image.new("RGB", (8, 8), color) for color in ("red", "blue", "green")]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:])
    columns = {"image_bytes": [b64(content.getvalue())], "tag": [""]}
    status, answer = predict(signature_name="strings", inputs=columns)
    assert status == 400
    assert "has an animated GIF" in answer["error"]


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


def test_cors_is_a_flag(toy_dir, run_server, server):
    origin = {"Origin": "http://elsewhere.example"}
    names = ["Access-Control-Allow-Origin", "Access-Control-Allow-Methods"]
    names.append("Access-Control-Allow-Headers")
    with run_server(toy_dir, rest_api_enable_cors_support=True) as open_server:
        for method, path, status in (
            ("OPTIONS", PREDICT, 200),
            ("GET", MODEL, 200),
            ("POST", PREDICT, 400),
        ):
            got, headers, _ = open_server.ask(method, path, headers=origin)
            assert got == status
            assert [headers[name] for name in names] == ["*", "POST, GET", "Content-Type"]
            got, headers, _ = server.ask(method, path, headers=origin)
            assert got == status
            assert [headers[name] for name in names] == [None] * 3


def test_metrics(toy_dir, run_server):
    def values(server, path=METRICS):
        status, headers, text = server.ask("GET", path)
        assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    with run_server(toy_dir) as server:
        for _ in range(3):
            server.ask("POST", PREDICT, {"instances": [1.0, 2.0]})
        server.ask("POST", PREDICT, {"instances": ["a"]})
        for i in range(20):
            server.ask("POST", f"/v1/models/name{i}:predict", {"instances": [1.0]})
        found = values(server)
        count = ':tensorflow:serving:request_count{model_name="%s",status="%s"}'
        assert found[count % ("half_plus_three", "OK")] == 3
        assert found[count % ("half_plus_three", "INVALID_ARGUMENT")] == 1
        assert found[count % ("unknown", "NOT_FOUND")] == 20
        assert not any("name1" in name for name in found)  # Clients cannot make up labels.
        name = ":tensorflow:serving:request_latency_count"
        labels = 'API="predict",entrypoint="REST",model_name="half_plus_three"'
        assert found[f"{name}{{{labels}}}"] == 3
        assert found[":tensorflow:serving:batching_session:batch_size_sum"] == 6
        assert not any("_created" in name for name in found)
    config = toy_dir / "monitoring.config"
    config.write_text('prometheus_config { enable: true, path: "/here" }')
    try:
        with run_server(toy_dir) as server:
            assert values(server, "/here")
            assert server.ask("GET", METRICS)[0] == 404
        config.write_text("prometheus_config { enable: false }")
        with run_server(toy_dir) as server:
            assert server.ask("GET", METRICS)[0] == 404
    finally:
        config.unlink()


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


def mutated(generator):
    """A request's body with something wrong in it, most of the time."""
    values = [None, True, -1, 1.5, 2**70, "", "a", [], {}, [[]], [1], {"b64": "AA=="}, {"b64": 1}]
    values += [[1, [2]], {"x": {"x": 1}}, math.nan, math.inf, "\x00", {"b64": "é"}, [None] * 3]
    names = ["serving_default", "pair", "strings", "checked", "sequence", "types", "halves"]
    names += ["any_rank", "", "none", None, 3]

    def value(depth=0):
        kind = generator.randrange(8)
        if depth < 3 and kind < 3:
            return [value(depth + 1) for _ in range(generator.randrange(4))]
        if depth < 3 and kind == 3:
            keys = generator.sample(["x", "a", "b", "t", "tag", "image_bytes", "b64"], 2)
            return {key: value(depth + 1) for key in keys}
        return generator.choice(values)

    document = {generator.choice(["instances", "inputs", "input"]): value()}
    if generator.random() < 0.8:
        document["signature_name"] = generator.choice(names)
    text = json.dumps(document).encode()
    kind = generator.randrange(6)
    if kind == 0:
        return text[: generator.randrange(len(text))]
    if kind == 1:
        at = generator.randrange(len(text))
        return text[:at] + generator.randbytes(3) + text[at:]
    return text


@pytest.mark.parametrize("seed", range(4))
def test_what_is_malformed_gets_one_clear_line(server, seed):
    generator = random.Random(seed)
    statuses = set()
    for _ in range(100):
        body = mutated(generator)
        status, headers, text = server.ask("POST", PREDICT, body)
        assert status in (200, 400, 501), (body, text)
        assert headers["Content-Type"] == "application/json"
        if status != 200:
            content = json.loads(text)
            assert list(content) == ["error"], body
            assert len(content["error"].splitlines()) == 1, body
            assert "internal" not in content["error"], (body, text)
        statuses.add(status)
    assert 400 in statuses
    status, _, text = server.ask("POST", PREDICT, {"instances": [1.0]})
    assert (status, text) == (200, '{"predictions": [3.5]}')


def test_without_the_flag_there_is_no_page(server):
    assert server.ask("GET", "/index.html")[0] == 404
    assert server.ask("GET", "/samples.json")[0] == 404


def test_the_page_and_its_samples(toy_dir, run_server, tmp_path):
    folder = tmp_path / "toy"
    shutil.copytree(toy_dir / "123", folder / "123")
    samples = folder / "123" / "assets.extra" / "samples"
    samples.mkdir(parents=True)
    for name in ("b c.png", "a.png"):
        PIL.Image.new("RGB", (2, 2)).save(samples / name)
    (samples / "secret.txt").write_text("secret")
    with run_server(folder, demo=True) as server:
        status, headers, text = server.ask("GET", "/")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert text == server.ask("GET", "/index.html")[2]
        assert "<html" in text
        status, headers, text = server.ask("GET", "/samples.json")
        assert (status, json.loads(text)) == (
            200,
            {"model": "toy", "samples": ["a.png", "b c.png"]},
        )
        with contextlib.closing(
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/samples/b%20c.png")
        ) as answer:
            assert answer.headers["Content-Type"] == "image/png"
            assert PIL.Image.open(io.BytesIO(answer.read())).size == (2, 2)
        for path in (
            "/samples/secret.txt",
            "/samples/../samples/secret.txt",
            "/samples/..%2fsamples%2fsecret.txt",
            "/samples/%2e%2e/%2e%2e/saved_model.pb",
            "/..%2fserve.py",
            "/../serve.py",
            "/%2e%2e/serve.py",
            "//etc/passwd",
            "/samples/",
            "/samples",
        ):
            status, _, text = server.ask("GET", path)
            assert status == 404, path
            assert list(json.loads(text)) == ["error"]
        assert server.ask("HEAD", "/")[0] == 200
        assert server.ask("POST", "/", "")[0] == 405
