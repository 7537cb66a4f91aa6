"""Every signature of an exported model, called as a server calls it, against the Keras model."""

import dataclasses
import io
import shutil

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import tf_inbetween
from data_gen import render, scenes
from export import pictures
from export.server.servable import Servable
from tf_inbetween import images
from tf_inbetween.models import to_float


@pytest.fixture(scope="module")
def served(exported, load_signatures):
    return load_signatures(exported)


@pytest.fixture(scope="module")
def frames(stored):
    """Frames of the test clip, [K, H, W, C] in [0, 1]."""
    return to_float(stored.load("test")[0].frames).numpy()


def png(frame):
    return pictures.encode_png(tf.constant(frame)).numpy()


def test_inbetweens_of_arrays_of_png_and_of_jpeg(served, frames, trained_model):
    model, _ = trained_model
    first, second, t = frames[:3], frames[20:23], np.float32([0.0, 0.4, 1.0])
    expected = model.inbetween(first, second, t).numpy()
    outputs = served("inbetween", first=first, second=second, t=t)
    np.testing.assert_allclose(outputs["frame"], expected, atol=1e-5)

    files = {"first_bytes": png(first), "second_bytes": png(second)}
    for name in ("inbetween_png", "serving_default"):
        drawn = served(name, **files, t=t)
        for file, frame in zip(drawn["frame_bytes"], expected, strict=True):
            pixels = np.asarray(PIL.Image.open(io.BytesIO(file)), int)
            assert np.abs(pixels - images.to_uint8(frame)).max() <= 1
        np.testing.assert_allclose(drawn["confidence"], outputs["confidence"], atol=1e-5)

    def jpeg(frame):
        with io.BytesIO() as file:
            PIL.Image.fromarray(images.to_uint8(frame)).save(file, "JPEG", quality=98)
            return file.getvalue()

    files = {"first_bytes": [jpeg(f) for f in first], "second_bytes": [jpeg(f) for f in second]}
    drawn = served("inbetween_png", **files, t=t)["frame_bytes"]
    pixels = np.array([np.asarray(PIL.Image.open(io.BytesIO(file))) for file in drawn]) / 255
    assert np.sqrt(np.mean((pixels - expected) ** 2)) < 0.01


def test_sequences_are_inbetweens_at_every_t(served, frames, trained_model):
    model, config = trained_model
    first, second = frames[:2], frames[20:22]
    t = np.float32([[0.0, 0.25, 0.5, 1.0], [0.3, 0.1, 0.9, 0.5]])
    sequence = served("sequence", first=first, second=second, t=t)["frames"]
    assert sequence.shape == (2, 4, *first.shape[1:])
    for k in range(4):
        expected = model.inbetween(first, second, t[:, k])
        np.testing.assert_allclose(sequence[:, k], expected, atol=1e-5)
    files = {"first_bytes": png(first), "second_bytes": png(second)}
    drawn = served("sequence_png", **files, t=t)["frame_bytes"]
    assert drawn.shape == (2, 4)
    pixels = np.asarray(PIL.Image.open(io.BytesIO(drawn[1, 2])), int)
    assert np.abs(pixels - images.to_uint8(sequence[1, 2])).max() <= 1
    none = served("sequence", first=first, second=second, t=np.zeros([2, 0], np.float32))
    assert none["frames"].shape == (2, 0, *config.image_size, config.channels)


def test_encode_decode_and_reconstruct(served, frames, trained_model):
    model, _ = trained_model
    encoded, q = served("encode", image=frames[:4]), model.encode(frames[:4])
    np.testing.assert_allclose(encoded["mean"], q.mean(), atol=1e-5)
    np.testing.assert_allclose(encoded["stddev"], q.stddev(), atol=1e-5)
    again = served("reconstruct", image=frames[:4])["image"]
    np.testing.assert_allclose(again, model.reconstruct(frames[:4]), atol=1e-5)
    decoded = served("decode", latent=encoded["mean"])["image"]
    np.testing.assert_allclose(decoded, again, atol=1e-5)


