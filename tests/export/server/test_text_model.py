"""A model of text as a SavedModel: strings in, strings out, behind a server and its client."""

import numpy as np
import pytest
import tensorflow as tf

import tf_inbetween
from export import exporter, text_signatures
from export.client import connect, draw_lines
from frame_io.errors import InputError
from tf_inbetween import run_directory, training
from tf_inbetween.config import Config
from tf_inbetween.kinds.text import to_lines

SETTINGS = {
    "scene": "counting",
    "channels": 1,
    "network": "text",
    "likelihood": "ctc",
    "filters": (4, 8),
    "dense_units": 16,
    "latent_dim": 3,
    "precision": "float32",
    "min_gap": 2.0,
    "max_gap": 8.0,
}
LINES = ["one hundred", "three hundred and one", "x" * 64]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run directory of a model with random weights."""
    config = Config(run_dir=str(tmp_path_factory.mktemp("runs") / "text"), **SETTINGS)
    model = training.build_model(config, kind="text")
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 * rng.normal(size=variable.shape))
    folder = run_directory.start(config, "float32")
    model.save(folder / "model.keras", include_optimizer=False)
    for number, line in enumerate(LINES[:2]):
        path = folder / "figures" / "samples" / f"{number:02}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{line}\n")
    return folder


@pytest.fixture(scope="module")
def model_dir(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "text"
    exporter.export(run, folder)
    return folder


@pytest.fixture(scope="module")
def served(model_dir, load_signatures):
    return load_signatures(model_dir)


def strings(lines):
    return np.array([line.encode() for line in lines], object)


def test_lines_between_are_those_of_the_model(run, served):
    model = run_directory.load_model(run)
    first, second, t = LINES, LINES[::-1], np.float32([0, 0.4, 1])
    ends = [
        np.stack([model._kind.as_frame("", line, (64, 1, 1)) for line in lines])
        for lines in (first, second)
    ]
    expected = to_lines(model.inbetween(*ends, t))
    for name in ("inbetween_text", "serving_default"):
        outputs = served(name, first=strings(first), second=strings(second), t=t)
        assert [text.decode() for text in outputs["text"]] == expected
        assert np.all((outputs["confidence"] >= 0) & (outputs["confidence"] <= 1))
    loaded = tf_inbetween.load(run)
    np.testing.assert_array_equal(
        loaded.path(first[0], second[0], t), model.inbetween(ends[0][:1], ends[1][:1], t[None])[0]
    )


def test_a_saved_model_draws_lines_in_python(run, model_dir):
    exported, model = tf_inbetween.load(model_dir), tf_inbetween.load(run)
    assert (exported.kind, exported.frame_shape) == ("text", (64, 1, 1))
    ends = LINES[:2]
    assert to_lines(exported.path(*ends, [0.3, 0.6])) == to_lines(model.path(*ends, [0.3, 0.6]))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "first must be lines of text, UTF-8 without control characters, not empty"),
        (b"  ", "first must be lines of text"),
        (b"x" * 65, "first must be lines of at most 64 bytes"),
        (b"a\0b", "first must be lines of text"),
        (b"a\nb", "first must be lines of text"),
        (b"\xff", "first must be lines of text"),
        ("a\u2028b".encode(), "first must be lines of text"),
    ],
)
def test_lines_that_a_server_refuses(served, line, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        served("inbetween_text", first=[line], second=[b"x"], t=np.float32([0.5]))


def test_lines_of_every_script_are_read(served):
    lines = strings(["über", "東京 🙂", "שלום", "👩‍👩‍👧", "x" * 64])
    t = np.full(len(lines), 0.5, np.float32)
    outputs = served("inbetween_text", first=lines, second=lines, t=t)
    assert outputs["text"].shape == (5,)


def test_what_is_written_is_utf_8_without_control_characters():
    content = [[104, 105, 0, 33], [0xFF, 104, 27, 0], [0xC3, 0xA9, 127, 33], [0xE2, 0x80, 0xA8, 33]]
    frames = tf.constant(content, tf.float32)[:, :, None, None] / 255
    written = [text.decode() for text in text_signatures.write(frames).numpy()]
    assert written == ["hi", "�h�", "é�!", "�!"]
    assert written == to_lines(frames)


def test_a_server_its_clients_and_its_page(run, model_dir, run_server):
    wanted = to_lines(run_directory.load_model(run).path(*LINES[:2], [0.25, 0.5]))
    with run_server(model_dir, demo=True) as server:
        for address in (f"http://127.0.0.1:{server.port}", f"grpc://127.0.0.1:{server.grpc_port}"):
            client = connect(address, "text")
            assert "inbetween_text" in client.signatures()
            lines, confidence = draw_lines(client, *LINES[:2], [0.25, 0.5])
            assert lines == wanted
            assert 0 <= confidence <= 1
        assert (
            server.ask("GET", "/samples.json")[2]
            == '{"model": "text", "samples": ["00.txt", "01.txt"]}'
        )
        status, headers, line = server.ask("GET", "/samples/00.txt")
        assert (status, line) == (200, "one hundred\n")
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "text.js" in server.ask("GET", "/text.html")[2]
        assert "sequence_text" in server.ask("GET", "/text.js")[2]


def test_other_formats_have_no_strings(run, tmp_path):
    with pytest.raises(
        InputError, match=r"^--format=onnx: does not support strings, which models of text"
    ):
        exporter.convert(run, tmp_path / "text", "onnx")
