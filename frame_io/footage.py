"""Reads footage: video files, animated images and folders of numbered pictures.

    clip = footage.look("walk.mp4")
    wanted = footage.select(clip.times, fps=10.0)
    for place, picture in clip.pictures(wanted):  # PIL pictures, upright, one at a time
        ...

An input is scanned once for the times of its frames (8 bytes each; only the first frame of a video
is decoded) and then decoded frame by frame, so memory does not grow with its length. Every error is
a ValueError with a one-line message that names the file.

How footage from cameras is read:

- Videos are rotated and mirrored by quarter turns as their display matrix says, and pictures as
  their EXIF orientation says.
- Non-square pixels of videos are made square by stretching the shorter side. Pictures are not
  stretched: browsers and most viewers ignore their density.
- Alpha is kept, also of VP8 and VP9 in WebM, and composited over white by `frame_io.pictures`.
- More than 8 bits are rounded to 8. High dynamic range (PQ, HLG) is tone-mapped, and wide primaries
  (BT.2020, P3) become sRGB's, where FFmpeg's scale filter can (since FFmpeg 8).
- Untagged colours are BT.709 from 1280 columns or 577 lines on and BT.601 below, as mpv has it.
  BT.2020 of constant luminance is read as the other BT.2020. Pictures with an ICC profile are
  converted to sRGB; PNG's gamma is ignored.
- Interlaced frames are deinterlaced (bwdif); each frame becomes one.
- A variable frame rate is resampled, see `select`. Delays of animated images of 10 ms or less
  become 100 ms, as in browsers.
- A video that begins in the middle of a group of pictures, as a recorded broadcast does, begins
  with the first frame that can be decoded.
- Decoding starts at the key frame before the first wanted frame; if a container cannot seek, at the
  beginning.
- A file that ends before its header says is rejected. MPEG-TS, raw streams, and ASF files that have
  lost over a twentieth have no known length, so a truncated one is just shorter.
- Of several video streams the first is read that is not a cover picture.
- HEIC needs the package pillow-heif.

How untrusted footage is read:

- Only the named files are read: links out of a folder are rejected, and so are playlists and
  everything that is not a container of `frame_io.videos`, whatever its name.
- Frames of over 2^26 pixels, and animated images of over 2^34 in all, are rejected, as are delays
  so long that the output would have a hundred times as many frames.
"""

import collections
import contextlib
import dataclasses
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image

from frame_io import pictures, videos

FOLDER_FPS = 30.0
_TOO_SHORT_MS, _USUAL_MS = 10, 100  # What browsers make of the former: WebKit bug 36082.
_MAX_ANIMATED_PIXELS = 2**34  # Of all frames: 8,000 of 1080 lines. Minutes to decode.
_MAX_REPEATED = 100


@dataclasses.dataclass(frozen=True)
class Footage:
    """One input, scanned but not decoded.

    Attributes:
      path: the file or the folder.
      times: float64 [N], when each frame is shown, in seconds from the first; rising.
      end: when the last frame ends, in seconds from the first.
      notes: short lines about conversions of frames, and skipped files of a folder.
      sound: the path of a file that has the sound; None if there is none.
      begins: when the first frame is shown, in seconds of the clock of `sound`.
    """

    path: Path
    times: np.ndarray
    end: float
    _decode: Callable[[float], videos.Frames]
    notes: tuple[str, ...] = ()
    sound: Path | None = None
    begins: float = 0.0

    def pictures(self, wanted):
        """Decodes the wanted frames.

        Args:
          wanted: int [M], indices of `times`, never falling; some may repeat.

        Yields:
          M times a place in `wanted`, 0 to M-1, and its picture: upright, of any mode.

        Raises:
          ValueError: if the input is damaged, or ends before the last one.
        """
        place, begin = 0, self.times[wanted[0]] if len(wanted) else 0.0
        for seconds, picture in self._decode(begin):
            # By time, not by number: decoders drop frames that they cannot show.
            shown = None
            while place < len(wanted) and self.times[wanted[place]] <= seconds + 1e-4:
                shown = shown or picture()
                yield place, shown
                place += 1
            if place == len(wanted):
                return
        raise videos.ended_early(self.path, self.times[wanted[place]], self.times[-1])


