"""Converts pictures to frames: upright, with the model's size and channels.

The rules are the same for the pictures of `tf_inbetween.images` and the footage of
`frame_io.footage`. It needs only Pillow. Every error is a ValueError with a one-line message.
"""

import contextlib
import functools
import re
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from frame_io import colour
from frame_io.sizes import Size

# What cameras, renderers and painters write, in decoders that unfold no more than they say at
# first. Not all that Pillow opens: it would hand EPS to Ghostscript, and unpack FITS whole.
FORMATS = (
    *("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI"),
    *("TGA", "TIFF", "WEBP"),
)
HEIC_SUFFIXES = (".heic", ".heif", ".hif")
HEIC_NEEDS = "HEIC needs the package pillow-heif: pip install 'tf_inbetween[heic]'"
MAX_PIXELS = 2**27  # 134 million. Pillow's own limit, which warns first, lies a third higher.

Box = tuple[int, int, int, int]


def read(path):
    """Returns the picture in a file, upright and decoded; for an animation the first frame.

    Its attribute `filename` is the path.

    Raises:
      ValueError: if it is not a picture in one of `FORMATS`, or has over 2^27 pixels.
    """
    too_many = f"{path}: more than the {MAX_PIXELS:,} pixels that a picture may have"
    try:
        with warnings.catch_warnings(action="ignore"), opened(path) as picture:
            if picture.width * picture.height <= MAX_PIXELS:
                picture.load()
                turned = upright(picture)
                turned.filename = str(path)  # The copy has none; for messages.
                return turned
    except PIL.Image.DecompressionBombError:
        pass
    except Exception as error:  # Decoders raise various errors for a damaged file.
        raise ValueError(f"{path}: not a readable picture ({error})") from error
    raise ValueError(too_many)


@functools.cache
def formats():
    """Returns those of `FORMATS` that can be read here."""
    PIL.Image.init()
    with contextlib.suppress(ModuleNotFoundError):
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)
    # Older Pillows have no AVIF; MPO is opened as the JPEG that it begins with.
    return [kind for kind in FORMATS if kind in PIL.Image.OPEN]


def opened(path):
    """Opens a file of a kind in `FORMATS`, whatever its name; raises what Pillow raises."""
    try:
        picture = PIL.Image.open(path, formats=formats())
    except PIL.UnidentifiedImageError:
        if Path(path).suffix.lower() in HEIC_SUFFIXES and "HEIF" not in formats():
            raise ValueError(HEIC_NEEDS) from None
        raise
    clear = picture.info.get("transparency")
    if picture.format == "PNG" and picture.tile and clear is not None:
        picture.info["transparency"] = _as_decoded(clear, picture.tile[0].args)
    return picture


def _as_decoded(clear, raw_mode):
    """A PNG's transparent colour in the values that Pillow decodes to; it says it in the file's."""
    if raw_mode in ("L;2", "L;4") and isinstance(clear, int):
        return clear * (85 if raw_mode == "L;2" else 17)
    if raw_mode == "RGB;16B" and isinstance(clear, tuple):
        return tuple(value >> 8 for value in clear)
    return clear


def upright(picture):
    """Returns a copy of a decoded picture, turned and mirrored as its EXIF orientation says."""
    return PIL.ImageOps.exif_transpose(picture)


def convert(picture, size, channels, crop=None, notify=lambda text: None, quick=False):
    """Returns a picture as a frame.

    Grey, black-and-white, palette, transparent, CMYK and 16-bit pictures are converted: grey is
    repeated to RGB, RGB becomes luma (Rec. 601) where there is one channel, transparency is laid
    over white, whole numbers of more than 8 bits count from 0 to 65535 and floats from 0 to 1. The
    picture, or its box, is cropped to the largest centred part of the frame's shape and resized
    with antialiasing.

    Args:
      picture: of any mode and size.
      size: of the frame, (height, width) or as `Size.of` takes it.
      channels: 3 or 1.
      crop: x, y, width and height of a box in pixels, x from the left and y from the top.
      notify: called with one line about cropping, resizing or compositing over white.
      quick: whether more than sixfold reductions average whole blocks first: seven times as fast
        for a frame of 1080 lines, and off by a grey level or two.

    Returns:
      uint8 [height, width, channels].

    Raises:
      ValueError: if values lie outside those ranges, or the box outside the picture; the message
        lacks the picture's name.
    """
    size = Size.of(size)
    picture = _to_mode(picture, "RGB" if channels == 3 else "L", notify)
    picture = _fit(picture, size, crop, notify, quick)
    return np.asarray(picture).reshape(*size, channels)


