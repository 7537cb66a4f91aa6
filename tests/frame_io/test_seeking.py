"""Videos that are read from the middle, and those that begin in the middle."""

import fractions

import numpy as np
import pytest
from footage_files import moving_square, trim, write_video

from frame_io import footage, videos

FRAMES = moving_square(60)
X264 = {"g": "12", "bf": "3", "preset": "veryfast"}
INTERLACED = {**X264, "x264-params": "bff=1:interlaced=1"}
UNEVEN_MS = np.cumsum(np.random.default_rng(0).choice([20, 40, 60], 60))
WITH_TIMES_MS = {
    "times_ms": UNEVEN_MS,
    "encoding": X264,
    "prepare": lambda stream: setattr(
        stream.codec_context, "time_base", fractions.Fraction(1, 1000)
    ),
}

# Name, codec, more of `write_video`, and whether seeking leads there at all.
FILES = [
    ("a.mp4", "libx264", {"encoding": X264}, True),
    ("open.mp4", "libx264", {"encoding": {**X264, "x264-params": "open-gop=1"}}, True),
    (
        "fragments.mp4",
        "libx264",
        {"encoding": X264, "options": {"movflags": "frag_keyframe"}},
        True,
    ),
    ("uneven.mp4", "libx264", WITH_TIMES_MS, True),
    ("a.mkv", "libx264", {"encoding": X264}, True),
    ("uneven.mkv", "libx264", WITH_TIMES_MS, True),
    ("a.webm", "libvpx-vp9", {"encoding": {"g": "12", "deadline": "realtime"}}, True),
    ("a.ts", "libx264", {"encoding": X264}, True),
    ("mpeg2.ts", "mpeg2video", {"encoding": {"g": "12", "bf": "2"}}, True),
    ("interlaced.ts", "libx264", {"encoding": INTERLACED}, True),
    ("a.avi", "mpeg4", {"encoding": {"g": "12"}}, True),
    ("a.wmv", "wmv2", {"encoding": {"g": "12"}}, True),
    ("a.flv", "flv", {"encoding": {"g": "12"}}, True),
    ("refreshed.mp4", "libx264", {"encoding": {**X264, "x264-params": "intra-refresh=1"}}, True),
    ("a.h264", "libx264", {"encoding": X264}, False),
    ("one_key.mp4", "libx264", {"encoding": {**X264, "g": "600"}}, False),
]


def pixels(clip, wanted):
    return [np.asarray(picture) for _, picture in clip.pictures(np.asarray(wanted))]


def begun_at(monkeypatch):
    """A list that gets where each decoding begins: a stamp, or None."""
    stamps, ordinary = [], videos._decoded

    def noted(container, stream, decoder, keys, stamp=None):
        stamps.append(stamp)
        return ordinary(container, stream, decoder, keys, stamp)

    monkeypatch.setattr(videos, "_decoded", noted)
    return stamps


@pytest.mark.parametrize(
    ("name", "codec", "more", "can_seek"), FILES, ids=[row[0] for row in FILES]
)
def test_the_same_frames_come_from_the_middle(tmp_path, monkeypatch, name, codec, more, can_seek):
    clip = footage.look(write_video(tmp_path / name, FRAMES, codec=codec, **more))
    whole = pixels(clip, range(60))
    stamps = begun_at(monkeypatch)
    for begin in (1, 11, 12, 13, 25, 36, 47, 59):
        stamps.clear()
        wanted = [begin, min(begin + 2, 59), 59]
        for frame, place in zip(pixels(clip, wanted), wanted, strict=True):
            np.testing.assert_array_equal(frame, whole[place])
        if begin >= 25:
            assert (stamps[-1] is not None) == can_seek


@pytest.mark.parametrize("first", [20, 37])
def test_a_trimmed_video_from_the_middle(tmp_path, first):
    path = trim(write_video(tmp_path / "a.mp4", FRAMES, encoding={**X264, "bf": "0"}), first, 22)
    clip = footage.look(path)
    whole = pixels(clip, range(len(clip.times)))
    for begin in range(0, len(whole), 4):
        np.testing.assert_array_equal(pixels(clip, [begin])[0], whole[begin])


def test_where_seeking_leads_astray_all_is_decoded(tmp_path, monkeypatch):
    clip = footage.look(write_video(tmp_path / "a.mkv", FRAMES, encoding=X264))
    whole = pixels(clip, range(60))
    monkeypatch.setattr(videos, "_stamps", lambda keys, seconds: [keys[-1][1], 10**9])
    np.testing.assert_array_equal(pixels(clip, [20])[0], whole[20])


@pytest.mark.parametrize(
    ("name", "codec", "encoding"),
    [
        ("a.ts", "libx264", X264),
        ("open.ts", "libx264", {**X264, "x264-params": "open-gop=1:scenecut=0"}),
        ("mpeg2.ts", "mpeg2video", {"g": "12", "bf": "2"}),
        ("hevc.ts", "libx265", {"preset": "ultrafast", "x265-params": "keyint=12:log-level=none"}),
    ],
)
def test_a_stream_that_begins_in_the_middle_of_a_group(tmp_path, name, codec, encoding):
    whole = write_video(tmp_path / name, FRAMES, codec=codec, encoding=encoding)
    whole_clip, content = footage.look(whole), whole.read_bytes()
    frames = pixels(whole_clip, range(60))
    for share in (0.15, 0.3, 0.5):
        cut = tmp_path / f"cut_{name}"
        cut.write_bytes(content[int(share * len(content)) // 188 * 188 :])
        clip = footage.look(cut)
        assert footage.is_even(clip.times)
        missing = 60 - len(clip.times)
        assert missing in (12, 24, 36, 48)  # It begins with a group's first frame.
        assert clip.begins == pytest.approx(whole_clip.begins + missing / 30)
        for frame, expected in zip(
            pixels(clip, range(60 - missing)), frames[missing:], strict=True
        ):
            np.testing.assert_array_equal(frame, expected)
