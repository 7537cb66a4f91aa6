"""Scenes of text: their grammar, their splits, and imports of one's own lines."""

import numpy as np
import pytest

from data_gen import builder, imported, scenes, text_clips
from data_gen.scenes.grammar import ENGLISH
from frame_io import texts

SCENES = ("clock", "clock_heldout", "weather", "counting")


@pytest.mark.parametrize(
    ("minute", "line"),
    [
        (0, "twelve o'clock"),
        (1, "one minute past twelve"),
        (4 * 60 + 10, "ten past four"),
        (60 + 23, "twenty-three minutes past one"),
        (6 * 60 + 15, "a quarter past six"),
        (11 * 60 + 30, "half past eleven"),
        (11 * 60 + 31, "twenty-nine minutes to twelve"),
        (8 * 60 + 45, "a quarter to nine"),
        (12 * 60 - 1, "one minute to twelve"),
        (12 * 60, "twelve o'clock"),
    ],
)
def test_the_time_in_words(minute, line):
    assert ENGLISH.time(minute) == line


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (20, "twenty"),
        (99, "ninety-nine"),
        (100, "one hundred"),
        (101, "one hundred and one"),
        (743, "seven hundred and forty-three"),
        (999, "nine hundred and ninety-nine"),
    ],
)
def test_numbers_in_words(number, line):
    assert ENGLISH.number(number) == line


def test_the_weather_in_words():
    assert ENGLISH.conditions(-3, 5, 0) == "minus three degrees, fresh breeze, clear sky"
    assert ENGLISH.conditions(21, 0, 8) == "twenty-one degrees, calm, overcast"
    assert len(ENGLISH.winds) == 13
    assert len(ENGLISH.clouds) == 9


def lines_of(name, split):
    scene = scenes.get(name)
    return [
        [texts.to_line(scene.frame(pose, (64, 1, 1))) for pose in plan.poses]
        for plan in scene.plan(split, 0)
    ]


@pytest.mark.parametrize("name", SCENES[1:])
def test_no_two_poses_have_one_line_and_no_two_splits_share_one(name):
    seen = {}
    for split in scenes.SPLITS:
        for plan, lines in zip(scenes.get(name).plan(split, 0), lines_of(name, split), strict=True):
            for pose, line in zip(plan.poses, lines, strict=True):
                assert seen.setdefault(line, (tuple(pose), split)) == (tuple(pose), split)
    assert max(len(line.encode()) for line in seen) <= 64


def test_the_clock_comes_by_every_minute_once():
    for split in scenes.SPLITS:
        (lines,) = lines_of("clock", split)
        assert lines == [ENGLISH.time(minute) for minute in range(720)]
        assert len(set(lines)) == 720
    steps = [next(scenes.get("clock_heldout").plan(split, 0)).poses for split in scenes.SPLITS]
    np.testing.assert_array_equal(np.sort(np.concatenate(steps)[:, 0]), np.arange(720))


@pytest.mark.parametrize("name", SCENES)
def test_clips_go_at_an_even_pace(name):
    for split in scenes.SPLITS:
        for plan in scenes.get(name).plan(split, 0):
            steps = np.diff(plan.poses, axis=0)
            if name.startswith("clock"):
                steps %= 720
            np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape))
            assert np.any(steps)


@pytest.mark.parametrize("name", SCENES)
def test_scenes_of_text_have_no_looks(name):
    scene = name.partition("_")[0]
    with pytest.raises(ValueError, match=f"unknown setting 'colour' of scene '{scene}'"):
        scenes.get(f"{name}_colour")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weather_11frames", "frames must be at most 9"),
        ("counting_8frames", "frames must be odd"),
        ("counting_151frames", "frames must be at most 141"),
    ],
)
def test_settings_out_of_range(name, said):
    with pytest.raises(ValueError, match=said):
        scenes.get(name)


def test_names_of_data_sets_of_text():
    assert builder.config_name("clock", 64, 1) == "clock"
    assert builder.config_name("clock", 128, 1) == "clock_128bytes"
    made = builder.InbetweenClips.config_of("clock_128bytes")
    assert (made.scene, made.image_size, made.channels) == ("clock", 128, 1)
    with pytest.raises(ValueError, match="3 channels: text has 1; --channels=1"):
        builder.config_name("clock", 64, 3)
    with pytest.raises(ValueError, match="did you mean 'clock'"):
        builder.InbetweenClips.config_of("clock_grey")


def test_a_data_set_of_text_is_built(tmp_path):
    clips = builder.build("counting_8clips", channels=1, data_dir=tmp_path)
    metadata = clips.info.metadata
    assert (metadata["kind"], metadata["gaps"]) == ("text", [2.0 * 2, 8.0])
    examples = list(clips.as_dataset(split="test").as_numpy_iterator())
    assert examples[0]["frames"].shape == (9, 64, 1, 1)
    for example, lines in zip(examples, lines_of("counting_8clips", "test"), strict=True):
        assert [texts.to_line(frame) for frame in example["frames"]] == lines


STEPS = "\n\n".join("\n".join(f"step {c} {i}" for i in range(5 + c)) for c in range(4))


def test_own_text_is_imported(tmp_path):
    path = tmp_path / "steps.txt"
    path.write_text(STEPS)
    settings = text_clips.Settings(name="steps")
    made, shortest = text_clips.import_clips([path], settings, tmp_path / "data")
    assert (made.clips, shortest) == ({"train": 2, "validation": 1, "test": 1}, 5)
    assert made.frames == {"train": 11, "validation": 7, "test": 8}
    assert imported.kind_of("steps", tmp_path / "data") == "text"
    clips = imported.open_clips("steps", 64, 1, tmp_path / "data")
    (test,) = clips.as_dataset(split="test").as_numpy_iterator()
    assert [texts.to_line(frame) for frame in test["frames"]] == [f"step 3 {i}" for i in range(8)]
    np.testing.assert_array_equal(test["pose"][:, 0], np.arange(8))
    sheet = (made.data_dir / "contact_sheet.txt").read_text()
    assert sheet.startswith("step 0 0\nstep 0 1\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\nb\n\nc", r"steps.txt, clip 1: has 2 lines, beginning 'a'; must have at least 5"),
        (b"a\nb\nc\nd\ne\n", "no clip for validation, test: 1 clips in all, and at least 3"),
        (b"a\n" + b"x" * 65, r"steps.txt, line 2: is 65 bytes long; at most 64 fit a frame"),
    ],
)
def test_own_text_that_is_refused(tmp_path, content, said):
    path = tmp_path / "steps.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said) as failed:
        text_clips.import_clips([path], text_clips.Settings(name="steps"), tmp_path / "data")
    assert "\n" not in str(failed.value)
    assert not (tmp_path / "data").exists()


def test_text_and_footage_are_imported_apart():
    assert text_clips.is_text(["a.txt", "b.TXT"])
    assert not text_clips.is_text(["a.mp4"])
    with pytest.raises(ValueError, match=r"^--input=a.mp4: is not a .txt file, but others are"):
        text_clips.is_text(["b.txt", "a.mp4"])
