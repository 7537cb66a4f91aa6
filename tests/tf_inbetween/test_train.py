"""Whole trainings, tiny: repeatable, resumable, and clear when something is wrong."""

import json
import re
import shutil

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from interrupted import final_weights, interrupt_at, weights_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tf_inbetween import run_directory, training
from tf_inbetween.checkpoints import latest
from tf_inbetween.config import InputError
from tf_inbetween.data import batches
from tf_inbetween.evaluation import metrics

pytestmark = pytest.mark.usefixtures("tiny_data")


def test_each_epoch_draws_a_picture_whose_path_is_told(tiny_config, tmp_path, monkeypatch, capsys):
    path, seen = tmp_path / "run" / "figures" / "training.png", []

    class Looking(training.Progress):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            seen.append(path.read_bytes() if path.exists() else None)

    monkeypatch.setattr(training, "Progress", Looking)
    training.train(tiny_config())
    assert capsys.readouterr().out.count(f"what it draws, after each epoch: {path}\n") == 1
    seen.append(path.read_bytes())
    assert seen[0] is None
    assert len(set(seen)) == 4  # None, and one for each of three epochs.
    with PIL.Image.open(path) as picture:
        assert picture.width > 8 * 64
        assert np.asarray(picture.convert("L")).std() > 5
    assert [file.name for file in path.parent.iterdir()] == ["training.png"]


def test_two_runs_with_one_seed_end_equal_and_another_seed_does_not(
    finished, tiny_config, tmp_path
):
    again, other = (
        tiny_config(run_dir=str(tmp_path / f"seed {seed}"), seed=seed) for seed in (0, 1)
    )
    for config in (again, other):
        training.train(config)
    a, b, c = (final_weights(config) for config in (finished(), again, other))
    assert len(a) > 20
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name], err_msg=name)
    assert any(not np.array_equal(a[name], c[name]) for name in a)


@pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_resumes_and_ends_equal(
    finished, tiny_config, tmp_path, monkeypatch, step
):
    whole = finished(run_dir=str(tmp_path / "whole"))
    broken = tiny_config(run_dir=str(tmp_path / "broken [1] *?"))  # TensorFlow globs.
    interrupt_at(monkeypatch, step)
    with pytest.raises(KeyboardInterrupt):
        training.train(broken)
    checkpoints = training.train(broken)
    assert checkpoints.step == 6
    expected, actual = final_weights(whole), final_weights(broken)
    assert set(expected) == set(actual)
    for name, value in expected.items():
        np.testing.assert_array_equal(value, actual[name], err_msg=name)
    for one, other in zip(weights_of(whole), weights_of(broken), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_finished_run_is_left_alone(finished):
    config = finished()
    before = final_weights(config)
    assert training.train(config).step == 6
    for name, value in final_weights(config).items():
        np.testing.assert_array_equal(value, before[name])


def test_other_flags_refuse_to_resume_and_say_which(finished, tiny_config):
    finished()
    with pytest.raises(InputError, match=r"--alpha=9\.0 \(was 1\.0\), --steps=8 \(was 6\)"):
        training.train(tiny_config(alpha=9.0, steps=8))


def test_a_folder_with_other_things_is_not_taken(tiny_config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"has files but no flags\.txt"):
        training.train(tiny_config())
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_a_loss_that_breaks_stops_at_once_with_the_term_and_keeps_the_last_model(
    tiny_config, monkeypatch
):
    config = tiny_config(steps=40, steps_per_epoch=10)

    def poisoned(stored, split, config, **kwargs):
        def poison(step, batch):
            t = tf.where(step == 13, float("nan"), batch["t"])
            return {**batch, "t": t}

        dataset = batches(stored, split, config, **kwargs)
        return dataset if split != "train" else dataset.enumerate().map(poison)

    monkeypatch.setattr(training, "batches", poisoned)
    with pytest.raises(InputError, match=r"step 14: .*matching_kl.* NaN") as caught:
        training.train(config)
    assert "reconstruction_nll" not in str(caught.value)
    for weight in weights_of(config):
        assert np.all(np.isfinite(weight))


def test_a_bad_name_leaves_no_run_directory(tiny_config, tmp_path):
    with pytest.raises(InputError, match="unknown matching"):
        training.train(tiny_config(matching="middle"))
    assert not (tmp_path / "run").exists()


def test_a_validation_that_breaks_stops_too(tiny_config, monkeypatch):
    def poisoned(stored, split, config, **kwargs):
        dataset = batches(stored, split, config, **kwargs)
        if split == "train":
            return dataset
        return dataset.map(lambda batch: {**batch, "t": batch["t"] * float("nan")})

    monkeypatch.setattr(training, "batches", poisoned)
    with pytest.raises(InputError, match=r"step 2: .*val_matching_kl.* NaN"):
        training.train(tiny_config())


def test_a_finished_run_whose_model_is_gone_says_so(finished, tmp_path):
    config = finished(steps=2)
    (tmp_path / "run" / "model.keras").unlink()
    with pytest.raises(InputError, match=r"model\.keras: missing"):
        training.train(config)


def test_a_start_cut_off_between_its_files_starts_again(tiny_config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "environment.json").write_text("{}")
    (tmp_path / "run" / ".flags.partial.txt").write_text("--al")
    config = tiny_config(steps=2)
    assert training.train(config).step == 2
    assert run_directory.load_config(tmp_path / "run") == config


@pytest.mark.parametrize(
    "content",
    [
        "garbage",
        pytest.param("", marks=pytest.mark.slow),
        pytest.param(None, marks=pytest.mark.slow),
    ],
)
def test_a_damaged_list_of_checkpoints_does_no_harm(finished, tmp_path, content):
    config = finished(steps=2)
    path = tmp_path / "run" / "checkpoints" / "checkpoint"
    path.unlink() if content is None else path.write_text(content)
    assert training.train(config).restored_step == 2
    for file in path.parent.glob("ckpt-*"):
        file.unlink()
    if content is not None:
        with pytest.raises(InputError, match="checkpoint: lists checkpoints, and none of them is"):
            training.train(config)


def test_a_kill_in_the_first_save_starts_again(finished, tmp_path):
    config = finished(steps=2)
    expected = final_weights(config)
    folder = tmp_path / "run" / "checkpoints"
    (folder / "checkpoint").unlink()
    (folder / "ckpt-2.index").write_bytes((folder / "ckpt-2.index").read_bytes()[:100])
    (folder / "ckpt-2_temp").mkdir()
    assert training.train(config).restored_step == 0
    for name, value in final_weights(config).items():
        np.testing.assert_array_equal(value, expected[name])
    names = {"checkpoint", "ckpt-2.index", "ckpt-2.data-00000-of-00001"}
    assert {path.name for path in folder.iterdir()} == names


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(finished, tmp_path, capsys):
    config = finished()
    expected = final_weights(config)
    (data,) = (tmp_path / "run" / "checkpoints").glob("ckpt-6.data*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    assert latest(data.parent) == f"{data.parent}/ckpt-6"
    capsys.readouterr()
    assert training.train(config).restored_step == 4
    said = capsys.readouterr().out
    assert re.search(r"ckpt-6: damaged or not finished \(.*\); taking .*/ckpt-4\n", said), said
    assert "resuming at step 4 of 6" in said
    for name, value in final_weights(config).items():
        np.testing.assert_array_equal(value, expected[name])


def test_a_run_directory_that_disappears_is_not_made_anew(tiny_config, tmp_path, monkeypatch):
    class Removing(training.Progress):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if int(self.model.optimizer.iterations) == 4:
                shutil.rmtree(tmp_path / "run")

    with monkeypatch.context() as patch:
        patch.setattr(training, "Progress", Removing)
        with pytest.raises(InputError, match="run: the run directory has disappeared; the same"):
            training.train(tiny_config())
    assert not (tmp_path / "run" / "checkpoints").exists()
    (tmp_path / "run" / "logs").mkdir(parents=True, exist_ok=True)  # As TensorFlow may leave it.
    run_directory.start(tiny_config(), "float32")
    assert (tmp_path / "run" / "flags.txt").exists()


def test_settings_that_fit_no_clip_leave_no_run_directory(tiny_config, tmp_path):
    with pytest.raises(InputError, match="none that --min_gap=350"):
        training.train(tiny_config(min_gap=350.0, max_gap=355.0))
    assert not (tmp_path / "run").exists()


def test_a_damaged_checkpoint_is_an_error_not_a_fresh_start(finished, tmp_path):
    config = finished(steps=2)
    (data,) = (tmp_path / "run" / "checkpoints").glob("ckpt-2.data*")
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(InputError, match="ckpt-2: cannot be restored"):
        training.train(config)


def test_the_flags_and_the_environment_are_written_first(tiny_config, tmp_path, monkeypatch):
    config = tiny_config(alpha=2.5, seed=0)
    interrupt_at(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        training.train(config)
    assert run_directory.load_config(tmp_path / "run") == config
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["seed"] == 0
    assert environment["packages"]["keras"] == keras.__version__


def test_tensorboard_gets_every_page(finished, tmp_path, stored):
    finished()
    logs = tmp_path / "run" / "logs"
    pages = {}
    for name in ("train", "validation"):
        pages[name] = EventAccumulator(str(logs / name), size_guidance={"tensors": 0}).Reload()
        tags = set(pages[name].Tags()["tensors"])
        assert {"loss", "reconstruction_nll", "prior_kl", "matching_kl", "inbetween_nll"} <= tags
        assert [event.step for event in pages[name].Tensors("loss")] == [2, 4, 6]
    assert "triplet_loss" in pages["train"].Tags()["tensors"]  # the graph
    tags = set(pages["validation"].Tags()["tensors"])
    assert {"reconstruction", "inbetween", "latent_mean", "latent_stddev"} <= tags
    assert "_hparams_/session_start_info" in tags
    assert "mask" not in tags  # It copies nothing.
    picture = pages["validation"].Tensors("inbetween")[-1].tensor_proto.string_val[2]
    strip = tf.io.decode_png(picture).numpy()
    assert strip.shape == (2 * 64 + 2, 8 * 64 + 7 * 2, 3)
    # The detail is that of the strip's in-betweens, without its ends.
    truth, drawn = (
        np.stack([strip[top : top + 64, 66 * i :][:, :64] / 255 for i in range(1, 7)])
        for top in (0, 66)
    )
    details = [tf.make_ndarray(e.tensor_proto) for e in pages["validation"].Tensors("detail")]
    assert len(details) == 3
    np.testing.assert_allclose(details[-1], metrics.detail(drawn, truth).mean(), atol=0.02)

    (clip,) = stored.load("validation")
    poses = (logs / "validation" / "poses.tsv").read_text().splitlines()
    assert poses[0] == "azimuth\tframe"
    assert len(poses) == 1 + len(clip.frames)
    with PIL.Image.open(logs / "validation" / "thumbnails.png") as picture:
        thumbnails = np.asarray(picture)
    assert thumbnails.shape == (6 * 64, 6 * 64, 3)  # 36 frames
    corners = thumbnails[::64, ::64].reshape(-1, 3)
    assert len(np.unique(corners, axis=0)) > 30  # each pose has its colour
    np.testing.assert_array_equal(thumbnails[5:59, 5:59], clip.frames[0, 5:59, 5:59])
    means = tf.train.load_variable(
        str(logs / "validation"), "latent_means/.ATTRIBUTES/VARIABLE_VALUE"
    )
    assert means.shape == (len(clip.frames), 3)
    assert "sprite" in (logs / "validation" / "projector_config.pbtxt").read_text()


@pytest.mark.parametrize(
    ("cpu", "expected"), [("flags : amx_bf16", "mixed_bfloat16"), ("avx512_bf16", "float32")]
)
def test_auto_precision_looks_for_matrix_units(monkeypatch, cpu, expected):
    monkeypatch.setattr(training.Path, "read_text", lambda _: cpu)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    assert training.choose_precision("auto") == expected
    assert training.choose_precision("float32") == "float32"
