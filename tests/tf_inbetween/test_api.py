"""The functions for people with arrays, and what they say of arrays that do not fit."""

import re

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import tf_inbetween as ib
from tf_inbetween import images
from tf_inbetween.clips import ClipsInMemory

TINY = {
    "frames_per_clip": 6,
    "triplets_per_clip": 8,
    "inbetweens_per_clip": 2,
    "min_gap": 2,
    "max_gap": 5,
    "filters": (4, 4, 8, 8),
    "fusion_filters": (4, 4),
    "dense_units": 16,
    "latent_dim": 3,
    "steps": 2,
    "validation_steps": 1,
    "learning_rate_warmup_steps": 1,
    "precision": "float32",
}


def moving_square(length=12, channels=3):
    frames = np.zeros((length, 64, 64, channels), np.uint8)
    for i in range(length):
        frames[i, 20:36, 2 * i : 2 * i + 16] = 255
    return frames


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory that `train` made of arrays, and the model that it returned."""
    folder = tmp_path_factory.mktemp("arrays") / "run"
    return folder, ib.train([moving_square(), moving_square() / 255.0], folder, **TINY)


def test_a_training_on_arrays_is_one_of_the_command(run):
    folder, model = run
    assert isinstance(model, ib.FusionVAE)
    assert (folder / "model.keras").is_file()
    assert re.search(r"^--scene=arrays_[0-9a-f]{8}$", (folder / "flags.txt").read_text(), re.M)
    for path in (folder, folder / "model.keras"):
        loaded = ib.load(path)
        for one, other in zip(loaded.variables, model.variables, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_same_call_resumes(run, capsys):
    folder, model = run
    again = ib.train([moving_square(), moving_square()], folder, **TINY)
    assert "already trained to step 2" in capsys.readouterr().out
    np.testing.assert_array_equal(again.variables[0], model.variables[0])


def test_other_clips_do_not_resume_it(run):
    folder, _ = run
    with pytest.raises(ib.InputError, match=r"--scene=arrays_\w{8} \(was arrays_\w{8}\)"):
        ib.train([moving_square(), moving_square()[::-1]], folder, **TINY)


def test_a_path_takes_frames_as_people_have_them(run, tmp_path, capsys):
    _, model = run
    first, second = moving_square()[[0, 8]]
    expected = model.inbetween([first / 255.0], [second / 255.0], [[0.25, 0.5]])[0]
    PIL.Image.fromarray(first).save(tmp_path / "a.png")
    larger = PIL.Image.fromarray(second).resize((128, 128), PIL.Image.Resampling.NEAREST)
    for one, other in (
        (first, second),
        (first / 255.0, tf.constant(second)),
        (tmp_path / "a.png", PIL.Image.fromarray(second)),
        (str(tmp_path / "a.png"), second),
    ):
        np.testing.assert_allclose(model.path(one, other, [0.25, 0.5]), expected, atol=1e-6)
    np.testing.assert_allclose(model.path(first, second, 0.25), expected[:1], atol=1e-6)
    assert not capsys.readouterr().out
    assert model.path(first, larger, 1).shape == (1, 64, 64, 3)
    assert "second: 128x128 resized to 64x64" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("frame", "t", "message"),
    [
        (np.zeros([64, 48, 3]), 0.5, "first and second: are 48x64 and 64x64; must have one size"),
        (np.zeros([2, 64, 64, 3]), 0.5, "first: has shape 2x64x64x3; must be H x W x 3, or a path"),
        (np.zeros([64, 64]), 0.5, "first: has shape 64x64x1; must be H x W x 3"),
        (np.full([64, 64, 3], 255.0), 0.5, "first: has values from 0 to 255; floats must be in"),
        (np.full([64, 64, 3], np.nan), 0.5, "first: has values that are NaN or infinite"),
        (np.zeros([64, 64, 3], np.int64), 0.5, "first: is int64; must be uint8 in 0..255 or"),
        ("missing.png", 0.5, "missing.png: no such file"),
        (np.zeros([64, 64, 3]), [0.5, 1.5], r"t: must be numbers from 0 to 1, got \[0.5, 1.5\]"),
        (np.zeros([64, 64, 3]), [[0.5]], "t: must be numbers from 0 to 1"),
    ],
)
def test_frames_that_do_not_fit_are_one_line(run, frame, t, message):
    with pytest.raises(ib.InputError, match=f"^{message}") as caught:
        run[1].path(frame, moving_square()[0], t)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda model: model(moving_square()), "to draw use path"),
        (lambda model: model.predict(moving_square()), "use path"),
        (lambda model: model.export("here"), "python -m export.saved_model"),
    ],
)
def test_what_keras_offers_and_this_does_not_names_what_to_call(run, use, message):
    with pytest.raises(ib.InputError, match=message):
        use(run[1])


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], "clips: is empty"),
        (moving_square(), r"clips: one array of shape \(12, 64, 64, 3\); give a list of clips"),
        ([moving_square()[..., 0]], r"clips\[0\]: has shape \(12, 64, 64\); must be \[K, H, W"),
        ([moving_square(), moving_square(channels=1)], r"clips\[1\]: its frames are \(64, 64, 1\)"),
        ([moving_square().astype(float)], r"clips\[0\]: has values from 0 to 255; floats must"),
        ([moving_square().astype(np.uint16)], r"clips\[0\]: is uint16; must be uint8 in 0..255"),
        ([moving_square()[:5]], "clip '0' has 5 frames: --frames_per_clip=6 is too many"),
        ([moving_square()[:, :8, :32]], "--image_size=32x8: must be at least 16"),
    ],
)
def test_clips_that_do_not_fit_are_one_line(clips, message, tmp_path):
    with pytest.raises(ib.InputError, match=f"^{message}") as caught:
        ib.train(clips, tmp_path / "run", **TINY)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_unknown_setting_lists_the_valid_ones():
    with pytest.raises(ib.InputError, match=r"unknown setting 'step': must be one of .*steps"):
        ib.train([moving_square()], step=2)


def test_a_tenth_of_many_clips_is_for_validation():
    few = ClipsInMemory([moving_square(10), moving_square(20)])
    assert few.splits == {"train": 2, "validation": 2}
    many = ClipsInMemory([moving_square() // (i + 1) for i in range(21)])
    assert many.splits == {"train": 19, "validation": 2}
    np.testing.assert_array_equal(many.load("validation")[1].frames, moving_square() // 20)
    given = ClipsInMemory([moving_square(5)], [moving_square(4)], cyclic=True)
    assert given.splits == {"train": 1, "validation": 1}
    assert given.load("train")[0].cyclic


def test_fit_is_the_training_of_keras():
    clips = [moving_square()] * 3
    config = ib.config_for(ClipsInMemory(clips), **TINY)
    model = ib.build(config)
    history = model.fit(ib.triplets(clips, config), steps_per_epoch=2, verbose=0, shuffle=False)
    assert np.isfinite(history.history["loss"]).all()


def test_the_defaults_fit_the_clips():
    config = ib.config_for(ClipsInMemory([moving_square(65, channels=1)] * 10), steps=300)
    assert (config.image_size, config.channels) == ((64, 64), 1)
    assert (config.frames_per_clip, config.min_gap, config.max_gap) == (9, 4, 64)
    assert (config.steps, config.steps_per_epoch) == (300, 300)


def test_write_takes_both_kinds_of_pixels(tmp_path):
    frames = moving_square(3)
    for name, given in (("a.png", frames), ("b.png", frames / 255.0)):
        ib.write(tmp_path / name, given)
        drawn = np.asarray(PIL.Image.open(tmp_path / name))
        np.testing.assert_array_equal(drawn, np.concatenate(frames, axis=1))
    with pytest.raises(ib.InputError, match=r"frames\[0\]: has values from 0 to 255"):
        ib.write(tmp_path / "c.png", frames.astype(float))


@pytest.mark.parametrize("settings", [{"model": "pixel_unet"}, {"dense_units": 8}])
def test_arrays_are_drawn_in_their_own_size_and_pictures_in_the_trainings(settings, tmp_path):
    config = ib.Config(**settings, filters=(4, 4), image_size="48x32")
    keras.utils.set_random_seed(0)
    model = ib.build(config)
    assert model.path(np.zeros([33, 40, 3]), np.ones([33, 40, 3]), 0.5).shape == (1, 33, 40, 3)
    picture = PIL.Image.new("RGB", (100, 100))
    picture.save(tmp_path / "a.png")
    assert model.path(picture, tmp_path / "a.png", 0.5).shape == (1, 32, 48, 3)


def test_what_is_no_model_names_what_is(tmp_path):
    with pytest.raises(ib.InputError, match="no model there; must be a run directory"):
        ib.load(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"none")
    with pytest.raises(ib.InputError, match="cannot be loaded"):
        ib.load(tmp_path)


def test_images_says_what_a_frame_is_without_a_shape():
    assert images.as_frame("frame", np.zeros([4, 6], np.uint8)).shape == (4, 6, 1)
