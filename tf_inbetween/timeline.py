"""Which frames of footage are key frames, and where between them the frames of a result lie.

    seen = look_through(frames, times)
    places = seen.places(times, spacing=1 / 60, length=times[-1])
    drawn = draw_at(model, Chosen(frames, seen.keys), places, shots=seen.shots)

What happens between two frames is not always motion:

- Between shots nothing is drawn: the frame before a cut is held. Cuts are found as by the import,
  see `frame_io.shots`, among the frames that the next rule leaves. Fades are not found.
- A frame repeats the one before if they hardly differ. The difference is that of the 8x8 pixels
  that differ most (mean over pixels and channels, of 255). Up to 1 from the first of the repeated
  ones is not visible. Up to 8 from the one before is what video codecs make of a repetition, if it
  is a fifth at most of the second largest difference from one to the next among the four frames
  before and the four after.
- Animation on twos, and a rate that a converter doubled, repeat frames for up to 0.2 s. These are
  drawn again, between the first of them and the next different one. A frame that lasts longer is a
  still scene and is held.
"""

import collections
import dataclasses
import fractions

import numpy as np

from frame_io import shots as shot_cuts
from tf_inbetween.images import to_uint8

_BLOCK = 8
_UNSEEN = 1.0
_CODED = 8.0
_OF_MOTION = 1 / 5
_AROUND = 4
_LONGEST_REPEAT_S = 0.2
_ROUNDING_S = 1e-3  # Matroska's times are whole milliseconds.


@dataclasses.dataclass(frozen=True)
class Seen:
    """What `look_through` found in M frames; N of them are key frames.

    Attributes:
        keys: int64 [N], the numbers of the key frames, rising from 0.
        is_held: bool [N], whether a key frame is shown until the next one.
        shots: int64 [S], which key frames begin a shot, rising from 0.
        redrawn: how many repeated frames to draw again.
        is_closed: whether the last frame repeats the first.
        is_opaque: whether the last channel is 1 throughout.
    """

    keys: np.ndarray
    is_held: np.ndarray
    shots: np.ndarray
    redrawn: int
    is_closed: bool
    is_opaque: bool

    def closed(self):
        """Returns this without its last key frame, which repeats the first."""
        shots = self.shots[self.shots < len(self.keys) - 1]
        return dataclasses.replace(
            self, keys=self.keys[:-1], is_held=self.is_held[:-1], shots=shots
        )

    def places(self, positions, spacing, length, loop=False):
        """Places the frames of a result.

        Args:
            positions: [M], when each of the frames looked through is shown; rising from 0.
            spacing: the time from one frame of the result to the next, in the same unit.
            length: the time that the result covers, in the same unit.
            loop: whether the first key frame follows the last one again, when `length` is over.

        Returns:
            float64 [K], for `draw_at`: gap + t with t = (s - a) / (b - a) for a result's frame at s
            between the key frames shown at a and b.
        """
        times, is_held = np.asarray(positions, np.float64)[self.keys], self.is_held
        if loop:
            times, is_held = np.append(times, length), np.append(is_held, False)
        moments = np.arange(max(1, round(length / spacing))) * float(spacing)
        near = min(spacing / 10, _ROUNDING_S / 2)  # Else a key would be drawn where it stands.
        gap = np.searchsorted(times, moments + near, side="right") - 1
        begin, end = times[gap], np.append(times[1:], np.inf)[gap]
        t = np.where(is_held[gap] | (moments - begin < near), 0, (moments - begin) / (end - begin))
        return gap + t


def look_through(frames, times, shot_threshold=shot_cuts.THRESHOLD, redraw=True):
    """Looks for cuts and repeated frames.

    Args:
        frames: M frames, float [H, W, C] in [0, 1], in anything that yields them.
        times: [M], when each is shown, in seconds.
        shot_threshold: as for `frame_io.shots.marked`; 0 looks for no cuts.
        redraw: whether repeated frames are looked for; if not, all frames are key frames.

    Returns:
        A `Seen`.
    """
    distinct = _Distinct(frames, redraw)
    starts = [(number, cut) for cut, (number, _) in shot_cuts.marked(distinct, shot_threshold)]
    keys, is_held, shots, redrawn = [], [], [0], 0
    for (number, cut), (after, cut_after) in zip(
        starts, [*starts[1:], (len(times), False)], strict=True
    ):
        if cut:
            shots.append(len(keys))
        repeated = after - number - 1
        moment = after < len(times) and times[after] - times[number] < _LONGEST_REPEAT_S + 1e-6
        keys.append(number)
        is_held.append(cut_after or (repeated > 0 and not moment))
        if repeated and not is_held[-1]:
            redrawn += repeated
        elif repeated and not cut_after:
            keys.append(after - 1)
            is_held.append(False)
    is_closed = len(times) > 2 and repeats(distinct.first, distinct.last)
    arrays = map(np.array, (keys, is_held, shots))
    return Seen(*arrays, redrawn, is_closed, distinct.is_opaque)


