"""What the tests of the export share: a model trained for seconds, and its export."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from export import saved_model
from tf_inbetween import images, run_directory, train
from tf_inbetween.config import Config
from tf_inbetween.data import load_clips
from tf_inbetween.models import to_float


@pytest.fixture(scope="session")
def trained(builder, tiny_settings, tmp_path_factory):
    """The run directory of a tiny model that has learnt the teapot's blurred turn."""
    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    learns = {
        "widths": (8, 8, 16, 16),
        "hidden": 32,
        "learning_rate": 1e-2,
        "steps": 200,
        "steps_per_epoch": 200,
        "steps_per_execution": 10,
    }
    config = dataclasses.replace(Config(run_dir=str(run_dir)), **{**tiny_settings, **learns})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tf_inbetween.train.prepare", lambda *_: builder)
        train.train(config)
    frames = to_float(load_clips(builder, "test")[0].frames[:20:10]).numpy()
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
def trained_model(trained):
    """The Keras model of the `trained` run and its `Config`."""
    return run_directory.load_model(trained), run_directory.load_config(trained)


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
    model = Blend()
    signatures = {"inbetween_png": model.inbetween_png, "sequence_png": model.sequence_png}
    signatures["serving_default"] = model.inbetween_png
    tf.saved_model.save(model, str(model_dir / "1"), signatures)
    samples = model_dir / "1" / "assets.extra" / "samples"
    samples.mkdir(parents=True)
    for i in range(9):
        PIL.Image.fromarray(blob(i * np.pi / 4.5)).save(samples / f"{i}.png")
    return model_dir


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
            addresses.update(re.findall(r"(http|grpc)\S*://(127\.0\.0\.1:\d+)", line))
        yield f"http://{addresses['http']}", f"grpc://{addresses['grpc']}"
        process.terminate()
