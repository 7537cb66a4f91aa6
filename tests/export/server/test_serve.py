"""The command itself: a process that starts, says where it is, and stops with care."""

import concurrent.futures
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

import export

ROOT = Path(export.__file__).parents[1]
MODEL = "half_plus_three"
MODEL_CODE = {"tf_inbetween", "data_gen", "tensorflow_probability", "tf_keras", "keras"}


def command(*flags, **kwargs):
    return [
        sys.executable,
        "-m",
        "export.serve",
        *flags,
        *(f"--{k}={v}" for k, v in kwargs.items()),
    ]


class Process:
    """A server in a process of its own, once it listens."""

    def __init__(self, command):
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        said = self.said_until("gRPC ")
        self.rest = re.fullmatch(r"REST http://127\.0\.0\.1:(\d+)/v1/models/\w+\n", said[-2])[1]
        self.grpc = re.fullmatch(r"gRPC 127\.0\.0\.1:(\d+)\n", said[-1])[1]

    def said_until(self, start):
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if line.startswith(start):
                return lines
        raise AssertionError(f"ended with code {self._process.wait()}: {lines}")

    def predict(self, **body):
        connection = http.client.HTTPConnection("127.0.0.1", int(self.rest), timeout=60)
        connection.request("POST", f"/v1/models/{MODEL}:predict", json.dumps(body))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def signal(self, number):
        self._process.send_signal(number)

    def end(self):
        """Waits for the process; its code and the rest of what it says."""
        rest = self._process.stdout.read()
        return self._process.wait(60), rest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def process(toy_dir):
    with Process(command(model_dir=toy_dir, rest_api_port=0, port=0)) as process:
        yield process


def until(path):
    """Waits for a file to appear."""
    for _ in range(6000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} did not appear")


