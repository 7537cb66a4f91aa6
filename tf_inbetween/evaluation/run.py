"""Evaluates a run: metrics.json and figures/ in its run directory.

Everything is measured on whole clips: the in-between of two frames of the densely rendered test
clip is compared with the true frame there, and with all others, to find its time.
"""

import contextlib
import functools
from pathlib import Path

from frame_io.files import read_checked_json, write_checked_json
from tf_inbetween import run_directory
from tf_inbetween.checkpoints import progress
from tf_inbetween.clips import prepare
from tf_inbetween.config import InputError
from tf_inbetween.evaluation import figures
from tf_inbetween.evaluation.judge import inbetween, path, reconstruction
from tf_inbetween.evaluation.methods import (
    MODEL_METHODS,
    NEED_LATENTS,
    check_methods,
    latent_method,
)
from tf_inbetween.evaluation.pairs import first_clip
from tf_inbetween.kinds import KINDS
from tf_inbetween.models import LatentModel, TripletVAE

PAIRS = 200


def evaluate(run_dir, split="test", pairs=PAIRS, data_dir="", methods=(), data=None):
    """Writes metrics.json and figures/ of a run; returns the content of metrics.json.

    For a split other than test they are metrics.SPLIT.json and figures/SPLIT/.

    Args:
        run_dir: with a trained model.
        split: to evaluate on.
        pairs: of frames, for each gap and each t.
        data_dir: where data sets live, if not where the training had them.
        methods: names from `MODEL_METHODS` and the kind's `methods`; empty for those of its
            `default_methods` that can run here.
        data: the clips, a `clips.StoredClips` or `clips.ClipsInMemory`; None: those that the run
            was trained on.

    Raises:
        InputError: if the run, its model or its data set cannot be read, the clips of the split do
            not fit (see `fitting_gaps`), or a method is unknown or cannot run here.
    """
    run_dir = Path(run_dir)
    config = run_directory.load_config(run_dir)
    model = run_directory.load_model(run_dir)
    kind = KINDS[model.kind]
    names = check_methods(methods, kind)
    for name in set(names) & NEED_LATENTS if not isinstance(model, LatentModel) else ():
        raise InputError(f"--methods={name}: the model of {run_dir} has no latents")
    methods = {
        name: MODEL_METHODS[name](model) if name in MODEL_METHODS else kind.methods[name]
        for name in names
    }
    data = data or prepare(config, data_dir)
    clips = {name: data.clip_infos(name) for name in ("train", split)}
    read = {name: functools.partial(data.read, name) for name in clips}
    encode = model.encode if isinstance(model, TripletVAE) else None
    rows = inbetween(
        methods,
        clips[split],
        read[split],
        data.gaps,
        pairs,
        data.gap_unit,
        encode,
        kind,
        data.pose_names,
    )
    (clip,) = read[split]([first_clip(clips[split], max(row["gap"] for row in rows))])
    paths = {
        name: path(method, clip, rows[-1]["gap"], kind)
        for name, method in {"latent": latent_method(model), **methods}.items()
        if name in MODEL_METHODS
    }
    steps, train_seconds = _progress(run_dir)
    metrics_path, figures_path = path_of_metrics(run_dir, split), path_of_figures(run_dir, split)
    result = {
        "scene": config.scene,
        "split": split,
        "pairs": pairs,
        "seed": config.seed,
        "steps": steps,
        "train_seconds": round(train_seconds, 1),
        "total_seconds": _total_seconds(metrics_path),
        "loss": {
            "alpha": config.alpha if isinstance(model, TripletVAE) else None,
            "matching": config.matching if isinstance(model, TripletVAE) else None,
            "likelihood": config.likelihood,
            "inbetween_weight": config.inbetween_weight,
        },
        "reconstruction": {name: reconstruction(model, clips[name], read[name]) for name in clips},
        "inbetween": rows,
        "path": paths["latent"],
        "paths": paths,
    }
    figures.draw_all(figures_path, model, methods, data, clip, result)
    run_directory.load_config(run_dir)  # It may be deleted by now, and metrics alone are not a run.
    # Last: if it exists, the evaluation is complete.
    write_checked_json(metrics_path, result)
    _report(result, kind.shown)
    print(f"wrote {metrics_path} and {figures_path}/")
    return result


def path_of_metrics(run_dir, split):
    """The path of a run's evaluation on a split: metrics.json, or metrics.SPLIT.json."""
    return Path(run_dir) / ("metrics.json" if split == "test" else f"metrics.{split}.json")


def path_of_figures(run_dir, split):
    """The folder of its pictures: figures, or figures/SPLIT."""
    return Path(run_dir) / "figures" / ("" if split == "test" else split)


def _progress(run_dir):
    """The steps and seconds of a training; from an evaluation if its checkpoints are deleted."""
    reached = progress(run_dir / "checkpoints")
    for other in () if reached[0] else run_dir.glob("metrics*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            before = read_checked_json(other)
            reached = before["steps"], before["train_seconds"]
    return reached


def _total_seconds(metrics_path):
    """The training command's own duration, or None if not recorded."""
    try:
        return read_checked_json(metrics_path)["total_seconds"]
    except (OSError, ValueError, KeyError):
        return None


def _report(result, shown):
    """Prints the rows at t = 1/2 and the reconstruction; `shown`: as of a `Kind`."""
    measured = next(iter(result["inbetween"][0]["methods"].values()))
    of_frames = next(iter(result["reconstruction"].values()))
    shown = {key: column for key, column in shown.items() if key in measured}
    (error, *others) = [_heading(*column) for column in shown.values()]
    heads = "  ".join(others)
    print(
        f"{'gap':>10} {'t':>5}  method                {error:>11}  timing error  hit rate  {heads}"
    )
    for row in result["inbetween"]:
        if row["t"] != 0.5:
            continue
        for name, measures in row["methods"].items():
            timing = measures.get("timing_error_degrees")
            timing = (
                f"{measures['timing_error']:7.2f} frames" if timing is None else f"{timing:13.2f}°"
            )
            (value, *values) = (
                f"{factor * measures[key]:.{digits}f}" for key, (_, factor, digits) in shown.items()
            )
            width = max(len(error), 11)
            rest = " ".join(
                f"{each:>{len(head) + 1}}" for head, each in zip(others, values, strict=True)
            )
            print(
                f"{row['gap_label']:>10} {row['t']:>5g}  {name:<21} {value:>{width}}  "
                f"{timing} {measures['hit_rate']:8.3f} {rest}"
            )
    for split, measures in result["reconstruction"].items():
        if all(measures[key] is None for key in shown if key in of_frames):
            continue
        values = (
            f"{_heading(label, factor, digits)} {factor * measures[key]:.{digits}f}"
            for key, (label, factor, digits) in shown.items()
            if key in of_frames
        )
        print(f"reconstruction, {split}: {', '.join(values)}")


def _heading(label, factor, digits):
    """A measure's name with its factor, such as "MSE x 1e4"."""
    del digits
    return label if factor == 1 else f"{label} x {factor:.0e}".replace("e+0", "e")