def look(path, folder_fps=FOLDER_FPS):
    """Scans an input.

    Args:
      path: a video file, an animated image (GIF, WebP, PNG) or a folder of pictures. A folder's are
        taken in natural order (frame_2 before frame_10); hidden files and files without a picture's
        extension are skipped.
      folder_fps: pictures per second of a folder.

    Raises:
      ValueError: if there is no such input, it cannot be read, has fewer than two frames or too
          many pixels, or is a video and PyAV is not installed.
    """
    path = Path(path)
    if path.is_dir():
        clip = _folder(path, folder_fps)
    elif not path.is_file():
        what = "neither a file nor a folder" if path.exists() else "no such file or folder"
        raise ValueError(f"{path}: {what}")
    elif path.suffix.lower() in (*_picture_suffixes(), *pictures.HEIC_SUFFIXES):
        clip = _animated_image(path)
    else:
        clip = _video(path)
    if len(clip.times) < 2:
        raise ValueError(f"{path}: has one frame; in-betweens need two at least")
    return clip


def rate(times):
    """Returns frames per second: the mean of even times [N], the median of uneven ones."""
    if is_even(times):
        return (len(times) - 1) / (times[-1] - times[0])
    return 1 / np.median(np.diff(times))


def select(times, fps=None, start=0.0, end=None):
    """Selects evenly spaced frames.

    Without `fps` and with even times, that is every frame. Otherwise, for every 1/fps seconds, it
    is the frame that a player shows, or the nearest, so a long frame is repeated. A rate that
    divides the source's gives an exact pace.

    Args:
      times: float64 [N], in seconds, rising.
      fps: frames wanted per second; None for the source's own.
      start: seconds to skip at the beginning.
      end: where to stop, in seconds; None for the end.

    Returns:
      int64 [M], indices of `times`, never falling.

    Raises:
      ValueError: if fps is more than the source has, fewer than two frames are left, or over a
        hundred times as many as there are.
    """
    own = rate(times)
    if fps is not None and fps > 1.01 * own:
        raise ValueError(f"has {own:.4g} frames a second; --fps={fps:g} would be more")
    inside = np.flatnonzero((times >= start) & (times < (np.inf if end is None else end)))
    if len(inside) < 2:
        until = f"{times[-1]:.4g}" if end is None else f"{end:g}"
        raise ValueError(f"has no two frames from {start:g} to {until} s; it is {times[-1]:.4g} s")
    if is_even(times) and (fps is None or fps > 0.99 * own):
        return inside
    fps, nearly_half = fps or own, 0.499 / own
    first, last = times[inside[0]], times[inside[-1]]
    count = int((last + nearly_half - first) * fps) + 1
    if count > _MAX_REPEATED * len(inside):
        raise ValueError(
            f"has {len(inside)} frames in {last - first:.4g} s, which at {fps:.4g} a second would "
            f"become {count:,}; take fewer with --fps, or a part with --start and --end"
        )
    moments = first + np.arange(count) / fps
    return np.clip(
        np.searchsorted(times, moments + nearly_half, side="right") - 1, *inside[[0, -1]]
    )


def is_even(times):
    """Returns whether times [N] are even within half a frame, as rounded times are."""
    even = np.linspace(times[0], times[-1], len(times))
    return bool(np.abs(times - even).max() <= 0.5 * (even[1] - even[0]) + 1e-9)


def natural_key(name):
    """Returns a sort key with frame_2 before frame_10, and 01 before 1."""
    parts = [
        (0, int(part), "") if part.isdecimal() else (1, 0, part.casefold())
        for part in re.split(r"(\d+)", name)
        if part
    ]
    return [*parts, (-1, 0, ""), (1, 0, name)]  # Names that are otherwise alike: as spelled.


