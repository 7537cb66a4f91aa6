"""Footage of every kind that people have, read frame by frame."""

import builtins
import wave
import weakref

import numpy as np
import PIL.Image
import pytest
from footage_files import moving_square, trim, write_animation, write_folder, write_video

from frame_io import footage, pictures

FRAMES = moving_square(24)


def read(path, **wanted):
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
    np.testing.assert_array_equal(where(read(path)), np.arange(24))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng"])
def test_animated_images(tmp_path, suffix):
    path = write_animation(tmp_path / f"a{suffix}", FRAMES)
    clip = footage.look(path)
    assert footage.rate(clip.times) == pytest.approx(20)
    np.testing.assert_array_equal(where(read(path)), np.arange(24))


def test_a_folder_is_in_natural_order_and_other_files_are_left_out(tmp_path):
    path = write_folder(tmp_path / "frames", FRAMES)
    (path / "notes.txt").write_text("mine")
    (path / ".hidden.png").write_text("mine")
    np.testing.assert_array_equal(where(read(path)), np.arange(24))
    assert footage.look(path).left_out.endswith("that can be read: 1 .txt file")
    assert footage.rate(footage.look(path, folder_fps=12).times) == pytest.approx(12)
    ordered = ["03", "3", "b2", "Frame_1", "frame_1", "frame_1b", "frame_2", "frame_10"]
    for names in (ordered, ordered[::-1]):
        assert sorted(names, key=footage.natural_key) == ordered


def test_a_turned_video_stands_upright(tmp_path):
    path = write_video(tmp_path / "a.mp4", FRAMES, rotation=90)
    frames = read(path)
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
    assert read(path).shape == (4, 33, 47, 3)


def test_an_uneven_frame_rate_is_made_even(tmp_path):
    times = np.cumsum([0] + [20] * 14 + [60] * 9)
    path = write_video(tmp_path / "a.mkv", FRAMES, times_ms=times)
    clip = footage.look(path)
    np.testing.assert_allclose(clip.times, times / 1000)
    assert not footage.is_even(clip.times)
    assert footage.rate(clip.times) == pytest.approx(50)
    expected = [*range(14), *np.repeat(range(14, 23), 3), 23]
    np.testing.assert_array_equal(where(read(path)), expected)


def test_a_frame_that_stands_is_repeated_and_decoded_once():
    times = np.array([0, 0.1, 0.2, 0.6, 0.7, 0.8])
    np.testing.assert_array_equal(footage.select(times), [0, 1, 2, 2, 2, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(10, [0, 3, 6, 9, 12]), (30, range(15)), (29.9, range(15)), (11, [0, 3, 5, 8, 11, 14])],
)
def test_a_lower_frame_rate(fps, expected):
    times = np.round(np.arange(15) / 30, 3)  # As Matroska rounds them.
    np.testing.assert_array_equal(footage.select(times, fps), expected)


def test_start_and_end():
    times = np.arange(30) / 10
    np.testing.assert_array_equal(footage.select(times, start=0.95, end=1.5), range(10, 15))
    np.testing.assert_array_equal(footage.select(times, 5, 2.0), [20, 22, 24, 26, 28])
    with pytest.raises(ValueError, match=r"no two frames from 5 to 2\.9 s; it is 2\.9 s"):
        footage.select(times, start=5)
    with pytest.raises(ValueError, match=r"has 10 frames a second; --fps=24 would be more"):
        footage.select(times, fps=24)


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
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize(("first", "count"), [(0, 30), (45, 75), (25, 60)])
def test_a_trimmed_video(tmp_path, name, first, count):
    frames = np.repeat(moving_square(24), 5, axis=0)
    path = trim(write_video(tmp_path / name, frames), first, count)
    clip = footage.look(path)
    assert footage.is_even(clip.times)
    np.testing.assert_array_equal(where(read(path)), np.arange(first, first + count) // 5)


def test_a_trimmed_video_that_is_truncated(tmp_path):
    path = tmp_path / "a.mp4"
    trim(write_video(path, moving_square(60), options={"movflags": "faststart"}), 5, 50)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(ValueError, match=r"a\.mp4: truncated or damaged"):
        read(path)


def test_a_video_with_a_hole(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_square(60, 240, 320))
    content = bytearray(path.read_bytes())
    content[200 : len(content) // 2] = bytes(len(content) // 2 - 200)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.mp4: .*damaged"):
        read(path)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_a_truncated_animated_image(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (6, 48, 64, 3), np.uint8)
    path = write_animation(tmp_path / f"a{suffix}", noise)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match="not a readable picture"):
        read(path)


def test_what_cannot_be_read_is_one_line(tmp_path):
    def refused(path, message):
        with pytest.raises(ValueError, match=message) as error:
            footage.look(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    refused(tmp_path / "nowhere.mp4", "no such file or folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"a folder without pictures \(such as .png.*\); it has no files")
    (tmp_path / "empty" / "deeper").mkdir()
    for name in ("1.heic", "2.heic", "3.exr"):
        (tmp_path / "empty" / name).touch()
    refused(tmp_path / "empty", "it has 1 .exr file, 2 .heic files, 1 folder")
    refused(write_folder(tmp_path / "one", FRAMES[:1]), "has one frame")
    refused(write_video(tmp_path / "one.mp4", FRAMES[:1]), "has one frame")
    PIL.Image.fromarray(FRAMES[0]).save(tmp_path / "one.gif")
    refused(tmp_path / "one.gif", "has one frame")
    PIL.Image.fromarray(FRAMES[0]).save(tmp_path / "one.jpg")
    refused(tmp_path / "one.jpg", "has one frame")
    for name in ("text.mp4", "text.gif", "text.png"):
        (tmp_path / name).write_text("to be a video\n" * 99)
        refused(tmp_path / name, "not a readable (video|picture)")
    (tmp_path / "one.gif").rename(tmp_path / "named.mp4")
    refused(tmp_path / "named.mp4", r"is a GIF picture by its content; name it named\.gif")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(800))
    refused(tmp_path / "sound.wav", "of none of the kinds MP4, MOV, MKV")
    (tmp_path / "nothing.mp4").touch()
    refused(tmp_path / "nothing.mp4", "not a readable video")


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


def test_a_text_file_in_a_folder(tmp_path):
    path = write_folder(tmp_path / "frames", FRAMES[:4])
    (path / "frame_3.png").write_text("to be a picture")
    with pytest.raises(ValueError, match=r"frame_3\.png: not a readable picture"):
        read(path)


def test_names_beyond_ascii_and_with_a_colon(tmp_path):
    for name in ("żółw 亀.mp4", "a:b.mp4", "żółw.gif"):
        write = write_video if name.endswith("mp4") else write_animation
        assert len(read(write(tmp_path / name, FRAMES[:3]))) == 3


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


@pytest.mark.parametrize("kind", ["a.mp4", "a.gif", "frames"])
def test_one_picture_at_a_time_is_in_memory(tmp_path, kind):
    write = {"a.mp4": write_video, "a.gif": write_animation, "frames": write_folder}[kind]
    clip = footage.look(write(tmp_path / kind, FRAMES))
    alive = []
    for _, picture in clip.pictures(np.arange(24)):
        alive.append(weakref.ref(picture))
        assert sum(one() is not None for one in alive) <= 3
