"""Video files, written with PyAV as frames come, with or without the sound of another.

H.264 in MP4, MOV and MKV, VP9 in WebM; with alpha VP9 in WebM and ProRes 4444 in MOV. Colours are
converted with BT.709's matrix to limited range, and tagged so, at every size.
"""

import fractions
import itertools
import math

import numpy as np

from frame_io import sound_tracks

KINDS = (".mp4", ".mov", ".mkv", ".webm")
ALPHA_KINDS = (".mov", ".webm")

_H264 = ("libx264", "yuv420p", {"crf": "14"})
# Good, at a fifth of the time of the default speed.
_VP9 = {"crf": "18", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
_OPAQUE = {kind: _H264 for kind in KINDS} | {".webm": ("libvpx-vp9", "yuv420p", _VP9)}
_ALPHA = {
    ".mov": ("prores_ks", "yuva444p10le", {}),
    ".webm": ("libvpx-vp9", "yuva420p", {**_VP9, "auto-alt-ref": "0"}),
}
_BT709 = 1  # The number of its matrix, its primaries and its transfer.
_LIMITED = 1


def write(path, frames, seconds_per_frame, sound=None):
    """Writes a video in the format of the extension of `path`.

    Args:
        path: a `Path` that ends in one of `KINDS`.
        frames: uint8 [H, W, C], C 1, 3 or, for `ALPHA_KINDS`, 4 (RGBA); all of one shape; one at
            least. H.264 needs even sides, so the last row or column of an odd one is doubled.
        seconds_per_frame: how long each is shown.
        sound: a `Sound`, or None.

    Returns:
        The number of frames, (H, W) of the video, and a text about the sound.

    Raises:
        InputError: if the sound cannot be read.
    """
    import av

    kind = path.suffix.lower()
    first, frames = _peek(frames)
    codec, pixels, options = (_ALPHA if first.shape[-1] == 4 else _OPAQUE)[kind]
    rate = 1 / fractions.Fraction(seconds_per_frame).limit_denominator(1_000_000)
    even = codec == "libx264"
    said, packets = "no sound", iter(())
    # Its name may have a colon, which without "file:" would make it an address.
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.pix_fmt = pixels
        stream.height, stream.width = _padded(first, even).shape[:2]
        _tag(stream.codec_context)
        if sound is not None:
            packets, said = sound_tracks.add(container, kind, sound)
        packets, count = _Until(packets), 0
        for count, frame in enumerate(frames, 1):
            container.mux(stream.encode(_converted(_padded(frame, even), pixels)))
            for packet in packets(float(count / rate)):
                container.mux(packet)
        container.mux(stream.encode())
        for packet in packets(math.inf):
            container.mux(packet)
        return count, (stream.height, stream.width), said


def _peek(frames):
    frames = iter(frames)
    first = next(frames)
    return first, itertools.chain([first], frames)


def _padded(frame, even):
    height, width = frame.shape[:2]
    if not even or not (height % 2 or width % 2):
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _converted(frame, pixels):
    import av
    from av.video.reformatter import ColorRange, Colorspace

    if frame.shape[-1] == 1:
        frame = frame.repeat(3, axis=-1)
    kind = "rgba" if frame.shape[-1] == 4 else "rgb24"
    converted = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=kind).reformat(
        format=pixels, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    _tag(converted)
    return converted


def _tag(of):
    of.colorspace = of.color_primaries = of.color_trc = _BT709
    of.color_range = _LIMITED


class _Until:
    """Calling it with a time yields the packets of (time, packet) pairs that come before it."""

    def __init__(self, packets):
        self._packets, self._next = packets, None

    def __call__(self, seconds):
        while True:
            self._next = self._next or next(self._packets, None)
            if self._next is None or self._next[0] > seconds:
                return
            packet, self._next = self._next[1], None
            yield packet
