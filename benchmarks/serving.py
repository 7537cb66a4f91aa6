"""How many requests the local server answers, and how fast, on one machine with its clients.

    python -m benchmarks.serving --model_dir=models/teapot \
        --output=docs/results/serving.json --page=docs/serving.md

Two servers run, one that batches and one that does not. Their rows take turns of a few seconds, so
that what else the host does falls on all alike; every request asks for one in-between of two
PNG files. The clients run in this process and share the cores with the servers.
"""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from absl import flags
from tqdm import tqdm

from frame_io import command_line
from frame_io.errors import InputError

FLAGS = flags.FLAGS

_SECTION = "serving"
_TIMEOUT_S = 30


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("model_dir", None, "The exported model to serve.", required=True)
    flags.DEFINE_string("output", None, "The JSON file to write.", required=True)
    flags.DEFINE_multi_string("page", [], "A Markdown page to write the table into.")
    flags.DEFINE_integer("clients", 64, "Clients that ask at the same time.", 1, 1000)
    flags.DEFINE_float("seconds", 60.0, "Seconds for each row, over all its turns.", 1)
    flags.DEFINE_integer("turns", 6, "Turns of each row.", 1)


def main():
    """Measures the model that the flags name and writes the results."""
    from frame_io.files import check_section, write_json, write_section

    for page in FLAGS.page:
        check_section(page, _SECTION)
    results = measure(FLAGS.model_dir, FLAGS.clients, FLAGS.seconds, FLAGS.turns)
    write_json(FLAGS.output, results)
    table = markdown_table(results)
    for page in FLAGS.page:
        write_section(page, _SECTION, table)
    print(table)
    print(f"wrote {', '.join([FLAGS.output, *FLAGS.page])}")


def measure(model_dir, clients, seconds, turns):
    """Runs the servers and the rows; returns what the JSON file holds."""
    first, second = sample_pictures(model_dir)
    summaries = {"bare model call": bare_calls(model_dir, first, second, seconds / turns)}
    stolen = [_stolen_seconds()]
    with (
        server(model_dir, "--enable_batching") as batching,
        server(model_dir, "--noenable_batching") as alone,
    ):
        rows = {
            "REST, one at a time": (batching, "rest", 1),
            "gRPC, one at a time": (batching, "grpc", 1),
            f"REST, {clients} clients": (batching, "rest", clients),
            f"gRPC, {clients} clients": (batching, "grpc", clients),
            f"REST, {clients} clients, no batching": (alone, "rest", clients),
        }
        parts = {name: [] for name in rows}
        begin = time.monotonic()
        for _ in tqdm(range(turns), unit=" turns"):
            for name, (where, protocol, count) in rows.items():
                parts[name].append(turn(where, protocol, count, seconds / turns, first, second))
        wall = time.monotonic() - begin
    stolen.append(_stolen_seconds())
    summaries |= {name: _summary(turns_of) for name, turns_of in parts.items()}
    return {
        "model": Path(model_dir).resolve().name,
        "clients": clients,
        "seconds_per_row": seconds,
        "turns": turns,
        "cores": os.cpu_count(),
        "stolen_share_of_a_core": round((stolen[1] - stolen[0]) / wall, 3),
        "rows": summaries,
        "ratios": _ratios(parts, clients),
    }


def _ratios(parts, clients):
    """Requests per second against those of the turn beside it: the median over the turns."""

    def against(row, other):
        pairs = zip(parts[row], parts[other], strict=True)
        return round(float(np.median([_rate(a) / _rate(b) for a, b in pairs])), 2)

    batched = f"REST, {clients} clients"
    return {
        "batching against one at a time, REST": against(batched, "REST, one at a time"),
        "batching against one at a time, gRPC": against(
            f"gRPC, {clients} clients", "gRPC, one at a time"
        ),
        "batching against none, REST": against(batched, f"{batched}, no batching"),
    }


def bare_calls(model_dir, first, second, seconds):
    """One row after another through the SavedModel itself, in this process."""
    import tensorflow as tf

    newest = max(
        (p for p in Path(model_dir).iterdir() if p.name.isdecimal()), key=lambda p: int(p.name)
    )
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(newest))
        signature = loaded.signature_def["inbetween_png"]
        inputs = {"first_bytes": [first], "second_bytes": [second], "t": [0.5]}
        call = session.make_callable(
            [info.name for info in signature.outputs.values()],
            [signature.inputs[name].name for name in inputs],
        )
        feeds = [
            np.array(value, object if name != "t" else np.float32) for name, value in inputs.items()
        ]
        for _ in range(10):
            call(*feeds)
        latencies, begin, cpu = [], time.monotonic(), time.process_time()
        while time.monotonic() < begin + seconds:
            start = time.perf_counter()
            call(*feeds)
            latencies.append(time.perf_counter() - start)
        cpu, wall = time.process_time() - cpu, time.monotonic() - begin
    part = {"latencies": latencies, "errors": 0, "wall": wall, "cpu": cpu, "memory": None}
    return _summary([part])


