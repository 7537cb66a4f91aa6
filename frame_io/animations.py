"""Animated images, written frame by frame: GIF, WebP and APNG that loop forever.

Pillow encodes the frames, and this puts them into the file one at a time, because Pillow's own
`save_all` holds all of them. Equal neighbours become one frame that is shown as long as both. Of
every frame but the first, the smallest box that holds all changes is stored.

- GIF: GIF89a specification (CompuServe, 1990). One palette for all frames, see
  `frame_io.palettes`; frames wait in a temporary file until it is known.
- WebP: WebP Container Specification (Google); lossless.
- APNG: Portable Network Graphics, Third Edition (W3C, 2025), chunks acTL, fcTL and fdAT.
"""

import fractions
import io
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import PIL.Image

from frame_io.palettes import Colors

_GIF_DATA = (
    13 + 3 * 256 + 10
)  # After the header, a palette of 256 greys and the image's own header.
_MAX_UINT16 = 2**16 - 1
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write(path, frames, seconds_per_frame):
    """Writes an animation in the format of the extension of `path`.

    Args:
        path: a `Path` that ends in .apng, .gif or .webp.
        frames: uint8 [H, W, C], C 1, 3 or, but for GIF, 4 (RGBA); all of one shape; one at least.
        seconds_per_frame: how long each is shown. Delays are rounded so that their sum is right.

    Returns:
        The number of frames that a viewer shows.
    """
    write_frames = {".apng": _write_apng, ".gif": _write_gif, ".webp": _write_webp}
    seconds = fractions.Fraction(seconds_per_frame)
    with open(path, "wb") as file:
        return write_frames[path.suffix.lower()](file, frames, seconds)


def picture(pixels):
    """Returns a frame, uint8 [H, W, C], as a `PIL.Image.Image`."""
    return PIL.Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _changes(frames, seconds, even=False):
    """Yields what changes from frame to frame, equal neighbours joined.

    Args:
        frames: as for `write`.
        seconds: for each frame, a `Fraction`.
        even: whether boxes have to begin at even pixels.

    Yields:
        The frame before, None at first; the frame; left, top, right and bottom of the box that
        holds all changes, at first the whole; and from when to when it is shown, in seconds.
    """
    before, number = None, 0
    for frame, count in _runs(frames):
        yield before, frame, _box(before, frame, even), number * seconds, (number + count) * seconds
        before, number = frame, number + count


def _runs(frames):
    """Yields each frame that differs from the one before, and how often it comes in a row."""
    shown, count = None, 0
    for frame in frames:
        if count and not np.array_equal(frame, shown):
            yield shown, count
            count = 0
        shown, count = frame, count + 1
    yield shown, count


def _box(before, frame, even):
    if before is None:
        return 0, 0, frame.shape[1], frame.shape[0]
    changed = (before != frame).any(axis=-1)
    (top, bottom), (left, right) = (
        np.flatnonzero(changed.any(axis=axis))[[0, -1]] for axis in (1, 0)
    )
    step = 2 if even else 1
    return int(left) // step * step, int(top) // step * step, int(right) + 1, int(bottom) + 1


def _cut(frame, box):
    left, top, right, bottom = box
    return frame[top:bottom, left:right]


# ---- GIF ----------------------------------------------------------------------------------------


def _write_gif(file, frames, seconds):
    with tempfile.TemporaryFile(dir=Path(file.name).parent) as kept:
        colors = Colors()
        for frame in frames:
            colors.add(frame)
            packed = zlib.compress(frame.tobytes(), 1)
            kept.write(struct.pack("<I", len(packed)) + packed)
        kept.seek(0)
        palette, to_indices = colors.palette()
        _write_gif_header(file, frame.shape, palette)
        count, as_before = 0, len(palette)
        indices = map(to_indices, _unpacked(kept, frame.shape))
        for before, frame, box, begin, end in _changes(indices, seconds):
            drawn = _cut(frame, box)
            if before is not None:
                drawn = np.where(drawn == _cut(before, box), np.uint8(as_before), drawn)
            delay = min(round(100 * end) - round(100 * begin), _MAX_UINT16)
            _write_gif_frame(file, drawn, box, delay, as_before)
            count += 1
    file.write(b";")
    return count


def _unpacked(file, shape):
    while size := file.read(4):
        packed = file.read(*struct.unpack("<I", size))
        yield np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape)