def test_it_serves_both_ways(process):
    assert process.predict(instances=[1.0, 2.0, 5.0]) == (200, '{"predictions": [3.5, 4.0, 5.5]}')
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([1])))
    with grpc.insecure_channel(f"127.0.0.1:{process.grpc}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert list(stub.Predict(request, timeout=60).outputs["y"].float_val) == [3.5]


def test_it_listens_on_this_machine_only(process):
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in addresses - {"127.0.0.1", "::1"}:
        for port in (process.rest, process.grpc):
            with pytest.raises(OSError):  # noqa: PT011 - refused or unreachable
                socket.create_connection((address, int(port)), timeout=5).close()


def test_it_imports_no_model_code(toy_dir):
    script = f"""
import os, runpy, signal, sys

class Output:
    def write(self, text):
        if text.startswith("gRPC"):  # The last line before it only serves.
            loaded = {{name.partition(".")[0] for name in sys.modules if sys.modules[name]}}
            sys.__stdout__.write(str(sorted(loaded & {MODEL_CODE})))
            os.kill(os.getpid(), signal.SIGINT)

    def flush(self):
        sys.__stdout__.flush()

sys.stdout = Output()
sys.argv = ["serve", "--model_dir={toy_dir}", "--rest_api_port=0", "--port=0"]
runpy.run_module("export.serve", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "[]"), done.stderr


def closes(port):
    """Waits until nobody listens on a port."""
    for _ in range(6000):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=60).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.01)
    return False


def test_what_runs_is_answered_when_it_stops(toy_dir, tmp_path):
    gate = tmp_path / "gate"
    with (
        concurrent.futures.ThreadPoolExecutor() as pool,
        Process(command(model_dir=toy_dir, rest_api_port=0, port=0)) as process,
        grpc.insecure_channel(f"127.0.0.1:{process.grpc}") as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(health).status == health_pb2.HealthCheckResponse.SERVING
        running = pool.submit(process.predict, signature_name="wait", instances=[str(gate)])
        until(tmp_path / "gate.started")
        process.signal(signal.SIGTERM)
        assert process.said_until("stopping")[-1] == "stopping\n"
        assert next(health).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not running.done()
        for port in (process.rest, process.grpc):
            assert closes(int(port))
        health.cancel()
        gate.touch()
        assert running.result() == (200, json.dumps({"predictions": [str(gate)]}))
        assert process.end() == (0, "")


def test_what_never_ends_does_not_keep_it_from_stopping(toy_dir, tmp_path):
    script = f"""
import sys
from frame_io import command_line
from export import serve
from export.server import server

server.GRACE_S = 0.1
serve.define_flags()
sys.argv = ["serve", "--model_dir={toy_dir}", "--rest_api_port=0", "--port=0"]
command_line.run(serve.main)
"""
    with (
        concurrent.futures.ThreadPoolExecutor() as pool,
        Process([sys.executable, "-c", script]) as process,
    ):
        gate = str(tmp_path / "gate")
        running = pool.submit(process.predict, signature_name="wait", instances=[gate])
        until(tmp_path / "gate.started")
        process.signal(signal.SIGTERM)
        assert process.end() == (0, "stopping\n")
        assert isinstance(running.exception(), http.client.HTTPException | OSError)


@pytest.mark.slow
def test_it_outlives_those_who_read_what_it_says(toy_versions, tmp_path):
    folder = tmp_path / MODEL
    shutil.copytree(toy_versions / "123", folder / "123")
    options = {"rest_api_port": 0, "port": 0, "file_system_poll_wait_seconds": 0.05}
    with Process(command(model_dir=folder, **options)) as process:
        process._process.stdout.close()
        for number in ("124", "125"):  # It says so of each, to nobody.
            shutil.copytree(toy_versions / "124", tmp_path / number)
            (tmp_path / number).rename(folder / number)
            path = f"http://127.0.0.1:{process.rest}/v1/models/{MODEL}/versions/{number}"
            while "AVAILABLE" not in requests.get(path, timeout=60).text:
                time.sleep(0.05)
        process.signal(signal.SIGTERM)
        assert process._process.wait(60) == 0


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ({}, "missing --model_dir"),
        ({"model_dir": "/no/such/folder"}, "--model_dir=/no/such/folder: no such folder"),
        ({"model_dir": ".", "port": 99999}, "--port=99999: 99999 is not an integer in the range"),
        ({"model_dir": ".", "max_batch": 0}, "--max_batch=0: 0 is not a positive integer"),
        ({"model_dir": ".", "no_such": 1}, "Unknown command line flag 'no_such'"),
        (
            {"model_dir": "export"},
            "export: no version of the model, a folder whose name is a whole number",
        ),
    ],
)
def test_wrong_flags_are_one_line(flags, error):
    done = subprocess.run(
        command(**flags), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if not re.match(r"WARNING|[IWE]\d{4}", line)]
    assert len(said) == 1
    assert said[0].startswith(f"error: {error}")


def test_a_version_that_cannot_be_served_ends_the_start(toy_versions, run_server, tmp_path):
    path = tmp_path / "toy" / "1"
    shutil.copytree(toy_versions / "123", path)
    (path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(Exception, match=f"^{tmp_path}/toy: version 1: ") as caught:
        run_server(tmp_path / "toy").__enter__()
    assert type(caught.value).__name__ == "InputError"


@pytest.mark.parametrize("flag", ["rest_api_port", "port"])
def test_a_port_in_use_is_one_line(toy_dir, run_server, flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Exception, match=f"^--{flag}={port} on 127.0.0.1: is in use"):
            run_server(toy_dir, **{flag: port}).__enter__()


def test_a_missing_package_is_one_line(toy_dir):
    script = f"""
import runpy, sys
sys.modules["prometheus_client"] = None
sys.argv = ["serve", "--model_dir={toy_dir}"]
runpy.run_module("export.serve", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: no package prometheus_client: pip install 'tf_inbetween[serving]'"
    )


def test_a_full_queue_is_503(toy_dir, run_server, tmp_path):
    parameters = tmp_path / "parameters.txt"
    parameters.write_text(
        "max_batch_size { value: 1 } num_batch_threads { value: 1 }"
        " max_enqueued_batches { value: 1 }"
    )
    gate = tmp_path / "gate"
    path = f"/v1/models/{MODEL}:predict"
    waiting = {"signature_name": "wait", "instances": [str(gate)]}
    with (
        run_server(toy_dir, batching_parameters_file=str(parameters)) as server,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        runs = pool.submit(server.ask, "POST", path, waiting)
        until(tmp_path / "gate.started")
        queued = pool.submit(server.ask, "POST", path, {"instances": [1.0]})
        while not server.server._batcher._waiting:
            time.sleep(0.01)
        status, _, text = server.ask("POST", path, {"instances": [2.0]})
        assert status == 503
        assert json.loads(text)["error"].startswith("The batch scheduling queue to which this")
        assert server.ask("GET", f"/v1/models/{MODEL}")[0] == 200  # The rest goes on.
        gate.touch()
        assert runs.result()[0] == 200
        assert queued.result()[::2] == (200, '{"predictions": [3.5]}')


def test_requests_share_a_run_and_a_bad_one_fails_alone(toy_dir, run_server, tmp_path):
    gate = tmp_path / "gate"
    path = f"/v1/models/{MODEL}:predict"
    with (
        run_server(toy_dir) as server,
        concurrent.futures.ThreadPoolExecutor(16) as pool,
    ):

        def ask(t):
            body = {"signature_name": "checked", "instances": [t]}
            status, _, text = server.ask("POST", path, body)
            return status, json.loads(text)

        def queue(values):
            asked = [pool.submit(ask, value) for value in values]
            batcher = server.server._batcher
            while sum(batch.rows for batch in batcher._waiting) < len(values):
                time.sleep(0.01)
            gate.touch()
            return [task.result() for task in asked]

        def occupy():
            body = {"signature_name": "wait", "instances": [str(gate)]}
            for i in range(server.server._batcher._parameters.num_batch_threads):
                pool.submit(server.ask, "POST", path, {**body, "instances": [f"{gate}"] * (i + 1)})
            until(tmp_path / "gate.started")

        occupy()
        answers = queue([0.0, 0.25, 0.5])
        # The model says how many rows it saw.
        assert [answer for _, answer in answers] == [
            {"predictions": [{"rows": 3, "t": t}]} for t in (0.0, 0.25, 0.5)
        ]
        gate.unlink()
        (tmp_path / "gate.started").unlink()
        occupy()
        answers = queue([0.0, 7.0, 0.5])
        assert [status for status, _ in answers] == [200, 400, 200]
        assert "t must lie in [0, 1]" in answers[1][1]["error"]
