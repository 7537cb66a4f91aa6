"""What is measured of a run, and what its logs say of its training."""

import dataclasses
import shutil

import tensorflow as tf
from study_metrics import measured

from frame_io.files import write_checked_json
from tf_inbetween import run_directory
from tf_inbetween.evaluation.run import path_of_metrics
from tf_inbetween.study.definitions import Run
from tf_inbetween.study.jobs import BOTH_ERRORS, Job


def test_what_is_measured_of_a_run(settings, questions, monkeypatch):
    run = dataclasses.replace(questions[0].rows[0], methods=("latent", "crossfade"))
    first, second = (Job(run, seed, "test", settings) for seed in settings.seeds)
    assert first.evaluation[-1] == "--methods=latent,crossfade"
    assert second.evaluation[-1] == "--methods=latent"
    large = dataclasses.replace(settings, pairs=9, validation_pairs=5)
    for split, pairs in (("test", 9), ("heldout", 9), ("validation", 5)):
        assert f"--pairs={pairs}" in Job(run, 0, split, large).evaluation

    # What another question had measured is kept, and what is missing is measured.
    run_directory.start(first.config, "float32")
    path = path_of_metrics(first.run_dir, "test")
    write_checked_json(path, measured(0.5, 1e-4, methods=["latent_slerp", "latent"]))
    assert first.state() == "to be evaluated"
    assert first.metrics() is None
    assert first.evaluation[-1] == "--methods=latent_slerp,latent,crossfade"
    write_checked_json(path, measured(0.5, 1e-4, methods=["crossfade", "latent"]))
    assert first.state() == "done"
    assert Job(run, 0, "test", large).state() == "to be evaluated"  # On more pairs.


def test_the_last_quarter_of_the_validation_curve(settings, questions, monkeypatch):
    run = Run("a run", questions[0].rows[0].flags + " --steps=8 --inbetween_weight=2")
    job = Job(run, 0, "test", settings)
    assert job.validation_curve() == ([], [])
    assert job.last_quarter() is None
    assert job.judged_step() is None

    def write(errors, start):
        folder = str(job.run_dir / "logs" / "validation")
        with tf.summary.create_file_writer(folder, filename_suffix=f".{start}").as_default():
            for step, error in zip(range(start, 9, 2), errors, strict=True):
                tf.summary.scalar("reconstruction_mse", 1 - error / 2, step=step)
                tf.summary.scalar("inbetween_mse", error, step=step)

    write([0.5, 0.5, 0.25, 0.125], start=2)
    assert job.judged_by() == "inbetween_mse"
    assert job.validation_curve() == ([2, 4, 6, 8], [0.5, 0.5, 0.25, 0.125])
    assert job.last_quarter() == -0.5
    write([0.25, 0.375], start=6)  # Resumed, it did the last two again.
    assert job.last_quarter() == 0.5
    assert job.judged_step() == 6

    # A run that study.json has from before was judged by the sum of both.
    entry = {"flags": job.flags, "metrics": measured(0.5, 1e-4, steps=8)}
    for more, expected in (({}, "both"), ({"judged_by": "inbetween_mse"}, "inbetween_mse")):
        record = {"runs": {job.recorded_name: {**entry, **more}}}
        there = Job(run, 0, "test", dataclasses.replace(settings, record=record))
        if expected == "both":
            assert there.judged_by() == BOTH_ERRORS
            errors = [1 + 1.5 * error for error in (0.5, 0.5, 0.25, 0.375)]
            assert there.validation_curve() == ([2, 4, 6, 8], errors)
        else:
            assert there.judged_by() == expected

    # Without the in-between likelihood, by reconstructions.
    plain = Run("plain", questions[0].rows[0].flags + " --steps=8 --inbetween_weight=0")
    plain = Job(plain, 0, "test", settings)
    shutil.copytree(job.run_dir, plain.run_dir)
    assert plain.judged_by() == "reconstruction_mse"
    assert plain.validation_curve() == ([2, 4, 6, 8], [0.75, 0.75, 0.875, 0.8125])
    assert plain.judged_step() == 2
