"""The folder of a data set: its features, its lock and its checksum."""

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging


@contextlib.contextmanager
def locked(directory):
    """Waits for other builds in a directory to end, then removes leftovers of dead ones.

    The operating system drops the lock of a process that dies, so its holder is the only active
    build and every unfinished build is dead. After an error the lock file is removed while it is
    held, and so are new empty folders.
    """
    path = directory / ".lock"
    new = list(itertools.takewhile(lambda f: not f.exists(), [directory, *directory.parents]))
    with _locked_file(path):
        try:
            for leftover in directory.glob("incomplete.*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
                for folder in new:
                    folder.rmdir()
            raise


def _locked_file(path):
    """Opens a file and waits for its lock; if the file was removed meanwhile, tries again."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:
            lock = stack.enter_context(open(path, "w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.warning("another process is building %s; waiting for it", path.parent)
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(path)):
                stack.pop_all()
                return lock


def features_of(frame_shape, pose_size, **more):
    """Returns the features of clips, as `data_gen.builder` describes them.

    Args:
      frame_shape: (H, W, C).
      pose_size: numbers in a pose.
      **more: features besides.
    """
    frame = tfds.features.Image(shape=frame_shape, encoding_format="png")
    return tfds.features.FeaturesDict(
        {
            "clip": tfds.features.Text(),
            "frames": tfds.features.Sequence(frame),
            "pose": tfds.features.Tensor(shape=(None, pose_size), dtype=np.float32),
            "cyclic": np.bool_,
            "units_per_frame": np.float32,
            **more,
        }
    )


def with_checksum(**metadata):
    """Returns metadata with the key "sha256", over all other keys; `check_metadata` checks it.

    TFDS keeps no checksum of it, and a flipped bit would change gaps or names.
    """
    return tfds.core.MetadataDict(**metadata, sha256=_sha256(metadata))


def check_metadata(data_dir):
    """Raises ValueError if the metadata.json of a data set is damaged."""
    try:
        metadata = json.loads((Path(data_dir) / "metadata.json").read_text())
        if metadata.pop("sha256", None) != _sha256(metadata):
            raise ValueError("the checksum of metadata.json is missing or does not match")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise damaged(data_dir, error) from error


def damaged(data_dir, error):
    """The error for a data set whose files cannot be read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return ValueError(
        f"{data_dir}: the data set is damaged ({reason}): remove that folder and build or import "
        "it again"
    )


def _sha256(metadata):
    return hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()
