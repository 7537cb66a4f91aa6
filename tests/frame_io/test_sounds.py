"""Sounds of every kind are read as mono at 16 kHz; what is none gets one line."""

import os

import numpy as np
import pytest

from frame_io import sounds
from frame_io.errors import InputError
from tests.footage_files import FRAMES, write_video
from tests.hostile_files import playlists
from tests.sound_files import encoded, sine, wav

pytest.importorskip("av")

TONE = sine()
S16 = np.int16(np.rint(32767 * TONE)).tobytes()


def spectrum_peak(samples):
    """The loudest frequency of the middle quarter of a second in Hz, and a sine's amplitude."""
    samples = samples[(len(samples) - 4000) // 2 :][:4000]
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) / (len(samples) / 4)
    return np.argmax(spectrum) * sounds.SAMPLE_RATE / len(samples), spectrum.max()


def as_s24(samples):
    whole = np.rint(samples * (2**23 - 1)).astype("<i4")
    return whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


WAVS = {
    "16 bits": {"data": S16},
    "8 bits": {"data": np.uint8(np.rint(128 + 127 * TONE)).tobytes(), "width": 1},
    "24 bits": {"data": as_s24(TONE), "width": 3},
    "floats": {"data": TONE.astype("<f4").tobytes(), "width": 4, "kind": 3},
    "192 kHz": {"data": sine(rate=192_000).astype("<f4").tobytes(), "width": 4, "kind": 3}
    | {"rate": 192_000},
    "stereo, one side silent": {
        "data": np.stack([2 * TONE, 0 * TONE], 1).astype("<f4").tobytes(),
        **{"width": 4, "kind": 3, "channels": 2},
    },
    "8 kHz": {"data": np.int16(np.rint(32767 * sine(rate=8000))).tobytes(), "rate": 8000},
    "a lie about its length": {"data": S16, "declared": 2 * 10**9},
}


@pytest.mark.parametrize("settings", WAVS.values(), ids=WAVS)
def test_wav_of_any_kind(tmp_path, settings):
    samples = sounds.read(wav(tmp_path / "a.wav", **settings))
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(8000, abs=20)
    frequency, amplitude = spectrum_peak(samples)
    assert frequency == pytest.approx(440, abs=4)
    assert amplitude == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.flac", "flac"), ("a.ogg", "libopus"), ("a.mp3", "mp3"), ("a.m4a", "aac")],
)
def test_other_files(tmp_path, name, codec):
    frequency, amplitude = spectrum_peak(sounds.read(_encoded(tmp_path / name, codec)))
    assert frequency == pytest.approx(440, abs=4)
    assert amplitude == pytest.approx(0.5, abs=0.05)


def _encoded(path, codec):
    av = pytest.importorskip("av")
    kind = {"flac": "s16", "libopus": "s16", "mp3": "s16p", "aac": "fltp"}[codec]
    samples = np.frombuffer(S16, np.int16) if kind != "fltp" else np.float32(TONE)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format=kind, layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_sound_of_a_video(tmp_path):
    encoded(tmp_path / "sound.mkv", TONE[np.newaxis], "aac")
    assert spectrum_peak(sounds.read(tmp_path / "sound.mkv"))[0] == pytest.approx(440, abs=4)
    silent = write_video(tmp_path / "silent.mp4", FRAMES)
    with pytest.raises(ValueError, match=r"silent.mp4: has no sound$"):
        sounds.read(silent)


def test_direct_current_stays_as_it_is(tmp_path):
    data = np.full(1000, 8192, "<i2").tobytes()
    np.testing.assert_allclose(sounds.read(wav(tmp_path / "dc.wav", data)), 0.25)


def hostile(folder):
    """Files that are no sounds, and what is said of them."""
    broken = TONE.astype("<f4")
    broken[777] = np.nan
    flac = _encoded(folder / "whole.flac", "flac").read_bytes()
    files = {
        "text.wav": (b"hello " * 100, "not a readable sound, or damaged"),
        "empty.wav": (b"", "not a readable sound, or damaged"),
        "picture.wav": (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a readable sound, or damaged"),
        "cut.flac": (flac[: len(flac) // 2], "damaged"),
        **{name: (text.encode(), "not a readable") for name, text in playlists("x").items()},
    }
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    wavs = {
        "none.wav": ({"data": b""}, "has no samples"),
        "nan.wav": ({"data": broken.tobytes(), "width": 4, "kind": 3}, "NaN or infinite"),
        "no_rate.wav": ({"data": S16, "rate": 0}, "not a readable sound"),
        "no_channels.wav": ({"data": S16, "channels": 0}, "0 channels"),
        "long.wav": ({"data": b"", "width": 1, "declared": 10**9}, "longer than 3600 s"),
    }
    for name, (settings, _) in wavs.items():
        wav(folder / name, **settings)
    os.truncate(folder / "long.wav", 44 + 10**9)  # As large as it says; sparse on disk.
    return {name: said for table in (files, wavs) for name, (_, said) in table.items()}


def test_hostile_files_get_one_line(tmp_path):
    for name, said in hostile(tmp_path).items():
        with pytest.raises(ValueError, match=said) as caught:
            sounds.read(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_a_long_file_is_streamed(tmp_path):
    path = wav(tmp_path / "long.wav", b"", width=1, declared=10**8)
    os.truncate(path, 44 + 10**8)
    assert sounds.duration(path) == 6250.0
    assert len(next(sounds.stream(path))) < 10**5


@pytest.mark.parametrize("suffix", sounds.WRITABLE)
def test_written_and_read_again(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    sounds.write(path, TONE)
    samples = sounds.read(path)
    if suffix in (".wav", ".flac"):
        np.testing.assert_allclose(samples, TONE, atol=1e-4)
    else:  # Opus shifts phases, and its files are a few milliseconds longer.
        assert len(samples) == pytest.approx(len(TONE), abs=200)
        assert spectrum_peak(samples) == pytest.approx((440, 0.5), abs=4)
        assert spectrum_peak(samples)[1] == pytest.approx(0.5, abs=0.03)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_is_too_loud_becomes_quieter(tmp_path):
    sounds.write(tmp_path / "a.wav", 4 * TONE)
    np.testing.assert_allclose(sounds.read(tmp_path / "a.wav"), 2 * TONE, atol=1e-4)


def test_unknown_ending(tmp_path):
    with pytest.raises(InputError, match=r"must end in one of .wav, .flac, .ogg, .opus"):
        sounds.write(tmp_path / "a.xyz", TONE)
