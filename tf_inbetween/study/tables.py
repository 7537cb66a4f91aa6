"""The tables of the study's pages: what their cells, rows and columns say."""

import collections

import numpy as np

from tf_inbetween.evaluation import figures
from tf_inbetween.study.rows import at_gap, gaps_of, parts_of

# What a cell of a table can say of a method: in words, digits, whether more is better.
MEASURES = {
    "hit_rate": ("hit rate", 2, True),
    "timing_error": ("timing error (degrees, or frames where there is no °)", 2, False),
    "mse": ("MSE x 1e4", 2, False),
    "detail": ("detail", 2, True),  # Older records have none.
    "lsd": ("log-spectral distance, dB", 2, False),
    "pitch_cents": ("median pitch error, cents", 1, False),
    "one_pitch": ("one pitch", 2, True),
    "exact_match": ("exact match", 2, True),
    "character_error_rate": ("character error rate", 3, False),
}

# What it can say of the latents of the judged frames, see `evaluation.judge.latent_geometry`.
GEOMETRY = {
    "kl": ("KL of the reading that the row was trained with, nats", 1),
    "kl_averaged": ("KL read as `averaged`, nats", 1),
    "chord_deviation": ("the chord's deviation in posterior standard deviations", 2),
}

# What else a table can say of a row: head, digits, and a number for each of its runs or None.
COLUMNS = {
    "reconstruction": (
        "reconstruction, MSE x 1e4",
        2,
        lambda row: _numbers(parts_of(row), "mse", 1e4),
    ),
    "exact_reconstruction": (
        "reconstruction, exact match",
        2,
        lambda row: _numbers(parts_of(row), "exact_match"),
    ),
    "bits_per_byte": (
        "-ELBO, bits a byte",
        2,
        lambda row: _numbers(parts_of(row), "bits_per_byte"),
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
FLAT = 0.05


def _paths(row):
    """The path figures of what the row shows, of each run."""
    return [metrics.get("paths", {}).get(row.method) for metrics in row.metrics]


def _numbers(parts, name, factor=1.0):
    """A number of each part; None where a model has no such part or number."""
    numbers = [part.get(name) if part else None for part in parts]
    return [None if number is None else factor * number for number in numbers]


def early_steps(row):
    """The steps whose weights were judged, of the seeds of which these are not the last."""
    steps = zip(row.jobs, row.judged_steps, strict=True)
    return [f"{step:,}" for job, step in steps if step and step < job.config.steps]


def _seeds(row):
    """How many seeds a row has, and which of them were judged before their end."""
    early = early_steps(row)
    return str(len(row.metrics)) + (f" (step {', '.join(early)})" if early else "")


def folded(summary, lines):
    """Lines that show when the reader asks for them."""
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>", ""]


def pixel_rows(rows):
    """Where pixel methods were measured: {(clips, name): metrics}, of the first run that did."""
    pixels = {}
    for row in rows:
        for metrics in row.metrics:
            for name in row.kind.methods:
                if all(name in measured["methods"] for measured in metrics["inbetween"]):
                    pixels.setdefault((row.clips, name), metrics)
    return pixels


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
    values = {row.label: _values(question, row.metrics, row.method, places) for row in rows}
    below = {
        figures.label_of(name, rows[0].kind): _values(question, [metrics], name, places)
        for name, metrics in pixels.items()
    }
    heads = _heads_of_gaps(rows, labels)
    lines = table_head(["", "seeds", *heads, *(head for head, _, _ in columns)])
    for row in rows:
        more = [spread(numbers(row), digits) for _, digits, numbers in columns]
        lines.append(
            table_line([row.label, _seeds(row), *_cells(values[row.label], labels), *more])
        )
    for name, by_gap in below.items():
        lines.append(table_line([name, "", *_cells(by_gap, labels), *[""] * len(columns)]))
    if question.names_best:
        best = [_best(question, {**values, **below}, label) for label in labels]
        lines.append(table_line(["**the best**", "", *best, *[""] * len(columns)]))
    return lines


def _heads_of_gaps(rows, labels):
    """Gaps, with the number of pairs for those that have fewer than were asked for: clips end."""
    metrics = rows[0].metrics[0]
    pairs = {row["gap_label"]: row["pairs"] for row in metrics["inbetween"]}
    return [
        label
        if pairs[label] == metrics["pairs"]
        else f"{label}, {pairs[label]} pair{'s' * (pairs[label] > 1)}"
        for label in labels
    ]


def table_head(texts):
    """The first two lines of a table."""
    return [table_line(texts), "|" + " --- |" * len(texts)]


def table_line(cells):
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"


def _values(question, metrics, method, places):
    """{gap: {measure: (a number for each of some metrics or None, digits, unit)}} of a method."""
    values = {}
    for label in dict.fromkeys(row["gap_label"] for row in metrics[0]["inbetween"]):
        measured = [
            [row["methods"][method] for row in rows] for rows in at_gap(metrics, label, places)
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
    return ["<br>".join(spread(*each) for each in values[label].values()) for label in labels]


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


def geometry_table(question, rows):
    """The table of the latent geometry, if it was measured."""
    rows = [row for row in rows if _latents(row.metrics[0]["inbetween"][0])]
    if not rows:
        return []
    labels = gaps_of(question, rows)
    words = "; ".join(text for text, _ in GEOMETRY.values())
    lines = [
        f"The latents, at t = 1/2: {words}.",
        "",
        *table_head(["", "seeds", *_heads_of_gaps(rows, labels)]),
    ]
    for row in rows:
        cells = []
        for label in labels:
            shapes = [
                {**_latents(at), "kl": _latents(at)[f"kl_{metrics['loss']['matching']}"]}
                for metrics, (at,) in zip(row.metrics, at_gap(row.metrics, label), strict=True)
            ]
            texts = [
                spread([shape[name] for shape in shapes], digits)
                for name, (_, digits) in GEOMETRY.items()
            ]
            cells.append("<br>".join(texts))
        lines.append(table_line([row.label, _seeds(row), *cells]))
    return [*lines, ""]


def _latents(measured):
    """The latent geometry of a row of metrics.json; None for what has no latents."""
    return measured.get("latent_geometry")


def lengths_line(rows):
    """One line: how many steps the trainings of some rows took."""
    steps = collections.defaultdict(list)
    for row in rows:
        for job in row.jobs[:1]:
            steps[job.config.steps].append(row.label)
    if not steps:
        return []
    most = max(steps, key=lambda count: len(steps[count]))
    others = [
        f"{count:,} in {quoted(dict.fromkeys(labels))}"
        for count, labels in steps.items()
        if count != most
    ]
    return [f"Steps of each training: {'; '.join([f'{most:,}', *others])}.", ""]


def quoted(labels):
    """Labels in one line; they may hold commas."""
    return ", ".join(f'"{label}"' for label in labels)


def spread(values, digits, unit=""):
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


def choices_table(rows):
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
