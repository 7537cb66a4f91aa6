"""What the server has for those who expose it: TLS, a token, limits on rate and concurrency."""

import concurrent.futures
import contextlib
import http.client
import json
import select
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import grpc
import numpy as np
import PIL.Image
import pytest
import requests
import tensorflow as tf
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

import export
from export import client, credentials
from export.server.server import Options, Server, _exposed
from frame_io.errors import InputError

ROOT = Path(export.__file__).parents[1]
MODEL = "half_plus_three"
STATUS = f"/v1/models/{MODEL}"
PREDICT = f"{STATUS}:predict"
TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The paths of a certificate for this machine, its key, who signed it, and a token."""
    folder = tmp_path_factory.mktemp("secrets")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "token").write_text(f"{TOKEN}\n")
    return folder


@pytest.fixture(scope="module")
def locked(toy_dir, run_server, files):
    """A server with TLS and a token."""
    with run_server(
        toy_dir,
        ssl_certificate=str(files / "server.pem"),
        ssl_key=str(files / "server.key"),
        token_file=str(files / "token"),
        rest_api_enable_cors_support=True,
        demo=True,
    ) as server:
        yield server


@pytest.fixture
def ask(locked, files):
    """Asks the server over HTTPS; returns requests' response."""

    def ask(method, path, authorization=None, **more):
        headers = {"Authorization": authorization} if authorization else {}
        headers |= more.pop("headers", {})
        url = f"https://127.0.0.1:{locked.port}{path}"
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, url, verify=files / "ca.pem", headers=headers, **more)

    return ask


def toy_request():
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([1])))
    return request


def refused(channel, metadata=()):
    """The code and the details with which a prediction over gRPC is refused."""
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(toy_request(), timeout=60, metadata=metadata)
    return caught.value.code(), caught.value.details()


