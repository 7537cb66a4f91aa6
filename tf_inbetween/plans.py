"""Plans a result from pictures or footage: key frames, places, times, sound."""

import dataclasses
import fractions
from collections.abc import Iterable

import numpy as np

from frame_io.sound_tracks import Sound
from tf_inbetween import drawing, timeline
from tf_inbetween.images import to_uint8

_NO_LONGER = 1e-3  # Of the length; sound is copied, for a second of a film of 17 minutes.


@dataclasses.dataclass(frozen=True)
class Plan:
    """What `drawing.draw_at` and then `writing.write` need.

    Attributes:
        keys: key frames, float [H, W, C] in [0, 1], in anything that yields them twice.
        places: float64 [K], a place along them for each frame of the result.
        seconds_per_frame: of the result, a `Fraction`.
        shots: int64 [S], which key frames begin a shot.
        has_alpha: whether the last channel of the key frames is their opacity.
        sound: that of the footage, as long as the result; None if there is none.
        redrawn: how many repeated frames are drawn again.
    """

    keys: Iterable
    places: np.ndarray
    seconds_per_frame: fractions.Fraction
    shots: np.ndarray = dataclasses.field(default_factory=lambda: np.array([0]))
    has_alpha: bool = False
    sound: Sound | None = None
    redrawn: int = 0

    def frames(self, model, path="linear", redraw=False):
        """Yields the frames; arguments, result and errors as of `drawing.draw_at`."""
        return drawing.draw_at(
            model, self.keys, self.places, path, redraw, self.shots, self.has_alpha
        )


def of_pictures(keys, count, seconds_per_frame, ends=True, loop=False, has_alpha=False):
    """Plans `count` in-betweens from each picture to the next.

    Args:
        keys: a list of float [H, W, C] in [0, 1].
        count: at least 1.
        seconds_per_frame: a number.
        ends: whether the pictures are shown too.
        loop: whether the last leads back to the first, which is not shown again. Nothing is added
            if the last repeats the first.
        has_alpha: whether the last channel is opacity; if all of it is 1, it is left out.
    """
    opaque = has_alpha and all(key[..., -1].min() == 1 for key in keys)
    keys = [key[..., :-1] for key in keys] if opaque else list(keys)
    if loop and not _is_closed(keys):
        keys.append(keys[0])
    places = np.arange((len(keys) - 1) * (count + 1) + (not loop)) / (count + 1)
    return Plan(
        keys,
        places if ends else places[places % 1 > 0],
        _exact(seconds_per_frame),
        has_alpha=has_alpha and not opaque,
    )


def by_count(footage, seen, count, seconds_per_frame, ends=True, loop=False):
    """Plans `count` in-betweens from each frame of footage to the next.

    Args:
        footage: an `images.Footage` of even pace.
        seen: what `timeline.look_through` found in it.
        count, seconds_per_frame, ends, loop: as for `of_pictures`.
    """
    seconds_per_frame = _exact(seconds_per_frame)
    spacing = fractions.Fraction(1, count + 1)
    last = len(footage) - 1
    plan = _of_footage(
        *(footage, seen, np.arange(last + 1), spacing, last + 1 if loop else last + spacing, loop),
        seconds_per_frame,
        seconds_per_frame * (count + 1) * last / footage.times[-1],
    )
    if ends:
        return plan
    between = np.arange(len(plan.places)) % (count + 1) > 0
    return dataclasses.replace(plan, places=plan.places[between])


def by_rate(footage, seen, output_fps=None, slow=1.0, loop=False):
    """Plans a result of some rate and length of footage.

    Args:
        footage: an `images.Footage`, each frame at its own time.
        seen: what `timeline.look_through` found in it.
        output_fps: frames per second of the result, a `Fraction`; None for the footage's.
        slow: how many times as long as the footage it is.
        loop: as for `of_pictures`.
    """
    rate = output_fps or timeline.nominal_rate(footage.rate)
    spacing = 1 / (rate * _exact(slow))
    times = timeline.evened(footage.times)
    return _of_footage(footage, seen, times, spacing, footage.end, loop, 1 / rate, slow)


def _of_footage(footage, seen, positions, spacing, length, loop, seconds_per_frame, slower):
    """A plan for frames shown at `positions`, in any unit, as those of `Seen.places` are."""
    if loop and seen.is_closed:
        seen, length = seen.closed(), positions[-1]
    has_alpha = footage.has_alpha and not seen.is_opaque
    channels = -1 if footage.has_alpha and not has_alpha else None
    slower = 1.0 if abs(slower - 1) < _NO_LONGER else float(slower)
    return Plan(
        timeline.Chosen(footage, seen.keys, loop, channels),
        seen.places(positions, spacing, length, loop),
        seconds_per_frame,
        seen.shots,
        has_alpha,
        footage.sound and dataclasses.replace(footage.sound, slower=slower),
        seen.redrawn,
    )


def _is_closed(keys):
    return len(keys) > 2 and timeline.repeats(to_uint8(keys[0]), to_uint8(keys[-1]))


def _exact(number):
    return fractions.Fraction(number).limit_denominator(1_000_000)
