"""The client against a real server of a stand-in model, and against servers that misbehave."""

import contextlib
import http.server
import json
import socket
import threading

import numpy as np
import pytest
from picture_bytes import noise, pixels_of, png

from export import client
from export.client import ServerError
from frame_io.errors import InputError


def blend(first, second, t):
    """What the stand-in draws."""
    return np.rint((1 - np.float32(t)) * first + np.float32(t) * second).astype(np.uint8)


@pytest.fixture(params=["rest", "grpc"])
def server(request, blend_server):
    return blend_server[request.param == "grpc"]


@pytest.fixture
def blend_client(server):
    return client.connect(server, "blend")


def test_frames_and_confidence(blend_client):
    first, second = noise(0), noise(1)
    frames, confidence = client.draw(blend_client, png(first), png(second), [0, 0.25, 1])
    assert confidence == 0.875
    for frame, t in zip(frames, [0, 0.25, 1], strict=True):
        np.testing.assert_allclose(pixels_of(frame), blend(first, second, t), atol=1)


def test_frames_are_the_same_in_many_requests_as_in_one(blend_client, monkeypatch):
    first, second = png(noise(0)), png(noise(1))
    t = np.linspace(0, 1, 5)
    whole, _ = client.draw(blend_client, first, second, t)
    monkeypatch.setattr(client, "_MAX_FRAMES", 2)
    assert client.draw(blend_client, first, second, t)[0] == whole


def test_predict_returns_what_the_signature_says(blend_client):
    file = png(noise(0))
    outputs = blend_client.predict({"first_bytes": [file], "second_bytes": [file], "t": [1]})
    assert outputs.keys() == {"frame_bytes", "confidence"}
    assert outputs["confidence"].dtype == np.float32
    assert outputs["frame_bytes"].shape == (1,)
    assert isinstance(outputs["frame_bytes"][0], bytes)


def test_a_single_output_has_its_name(blend_client):
    file = png(noise(0))
    inputs = {"first_bytes": [file] * 2, "second_bytes": [file] * 2, "t": np.zeros([2, 3])}
    outputs = blend_client.predict(inputs, "sequence_png")
    assert outputs.keys() == {"frame_bytes"}
    assert outputs["frame_bytes"].shape == (2, 3)


def test_status_and_metadata_are_alike_over_both_protocols(blend_server):
    rest, grpc = (client.connect(server, "blend") for server in blend_server)
    (version,) = rest.status()["model_version_status"]
    assert (version["version"], version["state"]) == ("1", "AVAILABLE")
    assert grpc.status() == rest.status()
    for each in (rest, grpc):
        assert each.metadata()["model_spec"]["name"] == "blend"
        signatures = each.metadata()["metadata"]["signature_def"]["signature_def"]
        assert signatures["inbetween_png"]["inputs"]["t"]["dtype"] == "DT_FLOAT"


def test_a_version_can_be_asked_for(server):
    file = png(noise(0))
    for version, known in [(1, True), (2, False)]:
        asked = client.connect(server, "blend", version=version)
        if known:
            assert client.draw(asked, file, file, [0.5])[1] == 0.875
        else:
            with pytest.raises(ServerError, match=f"{server} has no model blend version 2: .+"):
                client.draw(asked, file, file, [0.5])


def test_an_unknown_model(server):
    with pytest.raises(ServerError, match=f"{server} has no model kettle: .+"):
        client.connect(server, "kettle").metadata()


def test_an_unknown_label(server):
    with pytest.raises(ServerError, match=f"{server}.*: .+"):
        client.connect(server, "blend", label="no such").metadata()


def test_an_unknown_signature_or_input_names_those_there_are(blend_client):
    with pytest.raises(InputError, match=r"no signature 'x'; it has inbetween_png, s"):
        blend_client.predict({}, "x")
    with pytest.raises(InputError, match=r"no input 'z'; it has first_bytes, second_bytes, t$"):
        blend_client.predict({"z": [1]}, "inbetween_png")
    with pytest.raises(InputError, match="input t: "):
        blend_client.predict({"t": ["soon"]}, "inbetween_png")


def test_what_the_server_refuses_is_said_in_its_words(server, blend_client):
    with pytest.raises(ServerError) as refused:
        client.draw(blend_client, png(noise(0, 13)), png(noise(1)), [0.5])
    assert str(refused.value).startswith(server)
    assert "pictures of 13 pixels are refused" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.fixture
