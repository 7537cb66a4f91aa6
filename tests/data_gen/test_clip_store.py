"""Clips are stored whole or not at all, by one process at a time."""

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest
import tensorflow as tf
from footage_files import everything, moving_square, write_folder
from small_imports import refused, settings

from data_gen import clip_store, data_set_folder, footage_clips, imported

ROOT = Path(imported.__file__).parent.parent
SPLITS = ("train", "validation", "test")


def test_the_bytes_repeat_and_nothing_else_is_left(made, inputs, tmp_path):
    data_dir, *_ = made
    footage_clips.import_clips(inputs, settings(), tmp_path)
    assert everything(tmp_path) == everything(data_dir)
    files = {Path(name).name for name in everything(tmp_path)}
    assert files == {
        *(".lock", "contact_sheet.png", "dataset_info.json", "features.json", "metadata.json"),
        *(f"inbetween_clips-{split}.tfrecord-00000-of-00001" for split in SPLITS),
    }


def test_the_contact_sheet_shows_clips_of_every_split(made):
    _, result, _ = made
    with PIL.Image.open(result.data_dir / "contact_sheet.png") as sheet:
        assert sheet.size == (8 * 64, 8 * 64)


def test_large_footage_goes_into_several_files(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(clip_store, "_SHARD_BYTES", 10_000)
    footage_clips.import_clips(inputs, settings(), tmp_path)
    clips = imported.open_clips("my_clips", data_dir=tmp_path)
    assert clips.info.splits["train"].num_shards > 1
    assert len(list(clips.as_dataset(split="train"))) == 4


def test_gaps_are_of_whole_quarters():
    assert clip_store.gaps(5) == [4]
    assert clip_store.gaps(8) == [4]
    assert clip_store.gaps(32) == [4, 8, 16, 28]
    assert clip_store.gaps(33) == [4, 8, 16, 32]


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
    with data_set_folder.locked(folder):
        (folder / "incomplete.running").mkdir()
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                footage_clips.import_clips(inputs, settings(), tmp_path)
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
    running.enter_context(data_set_folder.locked(folder))
    with data_set_folder.locked(folder), open(folder / ".lock") as lock:
        assert waited == [True]
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_taken_name_needs_overwrite(inputs, tmp_path):
    footage_clips.import_clips(inputs[1:], settings(), tmp_path)
    before = everything(tmp_path / "inbetween_clips")
    with pytest.raises(ValueError, match=r"--name=my_clips: is taken \(.*\); --overwrite replaces"):
        footage_clips.import_clips(inputs, settings(), tmp_path)
    late = write_folder(tmp_path / "late", moving_square(24))
    (late / "frame_24.png").write_text("to be a picture")
    with pytest.raises(ValueError, match="not a readable picture"):
        footage_clips.import_clips([late], settings(), tmp_path, overwrite=True)
    before.pop("my_clips/.lock")
    assert everything(tmp_path / "inbetween_clips") == before
    footage_clips.import_clips(inputs, settings(), tmp_path, overwrite=True)
    info = imported.open_clips("my_clips", data_dir=tmp_path).info
    assert info.splits["train"].num_examples == 4


def test_a_killed_import_is_no_import(inputs, tmp_path):
    script = """
import os, sys
from data_gen import clip_store, footage_clips
clip_store.SHEETS["pictures"] = lambda *_: os.kill(os.getpid(), 9)
settings = footage_clips.Settings(name="a", frames_per_clip=8)
footage_clips.import_clips([sys.argv[1]], settings, sys.argv[2])
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
    footage_clips.import_clips(inputs, settings(name="a"), tmp_path)
    assert not list(tmp_path.rglob("incomplete.*"))
    assert imported.names(tmp_path) == ["a"]
