"""Both APIs under generated input: REST against its own OpenAPI description, gRPC byte by byte.

Whatever comes is answered with a status that is declared, soon, and in bounded memory.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import jsonschema_rs
import numpy as np
import pytest
import requests as http
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

METHODS = {
    "/tensorflow.serving.PredictionService/Predict": predict_pb2.PredictRequest,
    "/tensorflow.serving.PredictionService/GetModelMetadata": (
        get_model_metadata_pb2.GetModelMetadataRequest
    ),
    "/tensorflow.serving.ModelService/GetModelStatus": (get_model_status_pb2.GetModelStatusRequest),
}
REFUSALS = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}
REFUSALS |= {"UNIMPLEMENTED", "OUT_OF_RANGE"}
MAX_GROWTH_MIB = 300


class Process:
    """A server in a process of its own, whose memory can be seen."""

    def __init__(self, model_dir, *flags):
        command = [sys.executable, "-m", "export.serve", f"--model_dir={model_dir}"]
        command += ["--rest_api_port=0", "--port=0", "--max_request_mb=1", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("REST "):
                self.url = line.split()[1].partition("/v1/")[0]
            if line.startswith("gRPC "):
                self.grpc = line.split()[1]
                break

    def memory_mib(self):
        """The most that it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.fixture(scope="module")
def model_dir(quick_toy, tmp_path_factory):
    """A model folder "toy" of its own, with a sample."""
    folder = tmp_path_factory.mktemp("models") / "toy"
    shutil.copytree(quick_toy, folder / "1")
    samples = folder / "1" / "assets.extra" / "samples"
    samples.mkdir(parents=True)
    (samples / "a.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def server(model_dir):
    served = Process(model_dir, "--demo")
    with served.process:
        yield served
        assert served.process.poll() is None, "the server is gone"
        served.process.terminate()


def sizes():
    return st.sampled_from([0, 1, 2, 3, 64, 65, 257, 2**20, 2**31, 2**40, 2**62, -1, -(2**63)])


@st.composite
def tensors(draw):
    """A TensorProto that may be wrong in its type, its shape and its values."""
    proto = tensor_pb2.TensorProto(dtype=draw(st.integers(0, 30) | st.integers(100, 130)))
    for size in draw(st.lists(sizes(), max_size=5)):
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = draw(st.booleans())
    proto.tensor_content = draw(st.binary(max_size=64))
    proto.float_val.extend(draw(st.lists(st.floats(width=32), max_size=4)))
    proto.int_val.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4)))
    proto.string_val.extend(draw(st.lists(st.binary(max_size=40), max_size=4)))
    proto.bool_val.extend(draw(st.lists(st.booleans(), max_size=4)))
    return proto


@st.composite
def requests(draw):
    """A PredictRequest of the toy's that is well formed, and else anything."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = draw(st.sampled_from(["toy", "toy", "toy", "", "other", "../toy"]))
    signatures = ["", "pair", "strings", "checked", "sequence", "types", "count", "none"]
    request.model_spec.signature_name = draw(st.sampled_from(signatures))
    if draw(st.booleans()):
        request.model_spec.version.value = draw(st.integers(-(2**63), 2**63 - 1))
    elif draw(st.booleans()):
        request.model_spec.version_label = draw(st.text(max_size=5))
    names = ["x", "a", "b", "t", "tag", "image_bytes"]
    for name in draw(st.lists(st.sampled_from(names), max_size=3, unique=True)):
        good = tf.make_tensor_proto(np.float32([1.0]))
        request.inputs[name].CopyFrom(draw(st.just(good) | tensors()))
    request.output_filter.extend(draw(st.lists(st.text(max_size=3), max_size=2)))
    return request.SerializeToString()


@st.composite
def damaged(draw):
    """A request cut off, with bytes changed, or with a length that is not there."""
    content = bytearray(draw(requests()))
    kind = draw(st.integers(0, 3))
    at = draw(st.integers(0, len(content)))
    if kind == 0:
        return bytes(content[:at])
    if kind == 1:
        for place in draw(st.lists(st.integers(0, len(content)), max_size=8)):
            content[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        return bytes(content)
    # A field of any number that says that 2^31 - 1 or 2^63 bytes follow.
    size = draw(st.sampled_from([b"\xff\xff\xff\xff\x07", b"\xff" * 9 + b"\x01"]))
    field = bytes([draw(st.integers(1, 15)) << 3 | 2])
    content[at:at] = field + size
    if kind == 2:
        return bytes(content)
    return field * draw(st.integers(1, 5000))  # Nested as deep as it goes.


def check_grpc(address, examples):
    """Asks with so many generated requests; returns how many ended how."""
    counts = {}
    with grpc.insecure_channel(address) as channel:
        calls = {path: channel.unary_unary(path) for path in METHODS}

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            path=st.sampled_from(sorted(METHODS)),
            content=requests() | damaged() | st.binary(max_size=300),
        )
        def check(path, content):
            error = calls[path].future(content, timeout=20).exception()
            code = error.code().name if error else "OK"
            if error:
                assert code in REFUSALS, (code, error.details())
                assert len(error.details().splitlines()) == 1
                assert "internal" not in error.details()
            counts[code] = counts.get(code, 0) + 1

        check()
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "toy"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([1])))
        assert list(stub.Predict(request, timeout=20).outputs["y"].float_val) == [3.5]
    return counts


@pytest.fixture(scope="module")
def here(model_dir, run_server):
    """A server in this process, which starts sooner."""
    with run_server(model_dir, demo=True, max_request_mb=1) as server:
        yield server


def test_any_bytes_over_grpc(here):
    counts = check_grpc(f"127.0.0.1:{here.grpc_port}", 80)
    assert counts["INVALID_ARGUMENT"] > 10


@pytest.mark.slow
def test_many_bytes_over_grpc(server):
    before = server.memory_mib()
    counts = check_grpc(server.grpc, 5_000)
    print(counts)
    assert server.memory_mib() - before < MAX_GROWTH_MIB
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= counts.keys()


@pytest.mark.slow
def test_a_bomb_over_grpc(server):
    """Packed, 256 MiB of zeros are 256 KiB, which is less than a request may have."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "toy"
    request.inputs["x"].tensor_content = bytes(1 << 28)
    before = server.memory_mib()
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(server.grpc, options, grpc.Compression.Gzip) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(request, timeout=60)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert server.memory_mib() - before < 64


