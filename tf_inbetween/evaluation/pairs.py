"""Chooses the clips and pairs of frames to evaluate."""

import numpy as np

from tf_inbetween.config import InputError


def at_once(frame_shape, count):
    """How many frames [H, W, C] to hold at once: as many values as `count` of 64x64x3, or one."""
    return max(1, min(count, count * 64 * 64 * 3 // int(np.prod(frame_shape))))


def fitting_gaps(clips, gaps):
    """Those of `gaps`, in the scene's unit, for which a clip is long enough: in frames, each once.

    Args:
        clips: `Clip`s, or their `ClipInfo`s.
        gaps: at least one.

    Raises:
        InputError: if there is no clip, none is long enough for any gap, or they differ in pace.
    """
    if not clips:
        raise InputError("there are no clips to judge")
    paces = sorted({clip.units_per_frame for clip in clips})
    if len(paces) > 1:
        raise InputError(
            f"the clips differ in pace ({paces[0]:g} and {paces[-1]:g}), so a gap is not the same "
            "in all of them"
        )
    in_frames = dict.fromkeys(gap_in_frames(gap, clips[0]) for gap in gaps)
    first_clip(clips, min(in_frames))
    return [gap for gap in in_frames if any(clip_starts(clip, gap) for clip in clips)]


def first_clip(clips, gap):
    """The number of the first clip that has two frames `gap` apart; `InputError` if none has."""
    for number, clip in enumerate(clips):
        if clip_starts(clip, gap):
            return number
    longest = max(clip.length for clip in clips)
    raise InputError(f"no clip is long enough for a gap of {gap} frames: the longest has {longest}")


def gap_in_frames(gap, clip):
    """The whole number of frames nearest to `gap` that has frames at 1/4, 1/2 and 3/4."""
    return max(4 * round(gap / clip.units_per_frame / 4), 4)


def clip_starts(clip, gap):
    """How many frames of a clip have another one `gap` frames later, at most once round."""
    inside = max(clip.length - gap, 0)
    return clip.length if clip.cyclic and inside else inside


def spread(clips, gap, pairs):
    """`pairs` starting frames (or all), evenly spread over all clips: {clip index: indices}."""
    counts = np.array([clip_starts(clip, gap) for clip in clips])
    pairs = min(pairs, counts.sum())
    return by_clip(np.arange(pairs) * counts.sum() // pairs, counts)


def by_clip(places, counts):
    """Places among clips of `counts` frames laid end to end: {clip index: places inside it}."""
    ends = np.cumsum(counts)
    owners = np.searchsorted(ends, places, side="right")
    return {int(i): places[owners == i] - (ends - counts)[i] for i in np.unique(owners)}
