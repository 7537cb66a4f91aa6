"""Puts evaluated runs side by side.

    python -m tf_inbetween.compare --run_dir=runs/teapot_alpha0 --run_dir=runs/teapot_paper \
        --run_dir=runs/teapot --output=docs/results/teapot_1dof --page=README.md

Writes comparison.json and two pictures into the output folder, and the table into every page that
holds the lines `<!-- comparison -->` and `<!-- /comparison -->`.
"""

import json
from pathlib import Path

from absl import flags

from tf_inbetween import baselines, command_line, evaluate, figures, run_directory
from tf_inbetween.config import InputError
from tf_inbetween.data import load_clips, prepare

FLAGS = flags.FLAGS

_BEGIN, _END = "<!-- comparison -->", "<!-- /comparison -->"


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_multi_string("run_dir", None, "An evaluated run; give several.", required=True)
    flags.DEFINE_string("output", None, "The folder to write to.", required=True)
    flags.DEFINE_multi_string("page", [], "A Markdown page to write the table into.")
    flags.DEFINE_string("data_dir", "", "Where data sets live; empty: as in training.")
    flags.DEFINE_list("gaps", ["20°", "60°", "120°"], "Gaps to show, as metrics.json labels them.")


def main():
    """Compares the runs that the flags name."""
    compare(FLAGS.run_dir, FLAGS.output, FLAGS.page, FLAGS.gaps, FLAGS.data_dir)


def compare(run_dirs, output, pages, gaps, data_dir=""):
    """Writes the comparison of runs of one scene.

    Args:
        run_dirs: of evaluated runs.
        output: folder for comparison.json, inbetween.png and path.png.
        pages: Markdown pages whose table is replaced.
        gaps: labels of the rows to show.
        data_dir: where data sets live, if not where the trainings had them.

    Raises:
        InputError: if a run was not evaluated, or has no such gap, or is of another scene.
    """
    output = Path(output)
    texts = {page: _text_around(page) for page in pages}
    configs = [run_directory.load_config(run_dir) for run_dir in run_dirs]
    if len({config.scene for config in configs}) > 1:
        raise InputError("--run_dir: the runs are of different scenes")
    results = {
        name_of(config): _metrics(run_dir)
        for config, run_dir in zip(configs, run_dirs, strict=True)
    }
    if len(results) < len(configs):
        raise InputError("--run_dir: two runs have the same loss; compare different ones")
    table = markdown_table(results, gaps)

    builder = prepare(configs[-1], data_dir)
    clip = load_clips(builder, "test")[0]
    methods = {
        name: evaluate.latent_method(run_directory.load_model(run_dir))
        for name, run_dir in zip(results, run_dirs, strict=True)
    }
    methods["optical_flow"] = baselines.optical_flow
    rows = [row for row in next(iter(results.values()))["inbetween"] if row["gap_label"] in gaps]
    figures.inbetween_grid(output / "inbetween.png", methods, clip, rows)
    hero = {name_of(configs[-1]): methods[name_of(configs[-1])], "crossfade": baselines.crossfade}
    figures.path_picture(output / "path.png", hero, clip, rows[-1]["gap"])
    run_directory.write_json(output / "comparison.json", results)
    for page, (before, after) in texts.items():
        with run_directory.written_whole(page) as beside:
            beside.write_text(f"{before}{_BEGIN}\n{table}{_END}{after}")
    print(f"wrote {output}/ and the table of {', '.join(pages) or 'no page'}")


def name_of(config):
    """What to call a run: by its loss."""
    if config.inbetween_weight:
        return "paper's loss + in-between likelihood"
    if config.alpha:
        return f"paper's loss alone, alpha {config.alpha:g}"
    return "alpha 0 (plain VAE)"


def markdown_table(results, gaps):
    """One row for each gap and t, one column for each run: hit rate, timing error, MSE x 1e4."""
    pixel = ("optical_flow", "crossfade")
    heads = [*results, *(figures.LABELS[name] for name in pixel)]
    lines = [
        "| gap | t | " + " | ".join(heads) + " |",
        "| --- | --- |" + " --- |" * len(heads),
    ]
    shown = next(iter(results.values()))["inbetween"]
    missing = set(gaps) - {row["gap_label"] for row in shown}
    if missing:
        raise InputError(f"--gaps: no row of metrics.json is labelled {', '.join(sorted(missing))}")
    for index, row in enumerate(shown):
        if row["gap_label"] not in gaps or (row["t"] != 0.5 and row["gap_label"] != gaps[1]):
            continue
        found = [result["inbetween"][index]["methods"]["latent"] for result in results.values()]
        found += [row["methods"][name] for name in pixel]
        cells = [f"{row['gap_label']} | {row['t']:g}", *map(_cell, found)]
        lines.append("| " + " | ".join(cells) + " |")
    errors = [f"{1e4 * result['reconstruction']['test']['mse']:.2f}" for result in results.values()]
    lines.append("| reconstruction | | " + " | ".join([*errors, "", ""]) + " |")
    for what, key in (("training", "train_seconds"), ("whole command", "total_seconds")):
        minutes = [_minutes(result[key]) for result in results.values()]
        lines.append(f"| {what}, minutes | | " + " | ".join([*minutes, "", ""]) + " |")
    return "\n".join(lines) + "\n"


def _cell(found):
    timing = found.get("timing_error_degrees")
    timing = f"{found['timing_error']:.1f} frames" if timing is None else f"{timing:.2f}°"
    return f"{found['hit_rate']:.2f}, {timing}, {1e4 * found['mse']:.2f}"


def _minutes(seconds):
    return "" if seconds is None else f"{seconds / 60:.1f}"


def _metrics(run_dir):
    path = Path(run_dir) / "metrics.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: missing or damaged; python -m tf_inbetween.evaluate --run_dir={run_dir}"
        ) from error


def _text_around(page):
    text = Path(page).read_text()
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise InputError(f"--page={page}: has no lines {_BEGIN} and {_END}")
    return before, after


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
