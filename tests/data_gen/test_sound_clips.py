"""Recordings are cut into clips: stretches in a row, no silence, split by time."""

import numpy as np
import pytest

from data_gen import sound_clips, spectrograms
from data_gen.imported import open_clips
from frame_io import sounds
from tests.footage_files import FRAMES, write_video
from tests.sound_files import encoded, sine

pytest.importorskip("av")

SETTINGS = {"name": "my_song", "frames_per_clip": 5, "fps": 8.0}


def recording(path, *parts):
    """Writes tones one after another: (frequency, seconds); 0 is silence."""
    samples = [sine(f, seconds) if f else np.zeros(round(16_000 * seconds)) for f, seconds in parts]
    sounds.write(path, np.concatenate(samples))
    return path


@pytest.fixture
def song(tmp_path):
    return recording(tmp_path / "song.wav", (300, 3.0), (0, 3.0), (900, 3.0))


def test_no_clip_has_silence(song):
    heard = sound_clips._Heard()
    clips = list(sound_clips.cut(song, sound_clips.Settings(**SETTINGS), heard))
    assert len(clips) == 8
    assert heard.samples == 9 * 16_000
    assert heard.stretches == 64
    assert heard.silent >= 14
    begins = np.concatenate([seconds for seconds, _ in clips])
    assert np.all((begins < 3) | (begins > 6 - 1.1))
    for seconds, frames in clips:
        np.testing.assert_allclose(np.diff(seconds), 0.125)
        assert frames.shape == (5, 64, 64, 1)
        assert frames.max(axis=(1, 2, 3)).min() >= 64


def test_without_a_rate_spectrograms_follow_one_another_without_a_gap(tmp_path):
    path = recording(tmp_path / "a.wav", (300, 2.0), (500, 2.0), (800, 3.0))
    settings = sound_clips.Settings(name="a", frames_per_clip=5)
    ((seconds, frames),) = sound_clips.cut(path, settings)
    np.testing.assert_allclose(np.diff(seconds), 1.024)
    whole = spectrograms.from_samples(sounds.read(path)[np.newaxis])[0]
    np.testing.assert_array_equal(
        spectrograms.joined(frames)[0], spectrograms.to_uint8(whole)[:, : 5 * 64]
    )


def test_an_import_is_split_by_time(song, tmp_path):
    said = []
    settings = sound_clips.Settings(**SETTINGS, held_out=0.2)
    made = sound_clips.import_clips([song], settings, tmp_path / "data", notify=said.append)
    assert made.clips == {"train": 4, "validation": 2, "test": 2}
    assert made.shots == 2
    assert len(said) == 1
    assert said[0].startswith(f"{song}: 9 s, 64 frames, ")
    assert said[0].endswith("of them silent and left out")
    assert (made.data_dir / "contact_sheet.png").is_file()
    built = open_clips("my_song", channels=1, data_dir=tmp_path / "data")
    assert built.info.metadata["kind"] == "sound"
    ends = {}
    for split in made.clips:
        poses = [example["pose"].numpy() for example in built.as_dataset(split=split)]
        ends[split] = (np.min(poses), np.max(poses))
    assert ends["train"][1] < ends["validation"][0] < ends["validation"][1] < ends["test"][0]


def test_a_part_of_the_sound_of_a_video(tmp_path):
    path = encoded(tmp_path / "a.mkv", sine(seconds=8.0)[np.newaxis], "aac")
    settings = sound_clips.Settings(**SETTINGS, start=1.0, end=5.0)
    heard = sound_clips._Heard()
    clips = list(sound_clips.cut(path, settings, heard))
    assert heard.samples == 4 * 16_000
    assert clips[0][0][0] == 1.0
    assert clips[-1][0][-1] < 4.0


def test_clipping_is_said(tmp_path):
    sounds.write(tmp_path / "a.wav", np.clip(sine(seconds=6.0, level=1.5), -1, 1))
    said = []
    settings = sound_clips.Settings(**SETTINGS)
    sound_clips.import_clips([tmp_path / "a.wav"], settings, tmp_path / "data", notify=said.append)
    assert "samples at full scale, kept" in said[0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"frames_per_clip": 4}, r"--frames_per_clip=4: at least 5"),
        ({"fps": 100.0}, r"--fps=100: must be above 0 and at most 62.5"),
        ({"start": -1.0}, r"--start=-1: must be at least 0"),
        ({"start": 2.0, "end": 1.0}, r"--end=1: must be after --start=2"),
        ({"channels": 3}, r"3 channels: sound has 1"),
        ({"name": "tone_mine"}, r"begins like a rendered scene's name"),
    ],
)
def test_wrong_settings(changed, message):
    with pytest.raises(ValueError, match=message):
        sound_clips.Settings(**{**SETTINGS, **changed})


def test_nothing_is_left_where_an_import_fails(tmp_path):
    quiet = recording(tmp_path / "quiet.wav", (0, 10.0))
    silent = write_video(tmp_path / "silent.mp4", FRAMES)
    short = recording(tmp_path / "short.wav", (300, 1.0))
    for path, message in (
        (quiet, "no clip of 5 frames for train, validation, test: give more sound"),
        (short, "no clip of 5 frames"),
        (silent, "silent.mp4: has no sound"),
        (tmp_path / "none.wav", "none.wav: no such file"),
    ):
        with pytest.raises(ValueError, match=message):
            sound_clips.import_clips([path], sound_clips.Settings(**SETTINGS), tmp_path / "data")
        assert not (tmp_path / "data").exists()


def test_kinds_of_inputs_are_not_mixed():
    assert sound_clips.is_sound(["a.wav", "b.FLAC"])
    assert not sound_clips.is_sound(["a.mp4"])
    with pytest.raises(ValueError, match=r"--input=b.mp4: is not a sound file, but others are"):
        sound_clips.is_sound(["a.wav", "b.mp4"])
