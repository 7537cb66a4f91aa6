"""The study in TensorBoard's HParams page."""

import dataclasses
import shutil
from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from tf_inbetween.config import Config, as_text
from tf_inbetween.study.jobs import ELSEWHERE
from tf_inbetween.study.tables import MEASURES


def write_hparams(entries, settings):
    """Writes what TensorBoard's HParams page shows: a trial for each training that is done.

    Its columns are the flags in which they differ, and what was measured, on each split.
    """
    fields = [field.name for field in dataclasses.fields(Config) if field.name not in ELSEWHERE]
    measured = {job: entry["metrics"] for job, entry in entries.items() if "metrics" in entry}
    configs = [job.config for job in measured]
    differ = [name for name in fields if len({getattr(c, name) for c in configs}) > 1] + ["seed"]
    folder = Path(settings.runs_dir) / "hparams"
    beside = folder.with_name(".hparams.partial")
    shutil.rmtree(beside, ignore_errors=True)
    for job, metrics in measured.items():
        values = {field: _plain(getattr(job.config, field)) for field in differ}
        writer = tf.summary.create_file_writer(str(beside / job.name), filename_suffix=job.split)
        with writer.as_default():
            hparams.hparams(values, trial_id=job.name)
            for tag, value in _scalars(metrics).items():
                tf.summary.scalar(tag, value, step=metrics["steps"])
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def _scalars(metrics):
    """What the HParams page shows of a run's metrics; of test clips without a word."""
    split = metrics["split"]
    part = metrics["reconstruction"][split] or {}
    named = {f"reconstruction/{name}": part.get(name) for name in ("mse", "elbo")}
    scalars = {tag: value for tag, value in named.items() if value is not None}
    for row in metrics["inbetween"]:
        if row["t"] == 0.5:
            measured = row["methods"].get("latent", {})
            for name in MEASURES:
                if name in measured:
                    scalars[f"{name}/{row['gap_label']}"] = measured[name]
    return scalars if split == "test" else {f"{split}/{tag}": v for tag, v in scalars.items()}


def _plain(value):
    return as_text(value) if isinstance(value, tuple) else value