@pytest.fixture(scope="module")
def channel(locked, files):
    trusted = grpc.ssl_channel_credentials((files / "ca.pem").read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{locked.grpc_port}", trusted) as channel:
        yield channel


WRONG = [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN]


@pytest.mark.parametrize("authorization", [*WRONG, f"Bearer {TOKEN}, Bearer {TOKEN}", "Bearer é"])
def test_without_the_token_rest_says_nothing(ask, authorization):
    authorization = authorization and authorization.encode()
    for path in (STATUS, f"{STATUS}/metadata", "/samples.json", "/samples/a.png", "/openapi.json"):
        answer = ask("GET", path, authorization)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["error"].endswith("this server needs `Authorization: Bearer TOKEN`")
    assert ask("GET", "/monitoring/prometheus/metrics", authorization).status_code == 401
    assert ask("GET", "/no/such/path", authorization).status_code == 401
    assert ask("POST", PREDICT, authorization, json={"instances": [1]}).status_code == 401


def test_with_the_token_rest_answers(ask):
    for scheme in ("Bearer", "bearer"):
        answer = ask("POST", PREDICT, f"{scheme} {TOKEN}", json={"instances": [1.0]})
        assert (answer.status_code, answer.json()) == (200, {"predictions": [3.5]})
    assert ask("GET", "/monitoring/prometheus/metrics", f"Bearer {TOKEN}").status_code == 200


def test_the_page_comes_without_the_token_and_so_does_a_preflight(ask):
    for path in ("/", "/demo.js", "/demo.css"):
        assert ask("GET", path).status_code == 200
    answer = ask("OPTIONS", PREDICT, headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"


@pytest.mark.parametrize("authorization", WRONG)
def test_without_the_token_grpc_says_nothing(channel, authorization):
    metadata = [] if authorization is None else [("authorization", authorization)]
    code, details = refused(channel, metadata)
    assert code == grpc.StatusCode.UNAUTHENTICATED
    assert details.endswith("this server needs `Authorization: Bearer TOKEN`")


def test_with_the_token_grpc_answers_and_health_without(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    metadata = [("authorization", f"Bearer {TOKEN}")]
    answer = stub.Predict(toy_request(), timeout=60, metadata=metadata)
    assert list(answer.outputs["y"].float_val) == [3.5]
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert health.status == health_pb2.HealthCheckResponse.SERVING


def test_what_is_not_encrypted_is_not_answered(locked):
    connection = http.client.HTTPConnection("127.0.0.1", locked.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", STATUS)
        with pytest.raises((http.client.HTTPException, OSError)):
            connection.getresponse()
    with grpc.insecure_channel(f"127.0.0.1:{locked.grpc_port}") as channel:
        assert refused(channel)[0] == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("api", ["port", "grpc_port"])
@pytest.mark.parametrize("version", ["TLSv1_1", "TLSv1_2", "TLSv1_3"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_is_1_2_or_newer(locked, files, api, version):
    context = ssl.create_default_context(cafile=files / "ca.pem")
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # Else the client would not even offer 1.1.
    context.set_alpn_protocols(["h2"] if api == "grpc_port" else ["http/1.1"])
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with socket.create_connection(("127.0.0.1", getattr(locked, api)), timeout=60) as plain:
        if version == "TLSv1_1":
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain, server_hostname="127.0.0.1")
        else:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                assert connection.version() == version.replace("_", ".")


@pytest.mark.parametrize("api", ["https", "grpcs"])
def test_the_client(locked, files, api):
    port = locked.port if api == "https" else locked.grpc_port
    server = f"{api}://127.0.0.1:{port}"
    outputs = client.connect(
        server, MODEL, ca_certificate=str(files / "ca.pem"), token=TOKEN
    ).predict({"x": [1.0]})
    assert outputs["y"].tolist() == [3.5]
    with pytest.raises(client.ServerError, match="this server needs `Authorization: Bearer TOKEN`"):
        client.connect(server, MODEL, ca_certificate=str(files / "ca.pem")).status()
    with pytest.raises(client.ServerError, match="cannot be reached"):
        client.connect(server, MODEL, token=TOKEN).status()


def test_the_client_does_not_trust_the_environment(locked, files, monkeypatch, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
    (tmp_path / ".netrc").write_text("machine localhost login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server = f"https://localhost:{locked.port}"
    connected = client.connect(server, MODEL, ca_certificate=str(files / "ca.pem"), token=TOKEN)
    connected._session.trust_env = True  # As for a server elsewhere.
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert connected.status()["model_version_status"][0]["state"] == "AVAILABLE"


@pytest.mark.parametrize("server", ["http://10.0.0.1:8501", "grpc://model.example:8500"])
def test_the_client_sends_no_token_that_others_can_read(server):
    with pytest.raises(InputError, match="would send the token unencrypted"):
        client.connect(server, MODEL, token=TOKEN)


@pytest.mark.slow
def test_the_command_of_the_client(blend_model_dir, run_server, files, tmp_path):
    PIL.Image.new("RGB", (32, 32), "red").save(tmp_path / "a.png")
    with run_server(
        blend_model_dir,
        ssl_certificate=str(files / "server.pem"),
        ssl_key=str(files / "server.key"),
        token_file=str(files / "token"),
    ) as server:
        done = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "export.client",
                    f"--server=https://localhost:{server.port}",
                ),
                *(f"--first={tmp_path}/a.png", f"--second={tmp_path}/a.png", "--model=blend"),
                *(f"--ca_certificate={files}/ca.pem", f"--token_file={files}/token"),
                f"--output={tmp_path}/between.gif",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"wrote {tmp_path}/between.gif: 9 frames of ")


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ({"ssl_key": "server.key"}, "--ssl_certificate and --ssl_key: give both or none"),
        (
            {"ssl_certificate": "none.pem", "ssl_key": "server.key"},
            "--ssl_certificate={folder}/none.pem: No such file or directory",
        ),
        (
            {"ssl_certificate": "ca.pem", "ssl_key": "server.key"},
            "--ssl_certificate={folder}/ca.pem --ssl_key={folder}/server.key: not a certificate in"
            " PEM and its key without a password: ",
        ),
        (
            {"ssl_certificate": "server.pem", "ssl_key": "token"},
            "--ssl_certificate={folder}/server.pem --ssl_key={folder}/token: not a certificate",
        ),
        ({"token_file": "none"}, "--token_file={folder}/none: No such file or directory"),
        ({"token_file": "ca.pem"}, "--token_file={folder}/ca.pem: must be one line of at least 16"),
    ],
)
def test_wrong_files_are_one_line(toy_dir, files, flags, error):
    options = {name: str(files / file) for name, file in flags.items()}
    with pytest.raises(InputError) as caught:
        Server(Options(str(toy_dir), **options), print)
    assert str(caught.value).startswith(error.format(folder=files))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"short\n", b"a" * 20 + b"\n" + b"b" * 20, b"\xff" * 20])
def test_what_is_no_token(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(InputError, match="must be one line of at least 16"):
        credentials.read_token(tmp_path / "token")


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, ["without TLS", "without a token"]),
        ({"token_file": "t"}, ["without TLS"]),
        ({"ssl_certificate": "c", "ssl_key": "k"}, ["without a token"]),
        ({"ssl_certificate": "c", "ssl_key": "k", "token_file": "t"}, []),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "", "localhost", "::1"])
