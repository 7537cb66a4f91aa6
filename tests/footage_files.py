"""Footage for the tests: a square that moves, as every kind of file."""

import fractions
import struct

import numpy as np
import PIL.Image
import pytest

from frame_io import footage


def moving_square(count, height=48, width=64):
    """[count, height, width, 3] uint8: a red square goes to and fro below a blue bar, on grey."""
    frames = np.full((count, height, width, 3), 60, np.uint8)
    frames[:, : height // 8] = (0, 0, 255)
    for i, frame in enumerate(frames):
        left = abs((2 * i + width - 8) % (2 * (width - 8)) - (width - 8))
        frame[height // 2 : height // 2 + 8, left : left + 8] = (255, 0, 0)
    return frames


FRAMES = moving_square(24)


def write_video(path, frames, rate=30, codec="libx264", pixels="yuv420p", times_ms=None, **more):
    """Writes frames [K, H, W, 3 or 4] as a video.

    `more`: rotation; container options; `encoding`, options of the codec; `prepare`, a function of
    the stream; `convert`, a function of each frame before it is encoded.
    """
    av = pytest.importorskip("av")
    with av.open(str(path), "w", options=more.get("options", {})) as container:
        options = {"crf": "12", "preset": "ultrafast"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=rate, options=options | more.get("encoding", {}))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        if "prepare" in more:
            more["prepare"](stream)
        if "rotation" in more:
            stream.set_display_rotation(more["rotation"])
        if times_ms is not None:
            stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(
                frame, format="rgba" if frame.shape[-1] == 4 else "rgb24"
            )
            if times_ms is not None:
                picture.pts, picture.time_base = int(times_ms[i]), fractions.Fraction(1, 1000)
            container.mux(stream.encode(more.get("convert", lambda same: same)(picture)))
        container.mux(stream.encode())
    return path


def trim(path, first, count, rate=30):
    """Has the edit list of an MP4 show `count` frames only, from number `first` on."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        ticks = int(1 / container.streams.video[0].time_base) // rate
    content = bytearray(path.read_bytes())
    entry = content.index(b"elst") + 12
    begins = struct.unpack(">i", content[entry + 4 : entry + 8])[0]
    content[entry : entry + 8] = struct.pack(
        ">Ii",
        count * 1000 // rate,
        begins + first * ticks,  # The former in milliseconds.
    )
    path.write_bytes(content)
    return path


def write_folder(path, frames):
    """Writes frames as frame_1.png, frame_2.png, …"""
    path.mkdir()
    for i, frame in enumerate(frames, 1):
        PIL.Image.fromarray(frame).save(path / f"frame_{i}.png")
    return path


def write_animation(path, frames, milliseconds=50, **more):
    """Writes frames as a GIF, a WebP or an APNG; `more`: options of Pillow."""
    first, *rest = [PIL.Image.fromarray(frame) for frame in frames]
    more |= {"lossless": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=rest, duration=milliseconds, loop=0, **more)
    return path


def everything(folder):
    """The bytes of every file below a folder, by its path there."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_frames(path, **wanted):
    """All chosen frames as RGB arrays."""
    clip = footage.look(path)
    chosen = footage.select(clip.times, **wanted)
    pairs = list(clip.pictures(chosen))
    assert [place for place, _ in pairs] == list(range(len(chosen)))
    return np.stack([np.asarray(picture.convert("RGB")) for _, picture in pairs])


def where(frames):
    """The number of the frame of FRAMES that each frame shows."""
    difference = np.abs(frames[:, None].astype(int) - FRAMES[None]).mean(axis=(2, 3, 4))
    assert difference.min(axis=1).max() < 12
    return difference.argmin(axis=1)
