"""The study: every run once, whatever happens on the way, and a page that says what is there."""

import dataclasses
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from frame_io.files import write_checked_json
from tf_inbetween import run_directory, training
from tf_inbetween.config import Config, InputError
from tf_inbetween.config_flags import config_of
from tf_inbetween.evaluation import baselines
from tf_inbetween.evaluation.methods import check_methods
from tf_inbetween.evaluation.run import evaluate, path_of_metrics
from tf_inbetween.study import hparams, tables
from tf_inbetween.study import page as study_page
from tf_inbetween.study import pictures as study_pictures
from tf_inbetween.study import record as study_record
from tf_inbetween.study import rows as study_rows
from tf_inbetween.study import run as study
from tf_inbetween.study.__main__ import _seeds
from tf_inbetween.study.definitions import Best, Question, Run, sweep
from tf_inbetween.study.jobs import BOTH_ERRORS, Job
from tf_inbetween.study.questions import QUESTIONS
from tf_inbetween.study.schedule import (
    candidate_jobs,
    choose,
    jobs_known_at_first,
    jobs_of_the_chosen,
    row_jobs,
)
from tf_inbetween.study.settings import Settings, path_of_record, read_record

ROOT = Path(__file__).parents[3]


SHORT = {"steps": 2, "alpha_warmup_steps": 0}


@pytest.fixture(scope="module")
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
        f"--{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}\n"
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
        Question("opening", "", "In ten seconds:", alphas, measures=("hit_rate",)),
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
            path.write_text(json.dumps({**result, **own}))
            shutil.copytree(trained / "figures", job.run_dir / "figures", dirs_exist_ok=True)
        look()

    monkeypatch.setattr(study, "call", call)
    return ran, spoils


def test_a_study_interrupted_and_failing_runs_everything_once(
    in_process, questions, settings, tmp_path, capsys
):
    ran, spoils = in_process
    zero, five = (run.name for run in questions[0].rows)

    # Interrupted in the evaluation of the second run.
    def interrupt(what, name, split):
        if (what, name) == ("evaluate", f"{zero},seed=1"):
            raise KeyboardInterrupt

    spoils.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        study.study(questions, settings)
    assert ran == [
        ("train", f"{zero},seed=0", None),
        ("evaluate", f"{zero},seed=0", "test"),
        ("train", f"{zero},seed=1", None),
        ("evaluate", f"{zero},seed=1", "test"),
    ]
    capsys.readouterr()

    # What is there makes a partial page, which says what is missing, and what a person concludes.
    conclusion = tmp_path / "results" / "conclusions" / "alpha.md"
    conclusion.parent.mkdir(parents=True)
    conclusion.write_text("Nobody knows.\n\nNot even on two seeds.\n")
    study.study(questions, settings, run=False)
    page = (tmp_path / "results" / "README.md").read_text()
    assert "\n\nNobody knows.\n\nNot even on two seeds.\n\n" in page
    assert conclusion.read_text() == "Nobody knows.\n\nNot even on two seeds.\n"
    assert "**Missing (3):** alpha 0: seed 1; alpha 5: seed 0, seed 1." in page
    assert "None of its runs is there yet." in page
    study.study(questions, settings, dry_run=True)
    said = capsys.readouterr().out
    assert "opening: 4 runs: 1 done, 1 to be evaluated, 0 cut off, 2 missing; 4 of 8 st" in said
    assert f"    to be evaluated  {zero},seed=1 (test)\n" in said
    assert "best: 4 runs: 0 done, 1 to be evaluated, 0 cut off, 1 missing, 2 yet to be ch" in said

    # One fails; the others are run, what was trained is only evaluated, and the page is written.
    def fail(what, name, split):
        if name == f"{five},seed=1":
            raise RuntimeError("error: step 1: loss became NaN")

    spoils[:] = [fail]
    del ran[:]
    failed = rf"^1 of the runs failed: {re.escape(five)},seed=1; each has its \.log in "
    with pytest.raises(RuntimeError, match=failed):
        study.study(questions, settings)
    assert ran == [
        ("evaluate", f"{zero},seed=1", "test"),
        ("train", f"{five},seed=0", None),
        ("evaluate", f"{five},seed=0", "test"),
        ("train", f"{five},seed=1", None),
        ("evaluate", f"{zero},seed=0", "validation"),
        ("evaluate", f"{five},seed=0", "validation"),
    ]
    assert "seed=1: FAILED: error: step 1: loss became NaN\n" in capsys.readouterr().out
    assert "**Missing (1):** alpha 5: seed 1." in (tmp_path / "results/README.md").read_text()

    # The rest, once; then nothing, also without the checkpoints.
    del spoils[:], ran[:]
    study.study(questions, settings)
    assert ran == [("train", f"{five},seed=1", None), ("evaluate", f"{five},seed=1", "test")]
    shutil.rmtree(tmp_path / "runs" / f"{five},seed=1" / "checkpoints")
    del ran[:]
    study.study(questions, settings)
    assert ran == []
    check_whole(tmp_path / "results", questions)
    check_hparams(tmp_path / "runs" / "hparams", [zero, five])

    # Other flags in the same folders are refused, run by run, and the page stays.
    with pytest.raises(RuntimeError, match=r"^4 of the runs failed"):
        study.study(questions, dataclasses.replace(settings, steps=4), ["opening"])
    assert ran == []
    check_whole(tmp_path / "results", questions)


