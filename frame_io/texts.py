"""Lines of text as frames: UTF-8 bytes, uint8 [length, 1, 1], padded with zeros; files of lines."""

import re
import unicodedata
from pathlib import Path

import numpy as np

MAX_FILE_BYTES = 2**26
_LINE_END = re.compile(rb"\r\n|\n|\r")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def to_frame(line, length, where="line"):
    """Returns a line of text as a frame, uint8 [length, 1, 1].

    Args:
      line: a str.
      length: bytes of a frame.
      where: what the line is, for messages.

    Raises:
      ValueError: if the line is empty, is longer than a frame, or holds a line end or another
        control character; it says where.
    """
    control = next((i for i, letter in enumerate(line) if _is_control(letter)), None)
    if control is not None:
        raise ValueError(
            f"{where}: has the control character U+{ord(line[control]):04X} at column "
            f"{control + 1}; must be one line of printable text"
        )
    try:
        encoded = line.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{where}: is not Unicode text at column {error.start + 1}") from None
    if not encoded.strip():
        raise ValueError(f"{where}: is empty")
    if len(encoded) > length:
        raise ValueError(f"{where}: is {len(encoded)} bytes long; at most {length} fit a frame")
    frame = np.zeros(length, np.uint8)
    frame[: len(encoded)] = np.frombuffer(encoded, np.uint8)
    return frame[:, np.newaxis, np.newaxis]


def to_line(frame):
    """Returns the text of a frame, uint8 [length, 1, 1], up to its first zero.

    Bytes that are not UTF-8 become U+FFFD, and so do control characters, which could affect a
    terminal.
    """
    encoded = np.asarray(frame, np.uint8).tobytes().partition(b"\0")[0]
    line = encoded.decode(errors="replace")
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_control(c) else c for c in line)


def _is_control(letter):
    """Whether it is a control character, or U+2028 or U+2029, which end a line."""
    return unicodedata.category(letter) in ("Cc", "Zl", "Zp")


def read_line(path, length):
    """Returns the frame of a file that holds one line of text; raises as `read_clips`."""
    clips = read_clips(path, length)
    if len(clips) != 1 or len(clips[0]) != 1:
        count = sum(map(len, clips))
        raise ValueError(f"{path}: has {count} lines; must have one")
    return clips[0][0]


def read_clips(path, length):
    """Reads a file of lines: lines in order are a clip, an empty line begins the next.

    UTF-8, with or without a byte order mark; lines end with LF, CR LF or CR. Spaces at the ends of
    a line are dropped.

    Args:
      path: of the file.
      length: bytes of a frame.

    Returns:
      A list of clips, each uint8 [K, length, 1, 1], K at least 1.

    Raises:
      ValueError: if it cannot be read, is not UTF-8, has an invalid line (the message has its
          number), or has no line.
    """
    content = _read(path)
    if content.startswith(_UTF_16):
        raise ValueError(f"{path}: is UTF-16 text; save it as UTF-8")
    clips = [[]]
    lines = _LINE_END.split(content.removeprefix(b"\xef\xbb\xbf"))
    for number, encoded in enumerate(lines, 1):
        where = f"{path}, line {number}"
        encoded = encoded.strip(b" ")
        if len(encoded) > length:
            raise ValueError(f"{where}: is {len(encoded)} bytes long; at most {length} fit a frame")
        try:
            line = encoded.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{where}: is not UTF-8 (byte {error.start + 1} is 0x{encoded[error.start]:02X})"
            ) from None
        if line:
            clips[-1].append(to_frame(line, length, where))
        elif clips[-1]:
            clips.append([])
    if not clips[0]:
        raise ValueError(f"{path}: has no line of text")
    return [np.stack(clip) for clip in clips if clip]


def _read(path):
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{path}: more than {MAX_FILE_BYTES:,} bytes; cut it into smaller files")
    return content
