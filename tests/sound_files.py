"""Sounds for the tests: tones, as every kind of file."""

import struct

import numpy as np
import pytest

RATE = 16_000


def sine(frequency=440.0, seconds=0.5, rate=RATE, level=0.5):
    """float64 [samples]."""
    return level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def wav(path, data, rate=RATE, width=2, channels=1, kind=1, declared=None):
    """Writes a WAV of raw `data`; kind 1 is whole numbers, 3 floats."""
    size = len(data) if declared is None else declared
    head = struct.pack(
        "<HHIIHH", kind, channels, rate, rate * channels * width, channels * width, 8 * width
    )
    path.write_bytes(
        b"RIFF"
        + struct.pack("<I", 36 + size)
        + b"WAVEfmt "
        + struct.pack("<I", len(head))
        + head
        + b"data"
        + struct.pack("<I", size)
        + data
    )
    return path


def encoded(path, samples, codec, rate=RATE, layout="mono"):
    """Writes samples [channels, S] as PyAV's codec of that name does."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples, np.float32), format="fltp", layout=layout
        )
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return path