def _video(path):
    video = videos.look(path)
    return Footage(
        path,
        video.times,
        video.end,
        video.decode,
        video.notes,
        sound=path if video.has_sound else None,
        begins=video.begins,
    )


def _picture_suffixes():
    known = pictures.formats()
    return {suffix for suffix, kind in PIL.Image.registered_extensions().items() if kind in known}


# --- folders ---------------------------------------------------------------------------------


def _folder(path, fps):
    suffixes, here = _picture_suffixes(), path.resolve()
    entries = [
        entry
        for entry in path.iterdir()
        if not entry.name.startswith(".") and entry.suffix.lower() in suffixes and entry.is_file()
    ]
    for entry in entries:
        if entry.is_symlink() and not entry.resolve().is_relative_to(here):
            raise ValueError(f"{entry}: a link out of the folder; put the picture there instead")
    names = sorted((entry.name for entry in entries), key=natural_key)
    others = _others(path, names)
    if not names:
        raise ValueError(
            f"{path}: a folder without pictures (such as .png, .jpg, .webp or .tiff); it has "
            f"{others or 'no files'}"
        )

    def decode(_):
        for i, name in enumerate(names):
            yield i / fps, lambda name=name: pictures.read(path / name)

    notes = (f"skipped, not readable pictures: {others}",) if others else ()
    return Footage(path, np.arange(len(names)) / fps, len(names) / fps, decode, notes)


def _others(path, names):
    """What is in a folder beside `names` and hidden files, counted: "2 .heic files, 1 folder"."""
    counts = collections.Counter(
        "folder" if entry.is_dir() else f"{entry.suffix or 'nameless'} file"
        for entry in path.iterdir()
        if not entry.name.startswith(".") and entry.name not in names
    )
    listed = ", ".join(f"{n} {what}{'s' * (n > 1)}" for what, n in sorted(counts.items()))
    is_heic = any(what.lower().startswith(pictures.HEIC_SUFFIXES) for what in counts)
    return f"{listed}; {pictures.HEIC_NEEDS}" if is_heic else listed


# --- animated images -------------------------------------------------------------------------


def _animated_image(path):
    durations = [seconds for seconds, _ in _steps(path)]
    ends = np.cumsum(durations)
    times = np.concatenate([[0.0], ends[:-1]])

    def decode(_):
        for seconds, (_, picture) in zip(times, _steps(path), strict=False):
            yield seconds, lambda picture=picture: _upright(path, picture)

    return Footage(path, times, float(ends[-1]), decode)


def _upright(path, picture):
    with _readable(path):
        return pictures.upright(picture)


@contextlib.contextmanager
def _readable(path):
    """Turns any decoder's error for a damaged picture into one line."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{path}: not a readable picture ({error})") from error


def _steps(path):
    """Yields how long each frame is shown, and the frame, which the next one overwrites."""
    with (
        _readable(path),
        warnings.catch_warnings(action="ignore"),
        pictures.opened(path) as picture,
    ):
        pixels, frames = picture.width * picture.height, getattr(picture, "n_frames", 1)
        if pixels > videos.MAX_FRAME_PIXELS:
            raise ValueError(f"more than {videos.MAX_FRAME_PIXELS:,} pixels")
        if pixels * frames > _MAX_ANIMATED_PIXELS:
            raise ValueError(f"more than {_MAX_ANIMATED_PIXELS:,} pixels in {frames:,} frames")
        # An APNG may begin with a still for programs without animation.
        still = picture.info.get("default_image") is True
        for place in range(still, frames):
            picture.seek(place)
            picture.load()
            milliseconds = picture.info.get("duration", 0)
            yield (milliseconds if milliseconds > _TOO_SHORT_MS else _USUAL_MS) / 1000, picture
