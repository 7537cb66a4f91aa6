"""Compares evaluated runs: a table in pages, comparison.json, pictures."""

import dataclasses
import math
import re
from pathlib import Path

from frame_io.files import (
    check_section,
    read_checked_json,
    read_json,
    write_json,
    write_section,
)
from tf_inbetween import run_directory
from tf_inbetween.clips import kind_of, prepare
from tf_inbetween.config import Config, InputError, in_section
from tf_inbetween.evaluation import figures
from tf_inbetween.evaluation.methods import latent_method
from tf_inbetween.evaluation.pairs import first_clip
from tf_inbetween.evaluation.run import path_of_metrics
from tf_inbetween.kinds import KINDS

SECTION = "comparison"
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, OverflowError)


def compare(
    run_dirs,
    output,
    pages,
    gaps,
    data_dir="",
    section=SECTION,
    split="test",
    labels=(),
    brief=False,
):
    """Writes the comparison of runs on the same clips.

    Args:
        run_dirs: of runs evaluated on the split, all with the same pairs of frames.
        output: folder for comparison.json, inbetween.png and path.png.
        pages: Markdown pages whose table is replaced.
        gaps: labels of the rows to show; for the middle one, also the rows at t = 1/4 and 3/4.
        data_dir: where data sets live, if not where the trainings had them.
        section: name of the pages' section that is replaced; letters, digits, "_" and "-".
        split: of the clips that the runs are judged on.
        labels: what the table calls the runs, one for each; empty: what differs between them.
        brief: whether the table is that of `brief_table`.

    Raises:
        InputError: if a run was not evaluated, or differently from the others, or lacks a gap; if a
            page has no such section; or if no clip is long enough.
    """
    output = Path(output)
    _check_pages(pages, section)
    configs = [run_directory.load_config(run_dir) for run_dir in run_dirs]
    for name in ("scene", "image_size", "channels"):
        _check_equal(run_dirs, f"--{name}", [getattr(config, name) for config in configs])
    kind = KINDS[kind_of(configs[-1], data_dir)]
    metrics = [_metrics(run_dir, split, kind) for run_dir in run_dirs]
    _check_same_rows(run_dirs, metrics, kind)
    names = names_of(configs) if len(configs) > 1 else ["this model"]
    results = dict(zip(names, metrics, strict=True))
    table = _table(results, gaps, kind, labels, brief)

    clips = prepare(configs[-1], data_dir)
    methods = {
        figures.in_lines(name, width=20): latent_method(run_directory.load_model(run_dir))
        for name, run_dir in zip(names, run_dirs, strict=True)
    }
    strongest, *_, plainest = kind.compared
    hero = {"latent": list(methods.values())[-1], plainest: kind.methods[plainest]}
    if strongest in kind.available_methods():
        methods[strongest] = kind.methods[strongest]
    rows = [row for row in metrics[0]["inbetween"] if row["gap_label"] in gaps]
    longest = max(row["gap"] for row in rows)
    number = first_clip(clips.clip_infos(split), longest)
    (clip,) = clips.read(split, [number])
    figures.inbetween_grid(output / "inbetween.png", methods, clip, rows, kind)
    figures.path_picture(output / "path.png", hero, clip, rows[-1]["gap"], kind=kind)
    write_json(output / "comparison.json", results)
    for page in pages:
        write_section(page, section, table)
    print(f"wrote {output}/ and the table of {', '.join(map(str, pages)) or 'no page'}")


def rewrite(output, pages, gaps, section=SECTION, labels=(), brief=False):
    """Writes the table of an earlier comparison again, from its comparison.json alone.

    The arguments are those of `compare`. Raises `InputError` as `compare` does, and if there is no
    comparison.json or it is damaged.
    """
    _check_pages(pages, section)
    path = Path(output) / "comparison.json"
    try:
        results = read_json(path)
        measures = _rows(results)[0]["methods"]["latent"]
        kind = next(kind for kind in KINDS.values() if next(iter(kind.shown)) in measures)
        for metrics in results.values():
            _check_whole(metrics, next(iter(kind.shown)))
    except (OSError, *_DAMAGED, StopIteration) as error:
        raise InputError(f"{path}: missing or damaged; give --run_dir") from error
    table = _table(results, gaps, kind, labels, brief)
    for page in pages:
        write_section(page, section, table)
    print(f"wrote the table of {', '.join(map(str, pages)) or 'no page'}")


def _check_pages(pages, section):
    if not re.fullmatch(r"[\w-]+", section):
        raise InputError(f"--section={section}: only letters, digits, '_' and '-'")
    for page in pages:
        check_section(page, section)


def _table(results, gaps, kind, labels, brief):
    if labels and len(labels) != len(results):
        raise InputError(f"--label: {len(labels)} given for {len(results)} runs")
    if labels:
        results = dict(zip(labels, results.values(), strict=True))
    if len(results) < len(labels):
        raise InputError("--label: must differ from each other")
    return (brief_table if brief else markdown_table)(results, gaps, kind)


