"""Steady sounds from numbers: periodic ones, as sums of partials, in NumPy.

A sound is float64 [samples] at 16 kHz. The phases of the partials are fixed, so that a pose has one
sound, and spread, so that it has no peaks.
"""

import numpy as np

from frame_io.sounds import SAMPLE_RATE

_TOP, _FADE = 7800.0, 400.0  # Hz; partials fade out over the last 400
_TABLE = 2**14  # points of a period; linear interpolation is off by -84 dB at partial 60
_GOLDEN = (5**0.5 - 1) / 2
_FORMANTS = ((2700.0, 150.0), (3500.0, 200.0), (4500.0, 250.0))  # Hz; the third and above
_BANDWIDTHS = (80.0, 100.0)  # Hz, of the first two


def tone(frequency, slope, level, samples, step=2):
    """A tone whose partials fall by `slope`.

    Args:
      frequency: of the lowest partial, in Hz.
      slope: from one octave of partials to the next, in dB; below 0.
      level: root mean square, in dB; 0 is that of 1.
      samples: how many.
      step: 2 for odd partials alone, as of a clarinet, so that tones an octave apart share none; 1
        for all.
    """
    orders = np.arange(1, _TOP / frequency + 1, step)
    return periodic(frequency, orders, orders ** (slope / (20 * np.log10(2))), level, samples)


def vowel(frequency, first, second, level, samples):
    """A vowel: pulses, -12 dB an octave, through resonances, +6 dB an octave for the lips.

    Fant, "Acoustic Theory of Speech Production", 1960; each formant is a pair of poles.

    Args:
      frequency: of the pulses, in Hz.
      first, second: of the two lowest formants, in Hz.
      level, samples: as of `tone`.
    """
    orders = np.arange(1, _TOP / frequency + 1)
    s = 2j * np.pi * orders * frequency
    gains = 1.0 / orders
    for centre, width in (*zip((first, second), _BANDWIDTHS, strict=True), *_FORMANTS):
        pole = np.pi * (-width + 2j * centre)
        gains = gains * np.abs(abs(pole) ** 2 / ((s - pole) * (s - pole.conjugate())))
    return periodic(frequency, orders, gains, level, samples)


def periodic(frequency, orders, amplitudes, level, samples):
    """A periodic sound by the amplitudes of its partials.

    Args:
      frequency: in Hz.
      orders: whole numbers [P]: the partials lie at so many times the frequency.
      amplitudes: [P].
      level, samples: as of `tone`.
    """
    orders = orders.astype(int)
    amplitudes = amplitudes * np.clip((_TOP - orders * frequency) / _FADE, 0.0, 1.0)
    spectrum = np.zeros(_TABLE // 2 + 1, complex)
    spectrum[orders] = amplitudes * np.exp(2j * np.pi * _GOLDEN * orders**2 / 2)
    period = np.fft.irfft(spectrum, _TABLE)
    period *= 10 ** (level / 20) / np.sqrt(np.mean(period**2))
    places = np.arange(samples) * (frequency / SAMPLE_RATE) % 1 * _TABLE
    before = places.astype(int)
    return period[before] + (places - before) * (np.roll(period, -1) - period)[before]
