"""The pages: what stands on which, of rows, of what is missing, of how long trainings were."""

import dataclasses
import re
from pathlib import Path

import pytest
from study_metrics import measured

from tf_inbetween.evaluation import figures
from tf_inbetween.study import front_page, question_page, tables, trainings_page
from tf_inbetween.study import rows as study_rows
from tf_inbetween.study import run as study
from tf_inbetween.study.__main__ import QUESTIONS
from tf_inbetween.study.definitions import Best, held_out, sweep
from tf_inbetween.study.jobs import Job
from tf_inbetween.study.schedule import (
    jobs_known_at_first,
    jobs_of_the_chosen,
)

RESULTS = Path(__file__).parents[3] / "docs" / "results"


def test_without_any_run_there_is_no_page(settings, questions, capsys):
    study.study(questions, settings, run=False)
    assert capsys.readouterr().out == "no row of any table has a run yet: no page is written\n"
    assert not Path(settings.results_dir).exists()


def test_a_row_judged_on_another_split_has_a_table_of_its_own(settings, questions, monkeypatch):
    run = questions[0].rows[0]
    held_out = dataclasses.replace(run, split="heldout")
    best = Best("best", (run,), split="heldout")
    asked = dataclasses.replace(questions[0], rows=(run, held_out, best))
    monkeypatch.setattr(Job, "metrics", lambda job: {**measured(0.5, 1e-4), "split": job.split})
    jobs = {job.split: job for job in jobs_known_at_first([asked], settings)}
    assert list(jobs) == ["test", "heldout", "validation"]
    assert len({job.run_dir for job in jobs.values()}) == 2
    chosen = jobs_of_the_chosen([asked], settings)
    assert [(job.split, job.seed) for job in chosen] == [("heldout", 0), ("heldout", 1)]
    rows = study_rows.rows_of(asked, settings)
    assert [row.clips for row in rows] == ["teapot_1dof", *["teapot_1dof_heldout"] * 2]
    assert list(study_rows.by_clips(rows)) == ["teapot_1dof", "teapot_1dof_heldout"]
    of_the_scene = dataclasses.replace(run, flags=f"{run.flags} --scene=teapot_1dof_heldout")
    job = Job(of_the_scene, 0, "heldout", settings)
    assert study_rows.clips_of(job) == "teapot_1dof_heldout"

    # Two rows of one label lack something, on different clips.
    monkeypatch.setattr(Job, "metrics", lambda job: None)
    lines, _ = question_page._missing(study_rows.rows_of(asked, settings))
    assert lines == (
        "**Missing (5):** alpha 0, `teapot_1dof`: seed 0, seed 1; "
        "alpha 0, `teapot_1dof_heldout`: seed 0, seed 1; "
        "best, `teapot_1dof_heldout`: choice of alpha 0."
    )


def test_the_page_says_what_the_validation_error_of_its_trainings_is():
    older, newer = (None, {}), (None, {"judged_by": "inbetween_mse"})
    both = "the MSE of reconstructions plus that of in-betweens, weighted as in the loss"
    assert trainings_page._errors([older]) == f"The validation error is {both}"
    assert trainings_page._errors([newer]) == (
        "The validation error is the MSE of in-betweens, or of reconstructions if the loss has no "
        "in-between likelihood"
    )
    assert trainings_page._errors([older, newer]).endswith(f" (for 1 older trainings {both})")
    text = (None, {"judged_by": "inbetween_nll"})
    assert trainings_page._errors([newer, text]).endswith(
        "; for text it is the negative log-likelihood"
    )


def test_the_front_page_shows_the_rows_that_a_question_names(settings, questions, monkeypatch):
    """Of several scenes, each with its name; without any named, the first six lines."""

    def metrics(job):
        reconstruction = {job.split: {"mse": 2e-4}}
        return {**measured(0.5, 1e-4), "split": job.split, "reconstruction": reconstruction}

    monkeypatch.setattr(Job, "metrics", metrics)
    runs = sweep(questions[0].rows[0].flags, "alpha", range(8))
    asked = dataclasses.replace(
        questions[1], rows=(*runs, *map(held_out, runs)), gaps=(), pictures=()
    )

    def table(question):
        rows = study_rows.rows_of(question, settings)
        no_pictures = {clips: [] for clips in study_rows.by_clips(rows)}
        lines = front_page._shown(question, rows, tables.pixel_rows(rows), no_pictures)
        return [line.split(" | ") for line in lines if line]

    head, _, *body = table(asked)
    assert head == ["| hit rate", "seeds", "20°", "60°", "reconstruction, MSE x 1e4 |"]
    assert [line[0] for line in body] == [f"| alpha {value}" for value in range(6)]
    assert body[0] == ["| alpha 0", "2", *["0.50 [0.50, 0.50]"] * 2, "2.00 [2.00, 2.00] |"]
    clips = ("teapot_1dof_heldout", "teapot_1dof")
    named = dataclasses.replace(asked, front_clips=clips, front_rows=("alpha 7", "optical_flow"))
    head, _, *body = table(named)
    assert head[:2] == ["| judged on", "hit rate"]
    assert [line[:2] for line in body] == [
        [f"| `{name}`", label] for name in clips for label in ("alpha 7", "optical flow")
    ]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_question_has_a_page_and_fits_on_the_front_page(question):
    """One answer of at most three sentences, one picture and at most six rows."""
    page = (RESULTS / f"{question.name}.md").read_text()
    assert page.startswith(f"# {question.title}\n")
    assert f"--only={question.name}\n" in page
    front = (RESULTS / "README.md").read_text()
    assert front.count("\n") < 400
    section = front.partition(f"## [{question.title}]({question.name}.md)\n\n")[2]
    section = section.partition("\n## ")[0]
    answer = section.partition("\n\n")[0]
    assert 1 <= len(re.findall(r"[.?!](?=\s|$)", answer)) <= 3, answer
    rows = re.findall(r"(?m)^\| .*\|$", section)[2:]
    assert len(rows) <= front_page.ROWS
    assert section.count("![") == bool(rows)
    conclusion = question_page.words(question.name, RESULTS)
    assert (conclusion or question.asks).startswith(answer)
    shown = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert shown == (set(question.front_clips) if len(question.front_clips) > 1 else set())
    for name in question.front_rows:
        assert any(figures.label_of(name) in row for row in rows), name
