"""Networks that say where apart from what."""

import numpy as np
import pytest
import tensorflow as tf

from tf_inbetween.networks.sprites import SpritesDecoder, SpritesEncoder, _centre, windows

OWN = {"sprites": 2, "latent_dim": 10, "crop_size": 16, "filters": (4, 8), "dense_units": 16}


def test_a_window_at_whole_pixels_is_a_slice_and_outside_is_zero():
    frames = np.random.default_rng(0).uniform(size=[2, 6, 8, 3]).astype(np.float32)
    cut = windows(frames, tf.constant([[2.0, 1.0], [-3.0, 4.0]]), 4, 5)
    np.testing.assert_allclose(cut[0], frames[0, 1:5, 2:7], rtol=1e-6)
    np.testing.assert_allclose(cut[1, :2, 3:], frames[1, 4:, :2], rtol=1e-6)
    assert np.all(cut[1, 2:] == 0)
    assert np.all(cut[1, :, :3] == 0)


def test_between_pixels_a_window_is_linear():
    ramp = np.tile(np.arange(8, dtype=np.float32)[None, :, None, None], (1, 1, 8, 1))
    across = np.swapaxes(ramp, 1, 2)
    for picture in (ramp, across):
        whole = windows(picture, tf.constant([[1.0, 1.0]]), 4, 4)
        cut = windows(picture, tf.constant([[1.3, 1.3]]), 4, 4)
        np.testing.assert_allclose(cut, whole + 0.3, rtol=1e-5)


def test_a_heat_map_of_one_hot_cell_says_where_that_is():
    heat = np.full([1, 4, 8, 2], -50.0, np.float32)
    heat[0, 0, 7, 0] = heat[0, 3, 0, 1] = 50.0
    expected = [[[7 / 8, -3 / 4], [-7 / 8, 3 / 4]]]
    np.testing.assert_allclose(_centre(tf.constant(heat)), expected, atol=1e-6)


@pytest.fixture
def decoder():
    made = SpritesDecoder(64, 3, **OWN)
    made.build()
    return made


def test_where_moves_the_picture_and_nothing_else(decoder):
    """A quarter of the frame to the right and an eighth down, in half-widths 1/2 and 1/4."""
    z = np.random.default_rng(0).normal(size=[1, 2, 5]).astype(np.float32)
    z[..., :2] = -0.25
    moved = z.copy()
    moved[..., :2] += [0.5, 0.25]
    before, after = (decoder(x.reshape(1, 10)).numpy() for x in (z, moved))
    assert np.std(before) > 1e-3
    np.testing.assert_allclose(after[:, 8:, 16:], before[:, :-8, :-16], atol=1e-4)


def test_halfway_between_two_latents_the_thing_is_halfway(decoder):
    z = np.zeros([3, 2, 5], np.float32)
    z[:, 0, :2] = [[-0.5, 0], [0, 0], [0.5, 0]]
    z[:, 1, :2] = 5  # far outside
    first, middle, last = decoder(z.reshape(3, 10)).numpy()
    np.testing.assert_allclose(middle[:, 16:], first[:, :-16], atol=1e-4)
    np.testing.assert_allclose(last[:, 16:], middle[:, :-16], atol=1e-4)


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_encoder_says_how_unsure_it_is_unless_it_is_never(deterministic):
    encoder = SpritesEncoder(**OWN, deterministic=deterministic)
    encoder.build((None, 64, 64, 3))
    mean, stddev = encoder(tf.random.stateless_uniform([3, 64, 64, 3], [0, 0]))
    assert mean.shape == stddev.shape == (3, 10)
    assert np.all((stddev > 0) != deterministic)
    where = mean.numpy().reshape(3, 2, 5)[..., :2]
    assert np.all(np.abs(where) < 1)


def test_what_is_seen_of_a_thing_does_not_depend_on_where_it_is():
    """Untrained, the encoder finds a dot: its crop, and so its `what`, stays the same."""
    encoder = SpritesEncoder(**{**OWN, "sprites": 1, "latent_dim": 6})
    encoder.build((None, 64, 64, 1))
    frames = np.zeros([2, 64, 64, 1], np.float32)
    frames[0, 20:24, 16:20] = frames[1, 36:40, 32:36] = 1.0
    mean = encoder(frames)[0].numpy()
    np.testing.assert_allclose(mean[0, :2], [-28 / 64, -20 / 64], atol=0.02)
    np.testing.assert_allclose(mean[1, :2] - mean[0, :2], 0.5, atol=0.02)
    np.testing.assert_allclose(mean[0, 2:], mean[1, 2:], atol=0.02)


def test_each_layer_starts_with_a_thing_of_its_own_colour():
    encoder = SpritesEncoder(**{**OWN, "sprites": 3, "latent_dim": 12})
    encoder.build((None, 64, 64, 3))
    corners = {(255, 120, 60): (12, 12), (60, 220, 80): (52, 12), (60, 130, 255): (12, 52)}
    frames = np.full([1, 64, 64, 3], 30, np.float32)
    for colour, (x, y) in corners.items():
        frames[0, y - 4 : y + 4, x - 4 : x + 4] = colour
    mean = encoder(frames / 255)[0].numpy().reshape(3, 4)
    expected = [[2 * x / 64 - 1, 2 * y / 64 - 1] for x, y in corners.values()]
    np.testing.assert_allclose(mean[:, :2], expected, atol=0.15)
