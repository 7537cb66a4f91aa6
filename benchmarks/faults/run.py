"""Injects faults and records what was lost: `python -m benchmarks.faults.run`.

    python -m benchmarks.faults.run --only=kills --kills=2 --output= --page=

Each row is written into the JSON file and the page as soon as it is known; other rows stay. The
exit code is 1 if anything was lost. docs/faults.md says what the rows mean.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

from absl import flags

from benchmarks.faults import bad_numbers, corruption, kills, places, subjects
from benchmarks.faults.commands import Commands
from frame_io import command_line
from frame_io.files import check_section, write_json, write_section
from tf_inbetween.config import InputError, lookup
from tf_inbetween.run_directory import environment

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_list("only", list(PARTS), f"Which parts: {', '.join(PARTS)}.")
    flags.DEFINE_list(
        "commands", [*subjects.SUBJECTS, "serve"], "Which commands to kill or to starve."
    )
    flags.DEFINE_integer("kills", 8, "Of each command.", lower_bound=1)
    flags.DEFINE_integer("bits", 40, "To flip in each kind of file; half as many tails are cut.", 2)
    flags.DEFINE_integer("seed", 0, "Of all moments and places.")
    flags.DEFINE_string("output", "docs/results/faults.json", "The JSON file; empty: none.")
    flags.DEFINE_string("page", "docs/faults.md", "A Markdown page with the sections; empty: none.")


def main():
    """Injects the faults that the flags name."""
    parts = {part: lookup(PARTS, part, "part of --only") for part in FLAGS.only}
    for name in FLAGS.commands:
        lookup({**subjects.SUBJECTS, "serve": None}, name, "command of --commands")
    if FLAGS.page:
        for part in (*parts, "total"):
            check_section(FLAGS.page, part)
    lost = 0
    with tempfile.TemporaryDirectory() as root, Commands(f"{root}/said") as commands:
        Path(root).chmod(0o755)  # One of the faults is to be another user.
        place = subjects.Workplace(f"{root}/place", commands)
        for part, function in parts.items():
            print(f"injecting: {part}", flush=True)
            for row in function(place, random.Random(f"{part} {FLAGS.seed}")):
                print(f"{row['what']}: {row['fault']}: lost: {row['lost']}", flush=True)
                lost += row["lost"] != "nothing"
                write(part, row, FLAGS.output, FLAGS.page)
    if lost:
        sys.exit(f"{lost} of the rows lost something")


def write(part, row, output, page):
    """Writes a row of a part in the place of the one that was measured before, and the sum."""
    results = {}
    if output and Path(output).exists():
        try:
            results = json.loads(Path(output).read_text())
        except ValueError as error:
            raise InputError(f"--output={output}: is not JSON: {error}") from error
    rows = results.get(part, {}).get("rows", [])
    rows = {(old["what"], old["fault"]): old for old in rows} | {(row["what"], row["fault"]): row}
    rows = list(rows.values())
    results[part] = {"seed": FLAGS.seed, "environment": environment(), "rows": rows}
    if output:
        write_json(output, results)
    if page:
        write_section(page, part, table(rows))
        write_section(page, "total", total(results))


def table(rows):
    """Rows as a Markdown table; a column for every key."""
    columns = list(rows[0])
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    lines += [f"| {' | '.join(str(row[name]) for name in columns)} |" for row in rows]
    return "\n".join(lines) + "\n"


def total(results):
    """How many faults of each part there were, and how many rows lost something."""
    rows = [
        {
            "part": part,
            "injected": sum(row["injected"] for row in result["rows"]),
            "rows that lost something": sum(row["lost"] != "nothing" for row in result["rows"]),
            "command": f"python -m benchmarks.faults.run --only={part}",
        }
        for part, result in results.items()
    ]
    return table(rows)


def _kills(place, rng):
    for key in FLAGS.commands:
        if key == "serve":
            yield kills.kill_server(place, FLAGS.kills, rng, say=_say)
        else:
            yield kills.kill_often(place, key, FLAGS.kills, rng, say=_say)


def _places(place, rng):
    if not places.may_mount():
        raise InputError("--only=places: needs to be root, to mount a tmpfs of its own")
    for key in FLAGS.commands:
        if key == "serve":
            yield from places.meet_server(place)
            continue
        for fault in places.PLACES:
            yield places.meet(place, key, fault, rng)


def _corruption(place, rng):
    place.expected("evaluate")
    place.expected("export")
    for kind in corruption.KINDS:
        source = place.made / kind.needs
        yield corruption.damage_often(kind, source, place.root / "damaged", FLAGS.bits, rng)


def _say(line):
    print(line, flush=True)


PARTS = {
    "kills": _kills,
    "places": _places,
    "corruption": _corruption,
    "numbers": lambda place, rng: bad_numbers.inject(place),
}

if __name__ == "__main__":
    define_flags()
    command_line.run(main, on_interrupt="the parts injected before are written")
