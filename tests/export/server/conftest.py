"""What the tests of the server share: servers in this process, and models for them."""

import asyncio
import contextlib
import http.client
import io
import json
import shutil
import threading
import time

import grpc
import PIL.Image
import pytest
from stand_ins import QUICK, MaskedBlend, write_blend, write_toy
from tensorflow_serving.apis import prediction_service_pb2_grpc

from export.server.server import Options, Server


@pytest.fixture(scope="session")
def masked_model_dir(tmp_path_factory):
    """As `blend_model_dir`, of a `MaskedBlend`."""
    model_dir = tmp_path_factory.mktemp("models") / "masked"
    write_blend(model_dir, MaskedBlend(), "inbetween_png", "sequence_png", "mask_png")
    return model_dir


@pytest.fixture(scope="session")
def toy_versions(tmp_path_factory):
    """A folder with two versions to copy from: 123, half plus three, and 124, half plus four."""
    folder = tmp_path_factory.mktemp("toys") / "toy"
    write_toy(folder / "123", 3.0)
    write_toy(folder / "124", 4.0)
    return folder


@pytest.fixture(scope="session")
def quick_toy(tmp_path_factory):
    """A version of the toy whose signatures answer at once, whatever they are asked."""
    folder = tmp_path_factory.mktemp("toys") / "quick"
    write_toy(folder, names=QUICK)
    return folder


@pytest.fixture(scope="session")
def toy_dir(toy_versions, tmp_path_factory):
    """A model folder `half_plus_three` with version 123 of the toy."""
    folder = tmp_path_factory.mktemp("models") / "half_plus_three"
    shutil.copytree(toy_versions / "123", folder / "123")
    return folder


class RunningServer:
    """A `Server` in a thread of this process."""

    def __init__(self, model_dir, **options):
        self.lines = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        defaults = {"rest_api_port": 0, "port": 0, "file_system_poll_wait_seconds": 0.05}
        options = Options(str(model_dir), **{**defaults, **options})
        try:
            self.server = self.call(self._start(options))
        except BaseException:
            self._end()
            raise
        self.port, self.grpc_port = self.server.rest_port, self.server.grpc_port

    async def _start(self, options):
        server = Server(options, self.lines.append)
        try:
            await server.start()
        except BaseException:
            await server.stop()
            raise
        return server

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def ask(self, method, path, body=None, headers=None):
        """Sends one REST request; returns its status, headers and body as text."""
        if isinstance(body, dict | list):
            body = json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def until(self, start):
        """Waits for the server to say a line that starts so."""
        deadline = time.monotonic() + 60
        while not any(line.startswith(start) for line in list(self.lines)):
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.01)

    def stop(self):
        self.call(self.server.stop())
        self._end()

    def _end(self):
        self.call(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def run_server():
    """A context manager that runs a server of a model folder; keywords are `Options`."""

    @contextlib.contextmanager
    def run(model_dir, **options):
        server = RunningServer(model_dir, **options)
        try:
            yield server
        finally:
            server.stop()

    return run


@pytest.fixture(scope="module")
def server(toy_dir, run_server):
    """A server of `toy_dir` that takes pictures of 10,000 pixels."""
    with run_server(toy_dir, max_image_pixels=10_000) as server:
        yield server


@pytest.fixture
def predict(server):
    """Sends a predict request; returns its status and its parsed body."""

    def ask(path="/v1/models/half_plus_three:predict", **body):
        status, headers, text = server.ask("POST", path, body)
        assert headers["Content-Type"] == "application/json"
        return status, json.loads(text)

    return ask


@pytest.fixture(scope="module")
def tiny_server(exported, run_server):
    """A server of the `exported` model."""
    with run_server(exported) as server:
        yield server


@pytest.fixture(scope="module")
def tiny_stub(tiny_server):
    """A stub of the prediction service of `tiny_server`."""
    with grpc.insecure_channel(f"127.0.0.1:{tiny_server.grpc_port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def picture(stored):
    """A frame of the scene as a PNG file."""
    frame = stored.load("test")[0].frames[0]
    with io.BytesIO() as file:
        PIL.Image.fromarray(frame).save(file, "PNG")
        return file.getvalue()
