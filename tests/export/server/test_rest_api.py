"""The REST API, as TensorFlow Serving's documentation of it has it: paths, forms, answers."""

import json
import math

import numpy as np
import pytest
from request_bodies import b64

MODEL = "/v1/models/half_plus_three"
PREDICT = f"{MODEL}:predict"
METRICS = "/monitoring/prometheus/metrics"


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
        counted = values(server)
        count = ':tensorflow:serving:request_count{model_name="%s",status="%s"}'
        assert counted[count % ("half_plus_three", "OK")] == 3
        assert counted[count % ("half_plus_three", "INVALID_ARGUMENT")] == 1
        assert counted[count % ("unknown", "NOT_FOUND")] == 20
        assert not any("name1" in name for name in counted)  # Clients cannot make up labels.
        name = ":tensorflow:serving:request_latency_count"
        labels = 'API="predict",entrypoint="REST",model_name="half_plus_three"'
        assert counted[f"{name}{{{labels}}}"] == 3
        assert counted[":tensorflow:serving:batching_session:batch_size_sum"] == 6
        assert not any("_created" in name for name in counted)
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
