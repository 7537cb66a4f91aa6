"""The study's results, from the runs that are there: a JSON, a Markdown page, pictures, HParams.

README.md          the page; generated, never edited by hand
study.json         every number behind it, and of every picture which runs it shows
study/             its pictures
conclusions/       what a person concludes, a Markdown file for each question; read, never written

The page says which runs are missing; while all are, none is written. A run whose run directory is
gone is taken from the study.json of before, with the same flags; a picture that needs its model
stays as it was. What is asked for no longer stays in study.json and study/, and is not shown.
TensorBoard's HParams page of the whole study is in the folder `hparams` of the runs.
"""

import collections
import contextlib
import dataclasses
import fcntl
import os
import re
from pathlib import Path

from frame_io.files import atomic_write, write_checked_json
from tf_inbetween.evaluation.judge import PLACES
from tf_inbetween.study import pictures as study_pictures
from tf_inbetween.study.hparams import write_hparams
from tf_inbetween.study.jobs import BOTH_ERRORS
from tf_inbetween.study.record import as_json, entries_of, kept_pictures, wider_entry
from tf_inbetween.study.rows import by_clips, rows_of
from tf_inbetween.study.settings import path_of_record, read_record
from tf_inbetween.study.tables import (
    FLAT,
    MEASURES,
    choices_table,
    early_steps,
    folded,
    geometry_table,
    lengths_line,
    markdown_table,
    pixel_rows,
    quoted,
    spread,
    table_head,
    table_line,
)

_LENGTHS = "How long the trainings were"
_EARLY = (
    " A step beside the number of seeds: of one of them, the weights of that step were judged, "
    "since no later ones had a smaller validation error."
)
_COMMAND = ".venv/bin/python -m tf_inbetween.study --flagfile=flags/study.flags"


def write(questions, settings):
    """Writes the page and all that belongs to it.

    Args:
        questions: `definitions.Question`s, one section each; one without a title opens the page.
        settings: `settings.Settings`.

    Raises:
        InputError: if a run that is done cannot be read, or its data set, or study.json.
    """
    results = Path(settings.results_dir)
    with _alone(results):
        record = read_record(results)  # Somebody may have written since the study began.
        settings = dataclasses.replace(settings, record=record, recorded=True)
        sections = {question: rows_of(question, settings) for question in questions}
        if not any(row.jobs for rows in sections.values() for row in rows):
            print("no row of any table has a run yet: no page is written")
            return
        entries = entries_of(questions, settings)
        runs = dict(record.get("runs", {}))
        for job, entry in entries.items():
            runs[job.recorded_name] = wider_entry(runs.get(job.recorded_name), entry)
        kept = kept_pictures(record, runs)

        def write_record(pictures):
            content = {**as_json(sections, settings), "pictures": pictures, "runs": runs}
            write_checked_json(path_of_record(results), content, table="runs")

        write_record(kept)  # What was measured is safe whatever the pictures meet.
        pictures = {q: study_pictures.draw(q, rows, results, kept) for q, rows in sections.items()}
        shown = {
            picture.path: picture.shows
            for of_question in pictures.values()
            for of_clips in of_question.values()
            for picture in of_clips
            if picture.is_there
        }
        write_record({**kept, **shown})
        with atomic_write(results / "README.md") as beside:
            beside.write_text(_page(sections, pictures, entries, settings))
    write_hparams(entries, settings)
    names = {job.name for rows in sections.values() for row in rows for job in row.jobs}
    print(f"wrote {results / 'README.md'}, from {len(names)} runs")
    print(f"TensorBoard: tensorboard --logdir {settings.runs_dir}/hparams")


