"""Writes frames as an animation, a video or pictures, atomically."""

import dataclasses
import fractions
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import PIL.Image
from absl import flags

from frame_io import animations, video_writing
from frame_io.errors import InputError
from frame_io.files import atomic_write, check_no_source, check_place

_ANIMATED = (".apng", ".gif", ".webp")
_WRITABLE = (*_ANIMATED, *video_writing.KINDS, ".png")
_ALPHA = (".apng", ".webp", *video_writing.ALPHA_KINDS, ".png")
_BROWSERS_SLOW_DOWN_S = fractions.Fraction(1, 50)  # They show shorter ones for 0.1 s.


@dataclasses.dataclass(frozen=True)
class Written:
    """The result.

    Attributes:
        frames: as many as a viewer shows. An animation may have fewer than were given: equal
            neighbours become one frame that is shown as long as both.
        given: how many frames were given.
        height, width: of a frame in the file, in pixels; of a strip, of each part.
        rate: frames given a second; None where the file has no times.
        sound: a text about the sound; "" if the file can have none.
    """

    frames: int
    given: int
    height: int
    width: int
    rate: float | None = None
    sound: str = ""

    def __str__(self):
        parts = [f"{self.frames} frame{'s' * (self.frames != 1)} of {self.width}x{self.height}"]
        if self.frames != self.given:
            parts[0] += f" ({self.given} before equal ones were joined)"
        if self.rate is not None:
            parts += [f"{self.rate:.6g} a second", f"{self.given / self.rate:.4g} s"]
        return ", ".join([*parts, *filter(None, [self.sound])])


def check_writable(path, sources=()):
    """Raises `InputError` if `write` could not write a file of this name.

    Nor may it be one of `sources`, the paths (or None) that are read.
    """
    path = Path(path)
    check_no_source(path, sources)
    if path.suffix.lower() not in _WRITABLE:
        raise InputError(f"{path}: the name must end in one of {', '.join(_WRITABLE)}")
    if "%" in path.name and not _is_numbered(path):
        raise InputError(f"{path}: % must be a number's, such as %04d, in the name of a .png")
    check_place(path)
    if path.suffix.lower() in video_writing.KINDS:
        try:
            import av  # noqa: F401 - Better missed before the frames are drawn than after.
        except ModuleNotFoundError:
            raise InputError(
                f"{path}: videos need the package av: pip install 'tf_inbetween[video]'"
            ) from None


def define_flags(required=True):
    """Defines the flags of a command that writes frames: --output and --scale."""
    flags.DEFINE_string(
        "output",
        None,
        "Where to: .mp4, .mov, .mkv, .webm, .gif, .webp, .apng, .png (a strip) or %04d.png.",
        required=required,
    )
    flags.DEFINE_integer("scale", 1, "Enlarge frames by this whole number.", 1, 64)


def keeps_alpha(path):
    """Returns whether a file of this name keeps transparency."""
    return Path(path).suffix.lower() in _ALPHA


def keeps_sound(path):
    """Returns whether a file of this name can have sound."""
    return Path(path).suffix.lower() in video_writing.KINDS


def write(path, frames, seconds_per_frame=0.1, scale=1, sound=None, notify=print):
    """Writes frames in the format of the extension of `path`.

    But for a strip, memory does not grow with their number.

    Args:
        path: ends in .gif, .webp or .apng (animations that loop), .mp4, .mov, .mkv, .webm (videos,
            see `frame_io.video_writing`) or .png: all side by side, or with a number in the name,
            such as %04d.png, each in a file, from 1 on.
        frames: uint8 [H, W, C], C 1, 3 or 4 (RGBA), all of one shape, in anything that yields one
            or more. Transparency is laid over white where `keeps_alpha` is false.
        seconds_per_frame: how long each is shown; a `Fraction` is exact.
        scale: whole number by which frames are enlarged.
        sound: a `frame_io.sound_tracks.Sound`, for videos alone, or None.
        notify: called with one line if browsers would show the file more slowly.

    Returns:
        A `Written`.

    Raises:
        InputError: for a name that `check_writable` refuses, no frames, or sound that cannot be
            read.
        OSError: if it cannot be written.
    """
    check_writable(path)
    path = Path(path)
    kind = path.suffix.lower()
    given = _Given(frames, scale, keeps_alpha(path))
    rate = float(1 / fractions.Fraction(seconds_per_frame).limit_denominator(1_000_000))
    if kind == ".png":
        write_pictures = _write_numbered if _is_numbered(path) else _write_strip
        write_pictures(path, given)
        return Written(given.count, given.count, *given.size)
    with atomic_write(path) as beside:
        if kind in video_writing.KINDS:
            count, size, said = video_writing.write(beside, given, seconds_per_frame, sound)
            return Written(count, count, *size, rate, said)
        shown = animations.write(beside, given, seconds_per_frame)
    if kind != ".apng" and seconds_per_frame < _BROWSERS_SLOW_DOWN_S:
        notify(f"{path}: browsers show {rate:.4g} frames a second as 10 a second; 50 are the most")
    return Written(shown, given.count, *given.size, rate)


class _Given:
    """The frames that were given, enlarged, one at a time; it keeps their number and (H, W)."""

    def __init__(self, frames, scale, alpha):
        self._frames, self._scale, self._alpha = frames, scale, alpha
        self.count, self.size = 0, None

    def __iter__(self):
        for frame in self._frames:
            if frame.shape[-1] == 4 and not self._alpha:
                frame = over_white(frame)
            frame = frame.repeat(self._scale, axis=0).repeat(self._scale, axis=1)
            self.count, self.size = self.count + 1, frame.shape[:2]
            yield frame
        if not self.count:
            raise InputError("no frames to write")


def over_white(frame):
    """Lays a frame over white: RGBA uint8 [H, W, 4] -> RGB uint8 [H, W, 3]."""
    white = PIL.Image.new("RGBA", frame.shape[1::-1], "white")
    return np.asarray(PIL.Image.alpha_composite(white, PIL.Image.fromarray(frame)).convert("RGB"))


def _is_numbered(path):
    """Whether a path is one of a .png with one %d, or %04d, in its name."""
    name = Path(path).name
    return name.lower().endswith(".png") and bool(re.fullmatch(r"[^%]*%(0?\d+)?d[^%]*", name))


def _write_strip(path, frames):
    with atomic_write(path) as beside:
        animations.picture(np.concatenate(list(frames), axis=1)).save(beside)


def _write_numbered(path, frames):
    """Writes all frames into a temporary folder, then moves them into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as beside:
        for number, frame in enumerate(frames, 1):
            animations.picture(frame).save(Path(beside) / (path.name % number))
        for file in sorted(Path(beside).iterdir()):
            os.replace(file, path.with_name(file.name))
