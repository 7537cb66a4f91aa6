"""Measures the speed: `python -m benchmarks.run`, on an idle machine.

    python -m benchmarks.run --only=training,roof --turns=10

Each part is written into its entry of the JSON file and its section of the page; other parts stay.
docs/speed.md says what the rows mean.
"""

import json
import os
import re
from pathlib import Path

from absl import flags

from benchmarks import (
    cost,
    frame_sizes,
    growth,
    input_pipeline,
    latency,
    quality,
    rendering,
    roof,
    training,
)
from frame_io import command_line
from frame_io.files import check_section, write_json, write_section
from tf_inbetween.config import InputError, lookup
from tf_inbetween.run_directory import environment

FLAGS = flags.FLAGS

PARTS = {
    "training": training.measure,
    "roof": roof.measure,
    "input": input_pipeline.measure,
    "latency": latency.measure,
    "rendering": rendering.measure,
    "growth": growth.measure,
    "frame_sizes": frame_sizes.measure,
    "cost": cost.measure,
    "quality": quality.measure,
}
_DEFAULT = [part for part in PARTS if part != "quality"]

# What the summary calls some of the findings; it leaves the others to the page.
_HEADLINES = {
    r"the same step, 32 .* of PyTorch \(PyTorch, (.*)\)": (
        r"one training step, float32, against the fastest of PyTorch (\1)"
    ),
    r"whole programs, 32 .* of PyTorch \(.*\)": (
        "triplets a second in training, against the paper's program in PyTorch, its fastest"
    ),
    r"30 frames between .* of 64 x .* DIS medium, flows once, .*": (
        "30 frames between two of 64 x 64, against DIS optical flow"
    ),
    r"teapot_1dof: .* against trimesh": "rendering, against trimesh",
    r"time to the bar, .*": (
        "time to the same quality, as a share of that of the paper's program in PyTorch"
    ),
}


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_list("only", _DEFAULT, f"Which parts to measure: {', '.join(PARTS)}.")
    flags.DEFINE_integer("turns", 8, "Turns of every row.", lower_bound=1)
    flags.DEFINE_float("seconds", 1.5, "About how long a turn takes, in seconds.", lower_bound=0.01)
    flags.DEFINE_string("output", "docs/results/speed.json", "The JSON file to write.")
    flags.DEFINE_multi_string("page", ["docs/speed.md"], "A Markdown page with the sections.")
    flags.DEFINE_string("summary", "docs/speed.md", "A page whose section speed has the headlines.")


def main():
    """Measures the parts that the flags name."""
    measure(FLAGS.only, FLAGS.turns, FLAGS.seconds, FLAGS.output, FLAGS.page, FLAGS.summary)


def measure(parts, turns, seconds, output, pages, summary_page):
    """Measures parts one after another; writes each when it is done."""
    parts = {part: lookup(PARTS, part, "part of --only") for part in parts}
    for page in pages:
        for part in parts:
            check_section(page, part)
    check_section(summary_page, "speed")
    results = _read(output)
    for part, function in parts.items():
        print(f"measuring: {part}", flush=True)
        load = os.getloadavg()[0]
        measured = function(turns, seconds)
        results[part] = {
            "turns": turns,
            "seconds": seconds,
            "load_before": round(load, 2),
            "environment": environment(),
            **measured,
        }
        text = markdown(results[part])
        write_json(output, results)
        for page in pages:
            write_section(page, part, text)
        write_section(summary_page, "speed", summary(results))
        print(text)
    print(f"wrote {', '.join([output, *pages, summary_page])}")


def markdown(results):
    """The results of one part: its groups, its other tables, then its findings."""
    lines = [line for title, group in results["groups"].items() for line in _table(title, group)]
    lines += [line for rows in results.get("tables", []) for line in _plain_table(rows)]
    lines += [f"- {what}: {_value(value)}" for what, value in results["findings"].items()]
    hardware = results["environment"]["hardware"]
    lines += [
        "",
        f"{hardware['cores']} cores of {hardware['processor']}, TensorFlow "
        f"{results['environment']['packages']['tensorflow']}, {results['turns']} turns of "
        f"{results['seconds']:g} s; load average before: {results['load_before']:g}.",
    ]
    return "\n".join(lines) + "\n"


def summary(results):
    """The findings behind `_HEADLINES`, as one table."""
    findings = [
        finding for part in PARTS for finding in results.get(part, {}).get("findings", {}).items()
    ]
    rows = [
        f"| {match.expand(head)} | {_value(value)} |"
        for what, value in findings
        for pattern, head in _HEADLINES.items()
        if (match := re.fullmatch(pattern, what))
    ]
    return "\n".join(["| | ratio (quartiles) |", "| --- | --- |", *rows]) + "\n"


def _table(title, group):
    unit, memory = group["unit"], "memory_mib" in next(iter(group["rows"].values()))
    columns = [
        title,
        f"{unit}s/s (quartiles)",
        f"ms a {unit}",
        f"CPU ms a {unit}",
        f"speed of {group['base']} / of this row (quartiles)",
        "by CPU time",
        *(["memory, MiB"] if memory else []),
    ]
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for name, row in group["rows"].items():
        low, high = row["quartiles"]
        cells = [
            name,
            f"{row['per_second']:g} ({low:g} to {high:g})",
            f"{1e3 / row['per_second']:.3g}",
            f"{row['cpu_ms']:.3g}",
            "1" if name == group["base"] else _value(row),
            f"{row['cpu_ratio']:.3g}",
            *([f"{row['memory_mib']}"] if memory else []),
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    for name, why in group["failed"].items():
        yield f"Left out: {name} ({why})."
    yield f"CPU steal: {group['steal_share']:.1%}."
    yield ""


def _plain_table(rows):
    """Rows {column: cell}, all with the same columns."""
    yield f"| {' | '.join(rows[0])} |"
    yield f"|{' --- |' * len(rows[0])}"
    for row in rows:
        yield f"| {' | '.join(row.values())} |"
    yield ""


def _value(value):
    if isinstance(value, dict):
        low, high = value.get("ratio_quartiles") or value["quartiles"]
        return f"{value['ratio']:.3g} ({low:.3g} to {high:.3g})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read(path):
    """The results so far; none where there is no file."""
    if not Path(path).exists():
        return {}
    try:
        return json.loads(Path(path).read_text())
    except ValueError as error:
        raise InputError(f"--output={path}: is not JSON: {error}") from None


if __name__ == "__main__":
    define_flags()
    command_line.run(main, on_interrupt="the parts measured before are written")
