"""The study's results, from the runs that are there: a JSON, a Markdown page, pictures, HParams.

README.md          the page; generated, never edited by hand
study.json         every number behind it
study/             its pictures
conclusions/       what a person concludes, a Markdown file for each question; read, never written

The page says which runs are missing; while all are, none is written. TensorBoard's HParams page of
the whole study is in the folder `hparams` of the runs.
"""

import collections
import dataclasses
import json
import shutil
import textwrap
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from tensorboard.plugins.hparams import api as hparams

from tf_inbetween import baselines, evaluate, figures, run_directory
from tf_inbetween.config import Config
from tf_inbetween.data import outlines, prepare, read_clips
from tf_inbetween.files import write_json, written_whole
from tf_inbetween.models import to_float
from tf_inbetween.study_jobs import choose, jobs_known_at_first, jobs_of_the_chosen, row_jobs
from tf_inbetween.study_runs import Best

MEASURES = {
    "hit_rate": "hit rate",
    "timing_error": "timing error (degrees, or frames where there is no °)",
    "mse": "MSE x 1e4",
}

# Of the reconstruction of test frames: what metrics.json calls it -> head, factor, digits.
RECONSTRUCTION = {
    "mse": ("reconstruction, MSE x 1e4", 1e4, 2),
    "elbo": ("ELBO, nats a frame", 1, 0),
}

