"""The local server under full load for minutes: does its memory stay flat?

    python -m benchmarks.soak --model_dir=models/teapot --output=docs/results/soak.json

Clients over REST and gRPC ask without a pause, for frames and for sequences; among them are some
whose requests are wrong, and some that go away before they are answered. The memory of the server
is looked at every second. The exit code is 1 if it grows, or if anything was answered as it should
not have been.
"""

import asyncio
import contextlib
import json
import os
import time

import numpy as np
from absl import flags

from benchmarks import serving
from frame_io import command_line
from frame_io.errors import InputError

FLAGS = flags.FLAGS

WARM_UP = 1 / 3  # Of the time; TensorFlow, oneDNN and malloc fill what they keep.
MOST_GROWTH = 0.02  # Of the memory, over the time after that, that counts as flat.
_TIMEOUT_S = 120


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("model_dir", None, "The exported model to serve.", required=True)
    flags.DEFINE_string("output", None, "The JSON file to write.", required=True)
    flags.DEFINE_integer("clients", 32, "Clients of each kind that ask at the same time.", 1, 1000)
    flags.DEFINE_float("seconds", 600.0, "How long to run, in seconds.", 5)


def main():
    """Soaks the server of the model that the flags name, and writes the results."""
    from frame_io.files import write_json

    results = soak(FLAGS.model_dir, FLAGS.clients, FLAGS.seconds)
    write_json(FLAGS.output, results)
    shown = {key: value for key, value in results.items() if key != "memory_mib"}
    print(json.dumps(shown, indent=2))
    print(f"wrote {FLAGS.output}")
    if results["wrong"]:
        raise InputError(f"{results['wrong']} requests were not answered as they should have been")
    if not results["flat"]:
        raise InputError(f"the server's memory grew by {results['growth_mib']} MiB after warm-up")


def soak(model_dir, clients, seconds):
    """Runs the server and its clients; returns what the JSON file holds."""
    first, second = serving.sample_pictures(model_dir)
    with serving.server(model_dir, "--enable_batching") as where:
        counts, memory, held = asyncio.run(_load(where, first, second, clients, seconds))
    return {
        "model": where["model"],
        "clients": 2 * clients,
        "seconds": seconds,
        "cores": os.cpu_count(),
        **counts,
        "threads_and_files": held,
        **judge(memory, seconds),
        "memory_mib": memory,
    }


def judge(memory, seconds):
    """Whether memory is flat after the warm-up, by a line through it.

    Args:
        memory: MiB, one sample after the other, at an even pace.
        seconds: how long they took.

    Returns:
        {"warm_mib", "last_mib": medians of the tenths after the warm-up and at the end,
        "growth_mib": by how much the line rises after the warm-up, "mib_per_hour": how fast,
        "flat": whether that is less than `MOST_GROWTH` of the memory}.
    """
    warm = np.asarray(memory[int(WARM_UP * len(memory)) :])
    slope, _ = np.polyfit(np.arange(len(warm)), warm, 1)
    growth = slope * (len(warm) - 1)
    tenth = max(1, len(warm) // 10)
    return {
        "warm_mib": round(float(np.median(warm[:tenth])), 1),
        "last_mib": round(float(np.median(warm[-tenth:])), 1),
        "growth_mib": round(float(growth), 1),
        "mib_per_hour": round(float(growth / (seconds * (1 - WARM_UP)) * 3600), 1),
        "flat": bool(growth < MOST_GROWTH * warm.mean()),
    }


async def _load(where, first, second, clients, seconds):
    """Lets the clients ask; returns the counts, the samples of memory, and what is held open."""
    until = time.monotonic() + seconds
    counts = {"answered": 0, "refused": 0, "went_away": 0, "wrong": 0}
    memory = []

    async def sample():
        while time.monotonic() < until:
            memory.append(serving.memory_mib(where["pid"]))
            await asyncio.sleep(min(1.0, seconds / 60))

    async def ask(number, predict):
        turn = number
        while time.monotonic() < until:
            turn += 1
            if turn % 50 == 0:
                await _go_away(where["rest"])
                counts["went_away"] += 1
                continue
            wrong = turn % 10 == 0
            steps = 2 if wrong else (turn % 4) / 4  # Of the way: 2 is past its end.
            name = "sequence_png" if turn % 4 == 1 else "inbetween_png"
            inputs = {"first_bytes": [first], "second_bytes": [second]}
            inputs["t"] = [[steps, 0.5]] if name == "sequence_png" else [steps]
            right = await predict(name, inputs)
            if right == (not wrong):
                counts["refused" if wrong else "answered"] += 1
            else:
                counts["wrong"] += 1

    async with _rest(where) as rest, _grpc(where) as grpc:
        held = [_held(where["pid"])]
        tasks = [ask(i, rest) for i in range(clients)] + [ask(i, grpc) for i in range(clients)]
        await asyncio.gather(sample(), *tasks)
        held.append(_held(where["pid"]))
    counts["per_second"] = round((counts["answered"] + counts["refused"]) / seconds, 1)
    return counts, memory, held


@contextlib.asynccontextmanager
async def _rest(where):
    """A function of a signature and its inputs that asks over REST.

    It returns True if the server answered, False if it refused, None for anything else.
    """
    import base64

    import aiohttp

    def plain(value):
        if isinstance(value, list):
            return [plain(each) for each in value]
        return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value

    url = f"http://{where['rest']}/v1/models/{where['model']}:predict"
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def predict(name, inputs):
            inputs = {key: plain(value) for key, value in inputs.items()}
            body = json.dumps({"signature_name": name, "inputs": inputs})
            try:
                async with session.post(url, data=body) as answer:
                    content = await answer.read()
            except (TimeoutError, aiohttp.ClientError):
                return None
            if answer.status == 400:
                return False
            return True if answer.status == 200 and b"b64" in content else None

        yield predict


@contextlib.asynccontextmanager
async def _grpc(where):
    """The same over gRPC."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    async with grpc.aio.insecure_channel(where["grpc"]) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        async def predict(name, inputs):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = where["model"]
            request.model_spec.signature_name = name
            for key, value in inputs.items():
                kind = tf.float32 if key == "t" else tf.string
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value, kind))
            try:
                answer = await stub.Predict(request, timeout=_TIMEOUT_S)
            except grpc.RpcError as error:
                refused = error.code() == grpc.StatusCode.INVALID_ARGUMENT
                return False if refused else None
            return True if "frame_bytes" in answer.outputs else None

        yield predict


async def _go_away(address):
    """Sends half of a request and closes."""
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/models/x:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n{")
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def _held(pid):
    """How many threads and open files a process has."""
    return [len(os.listdir(f"/proc/{pid}/{kind}")) for kind in ("task", "fd")]


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