def test_a_study_goes_on_where_its_run_directories_are_gone(
    in_process, questions, settings, tmp_path, capsys
):
    ran, _ = in_process
    results = tmp_path / "results"
    study.study(questions, settings)
    before = {path: path.read_bytes() for path in results.rglob("*.*")}
    record = read_record(results)
    assert len(record["runs"]) == 6  # Four runs, and two of them on validation clips.
    shutil.rmtree(tmp_path / "runs")
    del ran[:]

    # The page loses nothing; what is recorded is trained again unless that is asked not to be.
    there = dataclasses.replace(settings, record=record)
    recorded = dataclasses.replace(there, recorded=True)
    study.study(questions, there, run=False)
    study.study(questions, recorded)
    assert ran == []
    assert {path: path.read_bytes() for path in results.rglob("*.*")} == before
    check_hparams(tmp_path / "runs" / "hparams", [run.name for run in questions[0].rows])
    outlooks = [study.Outlook(questions, s) for s in (recorded, there)]
    assert [[o.count("done"), o.count("missing"), o.steps_done] for o in outlooks] == [
        [6, 0, 8],
        [0, 6, 0],
    ]

    # One row more is run; the pictures stay as they were and say so.
    more = Run("alpha 7", f"{questions[0].rows[0].flags} --alpha=7")
    asked = [
        dataclasses.replace(q, rows=(*q.rows, more)) if q.name == "alpha" else q for q in questions
    ]
    study.study(asked, recorded)
    assert [name for _, name, _ in ran] == [f"{more.name},seed={s}" for s in (0, 0, 1, 1)]
    page = (results / "README.md").read_text()
    assert "| alpha 0 | 2 | " in page
    assert "| alpha 7 | 2 | " in page
    assert page.count('(Drawn before these were there: "alpha 7".)') == 3
    assert (results / "study/alpha_latent_pca_alpha_7.png").exists()
    for path, content in before.items():
        if path.suffix == ".png" and "trade_off" not in path.name:
            assert path.read_bytes() == content
    assert len(read_record(results)["runs"]) == 8

    # Of fewer rows or other seeds less is shown, and nothing lost.
    pictures = {path.name: path.read_bytes() for path in (results / "study").glob("*.png")}
    for fewer, seeds in (
        ([dataclasses.replace(q, rows=q.rows[:1]) for q in questions[:2]], (0, 1)),
        (questions, (1,)),
    ):
        study.study(fewer, dataclasses.replace(recorded, seeds=seeds), run=False)
        page = (results / "README.md").read_text()
        assert re.findall(r"!\[.*?\]\(study/(.*?)\)", page) == (
            ["alpha_trade_off.png"]
            if seeds == (1,)
            else ["alpha_latent_pca_alpha_0.png", "alpha_trade_off.png"]
        )
        assert "(No picture, from a start to an end frame, the truth in the last row: " in page
    study.study(asked, there, run=False)
    assert len(read_record(results)["runs"]) == 8
    assert {path.name: path.read_bytes() for path in (results / "study").glob("*.png")} == pictures

    # Neither other flags, nor fewer pairs than asked for, nor a damaged record.
    for other in ({"steps": 4}, {"pairs": 3, "validation_pairs": 3}):
        outlook = study.Outlook(questions, dataclasses.replace(recorded, **other))
        assert outlook.count("done") == 0
    record = results / "study.json"
    for wrong, message in (
        (record.read_text().replace('"split": "test"', '"split": "best"', 1), "its checksum does"),
        ('{"runs": {"a": {}}}', "its runs have no flags"),
        ("{}", "'runs'"),
        ("[]", "no JSON object"),
    ):
        record.write_text(wrong)
        with pytest.raises(InputError, match=rf"study\.json: cannot be read \({message}"):
            read_record(results)


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
    page = Path(settings.results_dir) / "README.md"
    before = page.read_text()
    study.study(one, there, run=False)
    assert read_record(settings.results_dir)["runs"][name] == entry
    assert page.read_text() == before


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