_PIXEL = ("optical_flow", "crossfade", "nearest_frame")
_ELSEWHERE = ("run_dir", "data_dir", "storage", "memory_limit_mb", "seed")
_COMMAND = ".venv/bin/python -m tf_inbetween.study --flagfile=flags/study.flags"
_COLUMNS = 9


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table, with what has been measured of it.

    Attributes:
        label: of the row; with the winner's where there was a choice.
        scene: of its runs; None while nothing is chosen.
        jobs: `study_jobs.Job`s that are done.
        found: what metrics.json of each holds.
        missing: lines about what is not done.
        choice: what `study_jobs.choose` returned; None for a row without a choice.
    """

    label: str
    scene: str | None
    jobs: list
    found: list
    missing: list
    choice: dict | None


def write(questions, settings):
    """Writes the page and all that belongs to it.

    Args:
        questions: `study_runs.Question`s, one section each; one without a title opens the page.
        settings: `study_jobs.Settings`.

    Raises:
        InputError: if a run that is done cannot be read, or its data set.
    """
    results = Path(settings.results_dir)
    sections = {question: _rows(question, settings) for question in questions}
    done = {
        job.name: (job, metrics)
        for rows in sections.values()
        for row in rows
        for job, metrics in zip(row.jobs, row.found, strict=True)
    }
    if not done:
        print("no row of any table has a run yet: no page is written")
        return
    write_json(results / "study.json", _as_json(sections, settings))
    pictures = {question: _draw(question, rows, results) for question, rows in sections.items()}
    with written_whole(results / "README.md") as beside:
        beside.write_text(_page(sections, pictures, settings))
    shown = {results / path for drawn in pictures.values() for _, path in drawn}
    for path in set((results / "study").glob("*.png")) - shown:
        path.unlink()
    _write_hparams(done, settings)
    print(f"wrote {results / 'README.md'}, from {len(done)} runs")
    print(f"TensorBoard: tensorboard --logdir {settings.runs_dir}/hparams")


def _rows(question, settings):
    rows = []
    for asked in question.rows:
        run, choice, missing, label = asked, None, [], asked.label
        if isinstance(asked, Best):
            choice = choose(asked, settings)
            run = choice["run"]
            missing = [f"{label}, choice: {name}" for name in choice["missing"]]
            label = f"{label}: {run.label}" if run else label
        jobs = row_jobs(run, settings) if run else []
        found = {job: job.metrics() for job in jobs}
        missing += [f"{label}, seed {job.seed}" for job in jobs if found[job] is None]
        rows.append(
            Row(
                label=label,
                scene=jobs[0].config.scene if jobs else None,
                jobs=[job for job in jobs if found[job]],
                found=[metrics for metrics in found.values() if metrics],
                missing=missing,
                choice=choice,
            )
        )
    return rows


# ---- study.json ---------------------------------------------------------------------------------


def _as_json(sections, settings):
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
        "by": "the largest mean hit rate on the validation split; among equals the smallest MSE",
        "scores": row.choice["scores"],
        "missing": row.choice["missing"],
    }
    return {
        "label": row.label,
        "scene": row.scene,
        "choice": choice,
        "missing": row.missing,
        "runs": {
            job.name: {"command": "python " + " ".join(job.training), "metrics": metrics}
            for job, metrics in zip(row.jobs, row.found, strict=True)
        },
    }


# ---- the page -----------------------------------------------------------------------------------


def _page(sections, pictures, settings):
    lines = ["# Results", ""]
    for question, rows in sections.items():
        if question.title:
            lines += [f"## {question.title}", ""]
        lines += [question.asks, ""]
        lines += _tables(question, rows)
        lines += [line for text, path in pictures[question] for line in (f"![{text}]({path})", "")]
        lines += [_conclusion(question, settings), ""]
        lines += _missing(rows)
        lines += ["```bash", f"{_COMMAND} --only={question.name}", "```", ""]
        lines += _commands(rows)
    lines += [
        "---",
        "",
        f"Generated by `{_COMMAND}`, except for the words in [conclusions/](conclusions). "
        f"{_cost(sections, settings)} Every number is in [study.json](study.json).",
    ]
    return "\n".join(lines) + "\n"


def _cost(questions, settings):
    """How long all that is done took, the runs included that were only chosen among."""
    jobs = [
        *jobs_known_at_first(questions, settings),
        *jobs_of_the_chosen(questions, settings),
    ]
    done = {job.name: (job, metrics) for job in jobs if (metrics := job.metrics())}
    seconds = [
        metrics["train_seconds"] + sum(job.evaluation_seconds()) for job, metrics in done.values()
    ]
    machines = {_machine(job) for job, _ in done.values()}
    return (
        f"Trainings: {len(done)}, seeds {', '.join(map(str, settings.seeds))}. They and their "
        f"evaluations took {sum(seconds) / 3600:.1f} hours on {' and '.join(sorted(machines))}."
    )


def _machine(job):
    hardware = json.loads((job.run_dir / "environment.json").read_text())["hardware"]
    return f"{hardware['cores']} cores of {hardware['processor']}"


def _conclusion(question, settings):
    path = Path("conclusions") / f"{question.name}.md"
    try:
        return (Path(settings.results_dir) / path).read_text().strip()
    except FileNotFoundError:
        return f"(No conclusion is written yet: {path}.)"


def _missing(rows):
    missing = [line for row in rows for line in row.missing]
    return [f"**Missing ({len(missing)}):** {'; '.join(missing)}.", ""] if missing else []


def _commands(rows):
    """The command that trains each row, folded away."""
    lines = [
        f"    python {' '.join(row.jobs[0].training)}  # {row.label}" for row in rows if row.jobs
    ]
    if not lines:
        return []
    summary = "<summary>The command of each row, for its first seed</summary>"
    return ["<details>", summary, "", *lines, "", "</details>", ""]


def _tables(question, rows):
    """The tables of a question, one for each scene, and what its choices were made by.

    The opening has no such second table: the section that its row comes from shows it.
    """
    scenes = _by_scene(rows)
    if not scenes:
        return ["None of its runs is there yet.", ""]
    words = ", ".join(MEASURES[name] for name in question.measures)
    lines = [f"In each cell: {words}, at t = 1/2; the mean over seeds and [smallest, largest].", ""]
    for scene, present in scenes.items():
        if len(scenes) > 1:
            lines += [f"`{scene}`:", ""]
        lines += [*markdown_table(question, present), ""]
    return lines + (_choices(rows) if question.title else [])


def _by_scene(rows):
    """The rows with something to show, by their scene."""
    scenes = collections.defaultdict(list)
    for row in rows:
        if row.found:
            scenes[row.scene].append(row)
    return scenes


def markdown_table(question, rows):
    """The lines of a table: a row for each of `rows`, all of one scene, and each pixel method.

    Args:
        question: whose gaps and measures are shown.
        rows: `Row`s with something measured.
    """
    more = {} if question.measures == ("hit_rate",) else RECONSTRUCTION
    labels = _gaps(question, rows)
    heads = ["", "seeds", *labels, *(head for head, _, _ in more.values())]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in rows:
        cells = [row.label, str(len(row.found))]
        cells += [_cell(question, row.found, "latent", label) for label in labels]
        parts = [metrics["reconstruction"]["test"] for metrics in row.found]
        for name, (_, factor, digits) in more.items():
            cells.append(_spread([factor * part[name] for part in parts], digits))
        lines.append("| " + " | ".join(cells) + " |")
    for name in _PIXEL:
        if all(name in measured["methods"] for measured in rows[0].found[0]["inbetween"]):
            cells = [_cell(question, rows[0].found[:1], name, label) for label in labels]
            cells = [figures.LABELS[name], "", *cells, *[""] * len(more)]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def _gaps(question, rows):
    labels = [m["gap_label"] for m in rows[0].found[0]["inbetween"] if m["t"] == 0.5]
    return [label for label in labels if not question.gaps or label in question.gaps]


def _at(found, method, label):
    """What each of some metrics measured of a method at a gap and t = 1/2."""
    return [
        row["methods"][method]
        for metrics in found
        for row in metrics["inbetween"]
        if row["gap_label"] == label and row["t"] == 0.5
    ]


def _cell(question, found, method, label):
    measured = _at(found, method, label)
    degrees = "timing_error_degrees" in measured[0]
    timing = "timing_error_degrees" if degrees else "timing_error"
    texts = {
        "hit_rate": _spread([one["hit_rate"] for one in measured], 2),
        "timing_error": _spread([one[timing] for one in measured], 2, "°" if degrees else ""),
        "mse": _spread([1e4 * one["mse"] for one in measured], 2),
    }
    return "<br>".join(texts[name] for name in question.measures)


def _spread(values, digits, unit=""):
    """Mean and range in words, such as "0.93 [0.91, 0.95]"; of a single value itself."""
    texts = [f"{value:.{digits}f}{unit}" for value in (np.mean(values), min(values), max(values))]
    return texts[0] if len(values) == 1 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _choices(rows):
    """The table of what the choices were made by: mean hit rate and MSE on the validation split."""
    asked = [row for row in rows if row.choice and row.choice["scores"]]
    if not asked:
        return []
    labels = list(dict.fromkeys(label for row in asked for label in row.choice["scores"]))
    lines = [
        "The choice, on the validation split, one seed: hit rate and MSE x 1e4, mean over all gaps "
        "and t; the winner is bold.",
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
        name = row.label.removesuffix(f": {row.choice['run'].label}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


# ---- pictures -----------------------------------------------------------------------------------


def _draw(question, rows, results):
    """Draws the pictures of a question; returns (text, path relative to the page) of each."""
    drawn = []
    for scene, present in _by_scene(rows).items():
        stem = f"study/{question.name}" + (f"_{scene}" if len(_by_scene(rows)) > 1 else "")
        for kind in question.pictures:
            for text, path in PICTURES[kind](question, present, results, stem):
                drawn.append((f"{text}, {scene}", path))
    return drawn


def _models(rows):
    """The model of each row, of its first seed: {label, in lines: model}."""
    return {
        textwrap.fill(row.label, 20, break_on_hyphens=False): run_directory.load_model(
            row.jobs[0].run_dir
        )
        for row in rows
    }


def _clip(rows, gap):
    """The builder of the rows' scene, and its first test clip that is long enough for a gap."""
    builder = prepare(rows[0].jobs[0].config)
    number = evaluate.first_clip(outlines(builder, "test"), gap)
    (clip,) = read_clips(builder, "test", [number])
    return builder, clip


