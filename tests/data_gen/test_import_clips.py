"""Footage of one's own becomes a data set like the scenes', whole or not at all."""

import contextlib
import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from footage_files import everything, moving_square, write_animation, write_folder, write_video

import data_gen
from data_gen import builder, imported

ROOT = Path(imported.__file__).parent.parent
SPLITS = ("train", "validation", "test")


def settings(**more):
    return imported.Settings(**{"name": "my_clips", "frames_per_clip": 8, **more})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A video of 40 frames, and a folder of 24 of another size."""
    folder = tmp_path_factory.mktemp("footage")
    video = write_video(folder / "walk.mp4", moving_square(40))
    return [video, write_folder(folder / "frames", moving_square(24, 30, 30))]


@pytest.fixture(scope="module")
def made(inputs, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    said = []
    found = imported.import_clips(inputs, settings(), data_dir, notify=said.append)
    return data_dir, found, said


def test_what_comes_out(made, inputs):
    data_dir, found, said = made
    assert found.data_dir == data_dir / "inbetween_clips" / "my_clips" / "1.0.0"
    assert found.clips == {"train": 4, "validation": 2, "test": 2}
    assert found.frames_read == 64
    assert found.shots == 2
    assert said == [
        f"{inputs[0]}: 40 frames, 30 a second",
        f"{inputs[1]}: 24 frames, 30 a second",
    ]
    assert found.notes == {
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


def test_the_bytes_repeat_and_nothing_else_is_left(made, inputs, tmp_path):
    data_dir, *_ = made
    imported.import_clips(inputs, settings(), tmp_path)
    assert everything(tmp_path) == everything(data_dir)
    files = {Path(name).name for name in everything(tmp_path)}
    assert files == {
        *(".lock", "contact_sheet.png", "dataset_info.json", "features.json", "metadata.json"),
        *(f"inbetween_clips-{split}.tfrecord-00000-of-00001" for split in SPLITS),
    }


def test_the_contact_sheet_shows_clips_of_every_split(made):
    _, found, _ = made
    with PIL.Image.open(found.data_dir / "contact_sheet.png") as sheet:
        assert sheet.size == (8 * 64, 8 * 64)


def test_grey_and_large(inputs, tmp_path):
    imported.import_clips(inputs[1:], settings(image_size=128, channels=1), tmp_path)
    clips = imported.open_clips("my_clips", 128, 1, data_dir=tmp_path)
    (example,) = tfds.as_numpy(clips.as_dataset(split="test"))
    assert example["frames"].shape == (8, 128, 128, 1)
    with pytest.raises(ValueError, match=r"scene 'my_clips' was imported with --image_size=128 "):
        imported.open_clips("my_clips", 64, 1, data_dir=tmp_path)


def test_large_footage_goes_into_several_files(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(imported, "_SHARD_BYTES", 10_000)
    imported.import_clips(inputs, settings(), tmp_path)
    clips = imported.open_clips("my_clips", data_dir=tmp_path)
    assert clips.info.splits["train"].num_shards > 1
    assert len(list(clips.as_dataset(split="train"))) == 4


def test_other_names_are_listed(made):
    data_dir, *_ = made
    assert imported.names(data_dir) == ["my_clips"]
    with pytest.raises(ValueError, match=r"'kettle'; valid: .*teapot_1dof.*, my_clips"):
        imported.open_clips("kettle", data_dir=data_dir)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([12], [(10, 1, 1)]),
        ([30], [(24, 3, 3)]),
        ([3], [(1, 1, 1)]),
        ([2, 1, 1, 0], [(2, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]),
        ([2, 2], [(2, 0, 0), (2, 0, 0)]),
        ([1, 12, 1], [(1, 0, 0), (10, 1, 1), (1, 0, 0)]),
    ],
)
def test_the_last_clips_of_every_input_are_held_out(counts, expected):
    assert imported.divide(counts, 0.1) == [
        [split for split, size in zip(SPLITS, sizes, strict=True) for _ in range(size)]
        for sizes in expected
    ]


def frames_of(values):
    return [(i, np.full((2, 2, 1), value, np.uint8)) for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "cuts"),
    [
        ([10, 11, 12, 13, 200, 201, 202, 203], [4]),
        ([0, 40, 80, 120, 160, 200, 240], []),  # Fast, but even.
        ([10] * 5 + [24] * 5, []),  # Below the threshold.
        ([10] * 5 + [25] * 5, [5]),
        ([10, 200], [1]),
        ([10, 10, 200, 200, 10, 10], [2, 4]),
        ([10], []),
        ([], []),
    ],
)
def test_cuts_between_shots(values, cuts):
    found = list(imported.marked(frames_of(values), 15))
    assert [frame[0] for _, frame in found] == list(range(len(values)))
    assert [frame[0] for begins, frame in found if begins] == cuts
    assert not any(begins for begins, _ in imported.marked(frames_of(values), 0))


def test_no_clip_goes_over_a_cut():
    frames = [(place in (7, 13), (place, None)) for place in range(30)]
    clips = [[place for place, _ in clip] for clip in imported.cut(frames, 5)]
    assert clips == [
        [0, 1, 2, 3, 4],
        [7, 8, 9, 10, 11],
        [13, 14, 15, 16, 17],
        [18, 19, 20, 21, 22],
        [23, 24, 25, 26, 27],
    ]


@pytest.mark.parametrize(
    ("threshold", "cuts", "begins"),
    [
        (0, (), ([*range(0, 64, 8)], [64], [72])),
        (15, (), ([*range(0, 64, 8)], [64], [72])),
        (15, (77,), ([*range(0, 56, 8)], [56], [64])),  # No clip is left of the last frames.
        (15, (69, 73, 76), ([*range(0, 48, 8)], [48], [56])),
        (15, (5,), ([5, 13, 21, 29, 37, 45, 53], [61], [69])),
    ],
)
def test_the_last_clips_are_held_out_wherever_the_cuts_are(tmp_path, threshold, cuts, begins):
    frames = moving_square(80)
    for place in cuts:
        frames[place:] = 255 - frames[place:]
    path = write_folder(tmp_path / "frames", frames)
    found = imported.import_clips([path], settings(shot_threshold=threshold), tmp_path)
    assert found.frames_read == 80
    assert found.shots == 1 + len(cuts)
    assert set(found.notes.values()) == {80}
    clips = imported.open_clips("my_clips", data_dir=tmp_path)
    for split, expected in zip(SPLITS, begins, strict=True):
        examples = clips.as_dataset(split=split).as_numpy_iterator()
        times = 30 * np.stack([example["pose"][:, 0] for example in examples])
        np.testing.assert_allclose(times, np.add.outer(expected, np.arange(8)), atol=1e-3)


def test_no_clip_of_a_video_goes_over_its_cut(tmp_path):
    frames = moving_square(60)
    frames[30:] = 255 - frames[30:]
    path = write_video(tmp_path / "a.mp4", frames)
    found = imported.import_clips([path], settings(), tmp_path)
    assert found.shots == 2
    assert sum(found.clips.values()) == 6
    for split in SPLITS:
        for example in imported.open_clips("my_clips", data_dir=tmp_path).as_dataset(split=split):
            assert np.ptp(example["frames"].numpy()[:, 63, 63, 0].astype(int)) < 50


def test_memory_holds_one_clip_and_a_few_frames():
    alive, most = 0, 0

    class Frame(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def endless():
        nonlocal alive, most
        for i in range(3000):
            alive += 1
            most = max(most, alive)
            frame = np.ndarray.__new__(Frame, (2, 2, 1), np.uint8)
            frame[:] = i % 7
            yield i, frame.view(Frame)

    Frame.__array_finalize__ = lambda self, obj: None
    counted = 0
    for clip in imported.cut(imported.marked(endless(), 15), 10):
        counted += len(clip)
    assert counted == 3000
    assert most < 50


def test_gaps_are_of_whole_quarters():
    assert imported.gaps(5) == [4]
    assert imported.gaps(8) == [4]
    assert imported.gaps(32) == [4, 8, 16, 28]
    assert imported.gaps(33) == [4, 8, 16, 32]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"name": "a/b"}, "--name=a/b: only letters, digits"),
        ({"name": "../x"}, "--name=../x: only letters"),
        ({"name": "teapot_1dof"}, "--name=teapot_1dof: is a rendered scene"),
        ({"name": "teapot_1dof_grey"}, "is a rendered scene"),
        ({"image_size": 65}, r"unknown image size 65; valid: \(64, 128\)"),
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


def refused(inputs, tmp_path, error=ValueError, **more):
    """The one line of an import that fails, and that nothing is left of it."""
    data_dir = tmp_path / "data"
    with pytest.raises(error) as found:
        imported.import_clips(inputs, settings(**more), data_dir)
    assert not data_dir.exists()
    assert "\n" not in str(found.value)
    return str(found.value)


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


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        tf.errors.ResourceExhaustedError(None, None, "No space left on device"),
        KeyboardInterrupt(),
    ],
)
def test_a_full_disk_leaves_nothing(inputs, tmp_path, monkeypatch, error):
    def full(self, record):
        raise error

    monkeypatch.setattr(tf.io.TFRecordWriter, "write", full)
    refused(inputs, tmp_path, type(error))


@pytest.fixture
def waiting(monkeypatch):
    """Makes whoever has to wait for a lock do something else instead."""
    flock = fcntl.flock

    def make(instead):
        def wait(file, how):
            if how & fcntl.LOCK_NB:
                flock(file, how)
            else:
                instead()

        monkeypatch.setattr(fcntl, "flock", wait)

    return make


def test_an_interrupted_wait_leaves_the_running_import_alone(inputs, tmp_path, waiting):
    def interrupt():
        raise KeyboardInterrupt

    waiting(interrupt)
    folder = tmp_path / "inbetween_clips/my_clips"
    with builder._locked(folder):
        (folder / "incomplete.running").mkdir()
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                imported.import_clips(inputs, settings(), tmp_path)
            assert {path.name for path in folder.iterdir()} == {".lock", "incomplete.running"}


def test_who_waited_for_a_lock_that_was_removed_takes_the_new_one(tmp_path, waiting):
    folder, waited = tmp_path / "clips", []

    def remove():
        waited.append(True)
        running.close()
        (folder / ".lock").unlink()
        folder.rmdir()

    waiting(remove)
    running = contextlib.ExitStack()
    running.enter_context(builder._locked(folder))
    with builder._locked(folder), open(folder / ".lock") as lock:
        assert waited == [True]
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_taken_name_needs_overwrite(inputs, tmp_path):
    imported.import_clips(inputs[1:], settings(), tmp_path)
    before = everything(tmp_path / "inbetween_clips")
    with pytest.raises(ValueError, match=r"--name=my_clips: is taken \(.*\); --overwrite replaces"):
        imported.import_clips(inputs, settings(), tmp_path)
    late = write_folder(tmp_path / "late", moving_square(24))
    (late / "frame_24.png").write_text("to be a picture")
    with pytest.raises(ValueError, match="not a readable picture"):
        imported.import_clips([late], settings(), tmp_path, overwrite=True)
    before.pop("my_clips/.lock")
    assert everything(tmp_path / "inbetween_clips") == before
    imported.import_clips(inputs, settings(), tmp_path, overwrite=True)
    info = imported.open_clips("my_clips", data_dir=tmp_path).info
    assert info.splits["train"].num_examples == 4


def test_names_beyond_ascii(tmp_path):
    path = write_animation(tmp_path / "żółw 亀.gif", moving_square(24))
    found = imported.import_clips([path], settings(name="żółw"), tmp_path / "dane")
    assert found.clips == {"train": 1, "validation": 1, "test": 1}
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


def test_a_killed_import_is_no_import(inputs, tmp_path):
    script = """
import os, sys
from data_gen import imported
imported._contact_sheet = lambda clips: os.kill(os.getpid(), 9)
imported.import_clips([sys.argv[1]], imported.Settings(name="a", frames_per_clip=8), sys.argv[2])
"""
    killed = subprocess.run(
        [sys.executable, "-c", script, str(inputs[0]), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob("incomplete.*/*"))
    assert imported.names(tmp_path) == []
    imported.import_clips(inputs, settings(name="a"), tmp_path)
    assert not list(tmp_path.rglob("incomplete.*"))
    assert imported.names(tmp_path) == ["a"]
