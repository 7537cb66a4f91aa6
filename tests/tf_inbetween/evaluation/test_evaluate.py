"""Evaluations of whole runs: metrics.json, the figures, and runs that cannot be judged."""

import json
import re
import shutil

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frame_io.files import read_checked_json, write_checked_json
from tf_inbetween import run_directory, training
from tf_inbetween.config import InputError
from tf_inbetween.evaluation import baselines
from tf_inbetween.evaluation import comparison as compare
from tf_inbetween.evaluation import run as evaluation_run
from tf_inbetween.evaluation.run import evaluate
from tf_inbetween.kinds import KINDS
from tf_inbetween.matching import MATCHINGS


def test_evaluation_writes_the_contract(tiny_config, tiny_data, tmp_path, capsys):
    config = tiny_config()
    training.train(config)
    evaluate(config.run_dir, pairs=3)
    result = read_checked_json(tmp_path / "run" / "metrics.json")
    assert (result["scene"], result["split"], result["seed"]) == ("teapot_1dof", "test", 0)
    assert result["steps"] == 6
    assert 0 < result["train_seconds"] < 600
    assert set(result["reconstruction"]) == {"train", "test"}
    for row in result["reconstruction"].values():
        assert {"mse", "psnr", "ssim", "detail", "elbo"} == set(row)
        assert 0 <= row["detail"] <= 1
    assert {row["gap_label"] for row in result["inbetween"]} == {"20°", "40°", "60°", "80°", "120°"}
    for row in result["inbetween"]:
        assert row["pairs"] == 3
        assert set(row["methods"]) == set(KINDS["pictures"].default_methods)
        assert set(row["latent_geometry"]) == {
            "chord_deviation",
            *(f"kl_{name}" for name in MATCHINGS),
        }
        assert all(np.isfinite(value) for value in row["latent_geometry"].values())
        for measures in row["methods"].values():
            assert {"mse", "psnr", "ssim", "detail", "timing_error", "hit_rate"} <= set(measures)
            assert all(np.isfinite(value) for value in measures.values())
    assert set(result["path"]) == {"mean_distance", "smoothness"}
    assert result["paths"] == {"latent": result["path"]}
    names = {path.name for path in (tmp_path / "run" / "figures").glob("*.png")}
    assert names == {
        "training.png",  # By the training.
        "reconstruction.png",
        "inbetween.png",
        "path.png",
        "latent_pca.png",
        "error_by_gap.png",
        "first.png",
        "second.png",
    }
    samples = sorted((tmp_path / "run" / "figures" / "samples").iterdir())
    assert [path.name for path in samples] == [f"{i:02}.png" for i in range(12)]
    for name in names:
        with PIL.Image.open(tmp_path / "run" / "figures" / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 5
    # Evaluating again gives the same, and keeps what only the training command knew.
    path = tmp_path / "run" / "metrics.json"
    write_checked_json(path, {**result, "total_seconds": 7.5})
    assert evaluate(config.run_dir, pairs=3) == {**result, "total_seconds": 7.5}
    before = path.read_bytes()
    # Another split and other methods, and no more of them than were asked for.
    names = ["latent_slerp", "optical_flow_farneback", "latent_slerp"]
    evaluate(config.run_dir, pairs=2, split="validation", methods=names)
    assert path.read_bytes() == before
    other = json.loads((tmp_path / "run" / "metrics.validation.json").read_text())
    assert other["split"] == "validation"
    assert set(other["reconstruction"]) == {"train", "validation"}
    said = capsys.readouterr().out
    assert re.search(r"^ +gap +t  method +MSE x 1e4  timing error  hit rate  detail$", said, re.M)
    assert re.search(r"^reconstruction, test: MSE x 1e4 \d+\.\d\d, detail 0\.\d{3}$", said, re.M)
    for row in other["inbetween"]:
        assert list(row["methods"]) == names[:2]
    assert other["paths"].keys() == {"latent", "latent_slerp"}
    assert other["paths"]["latent"] == other["path"]


def test_clips_of_many_lengths_are_evaluated(make_clips, tiny_config, tmp_path, monkeypatch):
    """The first of the test clips is a single frame, the next too short for the larger gap."""
    lengths = (1, 6, 13, 9)
    several = make_clips(
        train=[(13, False, 0.0)], validation=[(13, True, 0.0)],
        test=[(length, length == 13, 0.0) for length in lengths],
    )  # fmt: skip
    for module in ("training", "evaluation.run", "evaluation.comparison"):
        monkeypatch.setattr(f"tf_inbetween.{module}.prepare", lambda *_: several)
    # Without OpenCV, to be quick.
    monkeypatch.setattr(baselines, "available", lambda: {"crossfade": baselines.crossfade})
    config = tiny_config(steps=2, frames_per_clip=13, min_gap=2.0, max_gap=12.0)
    training.train(config, judged=True)
    result = evaluate(config.run_dir, pairs=100)
    pairs = {row["gap_label"]: row["pairs"] for row in result["inbetween"]}
    assert pairs == {"4 frames": 2 + 13 + 5, "8 frames": 13 + 1}
    assert (tmp_path / "run" / "figures" / "path.png").exists()
    compare.compare([config.run_dir], tmp_path / "out", [], ["8 frames"])
    assert (tmp_path / "out" / "inbetween.png").exists()


def test_clips_that_cannot_be_judged_are_told_before_a_training(make_clips, tiny_config, tmp_path):
    long, short, other_pace = (13, False, 0.0), (4, False, 0.0), (13, False, 2.0)
    config = tiny_config(steps=2, frames_per_clip=13, min_gap=2.0, max_gap=12.0)
    for test, message in (
        ([short], "no clip is long enough for a gap of 4 frames: the longest has 4"),
        ([long, other_pace], "the clips differ in pace"),
    ):
        several = make_clips(train=[long], validation=[long], test=test)
        with pytest.raises(InputError, match=message):
            training.train(config, several, judged=True)
        assert not (tmp_path / "run").exists()


def test_a_fusion_run_is_trained_watched_and_evaluated(
    tiny_config, tiny_data, tmp_path, monkeypatch
):
    monkeypatch.setattr(baselines, "available", lambda: {"crossfade": baselines.crossfade})
    config = tiny_config(steps=2, inbetween_decoder="fusion", fusion_filters=(4, 4, 4, 4))
    training.train(config)
    logs = tmp_path / "run" / "logs" / "validation"
    events = EventAccumulator(str(logs), size_guidance={"tensors": 0}).Reload()
    strips = [
        tf.io.decode_png(events.Tensors(tag)[-1].tensor_proto.string_val[2]).numpy()
        for tag in ("inbetween", "mask")
    ]
    assert strips[0].shape == strips[1].shape == (2 * 64 + 2, 8 * 64 + 7 * 2, 3)
    np.testing.assert_array_equal(strips[0][-64:], strips[1][:64])  # What it draws.
    np.testing.assert_array_equal(strips[1][-64:, :64], np.full((64, 64, 3), [255, 0, 0]))
    np.testing.assert_array_equal(strips[1][-64:, -64:], np.full((64, 64, 3), [0, 255, 0]))

    names = ["latent", "latent_only", "latent_slerp", "crossfade"]
    result = evaluate(config.run_dir, pairs=2, methods=names)
    for row in result["inbetween"]:
        assert list(row["methods"]) == names
        assert row["methods"]["latent"] != row["methods"]["latent_only"]
    assert result["paths"].keys() == set(names[:3])
    assert (tmp_path / "run" / "figures" / "mask.png").exists()


@pytest.mark.parametrize("method", ["latent_only", "latent_slerp"])
def test_methods_that_need_latents(tiny_config, tiny_data, tmp_path, method):
    config = tiny_config(model="pixel_unet")
    folder = run_directory.start(config, "float32")
    training.build_model(config).save(folder / "model.keras", include_optimizer=False)
    message = rf"^--methods={method}: the model of .*/run has no latents$"
    with pytest.raises(InputError, match=message):
        evaluate(config.run_dir, methods=["latent", method])
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.fixture
def run(finished, tiny_data):
    return finished(steps=2)


def test_a_run_without_a_model_and_no_run_at_all(run, tmp_path):
    with pytest.raises(InputError, match=r"no run there \(flags\.txt is missing\)"):
        run_directory.load_config(tmp_path / "nowhere")
    (tmp_path / "run" / "model.keras").unlink()
    with pytest.raises(InputError, match=r"model\.keras: missing"):
        evaluate(run.run_dir)


def test_how_long_a_training_was_is_known_without_its_checkpoints(run, tmp_path):
    steps, seconds = evaluation_run._progress(tmp_path / "run")
    assert steps == 2
    assert seconds > 0
    write_checked_json(tmp_path / "run" / "metrics.json", {"steps": 2, "train_seconds": seconds})
    (tmp_path / "run" / "metrics.validation.json").write_text("damaged")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    assert evaluation_run._progress(tmp_path / "run") == (2, seconds)


def test_a_damaged_model(run, tmp_path):
    path = tmp_path / "run" / "model.keras"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model\.keras: cannot be loaded"):
        evaluate(run.run_dir)


def test_a_run_of_another_version(run, tmp_path):
    path = tmp_path / "run" / "environment.json"
    environment = json.loads(path.read_text())
    path.write_text(json.dumps({**environment, "format": 99}))
    with pytest.raises(InputError, match=r"has run-directory format 99; tf_inbetween .* reads"):
        evaluate(run.run_dir)
    path.write_text("{")
    with pytest.raises(InputError, match=r"environment\.json: missing or damaged"):
        evaluate(run.run_dir)


def test_flags_that_this_version_does_not_know(run, tmp_path):
    path = tmp_path / "run" / "flags.txt"
    path.write_text(path.read_text() + "--turbo=True\n")
    with pytest.raises(InputError, match="another version of tf_inbetween; flags that differ: tu"):
        evaluate(run.run_dir)
    path.write_text(path.read_text().replace("--turbo=True\n", "").replace("=2\n", "=two\n"))
    with pytest.raises(InputError, match=r"flags\.txt: "):
        evaluate(run.run_dir)
