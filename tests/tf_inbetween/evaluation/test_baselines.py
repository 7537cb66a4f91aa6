"""The pixel methods on motions whose answer is known."""

import builtins

import numpy as np
import pytest

from tf_inbetween.evaluation import baselines

FLOWS = pytest.mark.parametrize("flow", [baselines.optical_flow, baselines.optical_flow_farneback])


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


@FLOWS
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("t", [0.25, 0.5, np.float64(0.75)])
def test_optical_flow_follows_a_small_shift_better_than_crossfade(t, channels, flow):
    first, truth, second = (textured_square(s)[..., :channels] for s in (0, round(8 * t), 8))
    drawn = flow(first, second, t)
    assert drawn.shape == first.shape
    error = np.mean((drawn - truth) ** 2)
    assert error < 0.25 * np.mean((baselines.crossfade(first, second, t) - truth) ** 2)


def test_each_pair_has_its_t_and_several_of_one_pair_share_its_flow(monkeypatch):
    found, flow = [], baselines._flow
    monkeypatch.setattr(baselines, "_flow", lambda *args: found.append(1) or flow(*args))
    ends = [np.concatenate([textured_square(s) for s in shifts]) for shifts in ((0, 2), (8, 6))]
    times = np.array([0.25, 0.75, 0.25, 0.75])
    for name, method in baselines.METHODS.items():
        drawn = method(*(np.repeat(end, 2, axis=0) for end in ends), times)
        alone = [method(*(end[i : i + 1] for end in ends), t) for i in (0, 1) for t in times[:2]]
        np.testing.assert_array_equal(drawn, np.concatenate(alone), err_msg=name)
    assert len(found) == 2 * (2 * 2 + 4 * 2)  # flows, (pairs, directions) together and alone


def small_disc(shift, size=64):
    """A textured disc of a sixth of the height, `shift` pixels to the right, antialiased."""
    y, x = np.mgrid[:size, :size] + 0.5
    x = x - shift - size / 3
    inside = np.clip(size / 12 - np.hypot(x, y - size / 2) + 0.5, 0, 1)
    texture = 0.65 + 0.35 * np.sin(x * 48 / size) * np.cos(y * 48 / size)
    return np.float32(inside * texture)[np.newaxis, :, :, np.newaxis]


@pytest.mark.parametrize(
    ("flow", "error"),
    [(baselines.optical_flow, 0.5e-4), (baselines.optical_flow_farneback, 15e-4)],
)
def test_optical_flow_follows_a_small_thing_that_moves_by_its_own_size(flow, error):
    # DIS on the frames at their own size loses it: an MSE of 66e-4, as bad as a cross-fade.
    first, truth, second = (small_disc(shift) for shift in (0, 5, 10))
    assert np.mean((baselines.crossfade(first, second, 0.5) - truth) ** 2) > 60e-4
    assert np.mean((flow(first, second, 0.5) - truth) ** 2) < error


@FLOWS
@pytest.mark.parametrize("shape", [(16, 40), (300, 260)])
def test_optical_flow_of_any_size(shape, flow):
    frame = np.random.default_rng(0).uniform(size=(1, *shape, 3)).astype(np.float32)
    drawn = flow(frame, frame, 0.5)
    np.testing.assert_allclose(drawn, frame, atol=1e-3)


@FLOWS
def test_optical_flow_of_two_equal_frames_is_that_frame(flow):
    frame = textured_square(4)
    np.testing.assert_allclose(flow(frame, frame, 0.5), frame, atol=1e-3)


@FLOWS
def test_without_opencv_the_other_methods_remain_and_the_message_names_the_extra(monkeypatch, flow):
    real_import = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "cv2":
            raise ImportError("no cv2")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert sorted(baselines.available()) == ["crossfade", "nearest_frame"]
    with pytest.raises(ImportError, match=r"tf_inbetween\[baselines\]"):
        flow(textured_square(0), textured_square(1), 0.5)
