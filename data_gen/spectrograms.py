"""Sounds to frames and back, in TensorFlow operations: log-mel spectrograms.

A frame is [mels, times, 1]: the rows are bands of frequencies, the highest on top, the columns are
moments, 16 ms apart. Its values are decibels: 0 is -80 dB or less and 1 (255 as uint8) is 0 dB, the
power of a sine of amplitude 1. All functions work inside a SavedModel.

- There: windows of 64 ms (Hann) every 16 ms, none beyond the ends, so that a frame of 64 times is
  exactly 17,152 samples, 1.072 s. The power spectrum is summed in bands that lie evenly on the mel
  scale from 60 Hz to 7.8 kHz. The bands are Hann-shaped and three spacings wide, not triangles:
  where triangles overlap, two partials on the centres of two bands cannot be told from one between
  them, which smears pitch on the way back.
- Back: the power spectrum that explains the bands, non-negative, by the multiplicative updates of
  Richardson (1972) and Lucy (1974), which sharpen into partials; then phases by the algorithm of
  Griffin and Lim (1984) with the momentum of Perraudin, Balazs, Søndergaard, "A fast Griffin-Lim
  algorithm", WASPAA 2013.
"""

import functools

import numpy as np
import tensorflow as tf

from frame_io.sounds import SAMPLE_RATE

RANGE_DB = 80.0
WINDOW, HOP = 1024, 256  # samples
LOWEST, HIGHEST = 60.0, 7800.0  # Hz, the centres of the outermost bands

_SHARPENING, _PHASING = 300, 30  # iterations
_MOMENTUM = 0.99
_HALF_WIDTH = 1.5  # of a band, in spacings
_TINY = 1e-12  # -120 dB
_LEAST_OVERLAP = 0.1  # of the squared windows, 1.5 within; at the very ends a sound fades


def to_uint8(frames):
    """Rounds frames in [0, 1] to uint8, in steps of 0.31 dB."""
    return np.rint(255 * np.asarray(frames)).astype(np.uint8)


def joined(frames, times=None):
    """Lays frames one after another, so that `to_samples` makes one sound without seams of them.

    Args:
      frames: [K, mels, T, 1].
      times: how many of each frame's T, those in its middle; None for all.

    Returns:
      [1, mels, K * times, 1].
    """
    frames = np.asarray(frames)
    times = times or frames.shape[2]
    begin = (frames.shape[2] - times) // 2
    return np.concatenate(list(frames[:, :, begin : begin + times]), axis=1)[np.newaxis]


def samples_of(times):
    """Returns the number of samples that so many times of a spectrogram cover."""
    return HOP * (times - 1) + WINDOW


