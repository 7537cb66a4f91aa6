"""Reading pictures a person gives and writing the ones the commands make.

A frame in memory is float32 [H, W, C], sRGB values in [0, 1]; C is 3 or 1.
"""

import contextlib
from pathlib import Path

import numpy as np
import PIL.Image

from frame_io import footage, pictures, writing
from tf_inbetween.config import InputError, checked_floats


def read_frame(path, image_size, channels, notify=print):
    """Reads one picture as a frame of the model's size.

    Grey, black-and-white, palette, transparent, CMYK and 16-bit pictures are converted: grey is
    repeated to RGB, RGB becomes luma (Rec. 601) for a grey model, transparency is laid over white,
    whole numbers of more than 8 bits count from 0 to 65535 and floats from 0 to 1. A picture of
    another size is cut to a centred square and resized with antialiasing, and `notify` is told in
    one line.

    Args:
        path: of a PNG, JPEG or any other file that Pillow opens; of an animated image the first
            frame is taken.
        image_size: height and width of the frame.
        channels: 3 or 1.
        notify: a function of one string.

    Returns:
        float32 [image_size, image_size, channels] in [0, 1].

    Raises:
        InputError: if there is no such file, or it is no picture, or one of over 2^27 pixels, or
            its values lie outside those ranges.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    with _input_errors():
        picture = pictures.read(path)
    with _input_errors(path):
        pixels = pictures.convert(
            picture, image_size, channels, notify=lambda text: notify(f"{path}: {text}")
        )
    return pixels.astype(np.float32) / 255.0


def as_frame(name, value, shape=None, notify=print):
    """A frame of whatever a person has: a path, a PIL picture, an array of uint8 or of floats.

    Args:
        name: for messages.
        value: a path or a PIL picture, converted and resized as by `read_frame`; or an array
            [H, W, C] (or [H, W], grey) of uint8 in 0..255 or floats in [0, 1].
        shape: [H, W, C] that it must have; None: any, of arrays alone.
        notify: as for `read_frame`.

    Returns:
        float32 [H, W, C] in [0, 1].

    Raises:
        InputError: for a picture that cannot be read, and for arrays of another shape, type or
            range.
    """
    if shape is None and isinstance(value, str | Path | PIL.Image.Image):
        raise InputError(f"{name}: this model draws any size; give an array [H, W, C]")
    if isinstance(value, str | Path):
        return read_frame(value, shape[0], shape[-1], notify)
    if isinstance(value, PIL.Image.Image):
        with _input_errors(name):
            pixels = pictures.convert(
                value, shape[0], shape[-1], notify=lambda text: notify(f"{name}: {text}")
            )
        return pixels.astype(np.float32) / 255.0
    pixels = np.asarray(value)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3) or (shape and pixels.shape != shape):
        wanted = "x".join(map(str, shape)) if shape else "H x W x 3 or 1"
        raise InputError(
            f"{name}: has shape {'x'.join(map(str, pixels.shape))}; must be {wanted}"
            + (", or a path or PIL picture, which are resized" if shape else "")
        )
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / 255.0
    return checked_floats(name, pixels).astype(np.float32)


class Footage:
    """The frames of a video, an animated image or a folder of pictures, in the model's size.

    Going through it gives float32 [image_size, image_size, channels] in [0, 1], as `read_frame`
    does, one at a time; it can be done again. `len` is their number.
    """

    def __init__(
        self,
        path,
        image_size,
        channels,
        crop="centre",
        fps=None,
        start=0.0,
        end=None,
        notify=print,
        folder_fps=footage.FOLDER_FPS,
    ):
        """Looks through it.

        Args:
            path: of the file or the folder, see `frame_io.footage`.
            image_size: height and width of the frames.
            channels: 3 or 1.
            crop: "centre" or "x,y,w,h", a box of which the centred square is taken.
            fps: frames per second to take; None for all.
            start: seconds to leave out at the beginning.
            end: where to stop, in seconds; None for its end.
            notify: a function of one string, told once of whatever is done to the frames.
            folder_fps: pictures of a folder in a second.

        Raises:
            InputError: if it cannot be read, or holds no two such frames. Damage further on shows
                when it is reached.
        """
        with _input_errors():
            self._crop = pictures.parse_crop(crop)
            self._footage = footage.look(path, folder_fps)
        with _input_errors(path):
            self._wanted = footage.select(self._footage.times, fps, start, end)
        self._size, self._notify, self._told = (image_size, channels), notify, set()
        if self._footage.left_out:
            self._tell(self._footage.left_out)

    def __len__(self):
        return len(self._wanted)

    def __iter__(self):
        with _input_errors():
            for _, picture in self._footage.pictures(self._wanted):
                with _input_errors(getattr(picture, "filename", self._footage.path)):
                    pixels = pictures.convert(
                        picture, *self._size, self._crop, self._tell, quick=True
                    )
                yield pixels.astype(np.float32) / 255.0

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


def write_frames(path, frames, seconds_per_frame=0.1, scale=1):
    """Writes frames, floats [H, W, C] in [0, 1], in an array or anything else that yields them.

    As an animation, a video or, for .png, a strip; arguments, result and errors as of
    `writing.write`.
    """
    return writing.write(path, map(to_uint8, frames), seconds_per_frame, scale)


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