def check_whole(results, questions):
    """The page has every section, number and picture, and nothing is missing."""
    page = (results / "README.md").read_text()
    assert "Missing" not in page
    for question in questions:
        assert f"--only={question.name}\n" in page
    for name in ("opening", "best"):
        assert f"(No conclusion is written yet: conclusions/{name}.md.)" in page
    for words in (
        "<summary>The same, mean over t = 1/4, 1/2 and 3/4</summary>",
        "The latents, at t = 1/2: KL of the reading that the row was trained with",
        "| **the best** |  | ",
        "Steps of each training: 2.",
        "## How long the trainings were",
    ):
        assert words in page
    # Two batches of twelve frames, of the 36 of the turn.
    row = (
        r"^\| `teapot_1dof` \| in-between likelihood \| 4 \| 2 \| 12 \| 0\.7 "
        r"\| .* \| - \| 0 of 0 \|$"
    )
    assert re.search(row, page, re.M)
    assert "- [How much?](#how-much)\n" in page
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", page)
    assert {Path(name).name for name in pictures} == {
        "opening.png",
        *("alpha.png", "alpha_path.png", "alpha_reconstruction.png", "alpha_trade_off.png"),
        *("alpha_latent_pca_alpha_0.png", "alpha_latent_pca_alpha_5.png"),
    }
    for name in pictures:
        assert (results / name).stat().st_size > 1000
    assert {str(path.relative_to(results)) for path in results.rglob("*.*")} == {
        "README.md",
        "study.json",
        "conclusions/alpha.md",
        *pictures,
    }
    record = json.loads((results / "study.json").read_text())
    (best,) = record["questions"]["best"]["rows"]
    assert best["choice"]["chosen"] in ("alpha 0", "alpha 5")
    assert best["label"] == f"the best: {best['choice']['chosen']}"
    assert best["choice"]["scores"].keys() == {"alpha 0", "alpha 5"}
    assert len(best["runs"]) == 2
    for name in best["runs"]:
        assert record["runs"][name]["metrics"]["split"] == "test"


def check_hparams(folder, names):
    """The event files hold a trial for each run, with its flags and what was measured."""
    for name in names:
        for seed in (0, 1):
            events = EventAccumulator(str(folder / f"{name},seed={seed}")).Reload()
            content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
            start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
            assert start.group_name == f"{name},seed={seed}"
            alpha = float(re.search(r"alpha=(\d)", name)[1])
            values = {key: value.number_value for key, value in start.hparams.items()}
            assert values == {"alpha": alpha, "seed": seed}
            (mse,) = events.Tensors("mse/60°")
            assert mse.step == 2
            assert 0 < tf.make_ndarray(mse.tensor_proto) < 1


def test_without_any_run_there_is_no_page(settings, questions, capsys):
    study.study(questions, settings, run=False)
    assert capsys.readouterr().out == "no row of any table has a run yet: no page is written\n"
    assert not Path(settings.results_dir).exists()