@contextlib.contextmanager
def _alone(folder):
    """Waits until nobody else writes the page of a folder. (Where none is, nothing can be lost.)"""
    if not folder.exists():
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _page(sections, pictures, entries, settings):
    measured = [(job, entry) for job, entry in entries.items() if "metrics" in entry]
    trained = list({job.name: (job, entry) for job, entry in measured}.values())
    lines = ["# Results", ""]
    pixels = pixel_rows(row for rows in sections.values() for row in rows)
    for question, rows in sections.items():
        if question.title:
            lines += [f"## {question.title}", ""]
        lines += [question.asks, ""]
        # What opens the page is to be seen first and explained then.
        conclusion = [_conclusion(question, settings), ""]
        shown = _shown(question, rows, pixels, pictures[question])
        lines += [*conclusion, *shown] if question.title else [*shown, *conclusion]
        lines += _missing(rows)
        lines += ["```bash", f"{_COMMAND} --only={question.name}", "```", ""]
        lines += _commands(rows)
        lines += _contents(sections) if not question.title else []
    lines += _trainings(trained)
    lines += [
        "---",
        "",
        f"Generated by `{_COMMAND}`, except for the words in [conclusions/](conclusions). "
        f"{_cost(trained, settings)} Every number is in [study.json](study.json).",
    ]
    return "\n".join(lines) + "\n"


def _contents(questions):
    """Links to the sections."""
    titles = [question.title for question in questions if question.title] + [_LENGTHS]
    anchors = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
    return [*(f"- [{t}](#{a})" for t, a in zip(titles, anchors, strict=True)), ""]


def _cost(trained, settings):
    """How long some trainings took: [(job, entry)], each once."""
    seconds = [seconds for _, entry in trained for _, _, seconds in entry["commands"]]
    machines = {entry["machine"] for _, entry in trained}
    return (
        f"Trainings: {len(trained)}, seeds {', '.join(map(str, settings.seeds))}. Their commands, "
        f"evaluations included where that was kept, took {sum(seconds) / 3600:.1f} hours on "
        f"{' and '.join(sorted(machines))}."
    )


def _trainings(trained):
    """The section that says how long the trainings were, and whether that was long enough."""
    groups = collections.defaultdict(list)
    for job, entry in trained:
        config = job.config
        frames = config.clips_per_batch * config.frames_per_clip
        groups[config.scene, _kind(config), config.steps, frames].append(entry)
    lines = [
        f"## {_LENGTHS}",
        "",
        "An epoch of the paper is a pass over its data set. Here every step draws its frames at "
        "random, and what the code calls an epoch is no more than the steps between two "
        "validations; the passes below are the frames drawn over the frames there are. "
        f"{_errors(trained)}; the learning rate falls along a cosine to a hundredth of its peak. "
        f"Flat: changed by at most {FLAT:.0%} over the last quarter of the steps, which a falling "
        "rate brings about too. The weights with the least validation error are the ones judged: "
        f"{_judged(trained)}.",
        "",
        *table_head(
            [
                *("scene", "loss", "trainings", "steps", "frames a step", "passes", "minutes each"),
                *("validation error over the last quarter, %", "flat"),
            ]
        ),
    ]
    for (scene, kind, steps, frames), members in sorted(groups.items()):
        changes = [entry["validation_error_over_the_last_quarter"] for entry in members]
        known = [change for change in changes if change is not None]
        flat = f"{sum(abs(change) <= FLAT for change in known)} of {len(known)}"
        passes = steps * frames / members[0]["train_frames"]
        cells = [
            f"`{scene}`",
            kind,
            str(len(members)),
            f"{steps:,}",
            str(frames),
            f"{passes:,.0f}" if passes >= 10 else f"{passes:.1f}",
            spread([entry["metrics"]["train_seconds"] / 60 for entry in members], 1),
            spread([100 * change for change in known], 0) if known else "-",
            flat,
        ]
        lines.append(table_line(cells))
    return [*lines, ""]


def _errors(trained):
    """What the validation error of some trainings is, in words."""
    older = sum(entry.get("judged_by", BOTH_ERRORS) == BOTH_ERRORS for _, entry in trained)
    both = "the MSE of reconstructions and, weighted as in the loss, of in-betweens"
    if older == len(trained):
        return f"The validation error is {both}"
    words = (
        "The validation error is the MSE of in-betweens, or of reconstructions where the loss has "
        "no in-between likelihood"
    )
    if any(entry.get("judged_by", "").endswith("_nll") for _, entry in trained):
        words += "; of text the negative log-likelihood"
    return words + f" (of {older} older trainings {both})" * bool(older)