class _Distinct:
    """Frames that do not repeat the one before: (number, uint8 [H, W, C]) of each."""

    def __init__(self, frames, redraw):
        self._frames, self._redraw = frames, redraw
        self._changes = []  # From each frame to the next.
        self._shown = None, None  # The last distinct one.
        self.first = self.last = None
        self.is_opaque = True

    def __iter__(self):
        waiting = collections.deque()  # For the changes after them.
        for number, frame in enumerate(self._frames):
            pixels = to_uint8(frame)
            self._changes.append(0.0 if self.last is None else difference(self.last, pixels))
            self.first, self.last = (pixels if self.first is None else self.first), pixels
            self.is_opaque &= bool(pixels[..., -1].min() == 255)
            waiting.append((number, pixels))
            if len(waiting) > _AROUND:
                yield from self._unless_repeated(*waiting.popleft())
        while waiting:
            yield from self._unless_repeated(*waiting.popleft())

    def _unless_repeated(self, number, pixels):
        if number and self._redraw:
            before = self._changes[max(1, number - _AROUND) : number]
            after = self._changes[number + 1 : number + 1 + _AROUND]
            motion = sorted([0.0, 0.0, *before, *after])[-2]
            change = self._changes[number]
            shown, at = self._shown
            apart = change if at == number - 1 else difference(shown, pixels)
            if apart <= _UNSEEN or change <= min(_CODED, _OF_MOTION * motion):
                return
        self._shown = pixels, number
        yield number, pixels


def difference(one, other):
    """Returns by how much frames uint8 [H, W, C] differ, as the module says: 0 to 255."""
    height, width, channels = one.shape
    rows, columns = np.arange(0, height, _BLOCK), np.arange(0, width, _BLOCK)
    apart = (np.maximum(one, other) - np.minimum(one, other)).reshape(height, -1)
    sums = np.add.reduceat(np.add.reduceat(apart, rows, 0, np.uint32), channels * columns, 1)
    sizes = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    return float((sums / sizes).max() / channels)


def repeats(one, other):
    """Returns whether a frame, uint8 [H, W, C], repeats one that is not its neighbour."""
    return difference(one, other) <= _CODED / 2


class Chosen:
    """Some of the frames of an iterable; can be iterated again if that can.

    Args:
        frames: in anything that yields them.
        keys: the numbers of the chosen ones, rising.
        loop: whether the first of them follows again.
        channels: how many channels of them are left; None for all.
    """

    def __init__(self, frames, keys, loop=False, channels=None):
        self._frames, self._keys = frames, frozenset(keys.tolist())
        self._loop, self._channels = loop, channels

    def __iter__(self):
        first = None
        for number, frame in enumerate(self._frames):
            if number in self._keys:
                frame = frame[..., : self._channels]
                first = frame if first is None else first
                yield frame
        if self._loop:
            yield first


def evened(times):
    """Returns evenly spaced times [M] if they are even up to rounding; else unchanged."""
    rate = nominal_rate((len(times) - 1) / (times[-1] - times[0]))
    even = times[0] + np.arange(len(times)) / float(rate)
    return even if np.abs(even - times).max() < _ROUNDING_S else times


def nominal_rate(rate):
    """Returns the nominal rate, a `Fraction` such as 24 or 24000/1001, for a rounded one."""
    for meant in (
        fractions.Fraction(round(rate)),
        fractions.Fraction(round(rate * 1.001) * 1000, 1001),
    ):
        if abs(rate - meant) < 4e-4 * rate:
            return meant
    return fractions.Fraction(rate).limit_denominator(1000)
