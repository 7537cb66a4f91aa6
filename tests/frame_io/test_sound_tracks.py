"""The sound of one video in another: copied, converted, stretched, cut; its times and its pitch."""

from fractions import Fraction

import numpy as np
import pytest
from toned_videos import HERTZ, SECONDS, SILENCE, heard, write_toned

from frame_io import writing
from frame_io.errors import InputError
from frame_io.sound_tracks import Sound


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
