"""Checkpoints: what a stopped training needs to end as if it had never stopped."""

from pathlib import Path

import tensorflow as tf

from tf_inbetween.config import InputError

_KEEP = 2


class Checkpoints:
    """The model, its optimizer, the best validation loss and the seconds spent, in one file.

    Attributes:
        best: the lowest validation loss so far.
        seconds: the training time so far.
        restored_step: the step that `restore` went back to; 0 if it found nothing.
    """

    def __init__(self, model, directory):
        """Tracks `model`, compiled and built, in `directory`."""
        model.optimizer.build(model.trainable_variables)
        self._model = model
        self.best = tf.Variable(float("inf"), dtype=tf.float64)
        self.seconds = tf.Variable(0.0, dtype=tf.float64)
        self.restored_step = 0
        checkpoint = tf.train.Checkpoint(
            model=model, optimizer=model.optimizer, best=self.best, seconds=self.seconds
        )
        self._manager = tf.train.CheckpointManager(checkpoint, Path(directory), max_to_keep=_KEEP)

    def restore(self):
        """Restores the newest checkpoint, if any; returns the step it was made at, or 0."""
        path = self._manager.latest_checkpoint
        if path is None:
            return 0
        try:
            self._manager.checkpoint.restore(path).assert_existing_objects_matched()
        except Exception as error:  # TensorFlow raises a different one for every damage.
            first_line = str(error).strip().partition("\n")[0]
            raise InputError(f"{path}: cannot be restored: {first_line}") from error
        self.restored_step = self.step
        return self.step

    def save(self):
        """Saves now."""
        self._manager.save(checkpoint_number=self.step)

    @property
    def step(self):
        """Optimizer steps done."""
        return int(self._model.optimizer.iterations)
