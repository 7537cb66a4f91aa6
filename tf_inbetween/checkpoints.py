"""Checkpoints: an interrupted training resumes and ends as if it had never stopped.

The two newest are kept. TensorFlow stores a CRC32C of every tensor beside it; a checkpoint is
restored only after all of them were checked, and a damaged one is skipped for the previous one.
"""

import contextlib
import re
import shutil
from pathlib import Path

import tensorflow as tf

from frame_io.files import without_pattern
from tf_inbetween.config import InputError

_KEEP = 2


class Checkpoints:
    """The model, its optimizer, the least validation error and the seconds spent, in one file.

    Attributes:
        least_error: of the validations so far, as `callbacks.SaveBestAndCheckpoint` has it.
        seconds: the training time so far.
        restored_step: the step that `restore` went back to; 0 if it found nothing.
    """

    def __init__(self, model, directory, save_to=None):
        """Tracks `model`, compiled and built, in `directory`.

        Checkpoints are saved in `save_to`, if given: where several workers share a training, all
        of them have to save, and one saves in the folder that all restore from.
        """
        model.optimizer.build(model.trainable_variables)
        self._model, self._directory = model, Path(directory)
        self._save_to = Path(save_to or directory)
        self.least_error = tf.Variable(float("inf"), dtype=tf.float64)
        self.seconds = tf.Variable(0.0, dtype=tf.float64)
        self.restored_step = 0
        self._manager = None
        self._checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=model.optimizer,
            least_error=self.least_error,
            seconds=self.seconds,
        )

    def restore(self):
        """Restores the newest checkpoint that is whole, if any; returns its step, or 0.

        `progress` reports damaged ones. Raises `InputError` if there are checkpoints and none can
        be read, or it is of another model.
        """
        path = newest_whole(self._directory, say=lambda line: None)
        if path is None:
            return 0
        try:
            with without_pattern(path) as prefix:
                self._checkpoint.restore(prefix).assert_existing_objects_matched()
        except Exception as error:  # TensorFlow raises various errors for a mismatch.
            raise InputError(f"{path}: cannot be restored: {_line(error)}") from error
        self.restored_step = self.step
        return self.step

    def save(self):
        """Saves now and removes all but the newest two."""
        if self._manager is None:
            self._manager = tf.train.CheckpointManager(
                self._checkpoint, self._save_to, max_to_keep=_KEEP
            )
        self._manager.save(checkpoint_number=self.step)
        self._clear_away()

    def _clear_away(self):
        """Removes partial saves, damaged checkpoints that were skipped, and old ones."""
        steps = [step for step in _steps(self._save_to) if step <= self.step]
        kept = {f"ckpt-{step}" for step in steps[:_KEEP]}
        for path in self._save_to.glob("ckpt-*"):
            if path.name.partition(".")[0] not in kept:
                # Failing to remove leftovers must not stop the training.
                with contextlib.suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    @property
    def step(self):
        """Optimizer steps done."""
        return int(self._model.optimizer.iterations.numpy())


def latest(directory):
    """The path prefix of the newest checkpoint in a folder, which is not read; None if none.

    It is the one that TensorFlow's list names, or where that is damaged the one that a name has.
    Raises `InputError` if there is a list and no checkpoint.
    """
    prefixes, listed = _prefixes(directory), _listed(directory)
    if listed and not prefixes:
        raise InputError(f"{listed}: lists checkpoints, and none of them is there")
    # Not tf.train.latest_checkpoint: it takes the path for a pattern.
    state = tf.train.get_checkpoint_state(directory)  # None where the list is damaged.
    if state and state.model_checkpoint_path in prefixes:
        return state.model_checkpoint_path
    return prefixes[0] if listed else None


def newest_whole(directory, say=print):
    """The path prefix of the newest undamaged checkpoint; None if there is none.

    Args:
        directory: the folder; all of its checkpoints are checked, listed or not.
        say: called with one line for every damaged checkpoint that is skipped.

    Raises:
        InputError: if there are checkpoints and none can be read. (A single unfinished one, left by
            a kill during the first save, does not count.)
    """
    prefixes, listed = _prefixes(directory), _listed(directory)
    reasons = {}
    for prefix in prefixes:
        reasons[prefix] = _damage(prefix)
        if not reasons[prefix]:
            for passed in list(reasons)[:-1]:
                say(f"{passed}: damaged or not finished ({reasons[passed]}); taking {prefix}")
            return prefix
    if listed and not prefixes:
        raise InputError(f"{listed}: lists checkpoints, and none of them is there")
    if listed or len(prefixes) > 1:
        raise InputError(f"{prefixes[0]}: cannot be restored: {reasons[prefixes[0]]}")
    return None


def progress(directory, say=print):
    """The step and the training seconds of the newest whole checkpoint; 0 and 0 if none.

    Raises and says as `newest_whole`.
    """
    path = newest_whole(directory, say)
    if path is None:
        return 0, 0.0
    with without_pattern(path) as prefix:
        seconds = tf.train.load_variable(prefix, "seconds/.ATTRIBUTES/VARIABLE_VALUE")
    return int(path.rpartition("-")[2]), float(seconds)


def _prefixes(directory):
    """The path prefixes of all checkpoints in a folder, finished or not, the newest first."""
    return [str(Path(directory) / f"ckpt-{step}") for step in _steps(directory)]


def _steps(directory):
    """The steps of all checkpoints in a folder, finished or not, falling."""
    names = {path.name.partition(".")[0] for path in Path(directory).glob("ckpt-*.*")}
    steps = (int(name[5:]) for name in names if re.fullmatch(r"ckpt-\d+", name))
    return sorted(steps, reverse=True)


def _listed(directory):
    """The file in which TensorFlow lists the checkpoints, written after the first is whole."""
    path = Path(directory) / "checkpoint"
    return path if path.exists() else None


def _damage(prefix):
    """Why a checkpoint cannot be read; "" if every tensor of it can, and its checksum is right."""
    try:
        with without_pattern(prefix) as path:
            reader = tf.train.load_checkpoint(path)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
    except Exception as error:  # TensorFlow raises various errors for damage.
        return _line(error)
    return ""


def _line(error):
    return str(error).strip().partition("\n")[0]
