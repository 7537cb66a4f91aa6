"""Picture files: read as a server takes them, and written as animations, films and strips.

Free of TensorFlow: what opens and writes them is Pillow and, for .mp4, PyAV.
"""

import contextlib
import fractions
import io
import os
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from export.command_line import InputError

_MAX_PIXELS = 2**27  # 134 million. Pillow's own limit, which warns first, lies a third higher.
# Of a picture that is sent. A frame is far smaller, and two such PNGs are within what servers take.
_MAX_SIDE = 1024
_EXIF_ORIENTATION = 0x0112
_ANIMATED = {".apng": "PNG", ".gif": "GIF", ".webp": "WEBP"}
_WRITABLE = (*_ANIMATED, ".mp4", ".png")


def read(path):
    """Reads a picture as the file to send: PNG or JPEG.

    That is the file itself where it is one that a server reads as it was meant. Other kinds,
    pictures that EXIF turns, CMYK, single-channel ones of more than 8 bits, and what is more than
    1024 pixels wide or high (made smaller) are written anew as PNG.

    Args:
        path: of any picture that Pillow opens; of a moving one the first frame is taken.

    Returns:
        bytes.

    Raises:
        InputError: if there is no such file, or it is no picture, or one of over 2^27 pixels, or
            its values are out of range.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    content = path.read_bytes()
    too_many = InputError(f"{path}: more than the {_MAX_PIXELS:,} pixels that a picture may have")
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            PIL.Image.open(io.BytesIO(content)) as picture,
        ):
            if picture.width * picture.height > _MAX_PIXELS:
                raise too_many
            picture.load()  # So that a damaged file is found here, not by the server.
            as_it_is = (
                picture.format in ("PNG", "JPEG")
                and picture.mode in ("L", "LA", "P", "RGB", "RGBA")
                and picture.getexif().get(_EXIF_ORIENTATION, 1) == 1
                and max(picture.size) <= _MAX_SIDE
            )
            if as_it_is:
                return content
            picture = _eight_bits(path, PIL.ImageOps.exif_transpose(picture))
    except PIL.Image.DecompressionBombError:
        raise too_many from None
    except InputError:
        raise
    except PIL.UnidentifiedImageError:  # Its message names the bytes in memory and not the file.
        raise InputError(f"{path}: not a readable picture (of no kind that is known)") from None
    except Exception as error:  # Decoders raise of everything for a damaged file.
        raise InputError(f"{path}: not a readable picture ({error})") from error
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE), PIL.Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def _eight_bits(path, picture):
    """The picture in mode L, RGB or RGBA; whole numbers count to 65535, floats to 1."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, np.float64)
        top = 1.0 if picture.mode == "F" else 65535.0
        if not (values.min() >= 0 and values.max() <= top):  # NaN is neither.
            raise InputError(f"{path}: its values must be numbers from 0 to {top:g}")
        return PIL.Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


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


def check_writable(path, sources=()):
    """Raises `InputError` if `write` could not write a file of this name.

    Nor may it be one of `sources`, the paths that are read.
    """
    path = Path(path)
    if any(path.exists() and path.samefile(source) for source in sources if os.path.exists(source)):
        raise InputError(f"{path}: is one of the pictures to read; name another file")
    if path.suffix.lower() not in _WRITABLE:
        raise InputError(f"{path}: the name must end in one of {', '.join(_WRITABLE)}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise InputError(f"{path}: cannot be written: {parent} is no folder that you may write to")
    if path.suffix.lower() == ".mp4":
        import av  # noqa: F401 - Better missed before the frames are drawn than after.


def write(path, frames, seconds_per_frame=0.1, scale=1):
    """Writes an animation, a film or, for .png, a strip side by side: whole or not at all.

    Args:
        path: ends in .gif, .webp or .apng (they loop), .mp4 (H.264) or .png.
        frames: `PIL.Image.Image`s of one size.
        seconds_per_frame: how long each is shown.
        scale: whole number of pixels drawn for every pixel.

    Raises:
        InputError: for another ending, or a name that cannot be written.
    """
    check_writable(path)
    path = Path(path)
    size = (frames[0].width * scale, frames[0].height * scale)
    frames = [frame.resize(size, PIL.Image.Resampling.NEAREST) for frame in frames]
    kind = path.suffix.lower()
    with _atomic_write(path) as beside:
        if kind == ".mp4":
            _write_mp4(beside, frames, seconds_per_frame)
        elif kind == ".png":
            strip = PIL.Image.new(frames[0].mode, (size[0] * len(frames), size[1]))
            for place, frame in enumerate(frames):
                strip.paste(frame, (place * size[0], 0))
            strip.save(beside)
        else:
            frames[0].save(
                beside,
                format=_ANIMATED[kind],
                save_all=True,
                append_images=frames[1:],
                duration=round(1000 * seconds_per_frame),
                loop=0,
                **({"lossless": True} if kind == ".webp" else {}),
            )


def _write_mp4(path, frames, seconds_per_frame):
    import av

    # With colour at half the resolution, as players expect it, the sides must be even.
    width, height = (side + side % 2 for side in frames[0].size)
    # Its name may have a colon, which without "file:" would make it an address.
    with av.open(f"file:{path}", "w") as film:
        rate = fractions.Fraction(1 / seconds_per_frame).limit_denominator(1000)
        stream = film.add_stream("libx264", rate=rate, options={"crf": "14"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            pixels = np.asarray(frame.convert("RGB"))
            spare = ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0))
            pixels = np.pad(pixels, spare, mode="edge")
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        film.mux(stream.encode())


@contextlib.contextmanager
def _atomic_write(path):
    """Yields a path beside `path` to write to; on success it takes the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
