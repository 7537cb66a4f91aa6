"""A model of sound as a SavedModel: WAV files in, WAV files out, behind a server and its client."""

import numpy as np
import pytest
import tensorflow as tf

import tf_inbetween
from data_gen import spectrograms
from data_gen.scenes import synthesis
from export import exporter, sound_signatures
from export.client import connect, draw_glide
from frame_io import sounds
from frame_io.errors import InputError
from tests import sound_files
from tf_inbetween import run_directory, training
from tf_inbetween.config import Config
from tf_inbetween.kinds import KINDS

SETTINGS = {
    "scene": "tone",
    "channels": 1,
    "filters": (4, 4, 8, 8),
    "dense_units": 16,
    "latent_dim": 3,
    "precision": "float32",
    "min_gap": 0.25,
    "max_gap": 1.0,
}
SAMPLES = spectrograms.samples_of(64)


def wav(frequency, samples=SAMPLES):
    return sounds.to_wav(synthesis.tone(frequency, -8, -20, samples))


def files(*contents):
    return np.array(contents, object)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run directory of a model with random weights."""
    config = Config(run_dir=str(tmp_path_factory.mktemp("runs") / "sound"), **SETTINGS)
    model = training.build_model(config, kind="sound")
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(0.05 * rng.normal(size=variable.shape))
    folder = run_directory.start(config, "float32")
    model.save(folder / "model.keras", include_optimizer=False)
    (folder / "figures" / "samples").mkdir(parents=True)
    for number, frequency in enumerate((200, 400)):
        (folder / "figures" / "samples" / f"{number:02}.wav").write_bytes(wav(frequency))
    return folder


@pytest.fixture(scope="module")
def model_dir(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "sound"
    exporter.export(run, folder)
    return folder


@pytest.fixture(scope="module")
def served(model_dir, load_signatures):
    return load_signatures(model_dir)


def frame_of(content):
    return KINDS["sound"].as_frame("", sounds.from_wav(content), (64, 64, 1), lambda _: None)


def test_files_are_read_as_the_command_reads_them():
    contents = [wav(200), wav(300, 5000), wav(400, 40_000)]
    frames = sound_signatures.read(tf.constant(contents), (64, 64, 1), "first_bytes").numpy()
    for content, frame in zip(contents, frames, strict=True):
        np.testing.assert_allclose(frame, frame_of(content), atol=1.1 / 255)


def test_sounds_between_are_those_of_the_model(run, served):
    model = run_directory.load_model(run)
    first, second, t = files(wav(200), wav(500)), files(wav(400), wav(300)), np.float32([0.4, 1])
    ends = [np.stack([frame_of(content) for content in each]) for each in (first, second)]
    drawn = model.inbetween(*ends, t)
    outputs = served("inbetween_wav", first_bytes=first, second_bytes=second, t=t)
    assert np.all((outputs["confidence"] > 0) & (outputs["confidence"] <= 1))
    for content, frame in zip(outputs["sound_bytes"], drawn.numpy(), strict=True):
        samples = sounds.from_wav(content)
        assert len(samples) == SAMPLES
        peak = np.abs(spectrograms.to_samples(tf.constant(frame[None]))).max()
        again = spectrograms.from_samples(max(peak, 1.0) * samples[None])[0]
        assert spectrograms.RANGE_DB * np.sqrt(np.mean((again - frame) ** 2)) < 6
    many = served(
        "glide_wav", first_bytes=first, second_bytes=second, t=np.float32([[0, 1], [0.5, 1]])
    )
    for content in many["sound_bytes"]:
        assert len(sounds.from_wav(content)) == spectrograms.samples_of(2 * 64)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "first_bytes must be a WAV file"),
        (b"RIFFhello", "first_bytes must be a WAV file"),
        (wav(200, 0), "first_bytes has no samples"),
        (b"44100", "first_bytes must have 16000 samples a second"),
    ],
    ids=["nothing", "no chunks", "no samples", "44.1 kHz"],
)
def test_files_that_a_server_refuses(served, tmp_path, content, said):
    if content == b"44100":
        content = sound_files.wav(tmp_path / "a.wav", bytes(2000), rate=44_100).read_bytes()
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        served(
            "inbetween_wav",
            first_bytes=files(content),
            second_bytes=files(wav(200)),
            t=np.float32([0]),
        )


def test_a_server_its_clients_and_its_page(model_dir, run_server):
    ends = wav(200), wav(400)
    with run_server(model_dir, demo=True) as server:
        for address in (f"http://127.0.0.1:{server.port}", f"grpc://127.0.0.1:{server.grpc_port}"):
            glide, confidence = draw_glide(connect(address, "sound"), *ends, [0.25, 0.5])
            assert len(sounds.from_wav(glide)) == spectrograms.samples_of(2 * 64)
            assert 0 < confidence <= 1
        with pytest.raises(InputError, match="at most 256"):
            draw_glide(connect(address, "sound"), *ends, [0.5] * 257)
        assert (
            server.ask("GET", "/samples.json")[2]
            == '{"model": "sound", "samples": ["00.wav", "01.wav"]}'
        )
        assert "sound.js" in server.ask("GET", "/sound.html")[2]
        assert "glide_wav" in server.ask("GET", "/sound.js")[2]


def test_a_saved_model_plays_in_python(run, model_dir):
    exported, model = tf_inbetween.load(model_dir), tf_inbetween.load(run)
    assert (exported.kind, exported.frame_shape) == ("sound", (64, 64, 1))
    ends = [sounds.from_wav(wav(frequency)) for frequency in (200, 400)]
    np.testing.assert_allclose(exported.path(*ends, [0.5]), model.path(*ends, [0.5]), atol=1e-5)
