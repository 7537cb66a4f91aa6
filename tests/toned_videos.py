"""Videos with sound for the tests: a tone that pauses, and what is heard of it again."""

import numpy as np
import pytest

av = pytest.importorskip("av")

HERTZ, RATE, SECONDS = 440, 48_000, 4
SILENCE = (2.0, 2.5)  # When the tone pauses.


def write_toned(path, codec, video_codec="libx264"):
    """A video of 25 frames a second with a tone that pauses."""
    times = np.arange(SECONDS * RATE) / RATE
    tone = 8000 * np.sin(2 * np.pi * HERTZ * times)
    tone *= (times < SILENCE[0]) | (times > SILENCE[1])
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=25)
        video.width = video.height = 16
        video.pix_fmt = "yuv420p"
        audio = container.add_stream(codec, rate=RATE, layout="mono")
        for i, samples in enumerate(tone.astype(np.int16).reshape(SECONDS * 25, 1, -1)):
            picture = np.full((16, 16, 3), 2 * i, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, i * samples.shape[1]
            container.mux(audio.encode(frame))
        container.mux(video.encode())
        container.mux(audio.encode())
    return path


def heard(path):
    """Of a file's sound: codec, when the pause begins and ends, pitch before it in Hz, length.

    Times are in seconds from the first frame of the video on.
    """
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        codec = stream.codec_context.codec.canonical_name
        first = min(
            packet.pts * packet.time_base for packet in container.demux(video=0) if packet.size
        )
        container.seek(0)
        wave = np.zeros(60 * stream.rate)
        for frame in container.decode(stream):
            samples = frame.to_ndarray()[0].astype(float)
            begin = round(float(frame.pts * frame.time_base - first) * stream.rate)
            wave[max(begin, 0) :][: len(samples) + min(begin, 0)] = samples[max(-begin, 0) :]
        rate = stream.rate
    window = np.ones(rate // 100) / (rate // 100)
    loud = np.convolve(np.abs(wave), window, "same") > 0.15 * np.abs(wave).max()
    edges = np.flatnonzero(np.diff(loud.astype(int))) / rate
    edges = edges[edges > 0.3]
    before = wave[int(0.1 * rate) : int((edges[0] - 0.1) * rate)]
    spectrum = np.abs(np.fft.rfft(before * np.hanning(len(before)), 16 * rate))
    pause = edges[0], next(edge for edge in edges if edge > edges[0] + 0.2)
    return codec, *pause, spectrum.argmax() / 16, edges[-1]
