"""The sound of one video in another: copied, converted, stretched, cut; its times and its pitch."""

from fractions import Fraction

import numpy as np
import pytest

from frame_io import writing
from frame_io.errors import InputError
from frame_io.sound_tracks import Sound

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


def write(path, count, rate, sound):
    frames = (np.full((16, 16, 3), i % 256, np.uint8) for i in range(count))
    return writing.write(path, frames, Fraction(1, rate), sound=sound)


@pytest.mark.parametrize(
    ("source", "codec", "kind", "told"),
    [
        ("a.mp4", "aac", ".mp4", "sound copied (aac)"),
        ("a.mp4", "aac", ".mkv", "sound copied (aac)"),
        ("a.mp4", "aac", ".webm", "sound converted (aac to opus)"),
        ("a.mkv", "flac", ".mkv", "sound copied (flac)"),
        ("a.mov", "pcm_s16le", ".mov", "sound copied (pcm_s16le)"),
        ("a.mov", "pcm_s16le", ".mp4", "sound converted (pcm_s16le to aac)"),
        ("a.webm", "libopus", ".webm", "sound copied (opus)"),
    ],
)
def test_sound_of_the_same_length(tmp_path, source, codec, kind, told):
    write_toned(tmp_path / source, codec, "libvpx-vp9" if source == "a.webm" else "libx264")
    written = write(tmp_path / f"b{kind}", 200, 50, Sound(tmp_path / source))
    assert written.sound == told
    new, begins, ends, pitch, length = heard(tmp_path / f"b{kind}")
    assert new in told
    np.testing.assert_allclose((begins, ends, length), (*SILENCE, SECONDS), atol=0.03)
    assert abs(pitch - HERTZ) < 1


@pytest.mark.parametrize("kind", [".mp4", ".mkv", ".webm"])
def test_a_part_of_the_sound(tmp_path, kind):
    write_toned(tmp_path / "a.mp4", "aac")
    write(tmp_path / f"b{kind}", 100, 50, Sound(tmp_path / "a.mp4", start=1.0, end=3.0))
    _, begins, ends, _, length = heard(tmp_path / f"b{kind}")
    np.testing.assert_allclose((begins, ends, length), (1.0, 1.5, 2.0), atol=0.03)


@pytest.mark.parametrize(
    ("slower", "kind", "atol"), [(0.5, ".mp4", 0.03), (2, ".mkv", 0.04), (4, ".webm", 0.1)]
)
def test_stretched_sound_keeps_its_pitch_and_its_times(tmp_path, slower, kind, atol):
    write_toned(tmp_path / "a.mp4", "aac")
    path = tmp_path / f"b{kind}"
    written = write(path, round(100 * slower), 25, Sound(tmp_path / "a.mp4", slower=slower))
    assert written.sound == f"sound {slower} times as long ({'opus' if slower == 4 else 'aac'})"
    _, begins, ends, pitch, length = heard(path)
    expected = [slower * second for second in (*SILENCE, SECONDS)]
    np.testing.assert_allclose((begins, ends, length), expected, atol=atol)
    assert abs(pitch - HERTZ) < 3


def test_sound_that_cannot_be_read_leaves_nothing(tmp_path):
    path = write_toned(tmp_path / "a.mkv", "flac")
    path.write_bytes(b"no video")
    with pytest.raises(InputError, match=r"a\.mkv: not a readable video"):
        write(tmp_path / "b.mp4", 10, 25, Sound(path))
    assert [file.name for file in tmp_path.iterdir()] == ["a.mkv"]
