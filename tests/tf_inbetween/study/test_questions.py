"""The questions that the study asks."""

import dataclasses
from pathlib import Path

from tf_inbetween.clips import kind_of
from tf_inbetween.evaluation.methods import check_methods
from tf_inbetween.kinds import KINDS
from tf_inbetween.study import pictures as study_pictures
from tf_inbetween.study import tables
from tf_inbetween.study.__main__ import QUESTIONS
from tf_inbetween.study.definitions import Best
from tf_inbetween.study.schedule import (
    candidate_jobs,
    jobs_known_at_first,
    row_jobs,
)
from tf_inbetween.study.settings import Settings

ROOT = Path(__file__).parents[3]


def test_the_questions_of_the_study(monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = Settings("runs", "results")
    names = [question.name for question in QUESTIONS]
    assert len(set(names)) == len(names)
    seen = {}
    for job in jobs_known_at_first(QUESTIONS, settings):
        assert "/" not in job.name
        config = dataclasses.replace(job.config, run_dir="")
        assert seen.setdefault(config, job.name) == job.name, "one training under two names"
    for question in QUESTIONS:
        assert set(question.measures) <= set(tables.MEASURES)
        assert set(question.columns) <= set(tables.COLUMNS)
        assert set(question.pictures) <= set(study_pictures.PICTURES)
        labels = {}
        for row in question.rows:
            jobs = candidate_jobs if isinstance(row, Best) else row_jobs
            config = jobs(row, settings)[0].config
            scene, kind = config.scene, KINDS[kind_of(config)]
            assert set(question.pixels) <= set(kind.methods)
            names = labels.setdefault((scene, row.split), [])
            assert row.label not in names, "two rows of one name"
            names.append(row.label)
            for run in row.among if isinstance(row, Best) else [row]:
                check_methods(run.methods, kind)
