"""What the tests of the export share: a model trained for seconds, and its export."""

import asyncio
import contextlib
import dataclasses
import http.client
import json
import re
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from export import saved_model
from export.server.server import Options, Server
from tf_inbetween import images, run_directory, training
from tf_inbetween.config import Config
from tf_inbetween.models import to_float


@pytest.fixture(scope="session")
def trained(stored, tiny_settings, tmp_path_factory):
    """The run directory of a tiny model that has learnt the teapot's blurred turn."""
    run_dir = tmp_path_factory.mktemp("runs") / "tiny [1]"  # TensorFlow globs.
    learns = {
        "filters": (8, 8, 16, 16),
        "dense_units": 32,
        "learning_rate": 1e-2,
        "steps": 200,
        "steps_per_epoch": 200,
        "steps_per_execution": 10,
    }
    config = dataclasses.replace(Config(run_dir=str(run_dir)), **{**tiny_settings, **learns})
    training.train(config, stored)
    frames = to_float(stored.load("test")[0].frames[:30:10]).numpy()
    for i, frame in enumerate(frames):
        images.write_frames(run_dir / "figures" / "samples" / f"{i:02}.png", frame[None])
    return run_dir


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory):
    """The model folder with version 1 of the `trained` run."""
    model_dir = tmp_path_factory.mktemp("models") / "tiny"
    saved_model.export(trained, model_dir)
    return model_dir


@pytest.fixture(scope="session")
def load_signatures():
    """A function from a model folder to one that calls a signature with NumPy arrays by name."""

    def load(model_dir):
        loaded = tf.saved_model.load(str(model_dir / "1"))

        def call(signature, **inputs):
            tensors = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
            found = loaded.signatures[signature](**tensors)
            return {name: value.numpy() for name, value in found.items()}

        return call

    return load


@pytest.fixture(scope="session")
def trained_model(trained):
    """The Keras model of the `trained` run and its `Config`."""
    return run_directory.load_model(trained), run_directory.load_config(trained)


@pytest.fixture(scope="session")
def fusion_run(tiny_settings, tmp_path_factory):
    """The run directory of a tiny fusion model whose weights are random: so no flow is zero."""
    run_dir = tmp_path_factory.mktemp("runs") / "fusion"
    fuses = {"inbetween_decoder": "fusion", "fusion_filters": (4, 4, 8)}
    config = dataclasses.replace(Config(run_dir=str(run_dir)), **{**tiny_settings, **fuses})
    model = training.build_model(config)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 * rng.normal(size=variable.shape))
    model.save(run_directory.start(config, "float32") / "model.keras", include_optimizer=False)
    return run_dir


@pytest.fixture(scope="session")
def fusion_exported(fusion_run, tmp_path_factory):
    """The model folder with version 1 of the `fusion_run`."""
    model_dir = tmp_path_factory.mktemp("models") / "fusion"
    saved_model.export(fusion_run, model_dir)
    return model_dir


class Blend(tf.Module):
    """Stands in for an exported model where only its signatures matter: a cross-fade of 32x32.

    Pictures of 13x13 are refused, and of a white one it knows nothing.
    """

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "first_bytes"),
            tf.TensorSpec([None], tf.string, "second_bytes"),
            tf.TensorSpec([None], tf.float32, "t"),
        ]
    )
    def inbetween_png(self, first_bytes, second_bytes, t):
        first = tf.map_fn(self._decode, first_bytes, fn_output_signature=tf.float32)
        files = self.sequence_png(first_bytes, second_bytes, t[:, tf.newaxis])["frame_bytes"]
        known = tf.reduce_mean(first, axis=[1, 2, 3]) < 250
        return {"frame_bytes": files[:, 0], "confidence": tf.where(known, 0.875, 0.0625)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "first_bytes"),
            tf.TensorSpec([None], tf.string, "second_bytes"),
            tf.TensorSpec([None, None], tf.float32, "t"),
        ]
    )
    def sequence_png(self, first_bytes, second_bytes, t):
        first, second = (
            tf.map_fn(self._decode, files, fn_output_signature=tf.float32)[:, tf.newaxis]
            for files in (first_bytes, second_bytes)
        )
        t = t[:, :, tf.newaxis, tf.newaxis, tf.newaxis]
        frames = tf.cast(tf.round((1 - t) * first + t * second), tf.uint8)
        files = tf.map_fn(
            tf.io.encode_png, tf.reshape(frames, [-1, 32, 32, 3]), fn_output_signature=tf.string
        )
        return {"frame_bytes": tf.reshape(files, tf.shape(frames)[:2])}

    def _decode(self, file):
        pixels = tf.io.decode_image(file, channels=3, expand_animations=False)
        message = ["pictures of 13 pixels are refused"]
        with tf.control_dependencies([tf.debugging.Assert(tf.shape(pixels)[0] != 13, message)]):
            return tf.ensure_shape(tf.image.resize(pixels, [32, 32]), [32, 32, 3])


