"""What the tests of the study share: tiny questions, and runs that stand in for trainings."""

import shutil

import pytest

from frame_io.files import write_checked_json
from tf_inbetween import run_directory, training
from tf_inbetween.config import Config, as_text
from tf_inbetween.config_flags import config_of
from tf_inbetween.evaluation.run import evaluate, path_of_metrics
from tf_inbetween.study import pictures as study_pictures
from tf_inbetween.study import record as study_record
from tf_inbetween.study import run as study
from tf_inbetween.study import tables
from tf_inbetween.study.definitions import Best, Question, sweep
from tf_inbetween.study.settings import Settings

SHORT = {"steps": 2, "alpha_warmup_steps": 0}


@pytest.fixture(scope="session")
def whole_run(stored, tiny_settings, tmp_path_factory):
    """A run directory, trained and evaluated, and what was measured."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    training.train(Config(run_dir=str(folder), **{**tiny_settings, **SHORT}), stored)
    return folder, evaluate(folder, pairs=2, data=stored)


@pytest.fixture
def tiny_flags(tmp_path, tiny_settings):
    """A flag file of a tiny training."""
    values = {**tiny_settings, **SHORT}
    lines = [
        f"--{name}={as_text(value) if isinstance(value, tuple) else value}\n"
        for name, value in values.items()
    ]
    path = tmp_path / "tiny.flags"
    path.write_text("".join(lines))
    return f"--flagfile={path}"


@pytest.fixture
def settings(tmp_path):
    return Settings(
        str(tmp_path / "runs"),
        str(tmp_path / "results"),
        (0, 1),
        steps=2,
        steps_per_epoch=2,
        pairs=2,
        validation_pairs=2,
    )


@pytest.fixture
def questions(tiny_flags):
    """A table of two runs, and a choice between the same two."""
    alphas = sweep(tiny_flags, "alpha", (0, 5))
    return (
        Question("opening", "Opening", "In ten seconds:", alphas, measures=("hit_rate",)),
        Question(
            "alpha",
            "How much?",
            "All.",
            alphas,
            gaps=(),
            columns=tuple(tables.COLUMNS),
            geometry=True,
            names_best=True,
            pictures=tuple(study_pictures.PICTURES),
        ),
        Question("best", "Which?", "One.", (Best("the best", alphas),), pictures=()),
    )


@pytest.fixture
def in_process(whole_run, stored, monkeypatch):
    """In place of the study's commands: each copies its part of one run that is trained here.

    Returns the list of what was run, and a list of functions of the same that may raise.
    """
    for module in (study_record, study_pictures):
        monkeypatch.setattr(module, "prepare", lambda *_: stored)
    trained, result = whole_run
    ran, spoils = [], []

    def call(arguments, job, lock, look):
        what = arguments[1].removeprefix("tf_inbetween.")
        ran.append((what, job.name, job.split if what == "evaluate" else None))
        for spoil in spoils:
            spoil(*ran[-1])
        if what == "train":
            assert arguments[-1] == "--noevaluate"
            run_directory.start(config_of(arguments[2:-1]), "float32")
            own = ("flags.txt", "environment.json", "metrics.json", "figures")
            ignore = shutil.ignore_patterns(*own)
            shutil.copytree(trained, job.run_dir, ignore=ignore, dirs_exist_ok=True)
        else:
            assert arguments == job.evaluation
            assert "--methods=latent" in arguments
            path = path_of_metrics(job.run_dir, job.split)
            parts = {**result["reconstruction"], job.split: result["reconstruction"]["test"]}
            own = {"split": job.split, "reconstruction": parts}
            write_checked_json(path, {**result, **own})
            shutil.copytree(trained / "figures", job.run_dir / "figures", dirs_exist_ok=True)
        look()

    monkeypatch.setattr(study, "call", call)
    return ran, spoils
