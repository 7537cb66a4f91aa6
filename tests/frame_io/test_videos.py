"""Videos of every kind that people have, whole, trimmed and cut off."""

import builtins
import fractions

import numpy as np
import pytest
from footage_files import FRAMES, moving_square, read_frames, trim, where, write_video

from frame_io import footage, pictures


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p10le"),
        ("a.mov", "mpeg4", "yuv420p"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.h264", "libx264", "yuv420p"),
    ],
)
def test_videos_of_many_kinds(tmp_path, name, codec, pixels):
    path = write_video(tmp_path / name, FRAMES, codec=codec, pixels=pixels)
    clip = footage.look(path)
    assert len(clip.times) == 24
    assert footage.is_even(clip.times)
    if name != "a.h264":  # It has no times; FFmpeg takes it to be 25 a second.
        assert footage.rate(clip.times) == pytest.approx(30, rel=0.01)
    np.testing.assert_array_equal(where(read_frames(path)), np.arange(24))


def test_a_turned_video_stands_upright(tmp_path):
    path = write_video(tmp_path / "a.mp4", FRAMES, rotation=90)
    frames = read_frames(path)
    assert frames.shape == (24, 64, 48, 3)
    turned = np.rot90(frames, -1, axes=(1, 2))  # The stored ones, once more.
    np.testing.assert_array_equal(where(turned), np.arange(24))


def test_alpha_is_kept_for_the_rules_of_pictures(tmp_path):
    clear = np.dstack([FRAMES[0], np.full((48, 64), 255, np.uint8)])
    clear[24:, :, 3] = 0
    path = write_video(tmp_path / "a.mov", np.stack([clear] * 3), codec="qtrle", pixels="argb")
    clip = footage.look(path)
    _, picture = next(clip.pictures(np.arange(3)))
    frame = pictures.convert(picture, 48, 3)
    assert np.all(frame[24:] == 255)
    assert np.abs(frame[:24].astype(int) - FRAMES[0, :24, 8:56]).max() < 3


def test_odd_sizes(tmp_path):
    frames = moving_square(4, height=33, width=47)
    path = write_video(tmp_path / "a.mkv", frames, pixels="yuv444p")
    assert read_frames(path).shape == (4, 33, 47, 3)


def test_an_uneven_frame_rate_is_made_even(tmp_path):
    times = np.cumsum([0] + [20] * 14 + [60] * 9)
    path = write_video(tmp_path / "a.mkv", FRAMES, times_ms=times)
    clip = footage.look(path)
    np.testing.assert_allclose(clip.times, times / 1000)
    assert not footage.is_even(clip.times)
    assert footage.rate(clip.times) == pytest.approx(50)
    expected = [*range(14), *np.repeat(range(14, 23), 3), 23]
    np.testing.assert_array_equal(where(read_frames(path)), expected)


def test_sound_alone_has_no_video_stream(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"sound\.mp4: has no video stream"):
        footage.look(path)


def test_an_unknown_codec_is_one_line(tmp_path):
    path = write_video(tmp_path / "a.mp4", FRAMES[:3])
    path.write_bytes(path.read_bytes().replace(b"avc1", b"none").replace(b"avcC", b"none"))
    with pytest.raises(ValueError, match=r"a\.mp4: its video codec cannot be decoded"):
        footage.look(path)


