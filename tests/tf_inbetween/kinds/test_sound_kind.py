"""Sounds as frames: how they are measured, shown, read and written."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from data_gen import spectrograms
from data_gen.scenes import synthesis
from frame_io import sounds
from tf_inbetween.config import Config, InputError
from tf_inbetween.evaluation import pitch
from tf_inbetween.kinds import KINDS
from tf_inbetween.kinds.sound import wave_crossfade

pytest.importorskip("av")

SOUND = KINDS["sound"]
SAMPLES = spectrograms.samples_of(64)
SHAPE = (64, 64, 1)


def tone(frequency, level=-20, samples=SAMPLES):
    return np.float32(synthesis.tone(frequency, -8, level, samples))


def frames_of(*samples):
    return spectrograms.to_uint8(spectrograms.from_samples(np.stack(samples))) / np.float32(255)


def test_measures_of_a_known_difference():
    """All bands 8 dB louder, at half of the times: a distance of 4 dB."""
    truth = np.full([2, *SHAPE], 0.5, np.float32)
    drawn = truth.copy()
    drawn[1, :, ::2] += 0.1
    measured = SOUND.measures(drawn, truth)
    np.testing.assert_allclose(measured["lsd"], [0, 4], atol=1e-4)
    np.testing.assert_allclose(measured["mse"], [0, 0.005], atol=1e-6)
    assert set(measured) == set(SOUND.measure_names)


def test_pitch_is_measured_where_the_pose_has_one():
    frames = frames_of(tone(300), tone(450), tone(300) + tone(300 * 2**0.5))
    pose = np.log2([[300], [440], [300]])
    measured = SOUND.of_pose(frames, pose, ["pitch"])
    np.testing.assert_allclose(measured["pitch_cents"][:2], [0, 38.9], atol=6)
    np.testing.assert_array_equal(measured["one_pitch"], [1, 1, 0])
    far = SOUND.of_pose(frames[:1], np.log2([[330]]), ["pitch"])
    assert far["one_pitch"] == 0
    assert SOUND.of_pose(frames, pose, ["seconds"]) == {}


def test_cross_fade_of_waves_is_that_of_the_waves():
    """Of two tones that share no partial, against the spectrogram of the mixed samples."""
    first, second = tone(300), tone(700, -26)
    for t in (0.0, 0.25, 0.5, 1.0):
        mixed = frames_of((1 - t) * first + t * second)
        faded = wave_crossfade(frames_of(first), frames_of(second), t)
        loud = mixed > 0.3
        assert np.abs(faded - mixed)[loud].max() < 4 / spectrograms.RANGE_DB


def test_a_cross_fade_has_two_pitches_and_a_glide_one():
    ends = frames_of(tone(300)), frames_of(tone(300 * 2**0.5))
    truth = np.log2([[300 * 2**0.25]])
    for method in ("wave_crossfade", "crossfade", "nearest_frame"):
        drawn = np.clip(SOUND.methods[method](*ends, 0.5), 0, 1)
        assert SOUND.of_pose(drawn, truth, ["pitch"])["one_pitch"] == 0
    assert SOUND.of_pose(frames_of(tone(300 * 2**0.25)), truth, ["pitch"])["one_pitch"] == 1


def test_the_time_of_a_sound_is_that_of_the_nearest():
    clip = frames_of(*(tone(f) for f in np.geomspace(200, 400, 9)))
    drawn = frames_of(tone(200 * 2 ** (3.2 / 8)), tone(390))
    np.testing.assert_array_equal(SOUND.nearest_times(drawn, clip), [3, 8])
    np.testing.assert_array_equal(SOUND.timing_error(drawn, clip, [3, 4], False), [0, 4])


def test_files_samples_and_arrays_become_frames(tmp_path):
    samples = tone(440)
    sounds.write(tmp_path / "a.wav", samples)
    (wanted,) = frames_of(samples)
    said = []
    for value in (tmp_path / "a.wav", str(tmp_path / "a.wav"), samples, wanted):
        frame = SOUND.as_frame("first", value, SHAPE, notify=said.append)
        np.testing.assert_allclose(frame, wanted, atol=3 / 255)
        assert frame.dtype == np.float32
    assert SOUND.as_frame("first", np.full(SHAPE, 255, np.uint8), SHAPE).max() == 1
    assert said == []


def test_other_lengths_are_cut_or_filled_up():
    said = []
    long = np.concatenate([tone(200), tone(440), tone(200)])
    frame = SOUND.as_frame("first", long, SHAPE, notify=said.append)
    found, _ = pitch.of_frames(frame[None, :, 8:-8])
    assert found[0] == pytest.approx(440, rel=0.01)
    frame = SOUND.as_frame("second", tone(440)[:6000], SHAPE, notify=said.append)
    assert frame[:, :10].max() == 0
    assert frame[:, 32].max() > 0.5
    assert said == [
        "first: 3.22 s cut to the middle 1.07 s",
        "second: 0.375 s padded with silence to 1.07 s",
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.full(100, np.nan), "first: has samples that are NaN or infinite"),
        (np.zeros(0), "first: has no samples"),
        (np.zeros([64, 64, 3]), "first: has shape 64x64x3; must be a sound file, samples"),
        (np.full(SHAPE, 2.0), "first: has values from 0 to 2"),
        ("none.wav", "none.wav: no such file"),
    ],
)
def test_what_is_no_sound(value, message):
    with pytest.raises(InputError, match=message):
        SOUND.as_frame("first", value, SHAPE)


def test_shown_and_written(tmp_path):
    (frame,) = frames_of(tone(300))
    axis = Figure().add_subplot()
    SOUND.show(axis, frame, (0, 1, 0, 1))
    assert len(axis.images) == 1
    SOUND.write_frame(tmp_path, "first", frame)
    again = SOUND.as_frame("first", tmp_path / "first.wav", SHAPE)
    assert spectrograms.RANGE_DB * np.sqrt(np.mean((again - frame) ** 2)) < 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 3}, "--channels=3: is not for sound; must be 1"),
        ({"network": "text"}, "--network=text: is not for sound"),
        ({"likelihood": "bernoulli"}, "--likelihood=bernoulli: is not for sound"),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(InputError, match=message):
        SOUND.check(Config(**{"channels": 1, **settings}))
