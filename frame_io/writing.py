"""Writes frames as an animation, a video or pictures: whole or not at all."""

import fractions
import os
import re
from pathlib import Path

import numpy as np
import PIL.Image
from absl import flags

from frame_io.errors import InputError
from frame_io.files import atomic_write

_ANIMATED = {".apng": "PNG", ".gif": "GIF", ".webp": "WEBP"}
_WRITABLE = (*_ANIMATED, ".mp4", ".png")


def check_writable(path, sources=()):
    """Raises `InputError` if `write` could not write a file of this name.

    Nor may it be one of `sources`, the paths (or None) that are read.
    """
    path = Path(path)
    sources = [source for source in sources if source and Path(source).exists()]
    if path.exists() and any(path.samefile(source) for source in sources):
        raise InputError(f"--output={path}: is the input itself; name another file")
    if path.suffix.lower() not in _WRITABLE:
        raise InputError(f"{path}: the name must end in one of {', '.join(_WRITABLE)}")
    if "%" in path.name and not _is_numbered(path):
        raise InputError(f"{path}: % must be a number's, such as %04d, in the name of a .png")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise InputError(f"{path}: cannot be written: {parent} is no folder that you may write to")
    if path.suffix.lower() == ".mp4":
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
        "Where to: .gif, .webp, .apng, .mp4, .png (a strip) or %04d.png.",
        required=required,
    )
    flags.DEFINE_integer("scale", 1, "Pixels drawn for every pixel of a frame.", 1, 64)


def write(path, frames, seconds_per_frame=0.1, scale=1):
    """Writes frames as the ending of `path` says.

    Args:
        path: ends in .gif, .webp or .apng (animations that loop), .mp4 (H.264) or .png: all side
            by side, or with a number in the name, such as %04d.png, each in a file, from 1 on.
        frames: uint8 [H, W, C], C 1 or 3, all of one size, in anything that yields one or more. A
            video is written as they come.
        seconds_per_frame: how long each is shown.
        scale: whole number of pixels drawn for every pixel.

    Returns:
        The number of frames that a viewer shows. An animation may have fewer than were given: equal
        neighbours become one frame that is shown as long as both.

    Raises:
        InputError: for a name that `check_writable` refuses.
        OSError: if it cannot be written.
    """
    check_writable(path)
    kind = Path(path).suffix.lower()
    frames = (frame.repeat(scale, axis=0).repeat(scale, axis=1) for frame in frames)
    if _is_numbered(path):
        number = 0
        for number, frame in enumerate(frames, 1):
            with atomic_write(Path(path).with_name(Path(path).name % number)) as beside:
                _picture(frame).save(beside)
        return number
    with atomic_write(path) as beside:
        if kind == ".mp4":
            return _write_mp4(beside, frames, seconds_per_frame)
        if kind == ".png":
            frames = list(frames)
            _picture(np.concatenate(frames, axis=1)).save(beside)
            return len(frames)
        _write_animation(beside, _ANIMATED[kind], map(_picture, frames), seconds_per_frame)
        with PIL.Image.open(beside) as animation:
            return animation.n_frames


def _is_numbered(path):
    """Whether a path is one of a .png with one %d, or %04d, in its name."""
    name = Path(path).name
    return name.lower().endswith(".png") and bool(re.fullmatch(r"[^%]*%(0?\d+)?d[^%]*", name))


def _write_animation(path, kind, pictures, seconds_per_frame):
    first, *rest = pictures
    first.save(
        path,
        format=kind,
        save_all=True,
        append_images=rest,
        duration=round(1000 * seconds_per_frame),
        loop=0,
        **({"lossless": True} if kind == "WEBP" else {}),
    )


def _write_mp4(path, frames, seconds_per_frame):
    """Returns the number of frames."""
    import av

    rate = fractions.Fraction(1 / seconds_per_frame).limit_denominator(1000)
    # Its name may have a colon, which without "file:" would make it an address.
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "14"})
        stream.pix_fmt = "yuv420p"
        count = 0
        for count, frame in enumerate(frames, 1):
            height, width = frame.shape[:2]
            # With colour at half the resolution, as players expect it, the sides must be even.
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            if count == 1:
                stream.height, stream.width = frame.shape[:2]
            pixels = np.repeat(frame, 3, -1) if frame.shape[-1] == 1 else frame
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return count


def _picture(pixels):
    return PIL.Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
