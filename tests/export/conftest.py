"""What the tests of the export share: a model trained for seconds, its export, and a stand-in."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from stand_ins import Blend, write_blend

from export import exporter
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
    exporter.export(trained, model_dir)
    return model_dir


@pytest.fixture(scope="session")
def load_signatures():
    """A function from a model folder to one that calls a signature with NumPy arrays by name."""

    def load(model_dir):
        loaded = tf.saved_model.load(str(model_dir / "1"))

        def call(signature, **inputs):
            tensors = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
            outputs = loaded.signatures[signature](**tensors)
            return {name: value.numpy() for name, value in outputs.items()}

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
    exporter.export(fusion_run, model_dir)
    return model_dir


@pytest.fixture(scope="session")
def blend_model_dir(tmp_path_factory):
    """The model folder "blend", with version 1 and nine samples of a full turn."""
    model_dir = tmp_path_factory.mktemp("models") / "blend"
    write_blend(model_dir, Blend(), "inbetween_png", "sequence_png")
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
            addresses.update(re.findall(r"^(REST|gRPC) .*?(127\.0\.0\.1:\d+)", line))
        yield f"http://{addresses['REST']}", f"grpc://{addresses['gRPC']}"
        process.terminate()
