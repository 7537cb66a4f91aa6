"""Reads the user's pictures and writes the ones the commands make.

A frame in memory is float32 [H, W, C], sRGB values in [0, 1]; C is 3 or 1.
"""

import contextlib
from pathlib import Path

import numpy as np
import PIL.Image

from frame_io import footage, pictures, writing
from frame_io.sizes import Size
from frame_io.sound_tracks import Sound
from tf_inbetween.config import InputError, checked_floats


def read_frame(path, size, channels, notify=print, alpha=False):
    """Reads one picture as a frame of the model's size.

    Grey, black-and-white, palette, transparent, CMYK and 16-bit pictures are converted: grey is
    repeated to RGB, RGB becomes luma (Rec. 601) for a grey model, transparency is laid over white,
    whole numbers of more than 8 bits count from 0 to 65535 and floats from 0 to 1. A picture of
    another size is cropped to its largest centred part of the frame's shape and resized with
    antialiasing; `notify` gets one line about it.

    Args:
        path: of a PNG, JPEG or any other file that Pillow opens; of an animated image the first
            frame is taken.
        size: (height, width) of the frame; None: the picture's own.
        channels: 3 or 1.
        notify: a function of one string.
        alpha: whether the frame gets one more channel, its opacity.

    Returns:
        float32 [height, width, channels] in [0, 1]; with `alpha` one channel more.

    Raises:
        InputError: if there is no such file, it is not a picture or has over 2^27 pixels, or its
            values are outside those ranges.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    with _input_errors():
        picture = pictures.read(path)
    with _input_errors(path):
        return _converted(
            picture,
            size or picture.size[::-1],
            channels,
            alpha,
            notify=lambda text: notify(f"{path}: {text}"),
        )


def _converted(picture, size, channels, alpha=False, crop=None, notify=None, quick=False):
    """A picture as a frame, as by `pictures.convert`; with `alpha` its opacity is the last channel.

    The colours are laid over white in either case.
    """
    how = {"crop": crop, "quick": quick}
    opacity = None
    if alpha and picture.has_transparency_data:
        picture = picture.convert("RGBA")
        opacity = pictures.convert(picture.getchannel("A"), size, 1, **how)
        white = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(white, picture).convert("RGB")
    pixels = pictures.convert(picture, size, channels, notify=notify, **how)
    if alpha:
        opacity = np.full_like(pixels[..., :1], 255) if opacity is None else opacity
        pixels = np.concatenate([pixels, opacity], axis=-1)
    return pixels.astype(np.float32) / 255.0


def as_frame(name, value, shape=None, any_size=False, notify=print):
    """Converts a path, a PIL picture, or an array of uint8 or floats to a frame.

    Args:
        name: for messages.
        value: a path or a PIL picture, converted and resized as by `read_frame`; or an array
            [H, W, C] (or [H, W], grey) of uint8 in 0..255 or floats in [0, 1].
        shape: [H, W, C] that it must have; None: any, of arrays alone.
        any_size: whether arrays may have another H and W; pictures get those of `shape`.
        notify: as for `read_frame`.

    Returns:
        float32 [H, W, C] in [0, 1].

    Raises:
        InputError: for a picture that cannot be read, and for arrays of another shape, type or
            range.
    """
    if isinstance(value, str | Path):
        return read_frame(value, shape[:2], shape[-1], notify)
    if isinstance(value, PIL.Image.Image):
        with _input_errors(name):
            return _converted(
                value, shape[:2], shape[-1], notify=lambda text: notify(f"{name}: {text}")
            )
    pixels = np.asarray(value)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if not _has_shape(pixels, shape, any_size):
        channels = shape[-1] if shape else "3 or 1"
        wanted = "x".join(map(str, shape)) if shape and not any_size else f"H x W x {channels}"
        raise InputError(
            f"{name}: has shape {'x'.join(map(str, pixels.shape))}; must be {wanted}"
            + (", or a path or PIL picture, which are resized" if shape else "")
        )
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / 255.0
    return checked_floats(name, pixels).astype(np.float32)


def _has_shape(pixels, shape, any_size):
    if pixels.ndim != 3 or 0 in pixels.shape:
        return False
    if shape is None:
        return pixels.shape[-1] in (1, 3)
    return pixels.shape[-1] == shape[-1] and (any_size or pixels.shape == tuple(shape))


class Footage:
    """The frames of a video, an animated image or a folder of pictures, in the model's size.

    Iterating yields float32 [height, width, channels] in [0, 1], as `read_frame` does, one at a
    time; it can be repeated. `len` is their number.

    Attributes:
        size: (height, width) of the frames.
        times: float64 [M], when each of them is shown, in seconds from the first of them.
        end: when the last of them ends, in seconds from the first of them.
        rate: frames per second of the whole input.
        has_alpha: whether the last channel is opacity.
        sound: a `Sound`, that of the input while they are shown; None if there is none.
    """

    def __init__(
        self,
        path,
        size,
        channels,
        crop="centre",
        fps=None,
        start=0.0,
        end=None,
        notify=print,
        folder_fps=footage.FOLDER_FPS,
        even=True,
        alpha=False,
    ):
        """Looks through it.

        Args:
            path: of the file or the folder, see `frame_io.footage`.
            size: (height, width) of the frames; None: that of the first, or of its box.
            channels: 3 or 1.
            crop: "centre" or "x,y,w,h", a box of which the largest centred part of the frames'
                shape is taken.
            fps: frames per second to take; None for all.
            start: seconds to leave out at the beginning.
            end: where to stop, in seconds; None for its end.
            notify: a function of one string, called once for each change made to the frames.
            folder_fps: pictures of a folder in a second.
            even: whether a variable rate is resampled to an even one. If not, no frame repeats, and
                each has its own time.
            alpha: as for `read_frame`.

        Raises:
            InputError: if it cannot be read or has fewer than two such frames. Later damage is
                found when it is reached.
        """
        with _input_errors():
            self._crop = pictures.parse_crop(crop)
            self._footage = footage.look(path, folder_fps)
        with _input_errors(path):
            self._wanted = footage.select(self._footage.times, fps, start, end)
        times, wanted = self._footage.times, self._wanted
        if not even:
            wanted = np.arange(wanted[0], wanted[-1] + 1) if fps is None else np.unique(wanted)
        self._wanted, self.has_alpha = wanted, alpha
        self._notify, self._told = notify, set()
        self.size = Size.of(size or self._own_size())
        self._form = (self.size, channels)
        first, later = times[wanted[0]], times[times >= (np.inf if end is None else end)]
        self.times = times[wanted] - first
        self.end = (later[0] if len(later) else self._footage.end) - first
        self.rate = footage.rate(times)
        self.sound = self._footage.sound and Sound(
            self._footage.sound,
            self._footage.begins + first,
            None if end is None else self._footage.begins + first + self.end,
        )
        for note in self._footage.notes:
            self._tell(note)

    def __len__(self):
        return len(self._wanted)

    def __iter__(self):
        with _input_errors():
            for _, picture in self._footage.pictures(self._wanted):
                with _input_errors(getattr(picture, "filename", self._footage.path)):
                    pixels = _converted(
                        picture, *self._form, self.has_alpha, self._crop, self._tell, quick=True
                    )
                yield pixels

    def _own_size(self):
        with _input_errors(self._footage.path):
            _, picture = next(self._footage.pictures(self._wanted[:1]))
        return (picture.size if self._crop is None else self._crop[2:])[::-1]

    def _tell(self, text):
        if text not in self._told:
            self._told.add(text)
            self._notify(f"{self._footage.path}: {text}")


@contextlib.contextmanager
def _input_errors(path=None):
    """Makes a ValueError an `InputError`, which names the file."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: {error}" if path else str(error)) from error


def write_frames(path, frames, seconds_per_frame=0.1, scale=1, sound=None, notify=print):
    """Writes frames, floats [H, W, C] in [0, 1], in an array or anything else that yields them.

    As an animation, a video or, for .png, a strip; arguments, result and errors as of
    `writing.write`.
    """
    return writing.write(path, map(to_uint8, frames), seconds_per_frame, scale, sound, notify)


def to_uint8(frames):
    """Floats in [0, 1], clipped, -> uint8 in 0..255."""
    return np.rint(255 * np.clip(frames, 0.0, 1.0)).astype(np.uint8)


def tile(rows, gap=2):
    """Rows of frames, each [K, H, W, C] -> one picture, float [rows H, K W, C], white between."""
    height, width, channels = rows[0].shape[1:]
    columns = max(len(row) for row in rows)
    sheet = np.ones(
        (len(rows) * (height + gap) - gap, columns * (width + gap) - gap, channels), np.float32
    )
    for i, row in enumerate(rows):
        for j, frame in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            sheet[top : top + height, left : left + width] = frame
    return np.clip(sheet, 0.0, 1.0)
