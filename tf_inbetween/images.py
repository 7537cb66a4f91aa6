"""Reading pictures a person gives and writing the ones the commands make.

A frame in memory is float32 [H, W, C], sRGB values in [0, 1]; C is 3 or 1.
"""

from pathlib import Path

import numpy as np
import PIL.Image

from data_gen import pictures
from tf_inbetween.config import InputError
from tf_inbetween.files import written_whole

_ANIMATED = {".gif", ".webp", ".apng"}
_WRITABLE = (*sorted(_ANIMATED), ".png")


def read_frame(path, image_size, channels, notify=print):
    """Reads one picture as a frame of the model's size.

    Grey, black-and-white, palette, transparent, CMYK and 16-bit pictures are converted: grey is
    repeated to RGB, RGB becomes luma (Rec. 601) for a grey model, transparency is laid over white,
    whole numbers of more than 8 bits count from 0 to 65535 and floats from 0 to 1. A picture of
    another size is cut to a centred square and resized with antialiasing, and `notify` is told in
    one line.

    Args:
        path: of a PNG, JPEG or any other file that Pillow opens; of a moving picture the first
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
    try:
        picture = pictures.read(path)
    except ValueError as error:
        raise InputError(str(error)) from error
    try:
        pixels = pictures.convert(
            picture, image_size, channels, notify=lambda text: notify(f"{path}: {text}")
        )
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return pixels.astype(np.float32) / 255.0


def check_writable(path):
    """Raises `InputError` if `write_frames` could not write a file of this name."""
    path = Path(path)
    if path.suffix.lower() not in _WRITABLE:
        raise InputError(f"{path}: the name must end in one of {', '.join(_WRITABLE)}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")


def write_frames(path, frames, seconds_per_frame=0.1, scale=1):
    """Writes frames [K, H, W, C] in [0, 1] as an animation or, for .png, as a strip side by side.

    Args:
        path: ends in .gif, .webp or .apng (animations that loop) or .png.
        frames: float [K, H, W, C].
        seconds_per_frame: how long an animation shows each.
        scale: whole number of pixels drawn for every pixel.

    Raises:
        InputError: for another ending.
    """
    check_writable(path)
    pixels = to_uint8(frames).repeat(scale, axis=1).repeat(scale, axis=2)
    with written_whole(path) as beside:
        if Path(path).suffix.lower() not in _ANIMATED:
            _picture(np.concatenate(list(pixels), axis=1)).save(beside)
            return
        first, *rest = [_picture(frame) for frame in pixels]
        kind = {".apng": "PNG", ".webp": "WEBP", ".gif": "GIF"}[Path(path).suffix.lower()]
        first.save(
            beside,
            format=kind,
            save_all=True,
            append_images=rest,
            duration=round(1000 * seconds_per_frame),
            loop=0,
            **({"lossless": True} if kind == "WEBP" else {}),
        )


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


def _picture(pixels):
    return PIL.Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
