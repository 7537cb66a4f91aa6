"""Footage of every kind that people have: which frames are chosen, and what is refused."""

import wave
import weakref

import numpy as np
import PIL.Image
import pytest
from footage_files import (
    FRAMES,
    read_frames,
    where,
    write_animation,
    write_folder,
    write_video,
)

from frame_io import footage, pictures


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng"])
def test_animated_images(tmp_path, suffix):
    path = write_animation(tmp_path / f"a{suffix}", FRAMES)
    clip = footage.look(path)
    assert footage.rate(clip.times) == pytest.approx(20)
    np.testing.assert_array_equal(where(read_frames(path)), np.arange(24))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_very_short_frames_stand_as_long_as_browsers_show_them(tmp_path, suffix):
    path = write_animation(tmp_path / f"a{suffix}", FRAMES[:5], [0, 10, 20, 30, 10])
    clip = footage.look(path)
    np.testing.assert_allclose(clip.times, [0, 0.1, 0.2, 0.22, 0.25])
    assert clip.end == pytest.approx(0.35)


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_an_animated_image_stands_as_exif_says(tmp_path, suffix):
    exif = PIL.Image.Exif()
    for orientation, upright in ((6, lambda frame: np.rot90(frame, -1)), (2, np.fliplr)):
        exif[0x0112] = orientation
        path = write_animation(tmp_path / f"a{suffix}", FRAMES[:3], exif=exif)
        for shown, stored in zip(read_frames(path), FRAMES[:3], strict=True):
            np.testing.assert_array_equal(shown, upright(stored))
        np.testing.assert_array_equal(pictures.read(path).convert("RGB"), upright(FRAMES[0]))


def test_a_folder_is_in_natural_order_and_other_files_are_left_out(tmp_path):
    path = write_folder(tmp_path / "frames", FRAMES)
    (path / "notes.txt").write_text("mine")
    (path / ".hidden.png").write_text("mine")
    np.testing.assert_array_equal(where(read_frames(path)), np.arange(24))
    assert footage.look(path).notes[0].endswith("not readable pictures: 1 .txt file")
    assert footage.rate(footage.look(path, folder_fps=12).times) == pytest.approx(12)
    ordered = ["03", "3", "b2", "Frame_1", "frame_1", "frame_1b", "frame_2", "frame_10"]
    for names in (ordered, ordered[::-1]):
        assert sorted(names, key=footage.natural_key) == ordered


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


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_a_truncated_animated_image(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (6, 48, 64, 3), np.uint8)
    path = write_animation(tmp_path / f"a{suffix}", noise)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match="not a readable picture"):
        read_frames(path)


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
    for name in ("1.psd", "2.psd", "3.exr"):
        (tmp_path / "empty" / name).touch()
    refused(tmp_path / "empty", "it has 1 .exr file, 2 .psd files, 1 folder")
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


def test_a_text_file_in_a_folder(tmp_path):
    path = write_folder(tmp_path / "frames", FRAMES[:4])
    (path / "frame_3.png").write_text("to be a picture")
    with pytest.raises(ValueError, match=r"frame_3\.png: not a readable picture"):
        read_frames(path)


def test_names_beyond_ascii_and_with_a_colon(tmp_path):
    for name in ("żółw 亀.mp4", "a:b.mp4", "żółw.gif"):
        write = write_video if name.endswith("mp4") else write_animation
        assert len(read_frames(write(tmp_path / name, FRAMES[:3]))) == 3


@pytest.mark.parametrize("kind", ["a.mp4", "a.gif", "frames"])
def test_one_picture_at_a_time_is_in_memory(tmp_path, kind):
    write = {"a.mp4": write_video, "a.gif": write_animation, "frames": write_folder}[kind]
    clip = footage.look(write(tmp_path / kind, FRAMES))
    alive = []
    for _, picture in clip.pictures(np.arange(24)):
        alive.append(weakref.ref(picture))
        assert sum(one() is not None for one in alive) <= 3


def test_heic(tmp_path, monkeypatch):
    pytest.importorskip("pillow_heif")
    pictures.formats()  # It has Pillow know the format.
    folder = write_folder(tmp_path / "frames", FRAMES[:2])
    for name, frame in (("a.heic", FRAMES[3]), ("b.HEIC", FRAMES[6])):
        PIL.Image.fromarray(frame).save(folder / name, format="HEIF", quality=95)
    assert footage.look(folder).notes == ()
    np.testing.assert_array_equal(where(read_frames(folder)), [3, 6, 0, 1])
    np.testing.assert_array_equal(where(np.asarray(pictures.read(folder / "a.heic"))[None]), [3])
    with pytest.raises(ValueError, match=r"a\.heic: has one frame"):
        footage.look(folder / "a.heic")

    without = [kind for kind in pictures.formats() if kind != "HEIF"]
    monkeypatch.setattr(pictures, "formats", lambda: without)
    needs = r"HEIC needs the package pillow-heif: pip install 'tf_inbetween\[heic\]'"
    for read in (footage.look, pictures.read):
        with pytest.raises(ValueError, match=rf"a\.heic: not a readable picture \({needs}\)"):
            read(folder / "a.heic")
    (note,) = footage.look(folder).notes
    assert "pictures: 1 .HEIC file, 1 .heic file; HEIC needs the package pillow-heif" in note
