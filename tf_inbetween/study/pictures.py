"""The pictures of the study.

A picture of models is drawn where all of them are, and stays as it was where one is gone.
"""

import collections
import dataclasses
import functools
import re
import shutil
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from frame_io.files import atomic_write
from tf_inbetween import run_directory
from tf_inbetween.clips import prepare
from tf_inbetween.evaluation import figures
from tf_inbetween.evaluation.methods import MODEL_METHODS
from tf_inbetween.evaluation.pairs import first_clip
from tf_inbetween.evaluation.run import path_of_figures
from tf_inbetween.models import to_float
from tf_inbetween.study.rows import at_gap, by_clips, gaps_of, parts_of

_COLUMNS = 9


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of some rows.

    Attributes:
        text: what it shows.
        path: relative to the page.
        draw: writes it to a path.
        rows: of whose first seeds it is made.
        needs: the file of a row's run directory that it is made from, relative to that.
        lacks: labels of the rows that are not in it: it was drawn before they were there, or if
            they are all of them, never.
    """

    text: str
    path: str
    draw: Callable
    rows: list
    needs: str = "model.keras"
    lacks: tuple = ()

    @property
    def shows(self):
        """Names of what is in it, for study.json."""
        return [_name(row) for row in self.rows if row.label not in self.lacks]

    @property
    def is_there(self):
        """Whether there is anything to be seen."""
        return not self.rows or len(self.lacks) < len(self.rows)


def draw(question, rows, results, kept):
    """Draws the pictures of a question, as far as what they are made from is there.

    Args:
        question: a `definitions.Question`.
        rows: its `rows.Row`s.
        results: the folder to draw to.
        kept: {path: `Picture.shows`} of those that are in it.

    Returns:
        {clips: `Picture`s}.
    """
    several = len({row.clips for row in rows}) > 1
    drawn = {}
    for clips, present in by_clips(rows).items():
        stem = f"study/{question.name}" + f"_{clips}" * several
        asked = [p for kind in question.pictures for p in PICTURES[kind](question, present, stem)]
        drawn[clips] = [_drawn_or_kept(picture, results, kept) for picture in asked]
    return drawn


def run_of(name):
    """The name of the run of a member of `Picture.shows`."""
    return name.rpartition(" (")[0]


def _name(row):
    return f"{row.first.name} ({row.method})"


def _drawn_or_kept(picture, results, kept):
    """Draws a picture and returns it; where something is gone, the one of before."""
    path = results / picture.path
    jobs = [row.first for row in picture.rows]
    if all(job.measured_here() and (job.run_dir / picture.needs).exists() for job in jobs):
        picture.draw(path)
        return picture
    before = set(kept.get(picture.path, ()))
    if not path.exists() or not before <= set(picture.shows):
        before = set()
    lacks = tuple(row.label for row in picture.rows if _name(row) not in before)
    return dataclasses.replace(picture, lacks=lacks)


def _models(rows):
    """The model of each row, of its first seed: {label, in lines: model}."""
    return {
        figures.in_lines(row.label): run_directory.load_model(row.first.run_dir) for row in rows
    }


def _methods(rows):
    """What each row draws with: {label, in lines: method}."""
    models = _models(rows)
    return {
        label: MODEL_METHODS[row.method](model)
        for row, (label, model) in zip(rows, models.items(), strict=True)
    }


def _clip(rows, gap):
    """The first clip that rows are judged on and that is long enough for a gap."""
    job = rows[0].jobs[0]
    clips = prepare(job.config)
    number = first_clip(clips.clip_infos(job.split), gap)
    (clip,) = clips.read(job.split, [number])
    return clip


def _measured_gaps(question, rows):
    labels = gaps_of(question, rows)
    return [m for m in rows[0].metrics[0]["inbetween"] if m["gap_label"] in labels]


def _inbetween(question, rows, stem):
    """First, second, the truth and what each row and pixel method draws, for each gap."""

    def draw(path):
        shown = _measured_gaps(question, rows)
        clip = _clip(rows, max(row["gap"] for row in shown))
        methods = _methods(rows) | {
            name: method
            for name, method in rows[0].kind.available_methods().items()
            if name in question.pixels and name != "nearest_frame"
        }
        figures.inbetween_grid(path, methods, clip, shown, rows[0].kind)

    return [Picture("first, second, truth and in-betweens by gap", f"{stem}.png", draw, rows)]


def _path(question, rows, stem):
    """A path over the largest gap above its truth, as in the slides."""

    def draw(path):
        gap = max(row["gap"] for row in _measured_gaps(question, rows))
        clip, kind = _clip(rows, gap), rows[0].kind
        figures.path_picture(path, _methods(rows), clip, gap, truth_below=True, kind=kind)

    text = "from a start to an end frame, the truth in the last row"
    return [Picture(text, f"{stem}_path.png", draw, rows)]


def _reconstruction(question, rows, stem):
    """Frames of the first training and test clip, and what each row makes of them."""
    job = rows[0].jobs[0]

    def draw(path):
        clips = prepare(job.config)
        models = _models(rows)
        grid, labels = [], []
        for split in ("train", job.split):
            (clip,) = clips.read(split, [0])
            places = np.linspace(0, clip.length - 1, _COLUMNS).astype(int)
            truth = to_float(clip.frames[places]).numpy()
            grid += [truth, *(model.reconstruct(truth).numpy() for model in models.values())]
            labels += [f"{split}\n{name}" for name in ("truth", *models)]
        figures.labelled_grid(path, grid, labels, kind=rows[0].kind)

    text = f"reconstructions of train and {job.split} frames"
    return [Picture(text, f"{stem}_reconstruction.png", draw, rows)]


def _latent_pca(question, rows, stem):
    """The latent means of each row, as its evaluation drew them."""
    return [
        Picture(
            f"principal components of the latent means, {row.label}",
            f"{stem}_latent_pca_{_file_name(row.label)}.png",
            functools.partial(_copy, _path_of_latent_pca(row.first)),
            [row],
            needs=_path_of_latent_pca(row.first).relative_to(row.first.run_dir),
        )
        for row in rows
    ]


def _file_name(label):
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def _path_of_latent_pca(job):
    return path_of_figures(job.run_dir, job.split) / "latent_pca.png"


def _copy(source, path):
    with atomic_write(path) as beside:
        shutil.copyfile(source, beside)


def _trade_off(question, rows, stem):
    """In-between error, at t = 1/2, against reconstruction error, by likelihood and alpha."""
    return [
        Picture(
            "in-between error against reconstruction error, by alpha",
            f"{stem}_trade_off.png",
            functools.partial(_draw_trade_off, question, rows),
            [],  # It shows numbers alone.
        )
    ]


def _draw_trade_off(question, rows, path):
    labels = gaps_of(question, rows)
    lines = collections.defaultdict(list)
    for row in rows:
        lines[row.label.partition(",")[0]].append(row)
    figure = Figure(figsize=(4 * len(labels), 3.6), layout="constrained")
    for axis, label in zip(figure.subplots(1, len(labels), squeeze=False)[0], labels, strict=True):
        for number, (name, along) in enumerate(lines.items()):
            along = sorted(along, key=lambda row: row.jobs[0].config.alpha)
            x = [[part["mse"] for part in parts_of(row)] for row in along]
            y = [
                [
                    measured["methods"][row.method]["mse"]
                    for (measured,) in at_gap(row.metrics, label)
                ]
                for row in along
            ]
            axis.errorbar(
                *(list(map(np.mean, values)) for values in (x, y)),
                xerr=_bars(x),
                yerr=_bars(y),
                marker="o",
                capsize=2,
                label=name,
            )
            for row, there in zip(along, zip(x, y, strict=True), strict=True):
                at = tuple(map(np.mean, there))
                axis.annotate(
                    f"{row.jobs[0].config.alpha:g}",
                    at,
                    # One line's above its points, the other's below.
                    xytext=(4, -9) if number else (-4, 4),
                    textcoords="offset points",
                    ha="left" if number else "right",
                    fontsize=7,
                    color=f"C{number}",
                )
        axis.margins(0.15)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_title(f"gap of {label}; numbers are alpha", fontsize=9)
        axis.set_xlabel("MSE of reconstructions")
        axis.set_ylabel("MSE of in-betweens")
    figure.axes[0].legend(fontsize=8)
    figures.save(figure, path)


def _bars(values):
    """How far the smallest and the largest of each list are from its mean: [2, K]."""
    return [
        [np.mean(each) - min(each) for each in values],
        [max(each) - np.mean(each) for each in values],
    ]


PICTURES = {
    "inbetween": _inbetween,
    "path": _path,
    "reconstruction": _reconstruction,
    "latent_pca": _latent_pca,
    "trade_off": _trade_off,
}
