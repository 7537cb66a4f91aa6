"""Footage that a stranger made: one line or frames, in bounded memory, and no other file is read.

The default run tries a few of everything; `-m slow` thousands, and bombs in earnest.
"""

import io
import os
import subprocess
import sys
from pathlib import Path

import hostile_files
import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
from footage_files import moving_square, write_animation, write_folder, write_video
from hostile_files import QUICK, outcome_of
from hypothesis import given, settings
from hypothesis import strategies as st

from frame_io import footage, pictures, videos

ROOT = Path(footage.__file__).parent.parent
FRAMES = moving_square(6)
LONG = settings(QUICK, max_examples=3000, derandomize=False, print_blob=True)

# Reads an input as an import does, within so many MiB, and prints what came of it.
WITHIN = """
import resource, sys
mib, path = int(sys.argv[1]), sys.argv[2]
import av, numpy as np
from frame_io import footage, pictures
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    clip = footage.look(path)
    wanted = footage.select(clip.times)
    for _, picture in clip.pictures(wanted):
        pictures.convert(picture, 64, 3)
    print("frames", len(wanted))
except ValueError as error:
    print("refused", error)
try:
    pictures.convert(pictures.read(path), 64, 3)
    print("picture")
except (OSError, ValueError) as error:
    print("refused", error)
used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
assert used < mib, f"took {used:.0f} MiB"
"""


def frames_of(path):
    clip = footage.look(path)
    wanted = footage.select(clip.times)
    return [pictures.convert(one, 64, 3) for _, one in clip.pictures(wanted)]


def read_all(path):
    """The frames of an input, or the one line that refuses it."""
    return outcome_of(frames_of, path)


def read_one(path):
    """The frame of a picture, or the one line that refuses it."""
    return outcome_of(lambda: [pictures.convert(pictures.read(path), 64, 3)])


def is_fine(outcome):
    """Whether it is frames, or an error of one line."""
    if isinstance(outcome, str):
        return bool(outcome) and "\n" not in outcome
    return all(frame.shape == (64, 64, 3) and frame.dtype == np.uint8 for frame in outcome)


