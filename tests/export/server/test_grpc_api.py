"""The gRPC API: the same answers as over REST, and the same errors with gRPC's codes."""

import json
import random

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

MODEL = "half_plus_three"


@pytest.fixture(scope="module")
def server(toy_versions, run_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / MODEL
    folder.mkdir()
    (folder / "123").symlink_to(toy_versions / "123")
    (folder / "124").symlink_to(toy_versions / "124")
    (folder / "models.config").write_text(
        "model_config_list { config { model_version_policy { all {} }"
        ' version_labels { key: "stable" value: 123 } } }'
    )
    with run_server(folder, max_request_mb=1) as server:
        yield server


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield channel


@pytest.fixture(scope="module")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def predict_request(signature="", *, name=MODEL, version=None, label=None, outputs=(), **inputs):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def arrays(response):
    return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}


def refused(call, request):
    """The code and the details with which a call fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=60)
    details = caught.value.details()
    assert len(details.splitlines()) == 1
    return caught.value.code(), details


def test_predict(prediction):
    response = prediction.Predict(predict_request(x=np.float32([1, 2, 5])), timeout=60)
    np.testing.assert_array_equal(arrays(response)["y"], np.float32([4.5, 5, 6.5]))
    assert response.model_spec.name == MODEL
    assert response.model_spec.version.value == 124
    assert response.model_spec.signature_name == "serving_default"
    # As TensorFlow Serving does it by default, for clients that read the field.
    assert list(response.outputs["y"].float_val) == [4.5, 5, 6.5]


@pytest.mark.parametrize("choice", [{"version": 123}, {"label": "stable"}])
def test_a_version_and_a_label(prediction, choice):
    response = prediction.Predict(predict_request(x=np.float32([1]), **choice), timeout=60)
    assert response.model_spec.version.value == 123
    assert arrays(response)["y"] == [3.5]


def test_the_same_as_over_rest(server, prediction):
    generator = np.random.default_rng(0)
    a = generator.normal(size=(5, 2)).astype(np.float32)
    b = generator.integers(-9, 9, 5).astype(np.int32)
    got = arrays(prediction.Predict(predict_request("pair", a=a, b=b), timeout=60))
    body = {"signature_name": "pair", "inputs": {"a": a.tolist(), "b": b.tolist()}}
    _, _, text = server.ask("POST", f"/v1/models/{MODEL}:predict", body)
    columns = json.loads(text)["outputs"]
    assert got.keys() == columns.keys() == {"scaled", "total"}
    for name, array in got.items():
        np.testing.assert_array_equal(np.array(columns[name], array.dtype), array)


def test_all_types(prediction):
    values = {
        "bool": np.bool_(True),
        "float64": np.float64(0.1),
        "int8": np.int8(-128),
        "uint8": np.uint8(255),
        "int16": np.int16(32767),
        "int32": np.int32(-(2**31)),
        "int64": np.int64(2**63 - 1),
        "uint32": np.uint32(2**32 - 1),
        "uint64": np.uint64(2**64 - 1),
    }
    for name, array in arrays(
        prediction.Predict(predict_request("types", **values), timeout=60)
    ).items():
        assert array.dtype == values[name].dtype
        assert array == values[name]
    answer = prediction.Predict(predict_request("halves", x=np.float16([1.5])), timeout=60)
    assert list(answer.outputs["y"].half_val) == [np.float16(2.5).view(np.uint16)]
    halves = arrays(answer)
    assert halves["y"].dtype == np.float16
    assert halves["y"] == [2.5]
    strings = predict_request("strings", image_bytes=[b"\x00\xff", b""], tag=["a", "é"])
    got = arrays(prediction.Predict(strings, timeout=60))
    assert got["same_bytes"].tolist() == [b"\x00\xff", b""]
    assert got["size"].tolist() == [2, 0]


def test_output_filter(prediction):
    a, b = np.float32([[1, 2]]), np.int32([3])
    got = prediction.Predict(predict_request("pair", a=a, b=b, outputs=["total"]), timeout=60)
    assert list(got.outputs) == ["total"]
    code, details = refused(
        prediction.Predict, predict_request("pair", a=a, b=b, outputs=["total", "none"])
    )
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("output tensor alias not found in signature: none Outputs expected")
    code, details = refused(
        prediction.Predict, predict_request("pair", a=a, b=b, outputs=["total", "total"])
    )
    assert (code, details) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "duplicate output tensor alias: total",
    )


def wide(*sizes, **values):
    """A TensorProto with one value that stands for all."""
    proto = tf.make_tensor_proto(np.float32(1))
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


X = np.float32([1])


@pytest.mark.parametrize(
    ("request_", "code", "details"),
    [
        (
            predict_request(name="half", x=X),
            "NOT_FOUND",
            "Servable not found for request: Latest(half)",
        ),
        (
            predict_request(version=9, x=X),
            "NOT_FOUND",
            f"Servable not found for request: Specific({MODEL}, 9)",
        ),
        (
            predict_request(label="beta", x=X),
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: beta",
        ),
        (
            predict_request("none", x=X),
            "FAILED_PRECONDITION",
            'Serving signature key "none" not found.',
        ),
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (predict_request(name="", x=X), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            predict_request("pair", a=np.float32([[1, 2]]), c=X),
            "INVALID_ARGUMENT",
            "input size does not match signature: 2!=2 len({a,c}) != len({a,b})."
            " Sent extra: {c}. Missing but required: {b}.",
        ),
        (
            predict_request(x=np.int32([1])),
            "INVALID_ARGUMENT",
            "input 'x' must be of type float, got int32",
        ),
        (
            predict_request(x=np.float32(1)),
            "INVALID_ARGUMENT",
            "input 'x' must have shape [-1], got []",
        ),
        (
            predict_request("pair", a=np.float32([[1, 2]]), b=np.int32([1, 2])),
            "INVALID_ARGUMENT",
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
        (
            predict_request("checked", t=np.float32([0.5, 1.5])),
            "INVALID_ARGUMENT",
            "assertion failed: t must lie in [0, 1] Condition x <= y did not hold element-wise:"
            " x = 0.5 1.5 y = 1",
        ),
        (
            predict_request(x=wide(65)),
            "INVALID_ARGUMENT",
            "Task size 65 is larger than maximum input batch size 64",
        ),
        # A few bytes that would unfold to a terabyte.
        (
            predict_request("any_rank", x=wide(64, 256, 256, 256, 256)),
            "INVALID_ARGUMENT",
            "input 'x' of shape [64,256,256,256,256] has 274877906944 items, more than 1024, the"
            " server's --max_items",
        ),
        (predict_request(x=wide(-1)), "INVALID_ARGUMENT", "input 'x' has no complete shape"),
    ],
)
def test_errors(prediction, request_, code, details):
    assert refused(prediction.Predict, request_) == (grpc.StatusCode[code], details)


def test_a_tensor_whose_values_do_not_fit(prediction):
    proto = tf.make_tensor_proto(np.float32([1, 2, 3]))
    proto.tensor_content = proto.tensor_content[:-1]
    code, details = refused(prediction.Predict, predict_request(x=proto))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("input 'x' is not a valid TensorProto: ")


def test_a_request_that_is_too_large(prediction):
    request = predict_request("strings", image_bytes=[bytes(2 << 20)], tag=[""])
    code, _ = refused(prediction.Predict, request)
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metadata(server, prediction):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = MODEL
    request.model_spec.version_label = "stable"
    response = prediction.GetModelMetadata(request, timeout=60)
    assert response.model_spec.version.value == 123
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["pair"].inputs["a"].dtype == tf.float32.as_datatype_enum
    for fields, details in (
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["graph"], "Metadata field graph is not supported"),
    ):
        del request.metadata_field[:]
        request.metadata_field.extend(fields)
        assert refused(prediction.GetModelMetadata, request) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            details,
        )


def test_status(models):
    request = get_model_status_pb2.GetModelStatusRequest()
    assert refused(models.GetModelStatus, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Missing ModelSpec",
    )
    request.model_spec.name = MODEL
    statuses = models.GetModelStatus(request, timeout=60).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    versions = [(status.version, status.state, status.status.error_code) for status in statuses]
    assert versions == [(124, available, 0), (123, available, 0)]
    request.model_spec.version.value = 123
    (status,) = models.GetModelStatus(request, timeout=60).model_version_status
    assert status.version == 123
    request.model_spec.version.value = 9
    assert refused(models.GetModelStatus, request) == (
        grpc.StatusCode.NOT_FOUND,
        f"Could not find version 9 of model {MODEL}",
    )


def test_methods_that_only_tensorflow_serving_has(prediction, models):
    for call, request in (
        (prediction.Classify, classification_pb2.ClassificationRequest()),
        (prediction.Regress, regression_pb2.RegressionRequest()),
        (prediction.MultiInference, inference_pb2.MultiInferenceRequest()),
        (models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()),
    ):
        code, details = refused(call, request)
        assert code == grpc.StatusCode.UNIMPLEMENTED
        assert details.startswith("This server has no ")
        assert "TensorFlow Serving" in details


def test_health(channel, toy_dir, run_server):
    def health(channel, service=""):
        stub = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60).status

    serving = health_pb2.HealthCheckResponse.SERVING
    assert health(channel) == serving
    assert health(channel, "tensorflow.serving.PredictionService") == serving
    with pytest.raises(grpc.RpcError) as caught:
        health(channel, "none")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    with (
        run_server(toy_dir, enable_grpc_healthcheck_service=False) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as other,
    ):
        with pytest.raises(grpc.RpcError) as caught:
            health(other)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("seed", range(2))
def test_what_is_malformed_gets_a_code_and_one_line(channel, prediction, seed):
    generator = random.Random(seed)
    raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    whole = predict_request("pair", a=np.float32([[1, 2]]), b=np.int32([1])).SerializeToString()
    errors = []
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(generator.randrange(1, 6)):
            content[generator.randrange(len(content))] = generator.randrange(256)
        size = generator.choice([len(content), generator.randrange(len(content))])
        call = raw.future(bytes(content[:size]), timeout=60)
        if error := call.exception():
            errors.append(error)
    assert len(errors) > 100
    for error in errors:
        assert len(error.details().splitlines()) == 1
        assert error.code().name in ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION")
    response = prediction.Predict(predict_request(x=X), timeout=60)
    assert arrays(response)["y"] == [4.5]
