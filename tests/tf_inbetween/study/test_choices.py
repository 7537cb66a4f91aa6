"""Which of several runs becomes the row, and what is shown of the choice."""

import dataclasses
from pathlib import Path

import pytest
from study_metrics import measured

from tf_inbetween.study import rows as study_rows
from tf_inbetween.study import run as study
from tf_inbetween.study import tables
from tf_inbetween.study.definitions import Best, sweep
from tf_inbetween.study.jobs import Job
from tf_inbetween.study.recipes import TEAPOT
from tf_inbetween.study.schedule import (
    candidate_jobs,
    choose,
    jobs_of_the_chosen,
)

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({0: (0.5, 2e-4), 1: (0.6, 9e-4)}, "alpha 1"),  # by the hit rate
        ({0: (0.5, 2e-4), 1: (0.5, 1e-4)}, "alpha 1"),  # among equals by the MSE
        ({0: (0.5, 2e-4)}, "alpha 0"),  # of those that are there
        ({}, None),
    ],
)
def test_the_choice_is_by_the_validation_split(scores, expected, settings, monkeypatch):
    monkeypatch.chdir(ROOT)
    best = Best("best", sweep(f"{TEAPOT} --steps_per_execution=1", "alpha", (0, 1)))
    by_label = {f"alpha {alpha}": measured(*score) for alpha, score in scores.items()}

    for result in by_label.values():  # It was not trained on gaps of 8 degrees: they do not count.
        latent = {
            "latent": {"hit_rate": 1 - result["inbetween"][0]["methods"]["latent"]["hit_rate"]}
        }
        result["inbetween"].insert(0, {"gap_label": "8°", "methods": latent})

    def metrics(job):
        assert (job.split, job.seed) == ("validation", settings.seeds[0])
        return by_label.get(job.run.label)

    monkeypatch.setattr(Job, "metrics", metrics)
    result = choose(best, settings)
    assert (result["run"] and result["run"].label) == expected
    assert result["missing"] == [f"alpha {alpha}" for alpha in (0, 1) if alpha not in scores]


def test_the_score_of_a_run_that_lost_is_enough(questions, settings):
    (best,) = questions[2].rows
    zero, five = candidate_jobs(best, settings)
    runs = {
        job.recorded_name: {
            "flags": job.flags,
            "pairs": 2,
            "score": {"hit_rate": rate, "mse": 1e-4},
        }
        for job, rate in ((zero, 0.25), (five, 0.5))
    }
    there = dataclasses.replace(settings, record={"runs": runs}, recorded=True)
    choice = choose(best, there)
    assert (choice["run"].label, choice["missing"]) == ("alpha 5", [])
    assert choice["scores"]["alpha 0"] == {"hit_rate": 0.25, "mse": 1e-4}
    assert [job.state() for job in candidate_jobs(best, there)] == ["done", "done"]
    more = dataclasses.replace(there, validation_pairs=3)
    assert choose(best, more)["missing"] == ["alpha 0", "alpha 5"]


def test_what_wins_may_be_trained_longer(settings, questions, monkeypatch):
    best = Best("best", questions[0].rows, more="--steps=4")
    asked = dataclasses.replace(questions[0], rows=(best,))
    by_alpha = {"alpha 0": measured(0.5, 1e-4), "alpha 5": measured(0.6, 1e-4)}
    monkeypatch.setattr(
        Job,
        "metrics",
        lambda job: by_alpha[job.run.label] if job.split == "validation" else None,
    )
    jobs = jobs_of_the_chosen([asked], settings)
    five = f"{questions[0].rows[1].name},steps=4"
    assert [job.name for job in jobs] == [f"{five},seed=0", f"{five},seed=1"]
    assert [job.config.steps for job in jobs] == [4, 4]
    (row,) = study_rows.rows_of(asked, settings)
    assert row.missing == ["seed 0", "seed 1"]
    assert row.label == "best: alpha 5"
    # Two candidates of two steps each, and two trainings of the winner of four.
    by_alpha.clear()
    monkeypatch.setattr(Job, "metrics", lambda job: None)
    assert "4 runs: 0 done, 0 to be evaluated, 0 cut off, 2 missing, 2 yet to be chosen; " in str(
        study.Outlook([asked], settings)
    )
    assert study.Outlook([asked], settings).steps == 12


def test_a_choice_is_shown_once(settings, questions):
    run = questions[0].rows[0]
    choice = {"run": run, "scores": {run.label: {"hit_rate": 0.5, "mse": 1e-4}}, "missing": []}
    label = f"best: {run.label}"
    rows = [
        study_rows.Row(label, clips, "latent", [], [], [], [], [], choice)
        for clips in ("x", "x_heldout")
    ]
    lines = tables.choices_table(rows)
    assert lines[2:] == [f"| | {run.label} |", "| --- | --- |", "| best | **0.50, 1.00** |", ""]
