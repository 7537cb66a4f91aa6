"""Lines of text that change at an even pace: the time, the weather, a count, in words.

No two splits share a line, but for those of `clock`, which has 720 and needs all. Which split a
line belongs to follows from its pose, and a clip goes in steps that keep it there.
"""

import numpy as np

from data_gen.scenes.grammar import ENGLISH
from data_gen.scenes.scene import (
    SPLITS,
    ClipPlan,
    FrameScene,
    first_fitting,
    frame_gaps,
    generator,
    split_sizes,
)
from frame_io import texts

_FRAMES = 9  # of a clip of weather and of counting


# --- clock: the time in words, all round twelve hours ------------------------------------------

_MINUTES = 720
# Every line stands for a minute, of which each split has another moment.
_MOMENTS = {"train": 0.0, "validation": 1 / 3, "test": 2 / 3}
# With lines held out: in steps of 11 minutes the clock comes by all of them in 11 turns, and within
# one turn by every hour and most minutes. Each split has some of these steps for itself.
_STEP, _STEPS_OF = 11, {"train": (0, 588), "validation": (588, 654), "test": (654, 720)}


def clock(*, heldout=False):
    """The time in words, minute by minute, once round the clock; nothing is random.

    Args:
      heldout: whether validation and test have lines that training lacks, in steps of 11 minutes.
    """

    def clip(split, number, seed):
        del number, seed
        if heldout:
            minutes = _STEP * np.arange(*_STEPS_OF[split], dtype=np.float64) % _MINUTES
            return ClipPlan(minutes[:, np.newaxis], cyclic=False, units_per_frame=_STEP)
        minutes = np.arange(_MINUTES) + _MOMENTS[split]
        return ClipPlan(minutes[:, np.newaxis], cyclic=True, units_per_frame=1.0)

    return FrameScene(
        description=(
            "The time in words, such as 'ten past four', once round the clock. "
            "One degree of freedom." + " Validation and test have lines of their own." * heldout
        ),
        pose_names=("minute",),
        gap_unit=" min",
        gaps=(44.0, 88.0, 132.0) if heldout else (20.0, 40.0, 80.0, 120.0),
        clips=dict.fromkeys(SPLITS, 1),
        clip=clip,
        frame=_writer(ENGLISH.time),
        is_drawn=False,
        kind="text",
    )


# --- weather: degrees, wind and clouds, each on its scale --------------------------------------

_LOW, _HIGH = np.array([-20, 0, 0]), np.array([40, 12, 8])
_FASTEST = np.array([5, 1, 1])  # of the scales' steps, from frame to frame
# The residues modulo 8 of a sum over the pose that each split has.
_SUM, _RESIDUES = np.array([1, 3, 5]), {"train": range(6), "validation": [6], "test": [7]}


def weather(*, frames=_FRAMES, clips=2000):
    """Temperature, wind and clouds change at an even pace, each on its scale of words.

    Args:
      frames: of a clip, odd, 3 to 9.
      clips: of the training split.

    Raises:
      ValueError: if a setting is out of range.
    """
    if frames > _FRAMES:
        raise ValueError(f"frames must be at most {_FRAMES}: the clouds have no more words")
    gaps = frame_gaps(frames)
    steps = np.array(list(np.ndindex(*(2 * _FASTEST + 1)))) - _FASTEST
    steps = steps[(steps @ _SUM % 8 == 0) & np.any(steps != 0, axis=1)]

    def clip(split, number, seed):
        rng = generator(split, number, seed)
        step = rng.choice(steps)
        reach = (frames - 1) * step
        low, high = _LOW - np.minimum(reach, 0), _HIGH - np.maximum(reach, 0)
        residue = rng.choice(_RESIDUES[split])
        start = first_fitting(
            lambda: rng.integers(low, high + 1), lambda pose: pose @ _SUM % 8 == residue
        )
        return ClipPlan(_run(start, step, frames), cyclic=False, units_per_frame=0.0)

    return FrameScene(
        description=(
            "The weather in words: temperature, wind and clouds change at an even pace. "
            "Three degrees of freedom."
        ),
        pose_names=("degrees", "wind", "cloud"),
        gap_unit="",
        gaps=gaps,
        clips=split_sizes(clips),
        clip=clip,
        frame=_writer(ENGLISH.conditions),
        kind="text",
    )


# --- counting: numbers in even steps -------------------------------------------------------------

_LARGEST = 999
# Numbers modulo 7 that each split has; steps are multiples of 7.
_SEVENTHS = {"train": range(5), "validation": [5], "test": [6]}


def counting(*, frames=_FRAMES, clips=2000):
    """Counts in words, up or down, in even steps: multiples of seven.

    Args:
      frames: of a clip, odd, 3 to 141.
      clips: of the training split.

    Raises:
      ValueError: if a setting is out of range.
    """
    gaps = frame_gaps(frames)
    fastest = _LARGEST // 7 // (frames - 1)
    if not fastest:
        raise ValueError(f"frames must be at most 141, got {frames}")

    def clip(split, number, seed):
        rng = generator(split, number, seed)
        step = 7 * int(rng.integers(1, fastest + 1))
        reach = (frames - 1) * step
        residue = int(rng.choice(_SEVENTHS[split]))
        start = residue + 7 * int(rng.integers(0, (_LARGEST - reach - residue) // 7 + 1))
        poses = _run(np.array([start]), np.array([step]), frames)
        return ClipPlan(
            poses[::-1] if rng.integers(2) else poses, cyclic=False, units_per_frame=0.0
        )

    return FrameScene(
        description=("Whole numbers from 0 to 999 in words, in even steps. One degree of freedom."),
        pose_names=("number",),
        gap_unit="",
        gaps=gaps,
        clips=split_sizes(clips),
        clip=clip,
        frame=_writer(ENGLISH.number),
        kind="text",
    )


def _run(start, step, frames):
    """Poses [K, P] from a start [P] on in even steps [P]."""
    return (start + np.arange(frames)[:, np.newaxis] * step).astype(np.float64)


def _writer(words):
    """The `FrameScene.frame` of a function of whole numbers that returns a line."""

    def frame(pose, shape):
        return texts.to_frame(words(*(int(np.floor(value)) for value in pose)), shape[0])

    return frame
