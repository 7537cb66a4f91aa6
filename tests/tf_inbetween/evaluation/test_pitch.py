"""The pitch tracker on tones and vowels of known pitch, two at once, and noise."""

import numpy as np

from data_gen import spectrograms
from data_gen.scenes import synthesis
from tf_inbetween.evaluation import pitch

SAMPLES = spectrograms.samples_of(64)
FREQUENCIES = np.geomspace(90, 1000, 12)


def cents(found, true):
    return np.abs(1200 * np.log2(found / true))


def frames_of(sounds):
    return spectrograms.to_uint8(spectrograms.from_samples(np.float32(sounds))) / 255.0


def test_of_tones_in_frames_and_in_sounds():
    sounds = np.stack([synthesis.tone(f, -8, -20, SAMPLES) for f in FREQUENCIES])
    found, clarity = pitch.of_frames(frames_of(sounds))
    assert cents(found, FREQUENCIES).max() < 12
    assert clarity.min() > pitch.CLEAR
    found, clarity = pitch.of_samples(sounds)
    assert cents(found, FREQUENCIES).max() < 6
    assert clarity.min() > pitch.CLEAR


def test_of_vowels():
    frequencies = np.geomspace(95, 290, 6)
    sounds = np.stack([synthesis.vowel(f, 450, 1500, -20, SAMPLES) for f in frequencies])
    found, _ = pitch.of_frames(frames_of(sounds))
    assert cents(found, frequencies).max() < 12


def test_two_pitches_and_noise_are_not_clear():
    """Two tones a tritone apart, loud alike; white noise."""
    two = sum(synthesis.tone(f, -8, -20, SAMPLES) for f in (300.0, 300.0 * 2**0.5))
    noise = np.random.default_rng(0).normal(scale=0.1, size=SAMPLES)
    for find, sounds in (
        (pitch.of_frames, frames_of([two, noise])),
        (pitch.of_samples, [two, noise]),
    ):
        _, clarity = find(np.asarray(sounds))
        assert clarity.max() < pitch.CLEAR


def test_silence_has_no_pitch():
    _, clarity = pitch.of_frames(np.zeros([1, 64, 64, 1]))
    assert clarity == 0