def _measured_gaps(question, rows):
    labels = _gaps(question, rows)
    return [m for m in rows[0].found[0]["inbetween"] if m["gap_label"] in labels]


def _draw_inbetween(question, rows, results, stem):
    """First, second, the truth and what each row draws, for each gap."""
    shown = _measured_gaps(question, rows)
    _, clip = _clip(rows, max(row["gap"] for row in shown))
    methods = {label: evaluate.latent_method(model) for label, model in _models(rows).items()}
    methods |= {
        name: baselines.available()[name] for name in _PIXEL[:2] if name in baselines.available()
    }
    figures.inbetween_grid(results / f"{stem}.png", methods, clip, shown)
    return [("first, second, truth and in-betweens by gap", f"{stem}.png")]


def _draw_path(question, rows, results, stem):
    """A path over the largest gap below its truth."""
    gap = max(row["gap"] for row in _measured_gaps(question, rows))
    _, clip = _clip(rows, gap)
    methods = {label: evaluate.latent_method(model) for label, model in _models(rows).items()}
    figures.path_picture(results / f"{stem}_path.png", methods, clip, gap)
    return [("from a start to an end frame, below the truth", f"{stem}_path.png")]


def _draw_reconstruction(question, rows, results, stem):
    """Frames of the first training and test clip, and what each row makes of them."""
    builder = prepare(rows[0].jobs[0].config)
    models = _models(rows)
    grid, labels = [], []
    for split in ("train", "test"):
        (clip,) = read_clips(builder, split, [0])
        places = np.linspace(0, clip.length - 1, _COLUMNS).astype(int)
        truth = to_float(clip.frames[places]).numpy()
        grid += [truth, *(model.reconstruct(truth).numpy() for model in models.values())]
        labels += [f"{split}\n{name}" for name in ("truth", *models)]
    figures.labelled_grid(results / f"{stem}_reconstruction.png", grid, labels)
    return [("reconstructions of train and test frames", f"{stem}_reconstruction.png")]