def measured(hit_rate, mse, steps=2, methods=("latent", "optical_flow")):
    """Metrics in which at t = 1/4 the timing error is smaller by half."""
    latent = {"hit_rate": hit_rate, "timing_error": 4.0, "timing_error_degrees": 2.0, "mse": mse}
    flow = {**latent, "hit_rate": 0.25}
    return {
        "steps": steps,
        "split": "test",
        "pairs": 2,
        "scene": "teapot_1dof",
        "loss": {"matching": "mixture"},
        "reconstruction": {"test": {"mse": 2 * mse, "elbo": 1e9 * mse}},
        "inbetween": [
            {
                "gap": gap,
                "gap_label": f"{gap}°",
                "t": t,
                "pairs": 2,
                "methods": {
                    name: {
                        **(flow if name == "optical_flow" else latent),
                        "timing_error_degrees": 4.0 * t,
                    }
                    for name in methods
                },
                "latent_geometry": {
                    "chord_deviation": gap / 40,
                    "kl_averaged": 1.0,
                    "kl_mixture": 0.5,
                },
            }
            for gap in (20, 60)
            for t in (0.25, 0.5)
        ],
    }


def test_a_table_has_means_and_ranges(settings, questions):
    job = Job(questions[0].rows[0], 0, "test", settings)
    metrics = [measured(0.9, 1e-4), measured(1.0, 2e-4), measured(0.8, 3e-4)]
    rows = [
        study_rows.Row(
            "three", "x", "latent", [job] * 3, metrics, [-0.5, 0.5, 0.3], [2, 1, 2], [], None
        ),
        study_rows.Row("one", "x", "latent", [job], metrics[:1], [None], [None], [], None),
    ]
    pixels = tables.pixel_rows(rows)
    assert list(pixels) == [("x", "optical_flow")]
    below = {"optical_flow": pixels["x", "optical_flow"]}
    brief = dataclasses.replace(questions[0], gaps=("60°",), columns=())
    assert tables.markdown_table(brief, rows, below) == [
        "|  | seeds | 60° |",
        "| --- | --- | --- |",
        "| three | 3 (step 1) | 0.90 [0.80, 1.00] |",
        "| one | 1 | 0.90 |",
        "| optical flow |  | 0.25 |",
    ]
    columns = ("reconstruction", "elbo", "last_quarter")
    measures = ("hit_rate", "timing_error", "mse")
    whole = dataclasses.replace(
        questions[1], measures=measures, columns=columns, geometry=True, names_best=True
    )
    lines = tables.markdown_table(whole, rows, below)
    head, _, three, one, _, best = lines
    assert head.startswith(
        "|  | seeds | 20° | 60° | reconstruction, MSE x 1e4 | ELBO, nats a frame | validation error"
    )
    cell = "0.90 [0.80, 1.00]<br>2.00° [2.00°, 2.00°]<br>2.00 [1.00, 3.00]"
    assert three == (
        f"| three | 3 (step 1) | {cell} | {cell} | 4.00 [2.00, 6.00] | 200,000 [100,000, 300,000] "
        "| 10 [-50, 50] |"
    )
    assert one.endswith(" | 2.00 | 100,000 | - |")
    cell = "three, one<br>three, one, optical flow<br>three, one, optical flow"
    assert best == f"| **the best** |  | {cell} | {cell} |  |  |  |"
    missed = [measured(0.0, 1e-4)]
    values = {"row": tables._values(whole, missed, "latent", (0.5,))}
    assert tables._best(whole, values, "20°") == "none<br>row<br>row"
    assert len({line.count("|") for line in lines}) == 1

    # Over all t; and the latents, by the reading of each row's own training.
    any_t = tables.markdown_table(whole, rows, {}, places=(0.25, 0.5), columns=())
    cell = "0.90 [0.80, 1.00]<br>1.50° [1.50°, 1.50°]<br>2.00 [1.00, 3.00]"
    assert any_t[2] == f"| three | 3 (step 1) | {cell} | {cell} |"
    *_, one, _ = tables.geometry_table(whole, rows)
    assert one == "| one | 1 | 0.5<br>1.0<br>0.50 | 0.5<br>1.0<br>1.50 |"

    # A gap that few pairs fit says so.
    for row in metrics[0]["inbetween"][2:]:
        row["pairs"] = 1
    head, *_ = tables.markdown_table(whole, rows, {}, columns=())
    assert head == "|  | seeds | 20° | 60°, 1 pair |"
    del metrics[0]["inbetween"][0]["latent_geometry"]
    assert tables.geometry_table(whole, rows) == []


