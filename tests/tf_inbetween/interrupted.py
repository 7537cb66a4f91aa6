"""Trainings that stop on the way, and what two of them that should end equal have come to."""

import tensorflow as tf

from frame_io.files import without_pattern
from tf_inbetween import run_directory, training
from tf_inbetween.checkpoints import latest


def weights_of(config):
    return [weight.numpy() for weight in run_directory.load_model(config.run_dir).variables]


def final_weights(config):
    """As `checkpoint_weights`, of the run of a config."""
    return checkpoint_weights(config.run_dir)


def checkpoint_weights(run_dir):
    """Model and optimizer, as the last checkpoint of a run has them."""
    with without_pattern(latest(f"{run_dir}/checkpoints")) as path:
        reader = tf.train.load_checkpoint(path)
        return {
            name: reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map()
            if name.startswith(("model/", "optimizer/"))
        }


def interrupt_at(monkeypatch, step):
    """Makes the next training stop like Ctrl-C before that step; those after it run through."""
    original = training.Progress

    class Stopping(original):
        def on_train_batch_begin(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == step:
                monkeypatch.setattr(training, "Progress", original)
                raise KeyboardInterrupt

    monkeypatch.setattr(training, "Progress", Stopping)
