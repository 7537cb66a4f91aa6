"""Sound: a frame is a log-mel spectrogram of about a second, [mels, times, 1], high sounds on top.

Its values are decibels, see `data_gen.spectrograms`: 0 is -80 dB and 1 is 0 dB.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from data_gen import spectrograms
from frame_io import sounds
from tf_inbetween.config import InputError, checked_floats
from tf_inbetween.evaluation import baselines, metrics, pitch
from tf_inbetween.kinds.kind import Kind
from tf_inbetween.kinds.pictures import Pictures

_SAME_PITCH = 50.0  # cents, half a semitone


def wave_crossfade(first, second, t):
    """Both sounds at once, the first at (1-t) and the second at t of its amplitude.

    Powers add, as they do on average for sounds with independent phases.
    """
    powers = [spectrograms.to_power(frames) for frames in (first, second)]
    t = baselines.each_pair(t, powers[0].shape.rank)
    return spectrograms.from_power((1 - t) ** 2 * powers[0] + t**2 * powers[1]).numpy()


class Sound(Kind):
    """Frames [mels, times, 1] of decibels."""

    name = "sound"
    networks = ("conv",)
    likelihoods = ("normal", "calibrated_normal")
    models = ("vae", "autoencoder", "acai", "pixel_unet")
    inbetween_decoders = ("latent", "fusion")
    methods = {  # noqa: RUF012
        "wave_crossfade": wave_crossfade,
        **baselines.METHODS,
    }
    default_methods = ("latent", "wave_crossfade", "crossfade", "optical_flow", "nearest_frame")
    compared = ("wave_crossfade", "optical_flow")
    labels = {  # noqa: RUF012
        **Pictures.labels,
        "wave_crossfade": "cross-fade of waves",
        "crossfade": "cross-fade of spectra",
    }
    shown = {  # noqa: RUF012
        "lsd": ("log-spectral distance, dB", 1, 2),
        "pitch_cents": ("pitch error, cents", 1, 1),
        "one_pitch": ("one pitch", 1, 3),
    }
    medians = ("pitch_cents",)
    signature = "inbetween_wav"
    summarized = ("lsd",)
    measure_names = ("mse", "lsd")

    def available_methods(self):
        """All, or all but the optical flows where OpenCV is missing."""
        return {"wave_crossfade": wave_crossfade, **baselines.available()}

    missing = Pictures.missing

    def measures(self, frames, truth):
        """The MSE of values, and the log-spectral distance in dB.

        That is the root mean square over the bands of the difference in dB, averaged over times.
        """
        distance = np.sqrt(np.mean((np.asarray(frames, np.float64) - truth) ** 2, axis=(1, 3)))
        return {
            "mse": metrics.mse(frames, truth),
            "lsd": spectrograms.RANGE_DB * distance.mean(axis=1),
        }

    def of_pose(self, frames, pose, names):
        """How far the pitch is from the pose's, where it has one.

        Args:
            frames: [N, mels, times, 1] in [0, 1].
            pose: [N, P], of the true frames.
            names: of the pose's P numbers; "pitch" is in octaves above 1 Hz.

        Returns:
            {"pitch_cents": [N], the absolute error in hundredths of a semitone; "one_pitch": [N],
            whether a single pitch can be heard, within 50 cents of the true one}, see
            `evaluation.pitch`; {} without a pitch.
        """
        if "pitch" not in names:
            return {}
        frequency, clarity = pitch.of_frames(frames)
        cents = np.abs(1200 * (np.log2(frequency) - pose[:, list(names).index("pitch")]))
        single = (cents <= _SAME_PITCH) & (clarity >= pitch.CLEAR)
        return {"pitch_cents": cents, "one_pitch": single.astype(float)}

    def nearest_times(self, frames, clip):
        """Nearest in the mean squared difference in dB."""
        return metrics.nearest_times(frames, clip)

    def mean_distance(self, path, clip):
        """ACAI's Mean Distance."""
        return metrics.mean_distance(path, clip)

    def as_frame(self, name, value, shape=None, any_size=False, notify=print):
        """Of a sound file, samples, or a spectrogram.

        Args:
            name: for messages.
            value: the path of a sound file, or samples at 16 kHz, floats [S] (the middle is used,
                and a shorter sound is padded with silence); or a frame, [mels, times, 1] of uint8
                or of floats in [0, 1].
            shape: (mels, times, 1).
            notify: called with one line that says what was cut or added.

        Returns:
            float32 [mels, times, 1] in [0, 1], rounded to 255ths.

        Raises:
            InputError: for a file that cannot be read, and arrays of another shape, type or range.
        """
        del any_size
        if isinstance(value, str | Path):
            try:
                value, name = sounds.read(value), value
            except ValueError as error:
                raise InputError(str(error)) from error
        values = np.asarray(value)
        if values.ndim == 1 and np.issubdtype(values.dtype, np.floating):
            samples = _fitted(name, values, spectrograms.samples_of(shape[1]), notify)
            frames = spectrograms.from_samples(samples[np.newaxis], shape[0])[0]
            return spectrograms.to_uint8(frames).astype(np.float32) / 255.0
        if values.shape != tuple(shape):
            raise InputError(
                f"{name}: has shape {'x'.join(map(str, values.shape))}; must be a sound file, "
                f"samples (floats) or an array of {'x'.join(map(str, shape))}"
            )
        if values.dtype == np.uint8:
            return values.astype(np.float32) / 255.0
        return checked_floats(name, values).astype(np.float32)

    def show(self, axis, frame, box):
        """In colours, high sounds on top."""
        axis.imshow(
            frame[..., 0], extent=box, cmap="magma", vmin=0, vmax=1, interpolation="nearest"
        )

    def write_frame(self, folder, name, frame):
        """As a WAV file."""
        samples = spectrograms.to_samples(tf.constant(frame[np.newaxis], tf.float32))
        sounds.write(folder / f"{name}.wav", samples[0].numpy())

    thumbnails = Pictures.thumbnails

    def summarize(self, tag, rows, description):
        """As one picture, and the middle one of the last row to listen to."""
        Pictures.summarize(self, tag, rows, description)
        middle = rows[-1][len(rows[-1]) // 2]
        samples = spectrograms.to_samples(tf.constant(middle[np.newaxis], tf.float32))
        tf.summary.audio(tag, samples[..., np.newaxis], sounds.SAMPLE_RATE)


def _fitted(name, samples, count, notify):
    """The middle `count` samples; fewer samples are padded with silence on both sides."""
    if not np.all(np.isfinite(samples)):
        raise InputError(f"{name}: has samples that are NaN or infinite")
    if len(samples) == 0:
        raise InputError(f"{name}: has no samples")
    surplus = len(samples) - count
    length = f"{name}: {len(samples) / sounds.SAMPLE_RATE:.3g} s"
    seconds = f"{count / sounds.SAMPLE_RATE:.3g} s"
    if surplus > 0:
        notify(f"{length} cut to the middle {seconds}")
        return samples[surplus // 2 :][:count].astype(np.float32)
    if surplus < 0:
        notify(f"{length} padded with silence to {seconds}")
        before = -surplus // 2
        samples = np.pad(samples, (before, -surplus - before))
    return samples.astype(np.float32)