def test_records_without_detail_have_the_tables_of_before(settings, questions):
    """With some that have it, the others have a dash, and the best is among those that have it."""
    job = Job(questions[0].rows[0], 0, "test", settings)
    metrics = {name: measured(0.9, 1e-4, methods=("latent",)) for name in ("old", "new", "half")}
    for name, detail in (("new", 0.625), ("half", 0.5)):
        for at in metrics[name]["inbetween"]:
            at["methods"]["latent"]["detail"] = detail
    del metrics["half"]["inbetween"][0]["methods"]["latent"]["detail"]
    rows = {
        name: study_rows.Row(name, "x", "latent", [job], [each], [None], [None], [], None)
        for name, each in metrics.items()
    }
    question = dataclasses.replace(
        questions[1], columns=(), names_best=True, pictures=(), geometry=False
    )
    assert "detail" in question.measures
    (words, *_), before = (
        study_page._shown(asked, [rows["old"]], {}, {"x": []})
        for asked in (
            question,
            dataclasses.replace(question, measures=("hit_rate", "timing_error", "mse")),
        )
    )
    assert study_page._shown(question, [rows["old"]], {}, {"x": []}) == before
    assert words.startswith("In each cell: hit rate, timing error (degrees, or frames where there ")
    assert not re.search(r"\bdetail\b", "".join(before))  # But for <details>.

    words, _, _, _, *lines = study_page._shown(question, list(rows.values()), {}, {"x": []})
    assert words.startswith("In each cell: hit rate, ")
    assert ", MSE x 1e4, detail, at t = 1/2" in words
    cell = "0.90<br>2.00°<br>1.00"
    assert lines[:4] == [
        f"| old | 1 | {cell}<br>- | {cell}<br>- |",
        f"| new | 1 | {cell}<br>0.62 | {cell}<br>0.62 |",
        f"| half | 1 | {cell}<br>0.50 | {cell}<br>0.50 |",
        "| **the best** |  | "
        + " | ".join(["old, new, half<br>old, new, half<br>old, new, half<br>new"] * 2)
        + " |",
    ]
    # Over several t a mean needs all of them.
    values = tables._values(question, [metrics["half"]], "latent", (0.25, 0.5))
    assert [values[label]["detail"][0] for label in ("20°", "60°")] == [[None], [0.5]]
    assert tables._best(question, {"half": values}, "20°").endswith("<br>-")
    assert "detail/60°" not in hparams._scalars(metrics["old"])
    assert hparams._scalars(metrics["new"])["detail/60°"] == 0.625


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


def test_what_a_model_does_not_have_is_left_out(settings, questions):
    """A model without latents has no reconstruction, no path and no geometry: null."""
    job = Job(questions[0].rows[0], 0, "test", settings)
    metrics = {**measured(0.5, 1e-4), "reconstruction": {"test": None}, "paths": {}}
    for row in metrics["inbetween"]:
        row["latent_geometry"] = None
    rows = [study_rows.Row("a", "x", "latent", [job], [metrics], [None], [None], [], None)]
    *_, line = tables.markdown_table(questions[1], rows, {})[:3]
    assert line.endswith(" | - | - | - | - | - |")
    assert tables.geometry_table(questions[1], rows) == []
    assert "reconstruction/mse" not in hparams._scalars(metrics)
    metrics["reconstruction"]["test"] = {"mse": None, "elbo": None}  # A U-Net's.
    *_, line = tables.markdown_table(questions[1], rows, {})[:3]
    assert line.endswith(" | - | - | - | - | - |")
    metrics["reconstruction"]["test"] = {"mse": 1e-4, "elbo": None}  # An autoencoder's.
    *_, line = tables.markdown_table(questions[1], rows, {})[:3]
    assert line.endswith(" | 1.00 | - | - | - | - |")
    assert hparams._scalars(metrics)["reconstruction/mse"] == 1e-4
    assert "reconstruction/elbo" not in hparams._scalars(metrics)


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
    path.write_text(json.dumps(measured(0.5, 1e-4, methods=["latent_slerp", "latent"])))
    assert first.state() == "to be evaluated"
    assert first.metrics() is None
    assert first.evaluation[-1] == "--methods=latent_slerp,latent,crossfade"
    path.write_text(json.dumps(measured(0.5, 1e-4, methods=["crossfade", "latent"])))
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


