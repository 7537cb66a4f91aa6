"""The page of one question: what was asked, what a person concludes, tables, pictures, commands."""

from pathlib import Path

from tf_inbetween.evaluation.judge import PLACES
from tf_inbetween.study.rows import as_measured, by_clips
from tf_inbetween.study.tables import (
    MEASURES,
    choices_table,
    early_steps,
    folded,
    geometry_table,
    lengths_line,
    markdown_table,
    quoted,
)

COMMAND = ".venv/bin/python -m tf_inbetween.study --flagfile=flags/study.flags"


def page_lines(question, rows, pixels, pictures, results):
    """The lines of the page, without its title.

    Args:
        question: a `definitions.Question`.
        rows: its `rows.Row`s.
        pixels: of all questions, see `tables.pixel_rows`.
        pictures: {clips: `pictures.Picture`s} of the question.
        results: the folder of the page.
    """
    path = path_of_words(question.name)
    return [
        question.asks,
        "",
        words(question.name, results) or f"(No conclusion is written yet: {path}.)",
        "",
        *_shown(question, rows, pixels, pictures),
        *_missing(rows),
        "```bash",
        f"{COMMAND} --only={question.name}",
        "```",
        "",
        *_commands(rows),
    ]


def path_of_words(name):
    """Where what a person writes for a page is, relative to the page."""
    return Path("conclusions") / f"{name}.md"


def words(name, results):
    """What a person wrote for a page; None if there is nothing yet."""
    try:
        return (Path(results) / path_of_words(name)).read_text().strip()
    except FileNotFoundError:
        return None


def picture_lines(picture, clips):
    """A picture, and a line for one that lacks rows."""
    labels = quoted(picture.lacks)
    if not picture.is_there:
        return [f"(No picture, {picture.text}: the models of {labels} are missing.)", ""]
    lacking = [f"(The picture does not show {labels}.)", ""] if labels else []
    return [f"![{picture.text}, {clips}]({picture.path})", "", *lacking]


def _shown(question, rows, pixels, pictures):
    """The tables and pictures of each scene, and what the choices were made by."""
    groups = by_clips(rows)
    if not groups:
        return ["None of its runs is there yet.", ""]
    question = as_measured(question, rows)
    measures = ", ".join(MEASURES[name][0] for name in question.measures)
    early = (
        " A step beside the number of seeds means that for one seed the weights of that step were "
        "judged: no later ones had a smaller validation error."
    )
    lines = [
        f"Each cell has, at t = 1/2: {measures}. It gives the mean over seeds and [smallest, "
        "largest]. The pictures show the first seed on one clip."
        + early
        * any(map(early_steps, rows)),
        "",
    ]
    for clips, present in groups.items():
        if len(groups) > 1:
            lines += [f"## `{clips}`", ""]
        below = {name: pixels[clips, name] for name in question.pixels if (clips, name) in pixels}
        lines += [*markdown_table(question, present, below), ""]
        table = markdown_table(question, present, below, PLACES, columns=())
        lines += folded("The same, mean over t = 1/4, 1/2 and 3/4", table)
        lines += geometry_table(question, present) if question.geometry else []
        lines += [line for picture in pictures[clips] for line in picture_lines(picture, clips)]
    return lines + lengths_line(rows) + choices_table(rows)


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
