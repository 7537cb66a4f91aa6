"""The command `tf_inbetween.inbetween` for models of sound: sound files in, one sound out."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from data_gen import spectrograms
from frame_io import sounds
from frame_io.files import check_no_source, check_place
from tf_inbetween import run_directory
from tf_inbetween.config import InputError
from tf_inbetween.drawing import draw_through
from tf_inbetween.evaluation.figures import save
from tf_inbetween.kinds import KINDS

MAX_SECONDS = 300.0  # of the sound that is written, whose phases are found as a whole

_PICTURES_ONLY = (
    *("input", "pairs", "scale", "image_size", "output_fps", "slow", "loop", "sound"),
    *("fps", "start", "end", "crop", "folder_fps", "shot_threshold", "duplicates"),
)
_TICKS = (100, 300, 1000, 3000)  # Hz


def write_between(flags):
    """Writes the sounds between the sound files that the flags name, as one sound.

    The spectrograms are concatenated before their phases are found, so that the sound has no seams.
    A PNG of the spectrogram is written beside the sound.

    Raises:
        InputError: for flags that are not for sound, files that cannot be read, an output that
            cannot be written, or one that would be longer than `MAX_SECONDS`.
    """
    for name in _PICTURES_ONLY:
        if flags[name].present:
            raise InputError(f"--{name}: is not for sound; {flags.run_dir} is a model of sound")
    paths = flags.frame or [flags.first, flags.second]
    picture = check_output(flags.output, paths)
    model = run_directory.load_model(flags.run_dir)
    times = model.frame_shape[1]
    if flags["seconds_per_frame"].present:
        wanted = round(flags.seconds_per_frame * sounds.SAMPLE_RATE / spectrograms.HOP)
        times = min(max(wanted, 1), times)
    count = (len(paths) - 1) * (flags.frames + 1) + 1
    seconds = spectrograms.samples_of(count * times) / sounds.SAMPLE_RATE
    if seconds > MAX_SECONDS:
        raise InputError(
            f"--output={flags.output}: would be {seconds:.0f} s long, more than {MAX_SECONDS:g}; "
            "fewer --frames or a smaller --seconds_per_frame"
        )
    keys = [KINDS["sound"].as_frame(path, path, model.frame_shape) for path in paths]
    show = ("drawn" if flags.redraw else "given") if flags.ends else "none"
    frames = np.stack(list(draw_through(model, keys, flags.frames, flags.keyframe_path, show)))
    glide = spectrograms.joined(frames, times)
    samples = spectrograms.to_samples(tf.constant(glide, tf.float32))[0].numpy()
    sounds.write(flags.output, samples)
    draw_spectrogram(picture, glide[0])
    print(
        f"wrote {flags.output}: {len(frames)} sounds, {len(samples) / sounds.SAMPLE_RATE:.2f} s; "
        f"and {picture}"
    )


def check_output(path, sources):
    """Raises `InputError` unless a sound, and a PNG beside it, can be written to a path.

    Returns the path of the PNG. `sources`: the paths that are read.
    """
    if path is None:
        raise InputError("missing --output")
    path = Path(path)
    sounds.check_writable(path)
    check_no_source(path, sources)
    check_place(path, f"--output={path}")
    return path.with_suffix(".png")


def draw_spectrogram(path, frame):
    """Draws a frame [mels, times, 1] with its seconds and Hz into a PNG."""
    mels, times, _ = frame.shape
    seconds = times * spectrograms.HOP / sounds.SAMPLE_RATE
    figure = Figure(figsize=(min(3 + seconds / 2, 14), 3), layout="constrained")
    axis = figure.add_subplot()
    drawn = axis.imshow(
        spectrograms.RANGE_DB * (frame[..., 0] - 1.0),
        cmap="magma",
        vmin=-spectrograms.RANGE_DB,
        vmax=0,
        aspect="auto",
        interpolation="nearest",
        extent=(0, seconds, mels - 0.5, -0.5),
    )
    axis.set_yticks(mels - 1 - spectrograms.band_of(np.array(_TICKS), mels), _TICKS)
    axis.set_ylabel("Hz")
    axis.set_xlabel("seconds")
    figure.colorbar(drawn, label="dB")
    save(figure, path)