def _copy_latent_pca(question, rows, results, stem):
    """The latent means of each row, as its evaluation drew them."""
    copied = []
    for number, row in enumerate(rows):
        path = f"{stem}_latent_pca_{number}.png"
        with written_whole(results / path) as beside:
            shutil.copyfile(row.jobs[0].run_dir / "figures" / "latent_pca.png", beside)
        copied.append((f"principal components of the latent means, {row.label}", path))
    return copied


def _draw_trade_off(question, rows, results, stem):
    """In-between error against reconstruction error, a line for each likelihood, by alpha."""
    labels = _gaps(question, rows)
    lines = collections.defaultdict(list)
    for row in rows:
        lines[row.jobs[0].config.likelihood].append(row)
    figure = Figure(figsize=(4 * len(labels), 3.6), layout="constrained")
    for axis, label in zip(figure.subplots(1, len(labels), squeeze=False)[0], labels, strict=True):
        for likelihood, along in lines.items():
            along = sorted(along, key=lambda row: row.jobs[0].config.alpha)
            x = [[m["reconstruction"]["test"]["mse"] for m in row.found] for row in along]
            y = [[m["mse"] for m in _at(row.found, "latent", label)] for row in along]
            axis.errorbar(
                *(list(map(np.mean, values)) for values in (x, y)),
                xerr=_bars(x),
                yerr=_bars(y),
                marker="o",
                capsize=2,
                label=likelihood,
            )
            for row, there in zip(along, zip(x, y, strict=True), strict=True):
                at = tuple(map(np.mean, there))
                axis.annotate(f"{row.jobs[0].config.alpha:g}", at, fontsize=7)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_title(f"gap of {label}; numbers are alpha", fontsize=9)
        axis.set_xlabel("MSE of reconstructions")
        axis.set_ylabel("MSE of in-betweens")
    figure.axes[0].legend(fontsize=8)
    figures.save(figure, results / f"{stem}_trade_off.png")
    return [("in-between error against reconstruction error, by alpha", f"{stem}_trade_off.png")]


def _bars(values):
    """How far the smallest and the largest of each list are from its mean: [2, K]."""
    return [
        [np.mean(each) - min(each) for each in values],
        [max(each) - np.mean(each) for each in values],
    ]


PICTURES = {
    "inbetween": _draw_inbetween,
    "path": _draw_path,
    "reconstruction": _draw_reconstruction,
    "latent_pca": _copy_latent_pca,
    "trade_off": _draw_trade_off,
}


# ---- TensorBoard --------------------------------------------------------------------------------


def _write_hparams(done, settings):
    """Writes what TensorBoard's HParams page shows: a trial for each run that is done.

    Its columns are the flags in which the runs differ, and what was measured on test clips.
    """
    fields = [field.name for field in dataclasses.fields(Config) if field.name not in _ELSEWHERE]
    configs = [job.config for job, _ in done.values()]
    differ = [name for name in fields if len({getattr(c, name) for c in configs}) > 1] + ["seed"]
    folder = Path(settings.runs_dir) / "hparams"
    beside = folder.with_name(".hparams.partial")
    shutil.rmtree(beside, ignore_errors=True)
    for name, (job, metrics) in done.items():
        values = {field: _plain(getattr(job.config, field)) for field in differ}
        with tf.summary.create_file_writer(str(beside / name)).as_default():
            hparams.hparams(values, trial_id=name)
            for tag, value in _scalars(metrics).items():
                tf.summary.scalar(tag, value, step=metrics["steps"])
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def _scalars(metrics):
    """What the HParams page shows of a run's metrics."""
    part = metrics["reconstruction"]["test"]
    found = {"reconstruction/mse": part["mse"], "reconstruction/elbo": part["elbo"]}
    for row in metrics["inbetween"]:
        if row["t"] == 0.5:
            for name in MEASURES:
                found[f"{name}/{row['gap_label']}"] = row["methods"]["latent"][name]
    return found


def _plain(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else value
