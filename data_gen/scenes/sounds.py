"""Steady sounds whose pitch and timbre move along straight lines from frame to frame.

Frequencies in poses are in octaves above 1 Hz, so that a straight line is an even glide to the ear.
Each frame is about a second of the steady sound of its own pose, not a stretch of a glide, so the
frame in the middle of two is exactly the sound of the middle pose.
"""

import functools

import numpy as np

from data_gen import motion
from data_gen.scenes import synthesis
from data_gen.scenes.scene import (
    CLIPS,
    FRAMES,
    HELDOUT,
    ClipPlan,
    FrameScene,
    first_fitting,
    frame_gaps,
    generator,
    split_sizes,
)

_C3, _C6 = np.log2(130.81), np.log2(1046.5)  # octaves above 1 Hz
_TONE_SLOPE = (-15.0, -4.0)  # dB an octave
_TONE_LEVEL = (-36.0, -12.0)  # dB, root mean square
# Low enough for a voice's eight partials at the least below 7.8 kHz.
_VOWEL_PITCH = (np.log2(90.0), np.log2(300.0))
_FIRST_FORMANT = (np.log2(260.0), np.log2(850.0))
_SECOND_FORMANT = (np.log2(900.0), np.log2(2500.0))
_VOWEL_LEVEL = -18.0
_CHORD_PITCHES = tuple((np.log2(low), np.log2(2 * low)) for low in (110.0, 247.0, 554.0))
_CHORD_SLOPES, _CHORD_LEVEL = (-12.0, -12.0, -12.0), -24.0
# Of the pitches, how far from the middle of their range those lie that only `heldout` has.
_HELDOUT_HALF = 0.125  # octaves, 1.5 semitones
_SHORTEST = 0.5  # octaves from the first pose of a clip to its last, all frequencies together


def tone(*, heldout=False, frames=FRAMES, clips=CLIPS):
    """A tone of odd partials, as of a clarinet: pitch, brightness and loudness move evenly.

    The pitch goes up or down by an octave in every clip. Tones an octave apart share no partial.

    Args:
      heldout: whether to hold a quarter of an octave out of all splits but `heldout`, whose clips
        have it in their middle.
      frames: of a clip, odd.
      clips: of the training split.

    Raises:
      ValueError: if a setting is out of range.
    """
    frame_gaps(frames)
    low, high = (
        np.array([_C3, _TONE_SLOPE[0], _TONE_LEVEL[0]]),
        np.array([_C6, _TONE_SLOPE[1], _TONE_LEVEL[1]]),
    )

    def clip(split, number, seed):
        rng = generator(split, number, seed)

        def draw():
            ends = rng.uniform(low, high, (2, 3))
            ends[1, 0] = ends[0, 0] + rng.choice([-1.0, 1.0])
            return ends

        def fits(ends):
            inside = low[0] <= ends[1, 0] <= high[0]
            return inside and (not heldout or _is_heldout(ends, low, high, 0) == (split == HELDOUT))

        poses = motion.line(*first_fitting(draw, fits), frames)
        return ClipPlan(poses, cyclic=False, units_per_frame=1 / (frames - 1))

    def sound(pose, samples):
        pitch, slope, level = pose
        return synthesis.tone(2**pitch, slope, level, samples)

    return _scene(
        sound,
        clip,
        "A tone of odd partials glides by an octave while brightness and loudness change. Three "
        "degrees of freedom.",
        pose_names=("pitch", "slope", "level"),
        gap_unit=" octave",
        gaps=(0.25, 0.5, 1.0),
        clips=_sizes(clips, heldout),
    )


def vowel(*, heldout=False, frames=FRAMES, clips=CLIPS):
    """A voice on a vowel: the pitch and the first two formants move evenly in octaves.

    Args:
      heldout, frames, clips: as of `tone`.

    Raises:
      ValueError: if a setting is out of range.
    """
    ranges = (_VOWEL_PITCH, _FIRST_FORMANT, _SECOND_FORMANT)

    def sound(pose, samples):
        return synthesis.vowel(*np.exp2(pose), _VOWEL_LEVEL, samples)

    return _scene(
        sound,
        _line_clip(ranges, frames, heldout, 0),
        "A vowel whose pitch and two lowest formants glide. Three degrees of freedom.",
        pose_names=("pitch", "formant_1", "formant_2"),
        gap_unit="",
        gaps=frame_gaps(frames),
        clips=_sizes(clips, heldout),
    )


def chord(*, heldout=False, frames=FRAMES, clips=CLIPS):
    """Three tones, each in a register of an octave, glide at rates of their own.

    Args:
      heldout: as of `tone`, of the middle tone.
      frames, clips: as of `tone`.

    Raises:
      ValueError: if a setting is out of range.
    """

    def sound(pose, samples):
        return sum(
            synthesis.tone(2**pitch, slope, _CHORD_LEVEL, samples)
            for pitch, slope in zip(pose, _CHORD_SLOPES, strict=True)
        )

    return _scene(
        sound,
        _line_clip(_CHORD_PITCHES, frames, heldout, 1),
        "Three tones glide, each at a rate of its own. Three degrees of freedom.",
        pose_names=("pitch_0", "pitch_1", "pitch_2"),
        gap_unit="",
        gaps=frame_gaps(frames),
        clips=_sizes(clips, heldout),
    )


def _scene(sound, clip, description, **settings):
    """A `FrameScene` of sounds: `sound` makes the samples of a pose."""

    def frame(pose, shape):
        from data_gen import spectrograms  # With it TensorFlow, which poses do not need.

        mels, times, _ = shape
        samples = sound(pose, spectrograms.samples_of(times)).astype(np.float32)
        return spectrograms.to_uint8(_graph(mels)(samples[np.newaxis])[0])

    return FrameScene(
        description=f"{description} Each frame is a log-mel spectrogram of a steady sound.",
        clip=clip,
        kind="sound",
        frame=frame,
        **settings,
    )


@functools.cache
def _graph(mels):
    """`spectrograms.from_samples` as a graph: several times as fast as step by step."""
    import tensorflow as tf

    from data_gen import spectrograms

    return tf.function(lambda samples: spectrograms.from_samples(samples, mels))


def _line_clip(ranges, frames, heldout, pitch):
    """The `clip` of a `Scene` of straight lines between two poses drawn evenly from `ranges`.

    `pitch` is the column that may be held out.
    """
    frame_gaps(frames)
    low, high = np.transpose(ranges)

    def clip(split, number, seed):
        rng = generator(split, number, seed)

        def fits(ends):
            far = np.abs(ends[1] - ends[0]).sum() >= _SHORTEST
            is_heldout = _is_heldout(ends, low, high, pitch)
            return far and (not heldout or is_heldout == (split == HELDOUT))

        ends = first_fitting(lambda: rng.uniform(low, high, (2, len(ranges))), fits)
        return ClipPlan(motion.line(*ends, frames), cyclic=False, units_per_frame=0.0)

    return clip


def _is_heldout(ends, low, high, pitch):
    """Whether the middle of a line lies among the held-out pitches; None if only other poses do."""
    centre = (low[pitch] + high[pitch]) / 2
    if abs(ends[:, pitch].mean() - centre) <= _HELDOUT_HALF / 2:
        return True
    first, last = np.sort(ends[:, pitch])
    touches = first < centre + _HELDOUT_HALF and last > centre - _HELDOUT_HALF
    return None if touches else False


def _sizes(clips, heldout):
    sizes = split_sizes(clips)
    return {**sizes, HELDOUT: sizes["test"]} if heldout else sizes