def parse_crop(text):
    """Returns the box of a command line's --crop: that of "x,y,w,h", or None for "centre".

    Raises:
      ValueError: if it is neither.
    """
    if text == "centre":
        return None
    if not re.fullmatch(r"\d+,\d+,[1-9]\d*,[1-9]\d*", text, re.ASCII):
        raise ValueError(f"--crop={text}: must be centre or x,y,w,h, such as 80,0,480,480")
    return tuple(int(part) for part in text.split(","))


def eight_bits(picture):
    """Returns a picture in mode L, RGB or RGBA, its colours in sRGB.

    Raises:
      ValueError: if its values are out of the range that `convert` says, or it is damaged.
    """
    if picture.mode.startswith(("I", "F")):
        picture = _rounded(picture)
    try:
        picture = colour.to_srgb(picture)
        if picture.has_transparency_data:
            return _as_mode(picture, "RGBA")
        return _as_mode(picture, "L" if picture.mode in ("1", "L") else "RGB")
    except (TypeError, ValueError) as error:  # Such as a text where a colour should be.
        raise ValueError(f"its colours cannot be converted ({error})") from error


def _rounded(picture):
    """A grey picture of more than 8 bits in 8."""
    values, clear = np.asarray(picture), picture.info.get("transparency")
    top = 1.0 if picture.mode == "F" else 65535.0
    if not (values.min() >= 0 and values.max() <= top):  # NaN is neither.
        raise ValueError(f"its values must be numbers from 0 to {top:g}")
    scaled = values * np.float32(255.0 / top)
    rounded = PIL.Image.fromarray(np.rint(scaled, out=scaled).astype(np.uint8))
    if isinstance(clear, int):
        rounded.putalpha(PIL.Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    rounded.info["icc_profile"] = picture.info.get("icc_profile")
    return rounded


def _to_mode(picture, mode, notify):
    picture = eight_bits(picture)
    if picture.mode == "RGBA":
        if picture.getextrema()[3][0] < 255:
            notify("its transparent parts are laid over white")
        white = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(white, picture)
    return _as_mode(picture, mode)


def _as_mode(picture, mode):
    return picture if picture.mode == mode else picture.convert(mode)


def _fit(picture, size, crop, notify, quick):
    width, height = picture.size
    x, y, box_width, box_height = crop or (0, 0, width, height)
    if x + box_width > width or y + box_height > height:
        raise ValueError(f"{width}x{height}: the box {x},{y},{box_width},{box_height} is not in it")
    cut_width, cut_height = _part_of_shape(box_width, box_height, size)
    left, top = x + (box_width - cut_width) // 2, y + (box_height - cut_height) // 2
    done = []
    if (cut_width, cut_height) != (width, height):
        picture = picture.crop((left, top, left + cut_width, top + cut_height))
        part = f"{cut_width}x{cut_height}"
        done.append(f"cut to {f'the {part} at {left},{top}' if crop else f'the middle {part}'}")
    if (cut_height, cut_width) != tuple(size):
        picture = picture.resize(
            (size[1], size[0]), PIL.Image.Resampling.LANCZOS, reducing_gap=3.0 if quick else None
        )
        done.append(f"resized to {size[1]}x{size[0]}")
    if done:
        notify(f"{width}x{height} {', '.join(done)}")
    return picture


def _part_of_shape(width, height, size):
    """Width and height of the largest part of a picture that has the shape of `size`."""
    wanted_height, wanted_width = size
    if abs(width * wanted_height - height * wanted_width) < max(wanted_height, wanted_width):
        return width, height  # Off by less than a pixel, as 854x480 from 16:9.
    return (
        max(1, min(width, round(height * wanted_width / wanted_height))),
        max(1, min(height, round(width * wanted_height / wanted_width))),
    )