def silent_port():
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_does_not_answer(scheme, silent_port):
    late = client.connect(f"{scheme}://127.0.0.1:{silent_port}", "blend", timeout_s=0.2)
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:\d+: no answer within 0\.2 s$"):
        late.status()


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_no_server(scheme, silent_port):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServerError, match=rf":{port} cannot be reached: .*[Cc]onnection refused"):
        client.connect(f"{scheme}://127.0.0.1:{port}", "blend").status()


@contextlib.contextmanager
def answering(status, content, length=None):
    """The address of a server that gives every request the same answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(length or len(content)))
            self.end_headers()
            self.wfile.write(content)
            if length:
                wait.wait(10)

        def log_message(self, *_):
            pass

    wait = threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as stub:
        thread = threading.Thread(target=stub.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{stub.server_port}"
        finally:
            wait.set()
            stub.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (200, b"<p>Welcome</p>", "does not answer like TF Serving"),
        (200, b"[1]", "does not answer like TF Serving"),
        (200, b'{"hello": 1}', "does not answer like TF Serving"),
        (502, b"<p>Bad\nGateway</p>", "HTTP 502: Bad Gateway"),
        (503, b'{"error": "queue\\nis full"}', "HTTP 503: queue is full"),
        (404, b"<p>Nothing here</p>", "HTTP 404: Not Found"),
    ],
)
def test_servers_of_other_kinds(status, content, message):
    with (
        answering(status, content) as address,
        pytest.raises(ServerError, match=f"^{address}:? {message}$"),
    ):
        client.connect(address, "blend").predict({"t": [0]})


FOREIGN = {
    "too few frames": {"frame_bytes": np.array([[b"x", b"x"]], object)},
    "a flat list": {"frame_bytes": np.array([b"x", b"x", b"x"], object)},
    "numbers": {"frame_bytes": np.array([[1, 2, 3]], object)},
    "no frames": {"frames": np.zeros(3)},
    "no confidence": {"confidence": None},
    "two confidences": {"confidence": np.float32([1, 1])},
    "confidence in words": {"confidence": np.array([b"high"], object)},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_answers_that_are_not_of_such_a_model_are_an_error(name, monkeypatch):
    """Whatever another model makes of the same signatures, no wrong film comes of it."""

    def predict(inputs, signature):
        outputs = {"confidence": np.float32([1])}
        if signature == "sequence_png":
            outputs = {"frame_bytes": np.array([[b"x"] * 3], object)}
        if outputs.keys() & FOREIGN[name].keys() or "frames" in FOREIGN[name]:
            outputs = {key: value for key, value in FOREIGN[name].items() if value is not None}
        return outputs

    asked = client.connect("http://127.0.0.1:1", "blend")
    monkeypatch.setattr(asked, "predict", predict)
    with pytest.raises(ServerError, match="does not answer like TF Serving"):
        client.draw(asked, b"", b"", [0.1, 0.5, 0.9])


@pytest.mark.parametrize(
    "signatures", [{"serving_default": "x"}, {"serving_default": {"inputs": []}}, [], "x"]
)
def test_metadata_of_another_shape_is_an_error(signatures):
    content = {"metadata": {"signature_def": {"signature_def": signatures}}}
    with (
        answering(200, json.dumps(content).encode()) as address,
        pytest.raises(ServerError, match="does not answer like TF Serving"),
    ):
        client.connect(address, "blend").predict({"t": [0]})


def test_an_answer_that_stops_half_way_is_late():
    with (
        answering(200, b"{", length=100) as address,
        pytest.raises(ServerError, match=r"no answer within 0\.2 s$"),
    ):
        client.connect(address, "blend", timeout_s=0.2).status()


@pytest.mark.parametrize("address", ["127.0.0.1:8501", "ftp://a", "http://", "http://a:b", ""])
def test_addresses_that_are_none(address):
    with pytest.raises(
        InputError, match="is not a server: use http://HOST:PORT or grpc://HOST:PORT"
    ):
        client.connect(address, "blend")


def test_a_version_or_a_label():
    with pytest.raises(InputError, match="a version or a label, not both"):
        client.connect("http://a", "blend", version=1, label="stable")


def test_no_proxy_stands_between_here_and_this_machine(blend_server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for server in blend_server:
        (version,) = client.connect(server, "blend").status()["model_version_status"]
        assert json.loads(version["version"]) == 1