def names_of(configs):
    """Names for runs: the terms of their losses, and what else differs if needed.

    Args:
        configs: one `Config` for each run.

    Returns:
        As many distinct names, such as "alpha 5 (averaged), in-between likelihood 1".

    Raises:
        InputError: if two are of the same run directory.
    """
    names = [_terms(config) for config in configs]
    for name in set(names):
        same = [i for i, other in enumerate(names) if other == name]
        if len(same) > 1:
            for i, text in zip(same, _differences([configs[i] for i in same]), strict=True):
                names[i] = f"{name}, {text}"
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"--run_dir: the same run twice ({twice})")
    return names


def _terms(config):
    terms = []
    if config.model != "vae":
        terms.append(config.model if config.model != "vae" else config.network)
    elif config.alpha:
        terms.append(f"alpha {config.alpha:g} ({config.matching})")
    if config.inbetween_weight:
        terms.append(f"in-between likelihood {config.inbetween_weight:g}")
    return ", ".join(terms) or "alpha 0 (plain VAE)"


def _differences(configs):
    """For each config, the settings in which the configs differ, in words."""
    places = in_section("place")
    fields = [field.name for field in dataclasses.fields(Config) if field.name not in places]
    rows = [{name: _text(getattr(config, name)) for name in fields} for config in configs]
    differ = [name for name in fields if len({row[name] for row in rows}) > 1]
    texts = [", ".join(f"{name} {row[name]}" for name in differ) for row in rows]
    if len(set(texts)) == len(texts):
        return texts
    return [
        ", ".join(filter(None, [text, str(Path(config.run_dir))]))
        for text, config in zip(texts, configs, strict=True)
    ]