def test_the_warning_to_those_who_are_open(host, options, missing):
    warning = _exposed(Options("models", host=host, **options))
    if host in ("localhost", "::1") or not missing:
        assert warning is None
    else:
        assert warning.startswith(f"warning: listening on {host or 'every address'} without ")
        assert [part for part in ("without TLS", "without a token") if part in warning] == missing


def test_too_many_requests_a_second(toy_dir, run_server):
    with run_server(toy_dir, max_requests_per_second=0.01) as server:
        assert server.ask("GET", STATUS)[0] == 200
        status, headers, text = server.ask("POST", PREDICT, {"instances": [1.0]})
        assert (status, headers["Retry-After"]) == (429, "1")
        message = "more than 0.01 requests a second from 127.0.0.1, the server's"
        message += " --max_requests_per_second"
        assert json.loads(text) == {"error": message}
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            assert refused(channel) == (grpc.StatusCode.RESOURCE_EXHAUSTED, message)


def test_too_many_requests_at_a_time(toy_dir, run_server, tmp_path):
    gate = tmp_path / "gate"
    waiting = {"signature_name": "wait", "instances": [str(gate)]}
    with (
        run_server(toy_dir, max_concurrent_requests=1) as server,
        concurrent.futures.ThreadPoolExecutor() as pool,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        runs = pool.submit(server.ask, "POST", PREDICT, waiting)
        while not Path(f"{gate}.started").exists():
            time.sleep(0.01)
        message = "1 requests are running, the server's --max_concurrent_requests"
        status, headers, text = server.ask("POST", PREDICT, {"instances": [1.0]})
        assert (status, headers["Retry-After"]) == (503, "1")
        assert json.loads(text) == {"error": message}
        assert refused(channel) == (grpc.StatusCode.RESOURCE_EXHAUSTED, message)
        assert server.ask("GET", STATUS)[0] == 200
        gate.touch()
        assert runs.result()[0] == 200
        assert server.ask("POST", PREDICT, {"instances": [1.0]})[0] == 200


def test_what_is_held_for_clients_is_bounded(toy_dir, run_server):
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n".encode()
    with run_server(toy_dir, max_buffered_mb=1) as server, contextlib.ExitStack() as stack:
        answers = []
        for _ in range(4):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            stack.enter_context(connection)
            connection.sendall(head + bytes(300_000))
            answers.append(connection)
        # Three are waited for, and the one too many is told.
        (refused_one, *_), _, _ = select.select(answers, [], [], 60)
        reply = refused_one.recv(1 << 16)
        assert reply.startswith(b"HTTP/1.1 503 ")
        assert b"in memory exceed 1 MB, the server's --max_buffered_mb" in reply
        assert server.ask("POST", PREDICT, {"instances": [1.0]})[0] == 200
        for connection in answers:
            connection.close()
        request = toy_request()
        request.inputs["x"].tensor_content = bytes(2**20)
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.Predict(request, timeout=60)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_too_many_connections(toy_dir, run_server):
    with run_server(toy_dir, max_connections=2) as server, contextlib.ExitStack() as stack:
        held = []
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            stack.enter_context(contextlib.closing(connection))
            connection.request("GET", STATUS)
            connection.getresponse().read()
            held.append(connection)
        status, headers, text = server.ask("GET", STATUS)
        assert (status, headers["Connection"]) == (503, "close")
        error = "more than 2 connections, the server's --max_connections"
        assert json.loads(text) == {"error": error}
        held[0].close()
        while server.ask("GET", STATUS)[0] != 200:
            time.sleep(0.01)
