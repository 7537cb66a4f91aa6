"""Frames of other sizes and shapes than the networks of the latents have."""

import numpy as np
import pytest
import tensorflow as tf

from frame_io.sizes import Size
from tests.tf_inbetween.model_inputs import batch_for
from tf_inbetween import training
from tf_inbetween.config import Config, InputError
from tf_inbetween.models.ops import scaled, scaled_part

T = tf.constant([0.0, 0.4, 1.0])


def noise(count, height, width, channels=3):
    shape = (count, height, width, channels)
    return np.random.default_rng(0).uniform(size=shape).astype(np.float32)


@pytest.fixture
def fusion(tiny_config):
    """Of 40x24 frames, whose latents are of 64x64."""
    return training.build_model(
        tiny_config(inbetween_decoder="fusion", image_size="40x24", fusion_filters=(4, 4, 4))
    )


def test_sizes_as_people_write_them():
    assert Size.of(64) == Size.of("64") == Size.of((64, 64)) == (64, 64)
    assert Size.of("320x180") == Size(height=180, width=320)
    assert [str(Size(180, 320)), str(Size(64, 64))] == ["320x180", "64"]
    for wrong in ("64px", "64x", "x64", "", "-1", "1e3", "64x64x3", (1, 2, 3), None):
        with pytest.raises(ValueError, match="must be a size such as 64, or 320x180"):
            Size.of(wrong)


def test_a_part_of_a_scaled_frame_is_that_part():
    small = tf.constant(noise(2, 6, 4))
    large = tf.image.resize(small, [17, 23])
    part = scaled_part(small, (17, 23), tf.constant(5), tf.constant(3), (8, 16))
    np.testing.assert_allclose(part, large[:, 5:13, 3:19], atol=1e-6)


def test_the_latents_see_the_whole_frame(fusion):
    frames = tf.constant(noise(2, 24, 40))
    assert fusion.frame_shape == (24, 40, 3)
    assert fusion.coded_size == (64, 64)
    q = fusion.encode(frames)
    np.testing.assert_allclose(q.mean(), fusion.encode(scaled(frames, (64, 64))).mean(), atol=1e-5)
    again = fusion.reconstruct(frames)
    assert again.shape == frames.shape
    np.testing.assert_allclose(again, scaled(fusion.decode_small(q.mean()), (24, 40)), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(24, 40), (27, 41), (64, 64), (16, 97)])
def test_frames_of_any_size_are_drawn_and_their_ends_are_exact(fusion, height, width):
    first, second = noise(3, height, width), noise(3, height, width)[::-1]
    drawn = fusion.inbetween(first, second, T)
    assert drawn.shape == first.shape
    np.testing.assert_array_equal(drawn[0], first[0])
    np.testing.assert_array_equal(drawn[2], second[2])
    np.testing.assert_allclose(fusion.path(first[1], second[1], 0.4)[0], drawn[1], atol=1e-5)


def test_a_margin_for_the_halvings_changes_nothing_far_from_it(fusion):
    """Of a still, copied exactly: the mirrored margin must not shift it."""
    still = noise(1, 27, 41)
    parts = fusion.parts(still, still, tf.constant([0.5]))
    assert parts["mask"].shape == (1, 27, 41, 3)
    np.testing.assert_allclose(parts["first_warped"], still, atol=1e-6)


def test_ends_of_two_sizes_are_refused(fusion):
    with pytest.raises(InputError, match="first and second: are 40x24 and 41x24; must have one"):
        fusion.path(noise(1, 24, 40)[0], noise(1, 24, 41)[0], 0.5)
    with pytest.raises(InputError, match=r"first: has shape 24x40x1; must be H x W x 3"):
        fusion.path(noise(1, 24, 40, 1)[0], noise(1, 24, 40, 1)[0], 0.5)


def test_a_step_sees_a_part_of_large_frames_at_one_place(tiny_config):
    config = tiny_config(
        inbetween_decoder="fusion", image_size="96x80", training_crop=32, fusion_filters=(4, 4, 4)
    )
    model = training.build_model(config)
    batch = batch_for(config)
    y_pred = model.call(batch, training=True)
    assert y_pred["fused_outputs"].shape[1:] == (32, 32, 3)
    assert y_pred["outputs"].shape[1:] == (64, 64, 3)
    top, left = y_pred["place"].numpy()
    assert 0 <= top <= 80 - 32
    assert 0 <= left <= 96 - 32
    part = model._part(batch["frames"], y_pred["place"])
    np.testing.assert_array_equal(part, batch["frames"][:, top : top + 32, left : left + 32])
    np.testing.assert_array_equal(model._place(batch["frames"], training=False), [24, 32])
    loss, _ = model.loss_and_terms(batch, y_pred, True)
    assert np.isfinite(loss)
    history = model.fit(tf.data.Dataset.from_tensors(batch), verbose=0, shuffle=False)
    assert np.isfinite(history.history["fusion_nll"][0])


def test_every_place_is_trained_on(tiny_config):
    config = tiny_config(inbetween_decoder="fusion", image_size=48, training_crop=32)
    model = training.build_model(config)
    frames = tf.zeros([2, 48, 48, 3], tf.uint8)
    places = []
    for step in range(200):
        model.optimizer.iterations.assign(step)
        places.append(model._place(frames, training=True).numpy())
    assert np.min(places) == 0
    assert np.max(places) == 16


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"image_size": "8x64"}, "--image_size=8x64: must be at least 16"),
        ({"image_size": "64x5000"}, "--image_size=64x5000: must be at most 4096"),
        ({"image_size": "big"}, "--image_size=big: must be a size such as 64, or 320x180"),
        ({"training_crop": 32}, "--training_crop: needs --inbetween_decoder=fusion"),
        (
            {"training_crop": 65, "inbetween_decoder": "fusion"},
            "--training_crop=65: must be 0, or from 16 to the smaller side of --image_size=64",
        ),
        ({"latent_size": 40}, "--filters=32,64,128,256: 4 halvings do not divide --latent_size=40"),
    ],
)
def test_sizes_that_do_not_fit(settings, line):
    with pytest.raises(InputError, match=f"^{line}"):
        Config(**settings)