def _text(value):
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def markdown_table(results, gaps, kind=KINDS["pictures"]):
    """The table of runs and rivals, in Markdown.

    Args:
        results: name -> what metrics.json holds, all with the same rows.
        gaps: labels of the rows to show, as in `compare`.
        kind: of the frames, one of `kinds.KINDS`.

    Returns:
        One row for each gap and t, one column for each run and for each of the kind's `compared`
        methods that was measured; a cell says hit rate, timing error and those of the kind's
        `shown` measures that any of the results has, such as MSE x 1e4 and detail. Below, the runs'
        reconstruction error and time.

    Raises:
        InputError: if no row has one of the labels, or none is asked for.
    """
    _check_gaps(results, gaps)
    measured = _measured(results, kind)
    heads = [*results, *(figures.label_of(name, kind) for name in measured)]
    has = {
        key
        for result in results.values()
        for row in result["inbetween"]
        for measures in row["methods"].values()
        for key in measures
    }
    shown = {key: (label, factor) for key, (label, factor, _) in kind.shown.items() if key in has}
    named = [label if factor == 1 else f"{label} x 1e4" for label, factor in shown.values()]
    lines = [
        "| gap | t | " + " | ".join(heads) + " |",
        "| --- | --- |" + " --- |" * len(heads),
    ]
    for index, row in enumerate(_rows(results)):
        asked = gaps if row["t"] == 0.5 else [gaps[len(gaps) // 2]]
        if row["gap_label"] not in asked:
            continue
        measures = [result["inbetween"][index]["methods"]["latent"] for result in results.values()]
        measures += [
            result["inbetween"][index]["methods"][name] for name, result in measured.items()
        ]
        cells = [f"{row['gap_label']} | {row['t']:g}", *(_cell(f, shown) for f in measures)]
        lines.append("| " + " | ".join(cells) + " |")
    empty = [""] * len(measured)
    key, (_, factor) = next(iter(shown.items()))
    errors = [
        _number(result["reconstruction"][result["split"]][key], factor)
        for result in results.values()
    ]
    lines.append(f"| reconstruction, {named[0]} | | " + " | ".join([*errors, *empty]) + " |")
    for what, key in (("training", "train_seconds"), ("whole command", "total_seconds")):
        minutes = [_minutes(result.get(key)) for result in results.values()]
        lines.append(f"| {what}, minutes | | " + " | ".join([*minutes, *empty]) + " |")
    says = f"In each cell: {', '.join(['hit rate', 'timing error', *named])}"
    return f"{says}.\n\n" + "\n".join(lines) + "\n"


def brief_table(results, gaps, kind=KINDS["pictures"]):
    """A small table of runs and rivals, in Markdown: at most one column for each gap.

    Args:
        results, gaps, kind: as for `markdown_table`.

    Returns:
        One row for each run, with its minutes of training, and for each rival; one column for each
        gap. A cell says hit rate and timing error at t = 1/2.

    Raises:
        InputError: if no row has one of the labels, or none is asked for.
    """
    _check_gaps(results, gaps)
    rows = [
        (f"{name} ({_minutes(result.get('train_seconds'))} min)", result, "latent")
        for name, result in results.items()
    ]
    rows += [
        (figures.label_of(name, kind), result, name)
        for name, result in _measured(results, kind).items()
    ]
    lines = [f"| | {' | '.join(gaps)} |", f"| --- |{' --- |' * len(gaps)}"]
    for head, result, name in rows:
        at_half = {r["gap_label"]: r["methods"] for r in result["inbetween"] if r["t"] == 0.5}
        cells = [_cell(at_half[gap][name], {}) for gap in gaps]
        lines.append(f"| {' | '.join([head, *cells])} |")
    return "In each cell: hit rate, timing error.\n\n" + "\n".join(lines) + "\n"


def _check_gaps(results, gaps):
    labels = list(dict.fromkeys(row["gap_label"] for row in _rows(results)))
    unknown = sorted(set(gaps) - set(labels))
    if unknown or not gaps:
        raise InputError(f"--gaps={','.join(gaps)}: must be among {','.join(labels)}")


def _measured(results, kind):
    """The kind's `compared` methods that a result has in all its rows: {name: result}."""
    return {
        name: result
        for name in kind.compared
        for result in results.values()
        if all(name in row["methods"] for row in result["inbetween"])
    }


def _rows(results):
    return next(iter(results.values()))["inbetween"]


def _cell(measures, shown):
    timing = measures.get("timing_error_degrees")
    timing = f"{measures['timing_error']:.2f} frames" if timing is None else f"{timing:.2f}°"
    texts = [_number(measures.get(key), factor) for key, (_, factor) in shown.items()]
    return ", ".join([f"{measures['hit_rate']:.2f}", timing, *texts])


def _number(value, factor):
    return "-" if value is None else f"{factor * value:.2f}"


def _minutes(seconds):
    return "-" if seconds is None else f"{seconds / 60:.1f}"


def _metrics(run_dir, split, kind):
    path = path_of_metrics(run_dir, split)
    again = f"python -m tf_inbetween.evaluate --run_dir={run_dir}"
    if split != "test":
        again += f" --split={split}"
    try:
        metrics = read_checked_json(path)
        if metrics["split"] == split:
            _check_whole(metrics, next(iter(kind.shown)))
    except (OSError, *_DAMAGED) as error:
        raise InputError(f"{path}: missing or damaged; {again}") from error
    if metrics["split"] != split:
        raise InputError(f"{path}: measured on {metrics['split']!r}, not on {split!r}; {again}")
    return metrics


def _check_whole(metrics, error):
    """Raises something other than `InputError` if a value of the table is missing or not a number.

    `error`: the name of the measure that every method has.
    """
    value = metrics["reconstruction"][metrics["split"]][error]
    numbers = [0.0 if value is None else value]  # A pixel network has none.
    numbers += [metrics.get(key) or 0.0 for key in ("train_seconds", "total_seconds")]
    for row in metrics["inbetween"]:
        numbers += [row["gap"], row["t"], row["pairs"], row["methods"]["latent"][error]]
        for measures in row["methods"].values():
            numbers += [measures[error], measures["hit_rate"], measures["timing_error"]]
            numbers.append(measures.get("timing_error_degrees") or 0.0)
            numbers.append(measures.get("detail", 0.0))  # Older records have none.
        row["gap_label"].encode()
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("a number is not finite")


def _check_same_rows(run_dirs, metrics, kind):
    """Raises `InputError` unless the runs were measured on the same pairs of the same frames."""
    rows = [[(row["gap_label"], row["t"]) for row in result["inbetween"]] for result in metrics]
    labels = [", ".join(f"{label} at t = {t:g}" for label, t in pairs) for pairs in rows]
    _check_equal(run_dirs, "rows of metrics.json", labels)
    pairs = [" ".join(str(row["pairs"]) for row in result["inbetween"]) for result in metrics]
    _check_equal(run_dirs, "pairs of frames in each row of metrics.json", pairs)
    key, (error, *_) = next(iter(kind.shown.items()))
    for name in kind.methods:
        for index, row in enumerate(metrics[0]["inbetween"]):
            of = f"{error} of {figures.label_of(name, kind)}"
            label = f"{of} at {row['gap_label']}, t = {row['t']:g}"
            there = [
                (run_dir, result["inbetween"][index]["methods"][name][key])
                for run_dir, result in zip(run_dirs, metrics, strict=True)
                if name in result["inbetween"][index]["methods"]
            ]
            for run_dir, value in there:
                # It involves no model: another value means other frames or another program.
                if not math.isclose(value, there[0][1], rel_tol=1e-3, abs_tol=1e-8):
                    _check_equal([there[0][0], run_dir], label, [there[0][1], value])


def _check_equal(run_dirs, what, values):
    for run_dir, value in zip(run_dirs, values, strict=True):
        if value != values[0]:
            raise InputError(
                f"--run_dir: the runs differ in {what}: {values[0]} in {run_dirs[0]}, "
                f"{value} in {run_dir}"
            )
