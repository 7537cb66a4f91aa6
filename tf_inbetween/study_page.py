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
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from tf_inbetween import baselines, evaluate, figures, study_pictures
from tf_inbetween.clips import prepare
from tf_inbetween.config import Config
from tf_inbetween.files import write_checked_json, written_whole
from tf_inbetween.study_jobs import (
    BOTH_ERRORS,
    ELSEWHERE,
    jobs_known_at_first,
    jobs_of_the_chosen,
    methods_of,
    path_of_record,
    read_record,
)
from tf_inbetween.study_rows import at_gap, by_clips, gaps_of, parts_of, rows_of

# What a cell of a table can say of a method: in words, digits, whether more is better.
MEASURES = {
    "hit_rate": ("hit rate", 2, True),
    "timing_error": ("timing error (degrees, or frames where there is no °)", 2, False),
    "mse": ("MSE x 1e4", 2, False),
    "detail": ("detail", 2, True),  # Older records have none.
}

# What it can say of the latents of the judged frames, see `evaluate.latent_geometry`.
GEOMETRY = {
    "kl": ("KL of the reading that the row was trained with, nats", 1),
    "kl_averaged": ("KL read as `averaged`, nats", 1),
    "sagitta": ("the chord's sagitta in posterior standard deviations", 2),
}

# What else a table can say of a row: head, digits, and a number for each of its runs or None.
COLUMNS = {
    "reconstruction": (
        "reconstruction, MSE x 1e4",
        2,
        lambda row: _numbers(parts_of(row), "mse", 1e4),
    ),
    "elbo": ("ELBO, nats a frame", 0, lambda row: _numbers(parts_of(row), "elbo")),
    "mean_distance": (
        "Mean Distance x 1e3",
        2,
        lambda row: _numbers(_paths(row), "mean_distance", 1e3),
    ),
    "smoothness": ("Smoothness", 2, lambda row: _numbers(_paths(row), "smoothness")),
    "last_quarter": (
        "validation error over the last quarter, %",
        0,
        lambda row: [None if q is None else 100 * q for q in row.last_quarters],
    ),
}

_FACTORS = {"mse": 1e4}
_FLAT = 0.05
_LENGTHS = "How long the trainings were"
_EARLY = (
    " A step beside the number of seeds: of one of them, the weights of that step were judged, "
    "since no later ones had a smaller validation error."
)
_COMMAND = ".venv/bin/python -m tf_inbetween.study --flagfile=flags/study.flags"


