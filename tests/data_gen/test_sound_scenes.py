"""The scenes of sounds: their poses, their splits, and what a frame of a pose holds."""

import numpy as np
import pytest

from data_gen import builder, scenes, spectrograms
from data_gen.scenes import synthesis
from data_gen.scenes.sounds import chord, tone, vowel
from tf_inbetween.evaluation import pitch

NAMES = ["tone_8clips", "vowel_8clips", "chord_8clips", "tone_heldout_16clips"]
SHAPE = (64, 64, 1)


@pytest.mark.parametrize("name", NAMES)
def test_plans_are_even_and_of_one_split(name):
    scene, seen = scenes.get(name), set()
    for split in scene.clips:
        for plan in scene.plan(split, 0):
            assert plan.poses.shape == (33, 3)
            np.testing.assert_allclose(np.diff(plan.poses, 2, axis=0), 0, atol=1e-9)
            middle = (plan.poses[0] + plan.poses[-1]) / 2
            np.testing.assert_allclose(plan.poses[16], middle)
            poses = {tuple(pose) for pose in plan.poses.astype(np.float32)}
            assert not seen & poses
            seen |= poses


def test_a_tone_goes_an_octave_within_its_range():
    scene = tone(clips=40)
    for plan in scene.plan("train", 3):
        pitches = plan.poses[:, 0]
        assert abs(pitches[-1] - pitches[0]) == pytest.approx(1)
        assert 130 < 2 ** pitches.min() < 2 ** pitches.max() < 1047
        assert plan.units_per_frame == 1 / 32
    assert scene.gaps == (0.25, 0.5, 1.0)


@pytest.mark.parametrize(
    ("scene", "column", "low", "high"),
    [
        (tone, 0, 130.81, 1046.5),
        (vowel, 0, 90.0, 300.0),
        (chord, 1, 247.0, 494.0),
    ],
)
def test_heldout_pitches_are_of_one_split_alone(scene, column, low, high):
    made = scene(heldout=True, clips=24)
    centre = (np.log2(low) + np.log2(high)) / 2
    for split in made.clips:
        for plan in made.plan(split, 0):
            away = np.abs(plan.poses[:, column] - centre)
            if split == "heldout":
                assert away[16] <= 0.0626
            else:
                assert away.min() >= 0.125 - 1e-9


def test_a_tone_an_octave_up_shares_no_partial():
    low, high = (synthesis.tone(f, -6, -20, 16_000) for f in (200.0, 400.0))
    partials = [set(np.flatnonzero(np.abs(np.fft.rfft(s)) > 1)) for s in (low, high)]
    assert min(partials[0]) == 200
    assert min(partials[1]) == 400
    assert not partials[0] & partials[1]


def test_a_vowel_has_its_formants():
    """With partials 20 Hz apart the peaks of the spectrum are those of the resonances."""
    sound = synthesis.vowel(20.0, 500.0, 1500.0, -20, 16_000)
    spectrum = np.abs(np.fft.rfft(sound))[::20]
    peaks = 20 * (
        1 + np.flatnonzero((spectrum[1:-1] > spectrum[:-2]) & (spectrum[1:-1] > spectrum[2:]))
    )
    assert abs(peaks - 500).min() <= 20
    assert abs(peaks - 1500).min() <= 20
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(0.1, rel=1e-3)


def test_a_frame_has_the_pitch_of_its_pose():
    scene = scenes.get("tone")
    poses = np.concatenate([scene.clip("test", i, 0).poses[::16] for i in range(3)])
    frames = np.stack([scene.frame(pose, SHAPE) for pose in poses])
    assert frames.dtype == np.uint8
    found, clarity = pitch.of_frames(frames / 255.0)
    assert np.abs(1200 * (np.log2(found) - poses[:, 0])).max() < 15
    assert clarity.min() > pitch.CLEAR


def test_a_built_scene(tmp_path):
    made = builder.build("chord_1clips_5frames", channels=1, data_dir=tmp_path)
    metadata = made.info.metadata
    assert (metadata["kind"], metadata["pose_names"][0]) == ("sound", "pitch_0")
    (example,) = made.as_dataset(split="test")
    scene = scenes.get("chord_1clips_5frames")
    poses = scene.clip("test", 0, 0).poses
    np.testing.assert_array_equal(example["frames"][2], scene.frame(poses[2], SHAPE))
    np.testing.assert_allclose(example["pose"], poses, rtol=1e-6)


def test_wrong_settings():
    with pytest.raises(ValueError, match="frames must be odd"):
        tone(frames=8)
    with pytest.raises(ValueError, match="clips must be at least 1"):
        vowel(clips=0)
    with pytest.raises(ValueError, match=r"3 channels: sound has 1; --channels=1"):
        builder.config_name("tone", channels=3)


def test_a_tone_does_not_click_at_the_end_of_its_period():
    sound = synthesis.tone(311.0, -12, -20, spectrograms.samples_of(64))
    assert np.abs(np.diff(sound)).max() < 0.2
