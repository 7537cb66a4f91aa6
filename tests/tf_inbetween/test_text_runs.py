"""A run on text, from training to lines between: the commands on a tiny model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_gen import builder
from frame_io.files import read_checked_json
from tf_inbetween import run_directory, training
from tf_inbetween.clips import StoredClips
from tf_inbetween.config import Config
from tf_inbetween.evaluation.run import evaluate
from tf_inbetween.kinds import KINDS

TINY = {
    "scene": "counting_4clips",
    "channels": 1,
    "network": "text",
    "likelihood": "ctc",
    "t_sampling": "uniform",
    "frames_per_clip": 9,
    "triplets_per_clip": 8,
    "inbetweens_per_clip": 4,
    "min_gap": 2.0,
    "max_gap": 8.0,
    "filters": (4, 8),
    "dense_units": 16,
    "latent_dim": 3,
    "steps": 4,
    "steps_per_epoch": 2,
    "steps_per_execution": 1,
    "validation_steps": 1,
    "learning_rate_warmup_steps": 2,
    "precision": "float32",
    "prior_weight": 0.01,
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return StoredClips(builder.build(TINY["scene"], channels=1, data_dir=folder))


@pytest.fixture(scope="module")
def run(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    data_dir = str(clips.builder.data_dir).partition("/inbetween_clips")[0]
    training.train(Config(run_dir=str(folder), data_dir=data_dir, **TINY), judged=True)
    return folder


def test_a_run_knows_its_kind_without_the_data(run):
    assert run_directory.kind_of(run) == "text"
    model = run_directory.load_model(run)
    assert (model.kind, model.frame_shape) == ("text", (64, 1, 1))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert again.kind == "text"


def test_a_model_writes_lines_between(run):
    model = run_directory.load_model(run)
    drawn = model.path("one hundred", "three hundred and one", [0, 0.5, 1])
    assert drawn.shape == (3, 64, 1, 1)
    np.testing.assert_allclose(255 * drawn, np.rint(255 * drawn), atol=1e-3)


def test_every_weight_learns(run, clips):
    config = run_directory.load_config(run)
    model = training.build_model(config, kind="text")
    frames = np.concatenate([clip.frames for clip in clips.load("train")])[:9]
    batch = {
        "frames": tf.constant(frames),
        "triplets": tf.constant([[0, 4, 8], [1, 3, 5], [0, 1, 2], [2, 5, 8]]),
        "t": tf.constant([0.5, 0.5, 0.5, 0.5]),
    }
    with tf.GradientTape() as tape:
        loss, _ = model.loss_and_terms(batch, model.call(batch), True)
    for weight, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        assert gradient is not None, weight.path
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        assert np.all(np.isfinite(values)), weight.path


def test_an_evaluation_has_the_measures_of_text(run):
    evaluate(run, pairs=4)
    metrics = read_checked_json(run / "metrics.json")
    kind = KINDS["text"]
    for row in metrics["inbetween"]:
        assert set(row["methods"]) == set(kind.default_methods)
        for measures in row["methods"].values():
            assert set(measures) == {*kind.measure_names, "timing_error", "hit_rate"}
    for measures in metrics["reconstruction"].values():
        assert set(measures) == {*kind.measure_names, *kind.likelihood_names}
        assert measures["bits_per_byte"] > 0
    drawn = {path.name for path in (run / "figures").iterdir()}
    assert drawn == {
        *("inbetween.png", "path.png", "reconstruction.png", "latent_pca.png"),
        *("error_by_gap.png", "first.txt", "second.txt", "samples", "training.png"),
    }
    samples = sorted((run / "figures" / "samples").iterdir())
    assert samples[0].name == "00.txt"
    assert samples[0].read_text().endswith("\n")
    projected = run / "logs" / "validation" / "poses.tsv"
    head, *lines = projected.read_text().splitlines()
    assert head == "number\tframe\tline"
    assert all(line.count("\t") == 2 for line in lines)


def test_the_command_prints_lines_or_writes_them(run, fork, tmp_path):
    command = ["tf_inbetween.inbetween", f"--run_dir={run}"]
    ends = ["--first=one hundred", "--second=three hundred and one"]
    printed = fork(*command, *ends, "--frames=3")
    assert printed.returncode == 0, printed.stderr
    lines = printed.stdout.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (5, "one hundred", "three hundred and one")
    (tmp_path / "a.txt").write_text("one hundred\n")
    written = fork(
        *command, "--first=a.txt", ends[1], "--frames=3", "--output=between.txt", "--noends"
    )
    assert written.stdout == "wrote between.txt: 3 lines\n"
    assert (tmp_path / "between.txt").read_text().splitlines() == lines[1:-1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--first=a", "--second="], "--second: is empty"),
        (["--first=a", "--second=" + "x" * 65], "--second: is 65 bytes long; at most 64 fit a"),
        (["--first=a", "--second=none.txt"], "none.txt: no such file"),
        (["--first=a", "--second=b", "--output=b.gif"], "--output=b.gif: must end in .txt"),
        (["--first=a", "--second=b", "--scale=2"], "--scale: is for pictures; "),
    ],
)
def test_the_command_refuses_in_one_line(run, fork, flags, said):
    failed = fork("tf_inbetween.inbetween", f"--run_dir={run}", *flags)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"error: {said}"), failed.stderr
    assert failed.stderr.count("\n") == 1
    assert failed.left == []
