"""Frames drawn at places along key frames: shots, opacity, many sizes."""

import numpy as np
import pytest

from tf_inbetween import drawing, interpolation, training


@pytest.fixture
def model(tiny_config):
    return training.build_model(tiny_config())


def key_frames(count, channels=3):
    return np.random.default_rng(1).uniform(size=(count, 64, 64, channels)).astype(np.float32)


def drawn_at(model, keys, places, **settings):
    return np.stack(list(drawing.draw_at(model, keys, places, **settings)))


def test_each_place_has_its_own_time(model):
    keys = key_frames(3)
    places = [0, 0.3, 0.9, 1, 1, 1.25, 2]
    frames = drawn_at(model, keys, places)
    for frame, place in zip(frames, places, strict=True):
        if place % 1 == 0:
            np.testing.assert_array_equal(frame, keys[int(place)])
        else:
            pair = keys[int(place)], keys[int(place) + 1]
            np.testing.assert_allclose(frame, model.path(*pair, place % 1)[0], atol=1e-5)


def test_keys_are_redrawn_where_wanted(model):
    keys = key_frames(2)
    frames = drawn_at(model, keys, [0, 0, 1], redraw=True)
    again = model.decode(model.encode(keys).mean()).numpy()
    np.testing.assert_allclose(frames, again[[0, 0, 1]], atol=1e-5)


def test_a_spline_ends_with_its_shot(model):
    keys = key_frames(6)
    z = model.encode(keys).mean()
    frames = drawn_at(model, keys, [1.5, 2, 3.5, 5], path="spline", shots=[0, 3, 5], redraw=True)
    points = [
        *interpolation.catmull_rom(z[:3], [1.5, 2]),
        *interpolation.catmull_rom(z[3:5], [0.5]),
        z[5],
    ]
    np.testing.assert_allclose(frames, model.decode(np.stack(points)), atol=1e-5)


def test_opacity_is_cross_faded_and_colours_are_taken_off_white(model):
    keys = key_frames(2)
    opacity = np.zeros((2, 64, 64, 1), np.float32)
    opacity[0, :32], opacity[1, 16:] = 1.0, 0.5
    over_white = opacity * keys + 1 - opacity
    frames = drawn_at(model, np.concatenate([over_white, opacity], -1), [0, 0.25, 1], alpha=True)
    assert frames.shape == (3, 64, 64, 4)
    np.testing.assert_allclose(frames[[0, 2], ..., 3:], opacity, atol=1e-6)
    np.testing.assert_allclose(frames[0, :32, :, :3], keys[0, :32], atol=1e-5)
    np.testing.assert_allclose(frames[2, 16:, :, :3], keys[1, 16:], atol=1e-5)
    between = 0.75 * opacity[0] + 0.25 * opacity[1]
    np.testing.assert_allclose(frames[1, ..., 3:], between, atol=1e-6)
    colors = model.path(*over_white, 0.25)[0]
    np.testing.assert_allclose(
        frames[1, ..., :3],
        np.clip(1 - (1 - colors) / np.maximum(between, 1 / 255), 0, 1),
        atol=1e-4,
    )


def test_batches_are_smaller_for_larger_frames():
    sizes = [
        drawing._batch_size([np.zeros((height, width, 3))])
        for height, width in ((64, 64), (360, 640), (2160, 3840))
    ]
    assert sizes == [64, 4, 1]