def write(questions, settings):
    """Writes the page and all that belongs to it.

    Args:
        questions: `study_runs.Question`s, one section each; one without a title opens the page.
        settings: `study_jobs.Settings`.

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
        entries = _entries(questions, settings)
        runs = dict(record.get("runs", {}))
        for job, entry in entries.items():
            runs[job.recorded_name] = _wider(runs.get(job.recorded_name), entry)
        kept = _still_right(record, runs)

        def write_record(pictures):
            content = {**_as_json(sections, settings), "pictures": pictures, "runs": runs}
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
        with written_whole(results / "README.md") as beside:
            beside.write_text(_page(sections, pictures, entries, settings))
    _write_hparams(entries, settings)
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


def _wider(before, entry):
    """Of two entries of one run that with more methods, as far as both have the same flags."""
    same = before and before["flags"] == entry["flags"]
    methods = [set(methods_of(e.get("metrics"))) for e in (before or {}, entry)]
    return before if same and methods[0] > methods[1] else entry


def _still_right(record, runs):
    """The pictures of before, but for those of a run that has other flags now."""
    changed = {
        study_pictures.run_of(name)
        for name, entry in record.get("runs", {}).items()
        if entry["flags"] != runs[name]["flags"]
    }
    return {
        path: shows
        for path, shows in record.get("pictures", {}).items()
        if changed.isdisjoint(map(study_pictures.run_of, shows))
    }


def _paths(row):
    """The path figures of what the row shows, of each run."""
    return [metrics.get("paths", {}).get(row.method) for metrics in row.found]


def _numbers(parts, name, factor=1.0):
    """A number of each part; None where a model has no such part or number."""
    numbers = [part[name] if part else None for part in parts]
    return [None if number is None else factor * number for number in numbers]


# ---- study.json ---------------------------------------------------------------------------------


def _entries(questions, settings):
    """What study.json says of all that is done, the runs included that were only chosen among.

    A training that was judged on several splits is there several times.

    Returns:
        {`Job`: its entry, see `Job.entry`}, one for each name.
    """
    frames = {}

    def train_frames(config):
        if config.scene not in frames:
            clips = prepare(config).outlines("train")
            frames[config.scene] = sum(clip.length for clip in clips)
        return frames[config.scene]

    found = {}
    for job in [
        *jobs_known_at_first(questions, settings),
        *jobs_of_the_chosen(questions, settings),
    ]:
        entry = job.entry(train_frames)
        if entry:  # Two rows may ask for different methods of one run.
            _, before = found.get(job.recorded_name, (None, None))
            found[job.recorded_name] = job, _wider(before, entry)
    return dict(found.values())


def _as_json(sections, settings):
    """Every question and row, with the names of its runs."""
    return {
        "seeds": list(settings.seeds),
        "questions": {
            question.name: {
                "title": question.title,
                "rows": [_row_as_json(row) for row in rows],
            }
            for question, rows in sections.items()
        },
    }


def _row_as_json(row):
    choice = row.choice and {
        "chosen": row.choice["run"] and row.choice["run"].label,
        "by": "the largest mean hit rate on the validation split, over the gaps that were trained "
        "on; among equals the smallest MSE",
        "scores": row.choice["scores"],
        "missing": row.choice["missing"],
    }
    return {
        "label": row.label,
        "clips": row.clips,
        "method": row.method,
        "choice": choice,
        "missing": row.missing,
        "runs": [job.recorded_name for job in row.jobs],
    }


# ---- the page -----------------------------------------------------------------------------------


def _page(sections, pictures, entries, settings):
    measured = [(job, entry) for job, entry in entries.items() if "metrics" in entry]
    trained = list({job.name: (job, entry) for job, entry in measured}.values())
    lines = ["# Results", ""]
    pixels = _pixels(row for rows in sections.values() for row in rows)
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
        f"Flat: changed by at most {_FLAT:.0%} over the last quarter of the steps, which a falling "
        "rate brings about too. The weights with the least validation error are the ones judged: "
        f"{_judged(trained)}.",
        "",
        *_heads(
            [
                *("scene", "loss", "trainings", "steps", "frames a step", "passes", "minutes each"),
                *("validation error over the last quarter, %", "flat"),
            ]
        ),
    ]
    for (scene, kind, steps, frames), members in sorted(groups.items()):
        changes = [entry["validation_error_over_the_last_quarter"] for entry in members]
        known = [change for change in changes if change is not None]
        flat = f"{sum(abs(change) <= _FLAT for change in known)} of {len(known)}"
        passes = steps * frames / members[0]["train_frames"]
        cells = [
            f"`{scene}`",
            kind,
            str(len(members)),
            f"{steps:,}",
            str(frames),
            f"{passes:,.0f}" if passes >= 10 else f"{passes:.1f}",
            _spread([entry["metrics"]["train_seconds"] / 60 for entry in members], 1),
            _spread([100 * change for change in known], 0) if known else "-",
            flat,
        ]
        lines.append(_line(cells))
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
    return words + f" (of {older} older trainings {both})" * bool(older)


def _kind(config):
    """What a training learns by, in words."""
    if config.model != "vae":
        return config.model + ", in-between likelihood" * bool(config.inbetween_weight)
    if config.network == "pixel_unet":
        return "pixel U-Net"
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
    return _folded("The command of each row, for its first seed", [*lines]) if lines else []


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
        "pictures are of the first seed, on one clip." + _EARLY * any(map(_early_steps, rows)),
        "",
    ]
    lines = list(words) if question.title else []
    for clips, present in groups.items():
        if len(groups) > 1:
            lines += [f"### `{clips}`", ""]
        below = {name: pixels[clips, name] for name in question.pixels if (clips, name) in pixels}
        tables = [*markdown_table(question, present, below), ""]
        if question.title:
            table = markdown_table(question, present, below, evaluate.PLACES, columns=())
            tables += _folded("The same, mean over t = 1/4, 1/2 and 3/4", table)
            tables += _geometry(question, present) if question.geometry else []
        shown = [line for picture in pictures[clips] for line in _picture(picture, clips)]
        lines += [*tables, *shown] if question.title else [*shown, *words, *tables]
    return lines + (_lengths(rows) + _choices(rows) if question.title else [])


def _as_measured(question, rows):
    """The question without the measures that none of its rows has."""
    there = {
        name
        for row in rows
        for metrics in row.found
        for at in metrics["inbetween"]
        for name in at["methods"].get(row.method, ())
    }
    measures = tuple(name for name in question.measures if name in there)
    return dataclasses.replace(question, measures=measures)


def _picture(picture, clips):
    """A picture, and a line for one that lacks rows."""
    rows = _quoted(picture.lacks)
    if not picture.is_there:
        return [f"(No picture, {picture.text}: the models are not all here of {rows}.)", ""]
    lacking = [f"(Drawn before these were there: {rows}.)", ""] if rows else []
    return [f"![{picture.text}, {clips}]({picture.path})", "", *lacking]


def _early_steps(row):
    """The steps whose weights were judged, of the seeds of which these are not the last."""
    steps = zip(row.jobs, row.judged_steps, strict=True)
    return [f"{step:,}" for job, step in steps if step and step < job.config.steps]


def _seeds(row):
    """How many seeds a row has, and which of them were judged before their end."""
    early = _early_steps(row)
    return str(len(row.found)) + (f" (step {', '.join(early)})" if early else "")


def _folded(summary, lines):
    """Lines that show when the reader asks for them."""
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>", ""]


def _pixels(rows):
    """Where pixel methods were measured: {(clips, name): metrics}, of the first run that did."""
    found = {}
    for row in rows:
        for metrics in row.found:
            for name in baselines.METHODS:
                if all(name in measured["methods"] for measured in metrics["inbetween"]):
                    found.setdefault((row.clips, name), metrics)
    return found


def markdown_table(question, rows, pixels, places=(0.5,), columns=None):
    """The lines of a table: a row for each of `rows`, all of one scene, and each pixel method.

    Args:
        question: whose gaps, measures and, if not given, columns are shown.
        rows: `Row`s with something measured.
        pixels: {name of a pixel method: metrics that have it, on the same clips}.
        places: the t whose mean is shown.
        columns: names of `COLUMNS`.
    """
    columns = [COLUMNS[name] for name in (question.columns if columns is None else columns)]
    labels = gaps_of(question, rows)
    values = {row.label: _values(question, row.found, row.method, places) for row in rows}
    below = {
        figures.LABELS[name]: _values(question, [metrics], name, places)
        for name, metrics in pixels.items()
    }
    heads = _heads_of_gaps(rows, labels)
    lines = _heads(["", "seeds", *heads, *(head for head, _, _ in columns)])
    for row in rows:
        more = [_spread(numbers(row), digits) for _, digits, numbers in columns]
        lines.append(_line([row.label, _seeds(row), *_cells(values[row.label], labels), *more]))
    for name, found in below.items():
        lines.append(_line([name, "", *_cells(found, labels), *[""] * len(columns)]))
    if question.names_best:
        best = [_best(question, {**values, **below}, label) for label in labels]
        lines.append(_line(["**the best**", "", *best, *[""] * len(columns)]))
    return lines


def _heads_of_gaps(rows, labels):
    """Gaps, with the number of pairs for those that have fewer than were asked for: clips end."""
    found = rows[0].found[0]
    pairs = {row["gap_label"]: row["pairs"] for row in found["inbetween"]}
    return [
        label
        if pairs[label] == found["pairs"]
        else f"{label}, {pairs[label]} pair{'s' * (pairs[label] > 1)}"
        for label in labels
    ]


def _heads(texts):
    return [_line(texts), "|" + " --- |" * len(texts)]


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def _values(question, found, method, places):
    """{gap: {measure: (a number for each of some metrics or None, digits, unit)}} of a method."""
    values = {}
    for label in dict.fromkeys(row["gap_label"] for row in found[0]["inbetween"]):
        measured = [
            [row["methods"][method] for row in rows] for rows in at_gap(found, label, places)
        ]
        degrees = "timing_error_degrees" in measured[0][0]
        keys = {"timing_error": "timing_error_degrees"} if degrees else {}
        values[label] = {
            name: (
                [_mean(ones, keys.get(name, name), _FACTORS.get(name, 1)) for ones in measured],
                MEASURES[name][1],
                "°" if name in keys else "",
            )
            for name in question.measures
        }
    return values


def _mean(parts, name, factor):
    """The mean of a number of some parts, times a factor; None unless all have it."""
    numbers = [part.get(name) for part in parts]
    return None if None in numbers else np.mean(numbers) * factor


def _cells(values, labels):
    return ["<br>".join(_spread(*each) for each in values[label].values()) for label in labels]


def _best(question, values, label):
    """For each measure, the row with the best mean at a gap, and those whose seeds overlap its.

    "none" where more would be better and all have 0; "-" where no row was measured.
    """
    names = []
    for measure in question.measures:
        _, digits, more = MEASURES[measure]
        sign = -1 if more else 1
        shown = {
            name: np.round(sign * np.array(each[label][measure][0]), digits)
            for name, each in values.items()
            if None not in each[label][measure][0]
        }
        if not shown:
            names.append("-")
            continue
        best = min(shown.values(), key=np.mean)
        of_all = [name for name, numbers in shown.items() if min(numbers) <= max(best)]
        names.append("none" if more and not np.any(best) else ", ".join(of_all))
    return "<br>".join(names)


def _geometry(question, rows):
    """The table of the latent geometry, if it was measured."""
    rows = [row for row in rows if _latents(row.found[0]["inbetween"][0])]
    if not rows:
        return []
    labels = gaps_of(question, rows)
    words = "; ".join(text for text, _ in GEOMETRY.values())
    lines = [
        f"The latents, at t = 1/2: {words}.",
        "",
        *_heads(["", "seeds", *_heads_of_gaps(rows, labels)]),
    ]
    for row in rows:
        cells = []
        for label in labels:
            shapes = [
                {**_latents(at), "kl": _latents(at)[f"kl_{metrics['loss']['matching']}"]}
                for metrics, (at,) in zip(row.found, at_gap(row.found, label), strict=True)
            ]
            texts = [
                _spread([shape[name] for shape in shapes], digits)
                for name, (_, digits) in GEOMETRY.items()
            ]
            cells.append("<br>".join(texts))
        lines.append(_line([row.label, _seeds(row), *cells]))
    return [*lines, ""]


def _latents(measured):
    """The latent geometry of a row of metrics.json; None for what has no latents."""
    return measured.get("latent_geometry")


def _lengths(rows):
    """One line: how many steps the trainings of some rows took."""
    steps = collections.defaultdict(list)
    for row in rows:
        for job in row.jobs[:1]:
            steps[job.config.steps].append(row.label)
    if not steps:
        return []
    most = max(steps, key=lambda count: len(steps[count]))
    others = [
        f"{count:,} in {_quoted(dict.fromkeys(labels))}"
        for count, labels in steps.items()
        if count != most
    ]
    return [f"Steps of each training: {'; '.join([f'{most:,}', *others])}.", ""]


def _quoted(labels):
    """Labels in one line; they may hold commas."""
    return ", ".join(f'"{label}"' for label in labels)


def _spread(values, digits, unit=""):
    """Mean and range in words, such as "0.93 [0.91, 0.95]"; of a single value itself.

    "-" where one is None: what has no meaning for a run, or is gone.
    """
    if any(value is None for value in values):
        return "-"
    numbers = (np.mean(values), min(values), max(values))
    if abs(numbers[0]) >= 1000:
        digits = 0
    texts = [f"{value:,.{digits}f}{unit}" for value in numbers]
    return texts[0] if len(values) == 1 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _choices(rows):
    """The table of what the choices were made by: mean hit rate and MSE on the validation split."""
    asked = {}  # The same choice may stand there for several splits.
    for row in rows:
        if row.choice and row.choice["scores"]:
            asked.setdefault(str(row.choice["scores"]), row)
    if not asked:
        return []
    asked = list(asked.values())
    several = len({row.clips for row in asked}) > 1
    labels = list(dict.fromkeys(label for row in asked for label in row.choice["scores"]))
    lines = [
        "The choice, on the validation split, by the first seed alone: hit rate and MSE x 1e4, "
        "mean over t and the gaps that were trained on; the winner is bold.",
        "",
        "| | " + " | ".join(labels) + " |",
        "|" + " --- |" * (1 + len(labels)),
    ]
    for row in asked:
        cells = []
        for label in labels:
            score = row.choice["scores"].get(label)
            text = score and f"{score['hit_rate']:.2f}, {1e4 * score['mse']:.2f}"
            cells.append(f"**{text}**" if label == row.choice["run"].label else text or "-")
        name = row.label.removesuffix(" (so far)")
        name = name.removesuffix(f": {row.choice['run'].label}")
        name += f", `{row.clips}`" if several else ""
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


# ---- TensorBoard --------------------------------------------------------------------------------


def _write_hparams(entries, settings):
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
    found = {tag: value for tag, value in named.items() if value is not None}
    for row in metrics["inbetween"]:
        if row["t"] == 0.5:
            measured = row["methods"].get("latent", {})
            for name in MEASURES:
                if name in measured:
                    found[f"{name}/{row['gap_label']}"] = measured[name]
    return found if split == "test" else {f"{split}/{tag}": v for tag, v in found.items()}


def _plain(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else value