def test_the_page_says_what_the_validation_error_of_its_trainings_is():
    older, newer = (None, {}), (None, {"judged_by": "inbetween_mse"})
    both = "the MSE of reconstructions and, weighted as in the loss, of in-betweens"
    assert study_page._errors([older]) == f"The validation error is {both}"
    assert study_page._errors([newer]) == (
        "The validation error is the MSE of in-betweens, or of reconstructions where the loss has "
        "no in-between likelihood"
    )
    assert study_page._errors([older, newer]).endswith(f" (of 1 older trainings {both})")


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
    best = Best("best", sweep("--flagfile=teapot.flags --steps_per_execution=1", "alpha", (0, 1)))
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


def test_a_command_that_fails_says_its_last_line(settings, questions):
    job = Job(questions[0].rows[0], 0, "test", settings)
    looked = []
    with study.only_one(settings.runs_dir) as lock:
        study.call(["-c", "print('fine')"], job, lock, lambda: looked.append(1))
        with pytest.raises(RuntimeError, match=r"^error: no \(exit code 1; .*seed=0\.log\)$"):
            study.call(["-c", "import sys; sys.exit('error: no')"], job, lock, lambda: None)
    assert looked
    pattern = r"fine\nstudy: -c print\('fine'\): exit code 0 after \d+\.\d s\nerror: no\n"
    assert re.match(pattern, job.log.read_text())
    assert job.commands() == []
    job.say_how_long(job.training, 0, 5.0)
    job.say_how_long(job.evaluation, 1, 3.0)
    job.say_how_long(job.evaluation, 0, 41.25)
    assert job.commands() == [["train", 0, 5.0], ["evaluate", 1, 3.0], ["evaluate", 0, 41.2]]


def test_what_a_killed_study_left_running_is_waited_for(tmp_path, capsys):
    with study.only_one(tmp_path) as lock:
        left = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock]
        )
    with open(tmp_path / ".lock") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    threading.Timer(0.5, left.communicate, [b"\n"]).start()
    with study.only_one(tmp_path):
        assert left.wait(timeout=10) == 0
    assert capsys.readouterr().out.startswith("waiting for a study, or for what a killed one left")


def test_wrong_settings_are_one_line(settings, questions, tiny_flags):
    with pytest.raises(InputError, match=r"^--only=alpha,beta: must be among opening,alpha,best$"):
        study.study(questions, settings, ["alpha", "beta"])
    for seeds in ([], ["0", "0"], ["a"]):
        with pytest.raises(InputError, match=r"^--seeds=.*: must be different whole numbers$"):
            _seeds(seeds)
    for flags, message in (
        (f"{tiny_flags} --alhpa=1", "Unknown command line flag 'alhpa'"),
        (f"{tiny_flags} --steps=3", "--steps=3: must be a multiple of --steps_per_epoch=2"),
        ("--flagfile=nowhere.flags", "--flagfile=nowhere.flags: No such file"),
    ):
        wrong = (Question("q", "Q", "?", (Run("a run", flags),)),)
        with pytest.raises(InputError, match=f"^the run 'a run': {message}"):
            study.study(wrong, settings)
    assert not Path(settings.runs_dir).exists()


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
        assert set(question.pixels) <= set(baselines.METHODS)
        assert set(question.pictures) <= set(study_pictures.PICTURES)
        labels = {}
        for row in question.rows:
            jobs = candidate_jobs if isinstance(row, Best) else row_jobs
            scene = jobs(row, settings)[0].config.scene
            names = labels.setdefault((scene, row.split), [])
            assert row.label not in names, "two rows of one name"
            names.append(row.label)
            for run in row.among if isinstance(row, Best) else [row]:
                check_methods(run.methods)