def within(path, mebibytes, seconds=60):
    """What `WITHIN` prints."""
    done = subprocess.run(
        [sys.executable, "-c", WITHIN, str(mebibytes), str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def valid_files(folder):
    """A file of every kind: {name: bytes}."""
    picture = PIL.Image.fromarray(FRAMES[0])
    contents = {}
    for name in ("a.png", "a.jpg", "a.gif", "a.webp", "a.tif", "a.bmp", "a.jp2", "a.tga"):
        buffer = io.BytesIO()
        picture.save(buffer, format=PIL.Image.registered_extensions()[Path(name).suffix])
        contents[name] = buffer.getvalue()
    for name in ("animated.gif", "animated.webp", "animated.png"):
        contents[name] = write_animation(folder / name, FRAMES).read_bytes()
    for name, codec in (("a.mp4", "libx264"), ("a.mkv", "mpeg4"), ("a.avi", "mjpeg")):
        pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        video = write_video(folder / name, FRAMES, codec=codec, pixels=pixels)
        contents[name] = video.read_bytes()
    return contents


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("valid")
    contents = valid_files(folder)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        assert (
            not isinstance(read_one(folder / name), str) or name.startswith("a.m") or "avi" in name
        )
    return contents


@st.composite
def damage(draw):
    """How to damage a file: flips, cuts, repetitions and numbers that are too large, as shares."""
    kind = draw(st.sampled_from(["flip", "cut", "zero", "ones", "repeat"]))
    places = draw(st.lists(st.floats(0, 0.999), min_size=1, max_size=8))
    return kind, places, draw(st.integers(0, 7)), draw(st.integers(1, 64))


def damaged(content, how):
    kind, places, bit, size = how
    content = bytearray(content)
    for share in places:
        # Most of what decides is at the beginning.
        at = int(share**3 * len(content))
        if kind == "flip":
            content[at] ^= 1 << bit
        elif kind in ("zero", "ones"):
            fill = b"\0" if kind == "zero" else b"\xff"
            content[at : at + size] = fill * len(content[at : at + size])
        elif kind == "repeat":
            content[at:at] = content[at : at + size]
        else:
            content = content[: max(int(share * len(content)), 1)]
    return bytes(content)


def check_damaged(valid, folder, name, how):
    path = folder / name
    path.write_bytes(damaged(valid[name], how))
    assert is_fine(read_all(path))
    assert is_fine(read_one(path))


NAMES = st.sampled_from(
    [
        *("a.png", "a.jpg", "a.gif", "a.webp", "a.tif", "a.bmp", "a.jp2", "a.tga"),
        *("animated.gif", "animated.webp", "animated.png", "a.mp4", "a.mkv", "a.avi"),
    ]
)


@QUICK
@given(name=NAMES, how=damage())
def test_a_damaged_file_is_frames_or_one_line(valid, tmp_path_factory, name, how):
    check_damaged(valid, tmp_path_factory.getbasetemp(), name, how)


@pytest.mark.slow
@LONG
@given(name=NAMES, how=damage())
def test_many_damaged_files_are_frames_or_one_line(valid, tmp_path_factory, name, how):
    check_damaged(valid, tmp_path_factory.getbasetemp(), name, how)


@QUICK
@given(content=st.binary(max_size=200), head=st.sampled_from([0, 4, 12, 64]), name=NAMES)
def test_any_bytes_are_one_line(valid, tmp_path_factory, content, head, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(valid[name][:head] + content)
    assert is_fine(read_all(path))
    assert is_fine(read_one(path))


@QUICK
@given(key=st.sampled_from(["transparency", "duration", "default_image", "exif", "icc_profile"]))
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_texts_in_a_png_that_pillow_takes_for_its_own(tmp_path_factory, mode, key):
    path, info = tmp_path_factory.getbasetemp() / "text.png", PIL.PngImagePlugin.PngInfo()
    info.add_text(key, "a text")
    frames = [PIL.Image.fromarray(frame).convert(mode) for frame in FRAMES[:3]]
    frames[0].save(path, save_all=True, append_images=frames[1:], pnginfo=info, duration=50)
    assert is_fine(read_one(path))
    assert is_fine(read_all(path))


@pytest.mark.parametrize(("width", "height"), [(100_000, 1), (1, 100_000)])
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tga"])
def test_a_picture_of_one_line(tmp_path, width, height, suffix):
    if suffix == ".tga":
        width, height = min(width, 2**16 - 1), min(height, 2**16 - 1)
    path = tmp_path / f"line{suffix}"
    PIL.Image.new("RGB", (width, height), "red").save(path)
    np.testing.assert_array_equal(read_one(path)[0], np.broadcast_to([255, 0, 0], (64, 64, 3)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("still.png", lambda: hostile_files.png(9000, 9000, 1, 0), "67,108,864 pixels"),
        (
            "animated.png",
            lambda: hostile_files.png(8000, 8000, 1, 0, frames=1000),
            "17,179,869,184 pixels in 1,000 frames",
        ),
        ("wide.gif", lambda: hostile_files.gif(9000, 9000, [5] * 3), "67,108,864 pixels"),
        (
            "long.gif",
            lambda: hostile_files.gif(8000, 8000, [5] * 300),
            "17,179,869,184 pixels in 300 frames",
        ),
        (
            "uneven.gif",
            lambda: hostile_files.gif(64, 64, [2] * 31 + [65535] * 29),
            "has 60 frames in 1.835e[+]04 s, which at 50 a second would become 917,522",
        ),
    ],
)
def test_a_bomb_is_refused_before_it_unfolds(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content())
    assert (tmp_path / name).stat().st_size < 2**18
    with pytest.raises(ValueError, match=message):
        footage.select(footage.look(tmp_path / name).times)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "mebibytes"),
    [
        ("rgba.png", lambda: hostile_files.png(11584, 11584, 8, 6), 2600),
        ("grey16.png", lambda: hostile_files.png(11584, 11584, 16, 0), 2000),
        ("rgba16.png", lambda: hostile_files.png(11584, 11584, 16, 6), 2600),
        ("large.gif", lambda: hostile_files.gif(8192, 8192, [5] * 4), 1600),
        ("many.gif", lambda: hostile_files.gif(64, 64, [5] * 5000), 100),
    ],
)
def test_the_largest_that_is_read_takes_bounded_memory(tmp_path, name, content, mebibytes):
    (tmp_path / name).write_bytes(content())
    assert within(tmp_path / name, mebibytes, seconds=400).count("\n") == 2


def test_a_video_whose_frames_are_too_large(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", FRAMES)
    monkeypatch.setitem(videos._LIMITS, "max_pixels", "1000")
    with pytest.raises(ValueError, match=r"a\.mp4: not a readable video, or damaged"):
        list(footage.look(path).pictures(np.arange(6)))
    monkeypatch.setattr(videos, "MAX_FRAME_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"a\.mp4: (more than 1,000 pixels|not a readable video)"):
        footage.look(path)


@pytest.mark.parametrize("name", ["a.m3u8", "concat.mp4", "session.sdp", "art.txt"])
def test_what_would_have_other_files_read_is_no_video(tmp_path, name):
    video = write_video(tmp_path / "secret.mp4", moving_square(24))
    (tmp_path / name).write_text(hostile_files.playlists(video)[name])
    with pytest.raises(ValueError, match="not a readable video"):
        footage.look(tmp_path / name)


def test_every_container_of_the_list_is_one_of_ffmpegs():
    av = pytest.importorskip("av")
    assert set(videos._CONTAINERS.split(",")) <= av.formats_available


def test_eps_is_not_handed_to_ghostscript(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n")
    assert "not a readable picture" in read_one(path)
    assert "cannot identify" in read_one(path)


@pytest.mark.parametrize("front", ["a.png", "animated.gif", "a.jpg", "a.mp4"])
@pytest.mark.parametrize("back", ["a.png", "animated.gif", "a.mp4", "zip"])
def test_a_file_that_is_two_is_read_as_the_first(valid, tmp_path, front, back):
    tail = b"PK\x05\x06" + bytes(18) if back == "zip" else valid[back]
    for name in (front, f"named{Path(back).suffix or '.zip'}"):
        (tmp_path / name).write_bytes(valid[front] + tail)
        assert is_fine(read_all(tmp_path / name))
        assert is_fine(read_one(tmp_path / name))


def test_pipes_and_devices_are_no_inputs(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    for path in (tmp_path / "a.mp4", "/dev/zero", "/dev/stdin"):
        with pytest.raises(ValueError, match=r"(neither a file nor a folder|no such file)"):
            footage.look(path)


def test_a_folder_named_like_a_video_and_folders_named_like_pictures(tmp_path):
    path = write_folder(tmp_path / "a.mp4", FRAMES)
    (path / "frame_0.png").mkdir()
    os.mkfifo(path / "frame_9.png")
    assert len(footage.look(path).times) == 6


def test_links_that_lead_out_of_a_folder_are_refused(tmp_path):
    path = write_folder(tmp_path / "frames", FRAMES)
    (path / "frame_7.png").symlink_to("frame_1.png")
    (path / "frame_8.png").symlink_to(tmp_path / "nowhere.png")
    assert len(footage.look(path).times) == 7
    (tmp_path / "linked").symlink_to(path)
    assert len(footage.look(tmp_path / "linked").times) == 7
    PIL.Image.fromarray(FRAMES[0]).save(tmp_path / "private.png")
    (path / "frame_9.png").symlink_to("../private.png")
    with pytest.raises(ValueError, match=r"frame_9\.png: a link out of the folder"):
        footage.look(path)


@QUICK
@given(
    steps=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30),
    fps=st.none() | st.floats(1e-3, 1e3),
    start=st.floats(0, 1e6),
    end=st.none() | st.floats(0, 1e6),
)
def test_any_times_are_bounded_frames_or_one_line(steps, fps, start, end):
    times = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = outcome_of(footage.select, times, fps, start, end)
    if isinstance(wanted, str):
        assert is_fine(wanted)
    else:
        assert len(wanted) <= 100 * len(times)
        assert np.all(np.diff(wanted) >= 0)
        assert wanted[0] >= 0
        assert wanted[-1] < len(times)