def test_a_sample_is_repeated_by_its_seed_whatever_its_neighbours(served, frames):
    pair = {"first": frames[:2], "second": frames[20:22], "t": np.float32([0.5, 0.5])}
    one = served("sample", **pair, seed=np.array([[1, 2], [3, 4]]))["frame"]
    np.testing.assert_array_equal(
        one, served("sample", **pair, seed=np.array([[1, 2], [3, 4]]))["frame"]
    )
    other = served("sample", **pair, seed=np.array([[9, 9], [3, 4]]))["frame"]
    assert np.abs(other[0] - one[0]).max() > 1e-3
    np.testing.assert_allclose(other[1], one[1], atol=1e-6)
    alone = {name: value[1:] for name, value in pair.items()}
    np.testing.assert_allclose(
        served("sample", **alone, seed=np.array([[3, 4]]))["frame"][0], one[1], atol=1e-5
    )


def test_samples_are_drawn_from_the_posterior_between(trained_model, frames):
    """Mean and variance over 4000 draws; each of the checks fails one time in 10,000 by chance."""
    model, config = trained_model
    count, t = 4000, 0.25
    q0, q2 = model.encode(frames[:1]), model.encode(frames[20:21])
    drawn = {}
    decode, model.decode = model.decode, lambda z, size: drawn.setdefault("z", z)
    try:
        pair = (np.repeat(frames[i : i + 1], count, axis=0) for i in (0, 20))
        seed = np.stack([np.arange(count), np.zeros(count, int)], axis=1)
        model.sample_inbetween(*pair, tf.fill([count], t), seed)
    finally:
        model.decode = decode
    mean = (1 - t) * q0.mean() + t * q2.mean()
    variance = (1 - t) * q0.variance() + t * q2.variance()
    z = (drawn["z"] - mean) / np.sqrt(variance)
    bound = 4.5  # standard errors; 1e-4 over twice the latent dimensions
    assert np.abs(np.mean(z, axis=0)).max() < bound / np.sqrt(count)
    assert np.abs(np.var(z, axis=0) - 1).max() < bound * np.sqrt(2 / count)
    assert z.shape == (count, config.latent_dim)


def test_a_row_is_the_same_alone_and_in_company(served, frames):
    t = np.float32([0.1, 0.5, 0.9, 0.3, 0.7])
    many = served("inbetween", first=frames[:5], second=frames[30:35], t=t)
    for i in range(5):
        one = served(
            "inbetween", first=frames[i : i + 1], second=frames[30 + i : 31 + i], t=t[i : i + 1]
        )
        np.testing.assert_allclose(one["frame"][0], many["frame"][i], atol=1e-5)
        np.testing.assert_allclose(one["confidence"][0], many["confidence"][i], atol=1e-5)


def confidence_of(served, first, second):
    t = np.full(len(first), 0.5, np.float32)
    return served("inbetween", first=first, second=second, t=t)["confidence"]


def test_confidence_is_high_on_the_scene_and_low_on_others(served, frames, trained_model):
    model, _ = trained_model
    known = confidence_of(served, frames, frames[::-1])
    assert np.all(known <= 1)
    assert np.quantile(known, 0.05) > 0.8

    scene = scenes.get("teapot_1dof")
    daylight = dataclasses.replace(scene.view, background=(0.5, 0.6, 0.7))
    pot = scenes.Part("teapot", scenes.rotation_z(30), (0.1, 0.3, 0.85))
    ball = scenes.Part("sphere", np.diag([2.0, 2.0, 2.0, 1.0]), (0.85, 0.3, 0.09))
    others = {
        "daylight": render.Renderer(daylight, 64).render([pot]) / np.float32(255),
        "ball": render.Renderer(daylight, 64).render([ball]) / np.float32(255),
        "negative": 1 - frames[0],
        "noise": np.random.default_rng(0).uniform(size=(64, 64, 3)).astype(np.float32),
    }
    others = {name: np.repeat(picture[np.newaxis], 8, axis=0) for name, picture in others.items()}
    for name, pictures_ in others.items():
        # One end of another scene is enough.
        for ends in ((pictures_, pictures_), (frames[:8], pictures_), (pictures_, frames[:8])):
            assert confidence_of(served, *ends).max() < 0.5, name

    usual = float(model.scale.numpy())
    for pictures_ in (frames[:8], others["ball"]):
        again = model.reconstruct(pictures_).numpy()
        error = np.sqrt(np.mean((again - pictures_) ** 2, axis=(1, 2, 3)))
        expected = np.minimum(1, (2 * usual / error) ** 2)
        np.testing.assert_allclose(confidence_of(served, pictures_, pictures_), expected, rtol=1e-4)


