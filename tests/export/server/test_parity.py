"""The exported model behind the server: every way in gives the Keras model's answers."""

import base64
import io
import json
import zipfile

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from request_bodies import b64, request_for

from export.golden_requests import cases
from tf_inbetween import images

PREDICT = "/v1/models/tiny:predict"


def as_json(array):
    """An array as nested lists, bytes as {"b64": ...}."""
    if array.dtype == object:
        return [as_json(value) if isinstance(value, np.ndarray) else b64(value) for value in array]
    return array.tolist()


def from_json(value):
    """What `as_json` made, as an array again."""
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        parts = [from_json(item) for item in value]
        if isinstance(parts[0], bytes):
            array = np.empty(len(parts), object)
            array[:] = parts
            return array
        return np.array(parts)
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return np.array(value)


def assert_same(outputs, expected):
    assert set(outputs) == set(expected)
    for key, wanted in expected.items():
        if wanted.dtype == object:
            pairs = zip(np.ravel(outputs[key]), wanted.ravel(), strict=True)
            for file, other in pairs:
                pixels, wanted_pixels = (
                    np.asarray(PIL.Image.open(io.BytesIO(f)), int) for f in (file, other)
                )
                assert np.abs(pixels - wanted_pixels).max() <= 1
        else:
            assert np.shape(outputs[key]) == wanted.shape
            np.testing.assert_allclose(outputs[key], wanted, atol=1e-5)


@pytest.fixture(scope="module")
def expected(trained_model):
    """Three rows for every signature: [(name, inputs, outputs)]."""
    model, config = trained_model
    return list(cases(model, config, float(model.scale.numpy()), batch=3))


def test_rows_over_rest(tiny_server, expected):
    for name, inputs, outputs in expected:
        columns = {key: as_json(value) for key, value in inputs.items()}
        instances = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        status, _, body = tiny_server.ask(
            "POST", PREDICT, {"signature_name": name, "instances": instances}
        )
        assert status == 200, body
        predictions = json.loads(body)["predictions"]
        if len(outputs) == 1:
            predictions = [{key: row for key in outputs} for row in predictions]
        columns = {key: from_json([row[key] for row in predictions]) for key in outputs}
        assert_same(columns, outputs)


def test_columns_over_rest(tiny_server, expected):
    for name, inputs, outputs in expected:
        columns = {key: as_json(value) for key, value in inputs.items()}
        status, _, body = tiny_server.ask(
            "POST", PREDICT, {"signature_name": name, "inputs": columns}
        )
        assert status == 200, body
        answer = json.loads(body)["outputs"]
        answer = answer if len(outputs) > 1 else {key: answer for key in outputs}
        assert_same({key: from_json(value) for key, value in answer.items()}, outputs)


def test_arrays_and_files_over_grpc(tiny_stub, expected):
    for name, inputs, outputs in expected:
        answer = tiny_stub.Predict(request_for(name, inputs), timeout=30).outputs
        assert_same({key: tf.make_ndarray(value) for key, value in answer.items()}, outputs)


def test_a_jpeg_of_another_size_over_both(tiny_server, tiny_stub, picture, trained_model, tmp_path):
    model, config = trained_model
    with PIL.Image.open(io.BytesIO(picture)) as frame, io.BytesIO() as file:
        frame.resize((200, 160)).save(file, "JPEG", quality=95)
        jpeg = file.getvalue()
    (tmp_path / "a.jpg").write_bytes(jpeg)
    end = images.read_frame(tmp_path / "a.jpg", config.image_size, config.channels, lambda _: None)
    drawn = images.to_uint8(model.reconstruct(end[None]).numpy()[0])
    row = {"first_bytes": b64(jpeg), "second_bytes": b64(jpeg), "t": 0.0}
    status, _, body = tiny_server.ask("POST", PREDICT, {"instances": [row]})
    assert status == 200, body
    over_rest = base64.b64decode(json.loads(body)["predictions"][0]["frame_bytes"]["b64"])
    inputs = {"first_bytes": [jpeg], "second_bytes": [jpeg], "t": np.float32([0])}
    answer = tiny_stub.Predict(request_for("", inputs), timeout=30).outputs["frame_bytes"]
    assert over_rest == answer.string_val[0]
    assert np.abs(np.asarray(PIL.Image.open(io.BytesIO(over_rest)), int) - drawn).max() <= 4


def strip(width, height):
    """A real PNG of so many pixels, red."""
    content = io.BytesIO()
    PIL.Image.new("RGB", (width, height), "red").save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(("width", "height"), [(100_000, 1), (1, 100_000), (1, 1), (16_000, 1_000)])
def test_pictures_of_odd_sizes_are_drawn(tiny_server, width, height):
    row = {"first_bytes": b64(strip(width, height)), "second_bytes": b64(strip(1, 1)), "t": 0.0}
    status, _, answer = tiny_server.ask("POST", PREDICT, {"instances": [row]})
    assert status == 200, answer
    row["first_bytes"] = b64(strip(64, 64))
    # All of one colour: the size makes no difference.
    assert json.loads(answer) == json.loads(
        tiny_server.ask("POST", PREDICT, {"instances": [row]})[2]
    )


def test_what_is_behind_a_picture_does_not_come_back(tiny_server, picture):
    tail = b"<!doctype html><script>alert(1)</script>"
    with io.BytesIO() as file:
        file.write(picture + tail)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("a.txt", "hidden")
        polyglot = file.getvalue()
    frames = []
    for first in (picture, polyglot):
        row = {"first_bytes": b64(first), "second_bytes": b64(first), "t": 0.0}
        status, _, answer = tiny_server.ask("POST", PREDICT, {"instances": [row]})
        assert status == 200, answer
        frames.append(base64.b64decode(json.loads(answer)["predictions"][0]["frame_bytes"]["b64"]))
    assert frames[0] == frames[1]
    assert frames[0].endswith(b"IEND\xaeB`\x82")
