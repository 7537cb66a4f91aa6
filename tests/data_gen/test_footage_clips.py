"""Footage of one's own becomes a data set like the scenes', whole or not at all."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds
from footage_files import moving_square, write_animation, write_folder
from small_imports import refused, settings

import data_gen
from data_gen import footage_clips, imported

ROOT = Path(imported.__file__).parent.parent
SPLITS = ("train", "validation", "test")


def test_what_comes_out(made, inputs):
    data_dir, result, said = made
    assert result.data_dir == data_dir / "inbetween_clips" / "my_clips" / "1.0.0"
    assert result.clips == {"train": 4, "validation": 2, "test": 2}
    assert result.frames_read == 64
    assert result.shots == 2
    assert said == [
        f"{inputs[0]}: 40 frames, 30 a second",
        f"{inputs[1]}: 24 frames, 30 a second",
    ]
    assert result.notes == {
        f"{inputs[0]}: 64x48 cut to the middle 48x48, resized to 64x64": 40,
        f"{inputs[1]}: 30x30 resized to 64x64": 24,
    }


def test_the_examples_are_like_those_of_a_scene(made):
    data_dir, *_ = made
    clips = imported.open_clips("my_clips", data_dir=data_dir)
    scene = data_gen.InbetweenClips(config="teapot_1dof", data_dir=data_dir)
    assert repr(clips.info.features) == repr(scene.info.features)
    assert set(clips.info.splits) == set(SPLITS)
    metadata = dict(clips.info.metadata)
    assert set(scene.info.metadata) - set(metadata) <= {"samples", "seed", "frame_stride"}
    assert metadata["scene"] == "my_clips"
    assert metadata["gap_unit"] == ""
    assert metadata["pose_names"] == ["seconds"]
    assert metadata["gaps"] == [4.0]
    assert metadata["inputs"] == ["walk.mp4", "frames"]
    names, begins = [], []
    for split in SPLITS:
        for example in tfds.as_numpy(clips.as_dataset(split=split)):
            names.append(example["clip"].decode())
            begins.append(round(30 * float(example["pose"][0, 0])))
            assert example["frames"].shape == (8, 64, 64, 3)
            assert example["frames"].dtype == np.uint8
            assert not example["cyclic"]
            assert example["units_per_frame"] == 0
            np.testing.assert_allclose(np.diff(example["pose"][:, 0]), 1 / 30, rtol=1e-4)
    # Both inputs in all splits, by time.
    assert dict(zip(names, begins, strict=True)) == {
        "train_000000_walk.mp4": 0,
        "train_000001_walk.mp4": 8,
        "train_000002_walk.mp4": 16,
        "train_000003_frames": 0,
        "validation_000000_walk.mp4": 24,
        "validation_000001_frames": 8,
        "test_000000_walk.mp4": 32,
        "test_000001_frames": 16,
    }


def test_the_frames_are_those_of_the_footage(made):
    data_dir, *_ = made
    clips = tfds.as_numpy(
        imported.open_clips("my_clips", data_dir=data_dir).as_dataset(split="test")
    )
    (folder,) = (clip for clip in clips if clip["clip"].endswith(b"frames"))
    truth = [
        np.asarray(PIL.Image.fromarray(frame).resize((64, 64), PIL.Image.Resampling.LANCZOS))
        for frame in moving_square(24, 30, 30)[16:]
    ]
    np.testing.assert_array_equal(folder["frames"], np.stack(truth))


def test_it_loads_by_its_tfds_name(made):
    data_dir, *_ = made
    assert len(tfds.load("inbetween_clips/my_clips", split="train", data_dir=data_dir)) == 4


def test_grey_and_large(inputs, tmp_path):
    footage_clips.import_clips(inputs[1:], settings(image_size=128, channels=1), tmp_path)
    clips = imported.open_clips("my_clips", 128, 1, data_dir=tmp_path)
    (example,) = tfds.as_numpy(clips.as_dataset(split="test"))
    assert example["frames"].shape == (8, 128, 128, 1)
    with pytest.raises(ValueError, match=r"scene 'my_clips' was imported with --image_size=128 "):
        imported.open_clips("my_clips", 64, 1, data_dir=tmp_path)


@pytest.mark.parametrize(
    ("asked", "own", "crop"),
    [("20x30", "20x30", None), (None, "64x48", None), (None, "20x16", (2, 3, 20, 16))],
)
def test_frames_have_the_size_that_is_asked_for_or_their_own(inputs, tmp_path, asked, own, crop):
    made = footage_clips.import_clips(inputs, settings(image_size=asked, crop=crop), tmp_path)
    size = made.image_size
    assert str(size) == own
    clips = imported.open_clips("my_clips", own, data_dir=tmp_path)
    example = next(iter(tfds.as_numpy(clips.as_dataset(split="test"))))
    assert example["frames"].shape == (8, *size, 3)
    assert clips.info.metadata["image_size"] == own
    with pytest.raises(ValueError, match=f"was imported with --image_size={own} "):
        imported.open_clips("my_clips", (size.width, size.height), data_dir=tmp_path)


def test_other_names_are_listed(made):
    data_dir, *_ = made
    assert imported.names(data_dir) == ["my_clips"]
    with pytest.raises(ValueError, match=r"'kettle'; valid: .*teapot_1dof.*, my_clips"):
        imported.open_clips("kettle", data_dir=data_dir)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"name": "a/b"}, "--name=a/b: only letters, digits"),
        ({"name": "../x"}, "--name=../x: only letters"),
        ({"name": "teapot_1dof"}, "--name=teapot_1dof: begins like a rendered scene's name"),
        ({"name": "teapot_1dof_grey"}, "begins like a rendered scene's name"),
        ({"image_size": 15}, "--image_size=15: sides must be 16 to 4096 pixels"),
        ({"image_size": "big"}, "--image_size=big: must be a size such as 64, or 320x180"),
        ({"channels": 2}, "unknown number of channels 2"),
        ({"frames_per_clip": 4}, "--frames_per_clip=4: at least 5"),
        ({"fps": 0.0}, "--fps=0: must be above 0"),
        ({"fps": float("nan")}, "--fps=nan: must be above 0"),
        ({"start": -1.0}, "--start=-1: must be at least 0"),
        ({"start": 2.0, "end": 1.0}, "--end=1: must be after --start=2"),
        ({"shot_threshold": -1.0}, "--shot_threshold=-1"),
        ({"held_out": 0.5}, "--held_out=0.5: must be above 0 and below 0.5"),
    ],
)
def test_settings_out_of_range(more, message):
    with pytest.raises(ValueError, match=message):
        settings(**more)


def test_what_fails_leaves_nothing(inputs, tmp_path):
    assert "no such file" in refused([tmp_path / "nowhere.mp4"], tmp_path)
    assert "no clip of 64 frames for train, validation, test" in refused(
        inputs, tmp_path, frames_per_clip=64
    )
    assert "no --input" in refused([], tmp_path)
    assert "the box 60,0,20,20 is not in it" in refused(inputs, tmp_path, crop=(60, 0, 20, 20))
    assert "--fps=60 would be more" in refused(inputs, tmp_path, fps=60.0)
    late = write_folder(tmp_path / "late", moving_square(24))
    (late / "frame_24.png").write_text("to be a picture")
    for threshold in (15.0, 0.0):  # Before any clip is written, and after.
        line = refused([*inputs, late], tmp_path, shot_threshold=threshold)
        assert line.startswith(f"{late}/frame_24.png: not a readable picture")


def test_names_beyond_ascii(tmp_path):
    path = write_animation(tmp_path / "żółw 亀.gif", moving_square(24))
    made = footage_clips.import_clips([path], settings(name="żółw"), tmp_path / "dane")
    assert made.clips == {"train": 1, "validation": 1, "test": 1}
    (example,) = imported.open_clips("żółw", data_dir=tmp_path / "dane").as_dataset(split="test")
    assert example["clip"].numpy().decode() == "test_000000_żółw 亀.gif"


def test_the_command(inputs, tmp_path):
    command = [
        *(sys.executable, "-m", "data_gen.import_clips", "--name=my_clips"),
        *(f"--input={inputs[0]}", f"--input={inputs[1]}", "--frames_per_clip=8"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(tmp_path / "data")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "data/inbetween_clips/my_clips/1.0.0"
    for line in (
        r"train: 4 clips, 32 frames, 224 triplets",
        r"test: 2 clips, 16 frames, 112 triplets",
        r"2 shots; 0 frames left over at their ends",
        r"64 frames in [\d.]+ s, \d+ frames/s",
        rf"imported into {folder}",
        rf"contact sheet: {folder}/contact_sheet.png",
        r"train with --scene=my_clips .*--frames_per_clip=8 .*--min_gap=4 --max_gap=7",
    ):
        assert re.search(rf"^{line}$", result.stdout, re.MULTILINE), result.stdout
    assert "frames/s" in result.stderr
    assert json.loads((folder / "metadata.json").read_text())["scene"] == "my_clips"
