"""The front page of the results: of each question an answer, a picture and a short table."""

import dataclasses

from tf_inbetween.study.definitions import GAPS
from tf_inbetween.study.question_page import path_of_words, picture_lines, words
from tf_inbetween.study.rows import as_measured, by_clips, gaps_of
from tf_inbetween.study.tables import COLUMNS, MEASURES, markdown_table, table_head

NAME = "front_page"  # What a person writes for it has this name.
ROWS = 6  # of a table


def page_lines(sections, pixels, pictures, results):
    """The lines of the page, without its title.

    Args:
        sections: {`definitions.Question`: its `rows.Row`s}.
        pixels: see `tables.pixel_rows`.
        pictures: {question: {clips: `pictures.Picture`s}}.
        results: the folder of the page.
    """
    lines = [
        words(NAME, results) or f"(No introduction is written yet: {path_of_words(NAME)}.)",
        "",
    ]
    for question, rows in sections.items():
        lines += [f"## [{question.title}]({question.name}.md)", ""]
        lines += [_answer(question, results), ""]
        lines += _shown(question, rows, pixels, pictures[question])
        lines += _missing(question, rows)
    return lines


def _answer(question, results):
    """The first paragraph of what a person concludes; what was asked if nothing is written."""
    return (words(question.name, results) or question.asks).partition("\n\n")[0]


def _shown(question, rows, pixels, pictures):
    """One picture and one table: the first measure and column, at three gaps."""
    groups = by_clips(rows)
    if not groups:
        return []
    clips = [name for name in question.front_clips if name in groups] or [*groups][:1]
    there = [(each, name) for name in clips for each in pictures[name] if each.is_there]
    lines = [line for each, name in there[:1] for line in picture_lines(each, name)]

    measure = (as_measured(question, rows).measures or question.measures)[0]
    asked = dataclasses.replace(question, gaps=GAPS, measures=(measure,), names_best=False)
    if not gaps_of(asked, groups[clips[0]]):
        asked = dataclasses.replace(asked, gaps=())
    columns = question.columns[:1]
    heads = [MEASURES[measure][0], "seeds", *gaps_of(asked, groups[clips[0]])]
    heads += [COLUMNS[name][0] for name in columns]
    body = []
    for name in clips:
        present = [row for row in groups[name] if _is_on_front(question, row.label)]
        below = {
            method: pixels[name, method]
            for method in question.pixels
            if (name, method) in pixels and _is_on_front(question, method)
        }
        table = markdown_table(asked, present or groups[name], below, columns=columns)[2:]
        body += [f"| `{name}` {line}" for line in table] if len(clips) > 1 else table
    head = table_head(["judged on", *heads] if len(clips) > 1 else heads)
    return [*lines, *head, *body[:ROWS], ""]


def _is_on_front(question, label):
    names = question.front_rows
    return not names or any(label == name or label.startswith(f"{name}: ") for name in names)


def _missing(question, rows):
    count = sum(len(row.missing) for row in rows)
    if not count:
        return []
    if not any(row.jobs for row in rows):
        return [f"None of its {count} runs is there yet.", ""]
    return [f"Not all of its runs are there yet: {count} are [missing]({question.name}.md).", ""]
