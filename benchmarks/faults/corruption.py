"""Corruption: bits flipped and tails cut, in every kind of file, in its reader's way.

A damage is *found* if the reader fails in one line that names the file or its folder (or, for the
newest of several checkpoints, takes the one before and says so), *without effect* if what is read
is the same to the last bit, and *used* if it is neither, which must not be.
"""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.faults.subjects import FLAGS, SCENE
from export import checksums
from frame_io.files import read_checked_json
from tf_inbetween import run_directory
from tf_inbetween.checkpoints import newest_whole
from tf_inbetween.clips import prepare
from tf_inbetween.config import Config, InputError


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: in words.
        needs: what holds it, a folder that a command of `subjects.SUBJECTS` makes.
        files: a pattern in that folder.
        read: what a command reads of such a folder: anything comparable. It raises `ValueError`.
    """

    name: str
    needs: str
    files: str
    read: Callable[[Path], object]


def _read_clips(folder):
    config = Config(scene=SCENE, data_dir=str(folder))
    stored = prepare(config)
    clips = [clip for split in ("train", "validation", "test") for clip in stored.load(split)]
    metadata = stored.info.metadata
    rows = [[clip.frames, clip.pose, clip.cyclic, clip.units_per_frame] for clip in clips]
    return rows, dict(metadata)


def _read_checkpoint(folder):
    """The newest; `InputError` with what is said where that is not the one to be read."""
    said = []
    prefix = newest_whole(folder / "checkpoints", said.append)
    if said:
        raise InputError(said[0])
    reader = tf.train.load_checkpoint(prefix)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def _read_model(folder):
    return [weight.numpy() for weight in run_directory.load_model(folder).variables]


def _read_metrics(folder):
    try:
        return read_checked_json(folder / "metrics.json")
    except ValueError as error:
        raise InputError(f"{folder}/metrics.json: {error}") from error


def _read_version(folder):
    """What a server looks at before it loads a version: that every byte is what it was."""
    checksums.check(folder / "1")
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


_NEWEST = f"checkpoints/ckpt-{FLAGS['steps']}"
KINDS = (
    Kind("data set: TFRecord shards", "data", f"*/{SCENE}/*/*.tfrecord*", _read_clips),
    Kind("data set: metadata.json", "data", f"*/{SCENE}/*/metadata.json", _read_clips),
    Kind("data set: features.json", "data", f"*/{SCENE}/*/features.json", _read_clips),
    Kind("data set: dataset_info.json", "data", f"*/{SCENE}/*/dataset_info.json", _read_clips),
    Kind("newest checkpoint: weights", "run", f"{_NEWEST}.data*", _read_checkpoint),
    Kind("newest checkpoint: index", "run", f"{_NEWEST}.index", _read_checkpoint),
    Kind("model.keras", "run", "model.keras", _read_model),
    Kind("metrics.json", "run", "metrics.json", _read_metrics),
    Kind("SavedModel: graph", "models", "1/saved_model.pb", _read_version),
    Kind("SavedModel: weights", "models", "1/variables/*", _read_version),
    Kind("SavedModel: the rest", "models", "1/**/*[!0-9]", _read_version),
)


def damage_often(kind, source, folder, count, rng):
    """Damages files of a kind so many times; returns a row of the table.

    Args:
        kind: a `Kind`.
        source: a folder that is whole, of which `folder` becomes a copy.
        folder: to damage files in.
        count: how many bits to flip, and half as many tails to cut.
        rng: a `random.Random`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    expected = kind.read(folder)
    paths = [path for path in sorted(folder.glob(kind.files)) if path.is_file()]
    noticed, used, unnamed = 0, [], []
    for number in range(count + count // 2):
        path = rng.choice(paths)
        whole = path.read_bytes()
        if number < count:
            place, bit = rng.randrange(len(whole)), rng.randrange(8)
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            what = f"bit {bit} of byte {place} of {path.name}"
        else:
            place = rng.randrange(len(whole))
            broken, what = whole[:place], f"{path.name} cut to {place} bytes"
        path.write_bytes(broken)
        try:
            if not _equal(expected, kind.read(folder)):
                used.append(what)
        except ValueError as error:
            noticed += 1
            if str(folder) not in str(error) or "\n" in str(error):
                unnamed.append(f"{what}: {error}")
        path.write_bytes(whole)
    injected = count + count // 2
    lost = [f"used: {what}" for what in used] + [f"not named: {what}" for what in unnamed]
    return {
        "fault": f"{count} bits flipped, {count // 2} tails cut",
        "what": kind.name,
        "injected": injected,
        "found": noticed,
        "without effect": injected - noticed - len(used),
        "lost": "; ".join(lost) or "nothing",
    }


def _equal(one, other):
    if isinstance(one, dict):
        same = one.keys() == other.keys()
        return same and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return one == other
