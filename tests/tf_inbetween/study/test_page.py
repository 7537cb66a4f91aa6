"""What the page says of rows, of what is missing, and of how long trainings were."""

import dataclasses
from pathlib import Path

from study_metrics import measured

from tf_inbetween.study import page as study_page
from tf_inbetween.study import rows as study_rows
from tf_inbetween.study import run as study
from tf_inbetween.study.definitions import Best
from tf_inbetween.study.jobs import Job
from tf_inbetween.study.schedule import (
    jobs_known_at_first,
    jobs_of_the_chosen,
)


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
    lines, _ = study_page._missing(study_rows.rows_of(asked, settings))
    assert lines == (
        "**Missing (5):** alpha 0, `teapot_1dof`: seed 0, seed 1; "
        "alpha 0, `teapot_1dof_heldout`: seed 0, seed 1; "
        "best, `teapot_1dof_heldout`: choice of alpha 0."
    )


def test_the_page_says_what_the_validation_error_of_its_trainings_is():
    older, newer = (None, {}), (None, {"judged_by": "inbetween_mse"})
    both = "the MSE of reconstructions and, weighted as in the loss, of in-betweens"
    assert study_page._errors([older]) == f"The validation error is {both}"
    assert study_page._errors([newer]) == (
        "The validation error is the MSE of in-betweens, or of reconstructions where the loss has "
        "no in-between likelihood"
    )
    assert study_page._errors([older, newer]).endswith(f" (of 1 older trainings {both})")
    text = (None, {"judged_by": "inbetween_nll"})
    assert study_page._errors([newer, text]).endswith("; of text the negative log-likelihood")