class MaskedBlend(Blend):
    """A `Blend` that says what it copied: 1 - t of the first picture, t of the second."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "first_bytes"),
            tf.TensorSpec([None], tf.string, "second_bytes"),
            tf.TensorSpec([None], tf.float32, "t"),
        ]
    )
    def mask_png(self, first_bytes, second_bytes, t):
        del first_bytes, second_bytes
        shares = tf.cast(tf.round(255 * tf.stack([1 - t, t, 0 * t], axis=-1)), tf.uint8)
        masks = tf.tile(shares[:, tf.newaxis, tf.newaxis], [1, 32, 32, 1])
        return {
            "mask_bytes": tf.map_fn(tf.io.encode_png, masks, fn_output_signature=tf.string),
        }


def blob(turn):
    """A coloured blob on its way round, uint8 [32, 32, 3]."""
    y, x = np.mgrid[:32, :32]
    away = np.hypot(y - 16 - 9 * np.sin(turn), x - 16 - 9 * np.cos(turn))
    ramp = np.clip(9 - away, 0, 1)[..., np.newaxis]
    return np.uint8(np.rint(ramp * [236, 146, 84] + (1 - ramp) * [28, 33, 45]))


@pytest.fixture(scope="session")
def blend_model_dir(tmp_path_factory):
    """The model folder "blend", with version 1 and nine samples of a full turn."""
    model_dir = tmp_path_factory.mktemp("models") / "blend"
    write_blend(model_dir, Blend(), "inbetween_png", "sequence_png")
    return model_dir


@pytest.fixture(scope="session")
def masked_model_dir(tmp_path_factory):
    """As `blend_model_dir`, of a `MaskedBlend`."""
    model_dir = tmp_path_factory.mktemp("models") / "masked"
    write_blend(model_dir, MaskedBlend(), "inbetween_png", "sequence_png", "mask_png")
    return model_dir


def write_blend(model_dir, model, *names):
    """Writes version 1 with the signatures `names`, and its samples."""
    signatures = {name: getattr(model, name) for name in names}
    signatures["serving_default"] = model.inbetween_png
    tf.saved_model.save(model, str(model_dir / "1"), signatures)
    samples = model_dir / "1" / "assets.extra" / "samples"
    samples.mkdir(parents=True)
    for i in range(9):
        PIL.Image.fromarray(blob(i * np.pi / 4.5)).save(samples / f"{i}.png")


@pytest.fixture(scope="session")
def blend_server(blend_model_dir):
    """The addresses, REST and gRPC, of a server of `blend_model_dir` with the demo page."""
    command = [sys.executable, "-m", "export.serve", f"--model_dir={blend_model_dir}", "--demo"]
    command += ["--rest_api_port=0", "--port=0", "--rest_api_enable_cors_support"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        addresses = {}
        while len(addresses) < 2:
            line = process.stdout.readline()
            assert line, "the server ended before it served"
            addresses.update(re.findall(r"^(REST|gRPC) .*?(127\.0\.0\.1:\d+)", line))
        yield f"http://{addresses['REST']}", f"grpc://{addresses['gRPC']}"
        process.terminate()


class Toy(tf.Module):
    """Signatures that answer at once, fail on demand, or wait for a file to appear."""

    def __init__(self, plus):
        super().__init__()
        self.plus = tf.Variable(plus)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def half_plus(self, x):
        return {"y": 0.5 * x + self.plus}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, "a"),
            tf.TensorSpec([None], tf.int32, "b"),
        ]
    )
    def pair(self, a, b):
        return {"total": tf.reduce_sum(a, 1), "scaled": a * tf.cast(b, tf.float32)[:, None]}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "image_bytes"),
            tf.TensorSpec([None], tf.string, "tag"),
        ]
    )
    def strings(self, image_bytes, tag):
        return {"same_bytes": image_bytes, "tag": tag, "size": tf.strings.length(image_bytes)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "t")])
    def checked(self, t):
        with tf.control_dependencies(
            [tf.debugging.assert_less_equal(t, 1.0, message="t must lie in [0, 1]")]
        ):
            return {"t": tf.identity(t), "rows": tf.fill(tf.shape(t), tf.size(t))}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "t")])
    def sequence(self, t):
        return {"total": tf.reduce_sum(t, 1)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([], kind, kind.name)
            for kind in (
                tf.bool,
                tf.double,
                tf.int8,
                tf.uint8,
                tf.int16,
                tf.int32,
                tf.int64,
                tf.uint32,
                tf.uint64,
            )
        ]
    )
    def types(self, *values):
        return {value.dtype.name: tf.identity(value) for value in values}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.half, "x")])
    def halves(self, x):
        return {"y": x + 1}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def any_rank(self, x):
        return {"y": 1 / tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def count(self, x):
        return {"values": tf.size(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "path")])
    def wait(self, path):
        # The graph itself looks for the file, so that a test decides when a request ends. What it
        # looks for changes with every round, or TensorFlow would look only once.
        tf.io.write_file(path[0] + ".started", "")
        tries, found = tf.constant(0), tf.constant(0)
        while found == 0:
            tries += 1
            found = tf.size(tf.io.matching_files([path[0], tf.strings.as_string(tries)]))
        with tf.control_dependencies([found]):
            return {"path": tf.identity(path)}


QUICK = ("pair", "strings", "checked", "sequence", "types", "count")


def write_toy(path, plus=3.0, names=(*QUICK, "any_rank", "halves", "wait")):
    """Writes a version of `Toy` into the folder `path`."""
    toy = Toy(plus)
    signatures = {"serving_default": toy.half_plus}
    signatures.update((name, getattr(toy, name)) for name in names)
    tf.saved_model.save(toy, str(path), signatures=signatures)


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
