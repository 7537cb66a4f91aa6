"""Every run once, whatever happens on the way, and a page that says what is there."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from tf_inbetween.config import InputError
from tf_inbetween.study import run as study
from tf_inbetween.study.definitions import Run
from tf_inbetween.study.settings import read_record


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
    front, opening, page, best = (
        (tmp_path / "results" / f"{name}.md").read_text()
        for name in ("README", "opening", "alpha", "best")
    )
    assert "\n\nNobody knows.\n\nNot even on two seeds.\n\n" in page
    assert "## [How much?](alpha.md)\n\nNobody knows.\n\n![" in front
    assert "## [Which?](best.md)\n\nOne.\n\nNone of its 2 runs is there yet.\n" in front
    assert "Not all of its runs are there yet: 3 are [missing](opening.md).\n" in front
    assert "## [How long were the trainings?](trainings.md)\n\nTrainings: 1, seeds 0, 1. " in front
    assert conclusion.read_text() == "Nobody knows.\n\nNot even on two seeds.\n"
    for text in (opening, page):
        assert "**Missing (3):** alpha 0: seed 1; alpha 5: seed 0, seed 1." in text
    assert "None of its runs is there yet." in best
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
    assert "**Missing (1):** alpha 5: seed 1." in (tmp_path / "results/opening.md").read_text()

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
    page = (results / "alpha.md").read_text()
    assert "| alpha 0 | 2 | " in page
    assert "| alpha 7 | 2 | " in page
    assert page.count('(The picture does not show "alpha 7".)') == 3
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
        page = (results / "alpha.md").read_text()
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
        ('{"runs": {"a": {}}}', "it has no checksum"),
        ("[]", "no JSON object"),
    ):
        record.write_text(wrong)
        with pytest.raises(InputError, match=rf"study\.json: cannot be read \({message}"):
            read_record(results)


def check_whole(results, questions):
    """Every question has its page, number and picture, and nothing is missing."""
    pages = {path.stem: path.read_text() for path in results.glob("*.md")}
    front, page = pages["README"], pages["alpha"]
    assert set(pages) == {"README", "trainings", *(q.name for q in questions)}
    assert not [name for name, text in pages.items() if "issing" in text]
    for question in questions:
        assert pages[question.name].startswith(f"# {question.title}\n")
        assert f"--only={question.name}\n" in pages[question.name]
        assert f"## [{question.title}]({question.name}.md)\n" in front
    for name in ("opening", "best"):
        assert f"(No conclusion is written yet: conclusions/{name}.md.)" in pages[name]
    assert "(No introduction is written yet: conclusions/front_page.md.)" in front
    for words in (
        "<summary>The same, mean over t = 1/4, 1/2 and 3/4</summary>",
        "The latents, at t = 1/2: KL of the reading that the row was trained with",
        "| **the best** |  | ",
        "Steps of each training: 2.",
    ):
        assert words in page
    # Two batches of twelve frames, of the 36 of the turn.
    row = (
        r"^\| `teapot_1dof` \| in-between likelihood \| 4 \| 2 \| 12 \| 0\.7 "
        r"\| .* \| - \| 0 of 0 \|$"
    )
    assert re.search(row, pages["trainings"], re.M)
    assert re.findall(r"!\[.*?\]\((.*?)\)", front) == ["study/opening.png", "study/alpha.png"]
    pictures = {name for text in pages.values() for name in re.findall(r"!\[.*?\]\((.*?)\)", text)}
    assert {Path(name).name for name in pictures} == {
        "opening.png",
        *("alpha.png", "alpha_path.png", "alpha_reconstruction.png", "alpha_trade_off.png"),
        *("alpha_latent_pca_alpha_0.png", "alpha_latent_pca_alpha_5.png"),
    }
    for name in pictures:
        assert (results / name).stat().st_size > 1000
    assert {str(path.relative_to(results)) for path in results.rglob("*.*")} == {
        *(f"{name}.md" for name in pages),
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
