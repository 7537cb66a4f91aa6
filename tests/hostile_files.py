"""Files that no camera and no training writes, as small as what they would do is large."""

import struct
import zlib
from pathlib import Path

from hypothesis import HealthCheck, settings

# Few examples of a property, the same ones every time.
QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def chunk(kind, content):
    """A chunk of a PNG."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width, height, bits, colour_type, frames=0):
    """A PNG, all 0 bits; with `frames` its header says that it is an animation of so many."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    left = height * (1 + (width * samples * bits + 7) // 8)
    squeeze, packed = zlib.compressobj(9), b""
    while left:
        packed += squeeze.compress(bytes(min(left, 2**20)))
        left -= min(left, 2**20)
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    animation = chunk(b"acTL", struct.pack(">II", frames, 0)) if frames else b""
    first = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 10, 0, 0))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            animation + first if frames else b"",
            chunk(b"IDAT", packed + squeeze.flush()),
            chunk(b"IEND", b""),
        ]
    )


def png_of(rows, width, bits, colour_type, more=b""):
    """A PNG of rows of bytes, with more chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [chunk(b"IHDR", header), more, chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def transparent_colour(*samples):
    """The chunk of a PNG that names one: a grey, or red, green and blue."""
    return chunk(b"tRNS", struct.pack(f">{len(samples)}H", *samples))


def gif(width, height, hundredths):
    """A GIF of frames that change one pixel and stand for some hundredths of a second each."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    pixel = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    frames = [b"\x21\xf9\x04\x00" + struct.pack("<H", h) + b"\0\0" + pixel for h in hundredths]
    return head + b"".join(frames) + b";"


def playlists(target):
    """Texts that FFmpeg takes for footage, and then opens `target`: {name: text}."""
    target = Path(target)
    return {
        "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.8,\n"
        f"file://{target.resolve()}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile {target.name}\n",
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "art.txt": "text, which FFmpeg draws\n" * 200,
    }


def outcome_of(function, *arguments):
    """What a function returns, or the message of the ValueError that it raises."""
    try:
        return function(*arguments)
    except ValueError as error:
        return str(error)