def _write_gif_header(file, shape, palette):
    """The header of a looping file: a palette, uint8 [N, 3], and one more entry."""
    bits = max(1, len(palette).bit_length())
    file.write(b"GIF89a")
    file.write(struct.pack("<HHBBB", shape[1], shape[0], 0x80 | 0x70 | (bits - 1), 0, 0))
    file.write(palette.tobytes().ljust(3 << bits, b"\0"))
    file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")


def _write_gif_frame(file, indices, box, delay, as_before):
    """Writes indices, uint8 [h, w, 1], into a box; `as_before` is that of no change."""
    encoded = io.BytesIO()
    picture(indices).save(encoded, "GIF", optimize=False, interlace=0)
    left, top, right, bottom = box
    # Shown over what is there (1 << 2), with a transparent colour (1).
    file.write(b"!\xf9\x04" + struct.pack("<BHBB", 1 << 2 | 1, delay, as_before, 0))
    file.write(b"," + struct.pack("<4HB", left, top, right - left, bottom - top, 0))
    file.write(encoded.getbuffer()[_GIF_DATA:-1])


# ---- WebP ---------------------------------------------------------------------------------------


def _write_webp(file, frames, seconds):
    count = 0
    for _, frame, box, begin, end in _changes(frames, seconds, even=True):
        if not count:
            has_alpha = frame.shape[-1] == 4
            canvas = _uint24(frame.shape[1] - 1) + _uint24(frame.shape[0] - 1)
            _write_webp_chunk(file, b"VP8X", bytes([0x10 * has_alpha | 0x02, 0, 0, 0]) + canvas)
            _write_webp_chunk(file, b"ANIM", bytes(6))  # No background; loops forever.
        left, top, right, bottom = box
        still = io.BytesIO()
        picture(_cut(frame, box)).save(still, "WEBP", lossless=True, method=0)
        numbers = (left // 2, top // 2, right - left - 1, bottom - top - 1)
        delay = round(1000 * end) - round(1000 * begin)
        head = b"".join(map(_uint24, (*numbers, delay))) + b"\x02"  # Replaces what is below.
        _write_webp_chunk(file, b"ANMF", head + still.getvalue()[12:])
        count += 1
    size = file.tell()
    file.seek(0)
    file.write(b"RIFF" + struct.pack("<I", size - 8) + b"WEBP")
    return count


def _write_webp_chunk(file, name, content):
    if not file.tell():
        file.write(bytes(12))  # The place of the file's header.
    file.write(name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2))


def _uint24(number):
    return struct.pack("<I", number)[:3]


# ---- APNG ---------------------------------------------------------------------------------------


def _write_apng(file, frames, seconds):
    count = numbered = 0
    for _, frame, box, begin, end in _changes(frames, seconds):
        chunks = _png_chunks(picture(_cut(frame, box)))
        if not count:
            file.write(_PNG_SIGNATURE)
            _write_png_chunk(file, b"IHDR", *chunks[b"IHDR"])
            place = file.tell()
            _write_png_chunk(file, b"acTL", bytes(8))
        left, top, right, bottom = box
        control = struct.pack(">5I", numbered, right - left, bottom - top, left, top)
        _write_png_chunk(file, b"fcTL", control + _png_delay(end - begin) + bytes(2))
        numbered += 1
        for data in chunks[b"IDAT"]:
            if count:
                _write_png_chunk(file, b"fdAT", struct.pack(">I", numbered) + data)
                numbered += 1
            else:
                _write_png_chunk(file, b"IDAT", data)
        count += 1
    _write_png_chunk(file, b"IEND", b"")
    file.seek(place)
    _write_png_chunk(file, b"acTL", struct.pack(">2I", count, 0))
    return count


def _png_chunks(still):
    """The contents of a picture's PNG chunks, a list for each name."""
    file = io.BytesIO()
    still.save(file, "PNG")
    content, chunks, place = file.getbuffer(), {}, len(_PNG_SIGNATURE)
    while place < len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        chunks.setdefault(name, []).append(bytes(content[place + 8 : place + 8 + size]))
        place += size + 12
    return chunks


def _write_png_chunk(file, name, content):
    checksum = zlib.crc32(name + content)
    file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum))


def _png_delay(seconds):
    """A time as PNG's fraction of two 16-bit numbers."""
    nearest = seconds.limit_denominator(max(1, int(_MAX_UINT16 / max(seconds, 1))))
    return struct.pack(">2H", min(nearest.numerator, _MAX_UINT16), nearest.denominator)