@contextlib.contextmanager
def server(model_dir, *more):
    """A server of its own process on free ports: {"pid", "rest", "grpc", "model"}."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "export.serve", f"--model_dir={model_dir}"),
            *("--rest_api_port=0", "--port=0", *more),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        where = {"pid": process.pid}
        for line in process.stdout:
            if rest := re.search(r"http://([\w.]+:\d+)/v1/models/(\S+)", line):
                where["rest"], where["model"] = rest[1], rest[2]
            elif grpc := re.search(r"gRPC\D*?([\w.]+:\d+)", line):
                where["grpc"] = grpc[1]
            if {"rest", "grpc"} <= set(where):
                break
        else:
            raise InputError(f"--model_dir={model_dir}: the server did not start")
        yield where
    finally:
        process.terminate()
        process.communicate()


def turn(where, protocol, clients, seconds, first, second):
    """Closed loops of `clients` for some seconds: latencies, errors, CPU and memory."""
    cpu, begin = _cpu_seconds(where["pid"]), time.monotonic()
    latencies, errors = asyncio.run(
        _closed_loops(where, protocol, clients, begin + seconds, first, second)
    )
    wall = time.monotonic() - begin
    cpu = _cpu_seconds(where["pid"]) - cpu
    return {
        "latencies": latencies,
        "errors": errors,
        "wall": wall,
        "cpu": cpu,
        "memory": memory_mib(where["pid"]),
    }


async def _closed_loops(where, protocol, clients, until, first, second):
    latencies, errors = [], 0
    async with {"rest": _rest, "grpc": _grpc}[protocol](where, first, second) as ask:

        async def loop():
            nonlocal errors
            while time.monotonic() < until:
                start = time.perf_counter()
                if await ask():
                    latencies.append(time.perf_counter() - start)
                else:
                    errors += 1

        await asyncio.gather(*(loop() for _ in range(clients)))
    return latencies, errors


@contextlib.asynccontextmanager
async def _rest(where, first, second):
    import base64

    import aiohttp

    row = {
        "first_bytes": {"b64": base64.b64encode(first).decode()},
        "second_bytes": {"b64": base64.b64encode(second).decode()},
        "t": 0.5,
    }
    body = json.dumps({"signature_name": "inbetween_png", "instances": [row]}).encode()
    url = f"http://{where['rest']}/v1/models/{where['model']}:predict"
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
    ) as session:

        async def ask():
            try:
                async with session.post(url, data=body) as response:
                    return b"frame_bytes" in await response.read() and response.status == 200
            except (TimeoutError, aiohttp.ClientError):
                return False

        yield ask


@contextlib.asynccontextmanager
async def _grpc(where, first, second):
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = where["model"]
    request.model_spec.signature_name = "inbetween_png"
    for name, value in (("first_bytes", [first]), ("second_bytes", [second])):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    request.inputs["t"].CopyFrom(tf.make_tensor_proto(np.float32([0.5])))
    async with grpc.aio.insecure_channel(where["grpc"]) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        async def ask():
            try:
                return "frame_bytes" in (await stub.Predict(request, timeout=_TIMEOUT_S)).outputs
            except grpc.RpcError:
                return False

        yield ask


def sample_pictures(model_dir):
    """The first and the third of the newest version's samples, as the bytes of their files."""
    folders = [path for path in Path(model_dir).glob("*/assets.extra/samples")]
    if not folders:
        raise InputError(f"--model_dir={model_dir}: no exported model there")
    newest = max(folders, key=lambda path: int(path.parents[1].name))
    files = sorted(newest.glob("*.png"))
    if len(files) < 3:
        raise InputError(f"{newest}: no samples; evaluate the run and export it again")
    return files[0].read_bytes(), files[2].read_bytes()


def _summary(parts):
    """One row of the table, of one or more turns."""
    latencies = np.concatenate([part["latencies"] for part in parts])
    wall, cpu = (sum(part[key] for part in parts) for key in ("wall", "cpu"))
    memory = [part["memory"] for part in parts]
    return {
        "requests": len(latencies),
        "errors": sum(part["errors"] for part in parts),
        "requests_per_second": round(len(latencies) / wall, 1),
        "p50_ms": round(1e3 * float(np.quantile(latencies, 0.5)), 2),
        "p99_ms": round(1e3 * float(np.quantile(latencies, 0.99)), 2),
        "cpu_ms_per_request": round(1e3 * cpu / len(latencies), 2),
        "memory_mib": None if memory[0] is None else [round(size) for size in memory],
    }


def _rate(part):
    return len(part["latencies"]) / part["wall"]


def markdown_table(results):
    """The rows and the ratios as Markdown."""
    lines = [
        "| | requests/s | p50, ms | p99, ms | server CPU, ms a request | errors |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {row['requests_per_second']:g} | {row['p50_ms']:g} | {row['p99_ms']:g} | "
        f"{row['cpu_ms_per_request']:g} | {row['errors']} of {row['requests'] + row['errors']} |"
        for name, row in results["rows"].items()
    ]
    busy = results["rows"][f"REST, {results['clients']} clients"]
    ratios = "; ".join(f"{name}: {ratio:g} times" for name, ratio in results["ratios"].items())
    lines += [
        "",
        f"Requests per second, median of {results['turns']} neighbouring turns: {ratios}. Memory "
        f"of the batching server after each turn with {results['clients']} clients: "
        f"{', '.join(map(str, busy['memory_mib']))} MiB. {results['cores']} cores, shared with the "
        f"clients; CPU steal: {results['stolen_share_of_a_core']:g} of a core.",
    ]
    return "\n".join(lines) + "\n"


def _cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid):
    """The resident memory of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def _stolen_seconds():
    return int(Path("/proc/stat").read_text().split()[8]) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
