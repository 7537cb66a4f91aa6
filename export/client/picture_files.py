"""Reads picture files for a server, and writes the server's frames."""

import io
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from frame_io import pictures, writing
from frame_io.errors import InputError

# Of a picture that is sent. A frame is far smaller, and two such PNGs are within what servers take.
_MAX_SIDE = 1024
_EXIF_ORIENTATION = 0x0112


def read(path):
    """Reads a picture as the file to send: PNG or JPEG.

    It is the file itself if a server reads it correctly. Other formats, pictures with EXIF rotation
    or an ICC profile, CMYK, single channels of more than 8 bits, and pictures over 1024 pixels wide
    or high (made smaller) are converted to PNG.

    Args:
        path: of any picture that `frame_io.pictures` opens; of an animated one the first frame.

    Returns:
        bytes.

    Raises:
        InputError: if there is no such file, it is not a picture or has over 2^27 pixels, or its
            values are out of range.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    most = f"{pictures.MAX_PIXELS:,}"
    too_many = InputError(f"{path}: more than the {most} pixels that a picture may have")
    try:
        with warnings.catch_warnings(action="ignore"), pictures.opened(path) as picture:
            if picture.width * picture.height > pictures.MAX_PIXELS:
                raise too_many
            picture.load()  # So that a damaged file is found here, not by the server.
            as_it_is = (
                picture.format in ("PNG", "JPEG")
                and picture.mode in ("L", "LA", "P", "RGB", "RGBA")
                and picture.getexif().get(_EXIF_ORIENTATION, 1) == 1
                and "icc_profile" not in picture.info
                and max(picture.size) <= _MAX_SIDE
            )
            if as_it_is:
                return path.read_bytes()
            picture = pictures.upright(picture)
    except PIL.Image.DecompressionBombError:
        raise too_many from None
    except InputError:
        raise
    except PIL.UnidentifiedImageError:  # Its message names the bytes in memory and not the file.
        raise InputError(f"{path}: not a readable picture (unknown format)") from None
    except Exception as error:  # Decoders raise various errors for a damaged file.
        raise InputError(f"{path}: not a readable picture ({error})") from error
    try:
        picture = pictures.eight_bits(picture)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE), PIL.Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def fit(content, frame):
    """A picture's middle, cut and resized to a frame's size and mode, transparency over white.

    Args:
        content: a PNG or a JPEG file.
        frame: a `PIL.Image.Image`.

    Returns:
        A `PIL.Image.Image`.
    """
    with PIL.Image.open(io.BytesIO(content)) as picture:
        picture = picture.convert("RGBA")
    white = PIL.Image.new("RGBA", picture.size, "white")
    picture = PIL.Image.alpha_composite(white, picture).convert(frame.mode)
    return PIL.ImageOps.fit(picture, frame.size, PIL.Image.Resampling.LANCZOS)


def write(path, frames, seconds_per_frame=0.1, scale=1):
    """As `frame_io.writing.write`, for `PIL.Image.Image`s of one size; all but grey become RGB."""
    frames = (frame if frame.mode == "L" else frame.convert("RGB") for frame in frames)
    pixels = (np.asarray(frame).reshape(frame.height, frame.width, -1) for frame in frames)
    return writing.write(path, pixels, seconds_per_frame, scale)