# The command, on questions of the test's own.
STUDY = """
import signal, sys
from frame_io import command_line
from tf_inbetween.study import __main__ as command
from tf_inbetween.study import run as study
from tf_inbetween.study.definitions import Best, Question, Run

tiny, kettle = sys.argv.pop(1), sys.argv.pop(1)
short = Run("short", f"{tiny} --alpha=1")
impossible = Run("impossible", f"{tiny} --scene={kettle}")
command.QUESTIONS = (
    Question("first", "First", "?", (short,)),
    Question("second", "Second", "?", (
        *((impossible,) if kettle else ()),
        Run("long", f"{tiny} --steps=40"),
    )),
    Question("third", "Third", "?", (Best("best", (short,), more="--steps=60"),)),
)
study._POLL = 0.1
command.define_flags()
signal.signal(signal.SIGTERM, command._stop)
command_line.run(command.main)
"""


@pytest.mark.slow
def test_a_killed_study_ends_as_if_it_had_not_been(tiny_flags, tmp_path):
    tiny = f"{tiny_flags} --scene=linked_arm_2clips --min_gap=2 --max_gap=32"
    flags = ["--seeds=0", "--steps=2", "--steps_per_epoch=2", "--pairs=2", "--validation_pairs=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(tmp_path / "tfds")}
    settings = Settings(str(tmp_path / "runs/study"), "", (0,), 2, 2, 2, 2)
    short, long, winner = (
        Job(Run("", f"{tiny} {flag}"), 0, "test", settings)
        for flag in ("--alpha=1", "--steps=40", "--alpha=1 --steps=60")
    )

    def start(impossible="kettle"):
        return subprocess.Popen(
            [sys.executable, "-c", STUDY, tiny, impossible, *flags],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(process, job, step):
        while job.step() < step:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)

    # Everything is killed at once, as when the power fails.
    process = start()
    wait_for(process, long, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = {path: path.stat().st_mtime_ns for path in files(short.run_dir)}
    assert any(path.name == "metrics.json" for path in done)
    cut_at = long.step()
    assert cut_at < 40

    # Then the study alone: what it runs goes on, and is waited for. Then all, after the choice.
    process = start()
    wait_for(process, long, cut_at + 2)
    process.kill()
    process.communicate()
    process = start()
    wait_for(process, winner, 2)
    os.killpg(process.pid, signal.SIGKILL)
    said, _ = process.communicate()
    assert "waiting for a study, or for what a killed one left running" in said
    log = long.log.read_text()
    assert log.count("resuming at step") == 1
    assert re.search(rf"resuming at step {cut_at} of 40", log)
    assert long.state() == "done"
    assert log.count("evaluate --run_dir") == 1

    # It goes on, in spite of a run that fails.
    process = start()
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 1, said
    assert "1 of the runs failed: tiny,max_gap=32,min_gap=2,scene=kettle,seed=0" in said
    assert "unknown scene 'kettle'" in said
    assert winner.log.read_text().count("resuming at step") == 1
    page = (tmp_path / "docs/results/README.md").read_text()
    assert "**Missing (1):** impossible, `kettle`: seed 0." in page

    # Done is done, and the page is complete.
    done = {
        path: path.stat().st_mtime_ns
        for job in (short, long, winner)
        for path in files(job.run_dir)
    }
    process = start(impossible="")
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert {path: path.stat().st_mtime_ns for path in done} == done
    page = (tmp_path / "docs/results/README.md").read_text()
    assert "Missing" not in page
    for label in ("short", "long", "best: short"):
        assert f"| {label} | 1 " in page
    for path in re.findall(r"!\[.*?\]\((.*?)\)", page):
        assert (tmp_path / "docs/results" / path).stat().st_size > 1000

    # Stopped by a signal that can be caught, it stops what it runs.
    shutil.rmtree(long.run_dir)
    process = start()
    wait_for(process, long, 2)
    process.terminate()
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith("interrupted")
    with study.only_one(settings.runs_dir):
        assert long.state() == "cut off"


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]
