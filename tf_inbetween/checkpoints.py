"""Checkpoints: what a stopped training needs to end as if it had never stopped."""

from pathlib import Path

import tensorflow as tf

from tf_inbetween.config import InputError

_KEEP = 2


class Checkpoints:
    """The model, its optimizer, the least validation error and the seconds spent, in one file.

    Attributes:
        least_error: of the validations so far, as `callbacks.SaveProgress` has it.
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
        """Restores the newest checkpoint, if any; returns the step it was made at, or 0.

        Raises `InputError` if there are checkpoints and the newest cannot be read.
        """
        path = latest(self._directory)
        if path is None:
            return 0
        try:
            self._checkpoint.restore(path).assert_existing_objects_matched()
        except Exception as error:  # TensorFlow raises a different one for every damage.
            first_line = str(error).strip().partition("\n")[0]
            raise InputError(f"{path}: cannot be restored: {first_line}") from error
        self.restored_step = self.step
        return self.step

    def save(self):
        """Saves now and removes all but the newest two."""
        if self._manager is None:
            self._manager = tf.train.CheckpointManager(
                self._checkpoint, self._save_to, max_to_keep=_KEEP
            )
        self._manager.save(checkpoint_number=self.step)

    @property
    def step(self):
        """Optimizer steps done."""
        return int(self._model.optimizer.iterations.numpy())


def latest(directory):
    """The newest checkpoint's path prefix in a folder; None if it has none.

    Raises `InputError` if there are some but the file that lists them is missing or damaged. (A
    single one without that file is what a kill in the first save leaves; it does not count.)
    """
    try:
        path = tf.train.latest_checkpoint(directory)
    except ValueError:  # of an empty list; damage of other kinds is ignored with a warning
        path = None
    listed = (Path(directory) / "checkpoint").exists()
    names = {found.name.partition(".")[0] for found in Path(directory).glob("ckpt-*")}
    if path is None and (listed or len(names) > 1):
        raise InputError(
            f"{directory}/checkpoint: missing or damaged, though there are ckpt-* files"
        )
    return path


def progress(directory):
    """The step and the training seconds of the newest checkpoint in a folder; 0 and 0 if none."""
    path = latest(directory)
    if path is None:
        return 0, 0.0
    seconds = tf.train.load_variable(path, "seconds/.ATTRIBUTES/VARIABLE_VALUE")
    return int(path.rpartition("-")[2]), float(seconds)