def valid(signature, frames):
    t = np.float32([0.5, 0.5])
    pair = {"first": frames[:2], "second": frames[20:22]}
    files = {"first_bytes": png(frames[:2]), "second_bytes": png(frames[20:22])}
    return {
        "inbetween": {**pair, "t": t},
        "inbetween_png": {**files, "t": t},
        "sequence": {**pair, "t": t[:, np.newaxis]},
        "sequence_png": {**files, "t": t[:, np.newaxis]},
        "sample": {**pair, "t": t, "seed": np.array([[1, 2], [3, 4]])},
        "encode": {"image": frames[:2]},
        "reconstruct": {"image": frames[:2]},
        "decode": {"latent": np.zeros([2, 3], np.float32)},
    }[signature]


@pytest.mark.parametrize(
    ("signature", "bad", "said"),
    [
        *(
            (name, {"t": value}, "t must be numbers from 0 to 1")
            for name in ("inbetween", "inbetween_png", "sample")
            for value in (np.float32([0.5, np.nan]), np.float32([0.5, 1.01]), np.float32([-1, 0]))
        ),
        ("sequence", {"t": np.float32([[0.5], [np.inf]])}, "t must be numbers from 0 to 1"),
        ("sequence_png", {"t": np.float32([[0.5], [2]])}, "t must be numbers from 0 to 1"),
        ("inbetween", {"t": np.float32([0.5])}, "first and t must have as many rows"),
        ("inbetween", {"t": np.float32([0.5] * 3)}, "first and t must have as many rows"),
        ("sequence", {"t": np.float32([[0.5]])}, "first and t must have as many rows"),
        ("sample", {"seed": np.array([[1, 2]])}, "first and seed must have as many rows"),
        ("inbetween", {"first": 255 * np.ones([2, 64, 64, 3], "f")}, "first must be numbers from"),
        ("inbetween", {"second": np.full([2, 64, 64, 3], np.nan, "f")}, "second must be numbers"),
        ("encode", {"image": -np.ones([2, 64, 64, 3], "f")}, "image must be numbers from 0 to 1"),
        ("reconstruct", {"image": np.full([1, 64, 64, 3], np.nan, "f")}, "image must be numbers"),
        ("decode", {"latent": np.full([1, 3], np.inf, "f")}, "latent must be finite numbers"),
        ("inbetween_png", {"second_bytes": [b"no", b"picture"]}, "second_bytes must be a PNG"),
        ("inbetween", {"second": np.zeros([1, 64, 64, 3], "f")}, "first and second must have as"),
    ],
)
def test_bad_values_are_an_invalid_argument_that_says_why(served, frames, signature, bad, said):
    served(signature, **valid(signature, frames))
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        served(signature, **{**valid(signature, frames), **bad})


def test_a_notebook_draws_with_it_as_keras_does(exported, trained_model, frames, tmp_path):
    model, _ = trained_model
    shutil.copytree(exported, tmp_path / "a [1] *?" / "tiny")  # TensorFlow globs.
    loaded = tf_inbetween.load(tmp_path / "a [1] *?" / "tiny")
    assert Servable(tmp_path / "a [1] *?" / "tiny" / "1").definitions
    t = [0.25, 0.5]
    np.testing.assert_allclose(
        loaded.path(frames[0], np.uint8(255 * frames[8]), t),
        model.path(frames[0], np.uint8(255 * frames[8]), t),
        atol=1e-5,
    )
    np.testing.assert_allclose(
        loaded.inbetween(frames[:2], frames[2:4], t),
        model.inbetween(frames[:2], frames[2:4], t),
        atol=1e-5,
    )
    version = tf_inbetween.load(exported / "1")
    assert version.frame_shape == model.frame_shape == (64, 64, 3)
