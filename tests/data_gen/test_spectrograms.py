"""Sounds to frames and back: levels, places of partials, what the way back loses."""

import numpy as np
import pytest
import tensorflow as tf

from data_gen import spectrograms
from data_gen.scenes import synthesis

SAMPLES = spectrograms.samples_of(64)


def frames_of(*sounds, mels=64):
    return spectrograms.from_samples(np.float32(sounds), mels).numpy()


def sine(frequency, amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(SAMPLES) / 16_000)


def test_a_second_is_a_square():
    assert SAMPLES == 17_152
    assert spectrograms.times_of(SAMPLES) == 64
    assert spectrograms.times_of(spectrograms.WINDOW - 1) == 0
    frames = frames_of(sine(440), sine(880))
    assert frames.shape == (2, 64, 64, 1)
    np.testing.assert_allclose(frames, frames[:, :, :1] * np.ones([1, 1, 64, 1]), atol=4e-3)


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.001])
def test_a_sine_has_its_own_level(amplitude):
    """At most a band and a half from a centre, so at least half of its power is in the nearest."""
    power = spectrograms.to_power(frames_of(*(sine(f, amplitude) for f in (200, 1000, 3000))))
    loudest = 10 * np.log10(power.numpy().max(axis=(1, 2))) - 20 * np.log10(amplitude)
    assert np.all((loudest <= 0.2) & (loudest >= -1.8))


def test_high_sounds_are_on_top():
    low, high = frames_of(sine(200), sine(4000))[..., 32, 0].argmax(axis=1)
    assert low > 55
    assert high < 20


def test_silence_and_direct_current_are_black():
    frames = frames_of(np.zeros(SAMPLES), np.full(SAMPLES, 0.5))
    np.testing.assert_array_equal(frames[0], 0.0)
    assert frames[1].max() < 0.05  # The edges of float32.


def test_power_and_back():
    frames = np.random.default_rng(0).uniform(0.01, 1, [2, 64, 8, 1]).astype(np.float32)
    again = spectrograms.from_power(spectrograms.to_power(frames))
    np.testing.assert_allclose(again, frames, atol=1e-5)


def voices():
    tones = [synthesis.tone(f, -9, -18, SAMPLES) for f in (150, 311, 700)]
    vowels = [synthesis.vowel(f, 500, f2, -18, SAMPLES) for f, f2 in ((100, 1500), (220, 1000))]
    return np.float32([*tones, *vowels])


def test_there_and_back():
    """Log-spectral distance below 3 dB; measured, 0.4 to 2.5, in steps of 0.31 dB."""
    frames = np.float32(spectrograms.to_uint8(spectrograms.from_samples(voices()))) / 255
    sounds = spectrograms.to_samples(tf.constant(frames)).numpy()
    assert sounds.shape == (5, SAMPLES)
    again = spectrograms.from_samples(sounds).numpy()
    distance = 80 * np.sqrt(np.mean((again - frames) ** 2, axis=(1, 2, 3)))
    assert distance.max() < 3
    assert distance.mean() < 2
    assert np.abs(sounds).max() < 1.5
    alone = spectrograms.to_samples(tf.constant(frames[2:3])).numpy()
    np.testing.assert_allclose(alone[0], sounds[2], atol=1e-5)


def test_silence_comes_back_as_silence():
    sounds = spectrograms.to_samples(tf.zeros([1, 64, 64, 1])).numpy()
    assert np.abs(sounds).max() < 1e-6


def test_joined_frames_make_one_sound_without_seams():
    """No step between samples is larger than within the parts, but for the glide's own."""
    tones = [synthesis.tone(f, -12, -18, SAMPLES) for f in (200, 283, 400)]
    frames = frames_of(*tones)
    parts = spectrograms.to_samples(tf.constant(frames)).numpy()
    sound = spectrograms.to_samples(tf.constant(spectrograms.joined(frames))).numpy()[0]
    assert len(sound) == spectrograms.samples_of(3 * 64)
    inner = slice(1024, -1024)
    largest = np.abs(np.diff(parts[:, inner])).max()
    assert np.abs(np.diff(sound[inner])).max() < 1.3 * largest
    assert spectrograms.joined(frames, 10).shape == (1, 64, 30, 1)