def times_of(samples):
    """Returns how many whole windows fit into so many samples; 0 if none does."""
    return max((samples - WINDOW) // HOP + 1, 0)


def from_samples(samples, mels=64):
    """Turns sounds into spectrograms.

    Args:
      samples: float32 [N, S] at 16 kHz, S at least 1024.
      mels: bands.

    Returns:
      float32 [N, mels, times_of(S), 1] in [0, 1].
    """
    spectra = tf.signal.stft(samples, WINDOW, HOP, window_fn=lambda *_, **__: _window())
    return from_power(tf.abs(spectra) ** 2 @ (_bands(mels) / _unit_power()))


def band_of(hertz, mels):
    """The place of frequencies among the centres of the bands, of which the lowest is 0."""

    def mel(hertz):
        return 2595.0 * np.log10(1.0 + hertz / 700.0)

    low, high = mel(LOWEST), mel(HIGHEST)
    return (mel(hertz) - low) / (high - low) * (mels - 1)


def from_power(power):
    """Turns the power of bands [..., times, mels], 1 for a sine of amplitude 1, into frames."""
    decibels = 10.0 / np.log(10.0) * tf.math.log(tf.maximum(power, _TINY))
    values = tf.clip_by_value(decibels / RANGE_DB + 1.0, 0.0, 1.0)
    return tf.linalg.matrix_transpose(values)[..., ::-1, :, tf.newaxis]


def to_power(frames):
    """The inverse of `from_power`; what is at the floor, -80 dB, becomes 0.

    Args:
      frames: float32 [..., mels, times, 1] in [0, 1].

    Returns:
      float32 [..., times, mels].
    """
    values = tf.linalg.matrix_transpose(frames[..., ::-1, :, 0])
    power = 10.0 ** ((values - 1.0) * (RANGE_DB / 10.0))
    return tf.where(values > 0, power, 0.0)


@tf.function
def to_samples(frames):
    """Turns spectrograms into sounds; each row's result is independent of the others.

    Args:
      frames: float32 [N, mels, times, 1] in [0, 1].

    Returns:
      float32 [N, samples_of(times)] at 16 kHz.
    """
    power = to_power(frames)
    spectra = sharpen(power) * _unit_power()
    return _with_phases(tf.sqrt(spectra))


@tf.function
def sharpen(power):
    """The power spectrum that explains the power of bands.

    Args:
      power: float32 [..., mels].

    Returns:
      float32 [..., 513], in the unit of `power`; it sums to the power of the partials.
    """
    bands = _bands(power.shape[-1])
    total = tf.reduce_sum(power, axis=-1, keepdims=True)
    reach = np.maximum(bands.sum(axis=1), _TINY)
    start = tf.ones_like(power[..., :1]) * np.float32(bands.any(axis=1)) * total / WINDOW

    def step(number, spectrum):
        explained = tf.maximum(spectrum @ bands, _TINY)
        return number + 1, spectrum * ((power / explained) @ bands.T / reach)

    return tf.while_loop(lambda *_: True, step, (0, start), maximum_iterations=_SHARPENING)[1]


def _with_phases(magnitudes):
    """Magnitudes [N, times, 513] of windowed spectra to samples, by fast Griffin-Lim."""
    times = tf.shape(magnitudes)[1]
    overlap = tf.signal.overlap_and_add(tf.tile(_window()[np.newaxis] ** 2, [times, 1]), HOP)
    overlap = tf.maximum(overlap, _LEAST_OVERLAP)

    def to_sound(spectra):
        windows = tf.signal.irfft(spectra, [WINDOW]) * _window()
        return tf.signal.overlap_and_add(windows, HOP) / overlap

    def to_spectra(sound):
        return tf.signal.rfft(tf.signal.frame(sound, WINDOW, HOP) * _window())

    def phased(spectra):
        sizes = tf.maximum(tf.abs(spectra), _TINY)
        return spectra * tf.cast(magnitudes / sizes, tf.complex64)

    def step(number, spectra, before):
        after = to_spectra(to_sound(spectra))
        return number + 1, phased(after + _MOMENTUM * (after - before)), after

    angles = tf.random.stateless_uniform([times, WINDOW // 2 + 1], [0, 0], 0, 2 * np.pi)
    start = phased(tf.complex(tf.cos(angles), tf.sin(angles))[tf.newaxis])
    spectra = tf.while_loop(lambda *_: True, step, (0, start, start), maximum_iterations=_PHASING)[
        1
    ]
    return to_sound(spectra)


def _window():
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def _unit_power():
    """What the bins of a sine of amplitude 1 sum to, by Parseval's theorem."""
    return np.float32(WINDOW * np.sum(_window() ** 2) / 4)


@functools.cache
def _bands(mels):
    """The share of every bin in every band: float32 [513, mels], the lowest band first."""

    bins = band_of(np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE), mels)
    away = bins[:, np.newaxis] - np.arange(mels)
    inside = np.abs(away) < _HALF_WIDTH
    return np.where(inside, np.cos(np.pi * away / (2 * _HALF_WIDTH)) ** 2, 0.0).astype(np.float32)
