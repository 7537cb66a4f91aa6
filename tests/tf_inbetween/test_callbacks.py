"""Which epoch's weights are kept, and in which folder."""

import shutil
import types

import keras
import pytest
import tensorflow as tf

from tf_inbetween.callbacks import CheckRunDirectory, SaveBestAndCheckpoint
from tf_inbetween.config import InputError

# (loss, MSE of reconstructions, MSE of in-betweens) of each validation
EPOCHS = [
    (-5.0, 0.010, 0.020),
    (-6.0, 0.009, 0.021),
    (-4.0, 0.020, 0.018),
    (-9.0, 0.007, 0.019),
    (-8.0, 0.008, float("inf")),
]


@pytest.mark.parametrize(
    ("weight", "kept"), [(2.0, [0, 2]), (0.001, [0, 2]), (1000.0, [0, 2]), (0.0, [0, 1, 3])]
)
def test_the_weights_of_the_least_error_are_kept_whatever_the_loss(tmp_path, weight, kept):
    """Of in-betweens, however little they weigh; without their likelihood, of reconstructions."""
    checkpoints = types.SimpleNamespace(
        least_error=tf.Variable(float("inf"), dtype=tf.float64),
        seconds=tf.Variable(0.0, dtype=tf.float64),
        save=lambda: None,
    )
    model = keras.Sequential([keras.layers.Dense(1)])
    model.build((None, 1))
    model.inbetween_weight, model.kind = weight, "pictures"
    callback = SaveBestAndCheckpoint(checkpoints, tmp_path)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, (loss, reconstruction, inbetween) in enumerate(EPOCHS):
        model.layers[0].bias.assign([float(epoch)])
        logs = {"val_loss": loss, "val_reconstruction_mse": reconstruction}
        callback.on_epoch_end(epoch, {**logs, "val_inbetween_mse": inbetween})
        saved = keras.saving.load_model(tmp_path / "model.keras").layers[0].bias.numpy()
        assert saved == [max(e for e in kept if e <= epoch)]


def test_a_model_without_reconstructions_is_judged_by_its_inbetweens(tmp_path):
    checkpoints = types.SimpleNamespace(
        least_error=tf.Variable(0.02, dtype=tf.float64),
        seconds=tf.Variable(0.0, dtype=tf.float64),
        save=lambda: None,
    )
    model = keras.Sequential([keras.layers.Dense(1)])
    model.build((None, 1))
    model.inbetween_weight, model.kind = 1.0, "pictures"
    callback = SaveBestAndCheckpoint(checkpoints, tmp_path)
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_end(0, {"val_loss": -1.0, "val_inbetween_mse": 0.03})
    assert not (tmp_path / "model.keras").exists()
    callback.on_epoch_end(1, {"val_loss": -1.0, "val_inbetween_mse": 0.01})
    assert (tmp_path / "model.keras").exists()
    assert float(checkpoints.least_error) == pytest.approx(0.01)


@pytest.mark.parametrize("flags", [True, False])
def test_a_folder_that_was_made_anew_is_not_the_run_directory(tmp_path, flags):
    folder = tmp_path / "run"
    folder.mkdir()
    if flags:
        (folder / "flags.txt").touch()
    watch = CheckRunDirectory(folder, chief=flags)
    watch.on_train_begin()
    watch.on_epoch_end(0)
    shutil.rmtree(folder)
    if flags:
        folder.mkdir()
        (folder / "model.keras").touch()
    with pytest.raises(InputError, match="run: the run directory has disappeared"):
        watch.on_train_end()


def test_a_folder_that_disappears_before_the_first_step_is_missed_too(tmp_path):
    folder = tmp_path / "run"
    watch = CheckRunDirectory(folder)
    (folder / "logs").mkdir(parents=True)  # As the other callbacks make it.
    watch.on_train_begin()
    with pytest.raises(InputError, match="run: the run directory has disappeared"):
        watch.on_epoch_end(0)
