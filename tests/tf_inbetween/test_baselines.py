"""The pixel methods on motions whose answer is known."""

import builtins

import numpy as np
import pytest

from tf_inbetween import baselines


def textured_square(shift):
    """A textured square of 20 pixels on black, `shift` pixels to the right."""
    rng = np.random.default_rng(0)
    frame = np.zeros((64, 64, 3), np.float32)
    frame[22:42, 10 + shift : 30 + shift] = rng.uniform(0.3, 1, size=(20, 20, 3))
    return frame[np.newaxis]


def test_crossfade_weighs_by_t():
    first, second = np.zeros((2, 4, 4, 1)), np.ones((2, 4, 4, 1))
    np.testing.assert_allclose(baselines.crossfade(first, second, 0.25), 0.25)


def test_nearest_frame_takes_the_nearer_end():
    first, second = np.zeros((1, 4, 4, 1)), np.ones((1, 4, 4, 1))
    assert baselines.nearest_frame(first, second, 0.5).max() == 0
    assert baselines.nearest_frame(first, second, 0.75).min() == 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("t", [0.25, 0.5, np.float64(0.75)])
def test_optical_flow_follows_a_small_shift_better_than_crossfade(t, channels):
    first, truth, second = (textured_square(s)[..., :channels] for s in (0, round(8 * t), 8))
    drawn = baselines.optical_flow(first, second, t)
    assert drawn.shape == first.shape
    error = np.mean((drawn - truth) ** 2)
    assert error < 0.25 * np.mean((baselines.crossfade(first, second, t) - truth) ** 2)


def test_optical_flow_of_two_equal_frames_is_that_frame():
    frame = textured_square(4)
    np.testing.assert_allclose(baselines.optical_flow(frame, frame, 0.5), frame, atol=1e-3)


def test_without_opencv_the_other_methods_remain_and_the_message_names_the_extra(monkeypatch):
    real_import = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "cv2":
            raise ImportError("no cv2")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert sorted(baselines.available()) == ["crossfade", "nearest_frame"]
    with pytest.raises(ImportError, match=r"tf_inbetween\[baselines\]"):
        baselines.optical_flow(textured_square(0), textured_square(1), 0.5)