def _kind(config):
    """What a training learns by, in words."""
    if config.model == "pixel_unet":
        return "pixel U-Net"
    if config.model != "vae":
        return config.model + ", in-between likelihood" * bool(config.inbetween_weight)
    if config.inbetween_weight:
        return "in-between likelihood"
    if config.alpha:
        return "the paper's"
    return "plain VAE" if config.prior_weight == 1 else "beta-VAE"


def _judged(trained):
    """How many trainings were judged by their last weights, in words."""
    steps = [(entry["judged_step"], job.config.steps) for job, entry in trained]
    known = sum(step is not None for step, _ in steps)
    last = sum(step == of for step, of in steps)
    return f"those of the last step in {last} of {known} trainings; the tables mark other rows"


def _conclusion(question, settings):
    path = Path("conclusions") / f"{question.name}.md"
    try:
        return (Path(settings.results_dir) / path).read_text().strip()
    except FileNotFoundError:
        return f"(No conclusion is written yet: {path}.)"


def _missing(rows):
    several = len({row.clips for row in rows}) > 1
    missing = {}
    for row in rows:
        label = f"{row.label}, `{row.clips}`" if several else row.label
        missing.setdefault(label, row.missing)
    texts = [f"{label}: {', '.join(each)}" for label, each in missing.items() if each]
    count = sum(map(len, missing.values()))
    return [f"**Missing ({count}):** {'; '.join(texts)}.", ""] if texts else []


def _commands(rows):
    """The command that trains each row, folded away."""
    lines = dict.fromkeys(
        f"    python {' '.join(row.jobs[0].training)}  # {row.label}" for row in rows if row.jobs
    )
    return folded("The command of each row, for its first seed", [*lines]) if lines else []


def _shown(question, rows, pixels, pictures):
    """The tables and pictures of a question for each scene, and what its choices were made by.

    The opening has its picture first and one table alone: the sections that its rows come from show
    the others.
    """
    groups = by_clips(rows)
    if not groups:
        return ["None of its runs is there yet.", ""]
    question = _as_measured(question, rows)
    measures = ", ".join(MEASURES[name][0] for name in question.measures)
    words = [
        f"In each cell: {measures}, at t = 1/2; the mean over seeds and [smallest, largest]. The "
        "pictures are of the first seed, on one clip." + _EARLY * any(map(early_steps, rows)),
        "",
    ]
    lines = list(words) if question.title else []
    for clips, present in groups.items():
        if len(groups) > 1:
            lines += [f"### `{clips}`", ""]
        below = {name: pixels[clips, name] for name in question.pixels if (clips, name) in pixels}
        tables = [*markdown_table(question, present, below), ""]
        if question.title:
            table = markdown_table(question, present, below, PLACES, columns=())
            tables += folded("The same, mean over t = 1/4, 1/2 and 3/4", table)
            tables += geometry_table(question, present) if question.geometry else []
        shown = [line for picture in pictures[clips] for line in _picture(picture, clips)]
        lines += [*tables, *shown] if question.title else [*shown, *words, *tables]
    return lines + (lengths_line(rows) + choices_table(rows) if question.title else [])


def _as_measured(question, rows):
    """The question without the measures that none of its rows has."""
    there = {
        name
        for row in rows
        for metrics in row.metrics
        for at in metrics["inbetween"]
        for name in at["methods"].get(row.method, ())
    }
    measures = tuple(name for name in question.measures if name in there)
    return dataclasses.replace(question, measures=measures)


def _picture(picture, clips):
    """A picture, and a line for one that lacks rows."""
    rows = quoted(picture.lacks)
    if not picture.is_there:
        return [f"(No picture, {picture.text}: the models are not all here of {rows}.)", ""]
    lacking = [f"(Drawn before these were there: {rows}.)", ""] if rows else []
    return [f"![{picture.text}, {clips}]({picture.path})", "", *lacking]
