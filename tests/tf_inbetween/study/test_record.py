"""study.json: what it keeps of a run, and that nobody takes its place."""

import dataclasses
import fcntl
import os
import shutil
import threading
from pathlib import Path

import pytest

from frame_io.files import write_checked_json
from tf_inbetween.config import InputError
from tf_inbetween.study import run as study
from tf_inbetween.study.definitions import Run
from tf_inbetween.study.jobs import Job
from tf_inbetween.study.schedule import (
    jobs_known_at_first,
    row_jobs,
)
from tf_inbetween.study.settings import path_of_record, read_record


def test_a_short_trial_does_not_take_the_place_of_the_record(in_process, questions, settings):
    ran, _ = in_process
    asked = [dataclasses.replace(questions[0], pictures=())]
    study.study(asked, settings)
    there = dataclasses.replace(settings, record=read_record(settings.results_dir))
    del ran[:]
    for other, message in (
        ({"steps": 4}, "with steps 2 in place of 4"),
        ({"pairs": 1}, "with pairs 2 in place of 1"),
        ({"steps_per_epoch": 1}, "with steps_per_epoch 2 in place of 1"),
    ):
        trial = dataclasses.replace(there, **other)
        with pytest.raises(InputError, match=rf"{message}: name another --results_dir$"):
            study.study(asked, trial)
        study.study(asked, trial, dry_run=True)
    assert ran == []
    study.study(asked, dataclasses.replace(there, pairs=3), dry_run=True)
    for job in jobs_known_at_first(asked, dataclasses.replace(there, pairs=3)):
        job.check_record()  # More pairs may be asked for.
    other_flags = Run("alpha 0", f"{questions[0].rows[0].flags} --dense_units=9")
    Job(other_flags, 0, "test", there).check_record()


@pytest.mark.usefixtures("in_process")
def test_what_is_recorded_of_a_run_grows(questions, settings):
    """It is measured again with all methods of before, and what its logs had said is kept."""
    one = [dataclasses.replace(questions[0], rows=questions[0].rows[:1])]
    study.study(one, settings)
    record = read_record(settings.results_dir)
    name = f"{one[0].rows[0].name},seed=0 (test)"
    entry = record["runs"][name]
    entry["commands"] = [["train", 0, 9.5]]
    for row in entry["metrics"]["inbetween"]:
        row["methods"]["latent_slerp"] = row["methods"]["latent"]
    write_checked_json(path_of_record(settings.results_dir), record, table="runs")
    there = dataclasses.replace(settings, record=record)
    (first, _) = row_jobs(one[0].rows[0], there)
    measured = list(first.metrics()["inbetween"][0]["methods"])  # In its directory.
    assert first.evaluation[-1] == f"--methods={','.join([*measured, 'latent_slerp'])}"
    study.study(one, there, run=False)
    assert read_record(settings.results_dir)["runs"][name] == entry

    # Its logs and its model are gone; the picture stays.
    entry["metrics"] = first.metrics()
    entry["judged_step"] = 2
    write_checked_json(path_of_record(settings.results_dir), record, table="runs")
    shutil.rmtree(first.run_dir / "logs")
    (first.run_dir / "model.keras").unlink()
    pages = list(Path(settings.results_dir).glob("*.md"))
    before = [page.read_text() for page in pages]
    study.study(one, there, run=False)
    assert read_record(settings.results_dir)["runs"][name] == entry
    assert [page.read_text() for page in pages] == before


@pytest.mark.usefixtures("in_process")
def test_two_studies_of_one_page_do_not_lose_what_either_found(questions, settings):
    asked = [
        dataclasses.replace(questions[0], rows=rows, pictures=())
        for rows in (questions[0].rows[:1], questions[0].rows[1:])
    ]
    study.study(asked[:1], settings)
    elsewhere = dataclasses.replace(settings, runs_dir=f"{settings.runs_dir}_elsewhere")
    folder = os.open(settings.results_dir, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    other = threading.Thread(target=study.study, args=(asked[1:], elsewhere))
    other.start()
    other.join(2)
    assert other.is_alive()
    assert len(read_record(settings.results_dir)["runs"]) == 2
    os.close(folder)
    other.join()
    assert len(read_record(settings.results_dir)["runs"]) == 4