def test_the_description_says_what_there_is(here):
    url = f"http://127.0.0.1:{here.port}"
    description = http.get(f"{url}/openapi.json", timeout=20).json()
    paths = [f"/v1/models/toy{which}" for which in ("", "/versions/{version}", "/labels/{label}")]
    paths = [path + what for path in paths for what in ("", "/metadata", ":predict")]
    paths += ["/openapi.json", "/monitoring/prometheus/metrics", "/samples.json", "/samples/{name}"]
    assert sorted(description["paths"]) == sorted(paths)

    def valid(name, document):
        schema = {"$ref": f"#/components/schemas/{name}", "components": description["components"]}
        return jsonschema_rs.is_valid(schema, document)

    for body in (
        {"instances": [1.0, 2.0]},
        {"instances": [{"x": 1}]},
        {"inputs": {"x": [1.0]}},
        {"inputs": [1.0]},
        {"signature_name": "pair", "inputs": {"a": [[1, 2]], "b": [3]}},
        {"signature_name": "pair", "instances": [{"a": [1, 2], "b": 3}]},
        {
            "signature_name": "strings",
            "instances": [{"image_bytes": {"b64": "AAAA"}, "tag": "a"}],
        },
        {"signature_name": "sequence", "inputs": [[0.25, 0.75]]},
    ):
        assert valid("Request", body), body
        answer = http.post(f"{url}/v1/models/toy:predict", json=body, timeout=20)
        assert answer.status_code == 200, answer.text
        assert valid("Response", answer.json()), answer.text
    for body in (
        {"inputs": ["a"]},
        {"instances": [1.0], "inputs": [1.0]},
        {"instances": [[1.0] * 2]},
        {"instances": [1.0] * 65},
        {"signature_name": "pair", "inputs": {"a": [[1, 2, 3]], "b": [3]}},
        {"signature_name": "pair", "inputs": {"a": [[1, 2]]}},
        {"signature_name": "none", "inputs": [1]},
        {},
    ):
        assert not valid("Request", body), body
        answer = http.post(f"{url}/v1/models/toy:predict", json=body, timeout=20)
        assert answer.status_code == 400, answer.text
        assert valid("Error", answer.json()), answer.text
    assert not valid("Response", {"outputs": {"total": "a", "scaled": 1}, "more": 1})


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_rest_against_its_description(server, seed, tmp_path):
    before = server.memory_mib()
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
        "--checks=not_a_server_error,status_code_conformance,content_type_conformance,"
        "response_schema_conformance,response_headers_conformance",
        *("--phases=examples,coverage,fuzzing", "--mode=all", "--max-examples=200"),
        *(f"--seed={seed}", "--request-timeout=20", "--generation-database=none"),
        *("--suppress-health-check=all", "--continue-on-failure", "--no-color"),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=1800, check=False
    )
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-10_000:]
    assert server.memory_mib() - before < MAX_GROWTH_MIB