def test_without_pyav_a_video_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").touch()
    ordinary = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "av":
            raise ModuleNotFoundError("No module named 'av'", name="av")
        return ordinary(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ValueError, match=r"videos need the package av: pip install"):
        footage.look(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("fast.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.avi", "mjpeg", "yuvj420p"),
    ],
)
def test_a_truncated_video(tmp_path, name, codec, pixels):
    options = {"movflags": "faststart"} if name == "fast.mp4" else {}
    path = write_video(tmp_path / name, moving_square(60), 30, codec, pixels, options=options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"(truncated|damaged)") as error:
        read_frames(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize(("first", "count"), [(0, 30), (45, 75), (25, 60)])
def test_a_trimmed_video(tmp_path, name, first, count):
    frames = np.repeat(moving_square(24), 5, axis=0)
    path = trim(write_video(tmp_path / name, frames), first, count)
    clip = footage.look(path)
    assert footage.is_even(clip.times)
    np.testing.assert_array_equal(where(read_frames(path)), np.arange(first, first + count) // 5)


def test_a_trimmed_video_that_is_truncated(tmp_path):
    path = tmp_path / "a.mp4"
    trim(write_video(path, moving_square(60), options={"movflags": "faststart"}), 5, 50)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(ValueError, match=r"a\.mp4: truncated or damaged"):
        read_frames(path)


def test_a_video_with_a_hole(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_square(60, 240, 320))
    content = bytearray(path.read_bytes())
    content[200 : len(content) // 2] = bytes(len(content) // 2 - 200)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.mp4: .*damaged"):
        read_frames(path)


def write_timed(path, frames, codec, last_seconds=None, sound_seconds=0, begin=0):
    """Writes frames at 25 a second: the last one shown long, with sound, or from `begin` on."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        packets = []
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = 25 * begin + i, fractions.Fraction(1, 25)
            packets += stream.encode(picture)
        packets += stream.encode()
        if last_seconds is not None:
            last = max(packets, key=lambda packet: packet.pts)
            last.duration = round(last_seconds / last.time_base)
        if sound_seconds:
            codec = "aac" if path.suffix == ".mkv" else "wmav2"
            sound = container.add_stream(codec, rate=44100, layout="mono")
            sound.bit_rate = 64000
            silence = np.zeros((1, round(44100 * sound_seconds)), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, "fltp", "mono")
            frame.sample_rate, frame.pts = 44100, 0
            packets += [*sound.encode(frame), *sound.encode()]
            packets = [packet for packet in packets if packet.pts is not None]
            packets.sort(key=lambda packet: packet.pts * packet.time_base)
        container.mux(packets)
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "mpeg4"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx-vp9"),
    ],
)
def test_a_last_frame_that_is_shown_long_is_not_missing(tmp_path, name, codec):
    path = write_timed(tmp_path / name, moving_square(50), codec, last_seconds=0.8)
    np.testing.assert_allclose(footage.look(path).times, np.arange(50) / 25)
    assert len(read_frames(path)) == 50
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 9 // 10])
    with pytest.raises(ValueError, match=r"truncated or damaged|not a readable video, or damaged"):
        footage.look(path)


@pytest.mark.parametrize("name", ["a.wmv", "a.asf"])
def test_sound_may_be_longer_than_the_picture(tmp_path, name):
    path = write_timed(tmp_path / name, moving_square(100), "wmv2", sound_seconds=4.7)
    np.testing.assert_allclose(footage.look(path).times, np.arange(100) / 25)
    assert len(read_frames(path)) == 100


def test_an_asf_file_that_says_more_than_it_has_is_truncated(tmp_path):
    path = write_timed(tmp_path / "a.wmv", moving_square(100), "wmv2", sound_seconds=4.7)
    content = bytearray(path.read_bytes())
    # The duration, in units of 100 ns, is 64 bytes into the file properties object. Sound of 4.7 s
    # is 102 blocks of 2,048 samples: 4.737 s.
    place = content.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")) + 64
    length = int.from_bytes(content[place : place + 8], "little")
    content[place : place + 8] = (length + 10**7).to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"truncated or damaged: readable only up to 4\.69 of 5\.74 s"
    ):
        footage.look(path)


def test_a_video_may_begin_later_than_its_file(tmp_path):
    path = write_timed(tmp_path / "a.mkv", moving_square(50), "libx264", begin=2)
    np.testing.assert_allclose(footage.look(path).times, np.arange(50) / 25)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="truncated or damaged"):
        footage.look(path)


@pytest.mark.parametrize(("name", "begin"), [("a.mkv", 0), ("b.mkv", 2)])
def test_where_the_sound_is_and_how_the_frames_lie_in_it(tmp_path, name, begin):
    path = tmp_path / name
    silent = footage.look(write_timed(path, moving_square(50), "mpeg4", 0.6, begin=begin))
    assert (silent.sound, silent.begins) == (None, begin)
    assert silent.end == pytest.approx(49 / 25 + 0.6)
    clip = footage.look(write_timed(path, moving_square(50), "mpeg4", sound_seconds=3, begin=begin))
    assert (clip.sound, clip.begins, clip.end) == (path, begin, pytest.approx(2))
