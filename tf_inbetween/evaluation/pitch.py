"""The pitch of a steady sound, by the autocorrelation of its power spectrum.

A sound that repeats after T seconds is like itself T later: its autocorrelation, the inverse
Fourier transform of its power spectrum (Wiener-Khinchin), has a peak at T as high as at 0. Dividing
by the autocorrelation of the window undoes the window (Boersma, "Accurate short-term analysis of
the fundamental frequency", 1993).
"""

import numpy as np
import tensorflow as tf

from data_gen import spectrograms
from frame_io.sounds import SAMPLE_RATE

CLEAR = 0.9  # the least clarity of what is heard as one pitch
LOWEST, HIGHEST = 65.0, 1300.0  # Hz

_FINER = 8  # points in a sample
# Of peaks nearly as high as the highest the first counts: twice the period has one too.
_NEARLY = 0.9
_TINY = 1e-20


def of_frames(frames):
    """The pitch of spectrograms, averaged over their times.

    Args:
        frames: floats [N, mels, times, 1] in [0, 1], see `data_gen.spectrograms`.

    Returns:
        The frequency in Hz, [N], and the clarity [N]: how high the peak of the autocorrelation is,
        1 for a periodic sound, near 0 for noise and lower for two pitches at once.
    """
    power = tf.reduce_mean(spectrograms.to_power(tf.constant(frames, tf.float32)), axis=1)
    return _of_spectra(spectrograms.sharpen(power).numpy())


def of_samples(samples):
    """As `of_frames`, of sounds [N, S] at 16 kHz, without the detour by mels."""
    spectra = tf.signal.stft(
        tf.constant(samples, tf.float32), spectrograms.WINDOW, spectrograms.HOP
    )
    return _of_spectra(tf.reduce_mean(tf.abs(spectra) ** 2, axis=1).numpy())


def _of_spectra(spectra):
    longest = int(SAMPLE_RATE / LOWEST * _FINER)
    alike = np.fft.irfft(spectra, spectrograms.WINDOW * _FINER)[:, : longest + 2]
    alike = alike / np.maximum(alike[:, :1], _TINY) / _of_window(longest + 2)
    inner = alike[:, 1:-1]
    is_peak = (inner >= alike[:, :-2]) & (inner > alike[:, 2:])
    is_peak[:, : int(SAMPLE_RATE / HIGHEST * _FINER) - 1] = False
    peaks = np.where(is_peak, inner, 0.0)
    highest = peaks.max(axis=1, keepdims=True)
    lag = (peaks >= _NEARLY * highest).argmax(axis=1) + 1
    return SAMPLE_RATE * _FINER / lag, highest[:, 0]


def _of_window(points):
    """The autocorrelation of the window, 1 at 0."""
    window = np.hanning(spectrograms.WINDOW + 1)[:-1]
    alike = np.correlate(window, window, "full")[spectrograms.WINDOW - 1 :]
    return np.interp(np.arange(points) / _FINER, np.arange(len(alike)), alike / alike[0])
