"""Measures a trained model: `python -m tf_inbetween.evaluate --run_dir=runs/teapot`.

Writes metrics.json and figures/ into the run directory. Everything is measured on whole clips: the
test clip is rendered densely, and the in-between of two of its frames is compared with the frame
that truly lies there, and with all others, to see which moment it shows.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags
from tqdm import tqdm

from tf_inbetween import baselines, command_line, figures, metrics, run_directory
from tf_inbetween.config import InputError
from tf_inbetween.data import load_clips, prepare
from tf_inbetween.models import to_float

FLAGS = flags.FLAGS

PAIRS = 200
PLACES = (0.25, 0.5, 0.75)
PATH_POINTS = 16
_RECONSTRUCTED = 2000  # frames of a split, at the most
_BATCH = 100


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("run_dir", None, "The run to evaluate.", required=True)
    flags.DEFINE_string("data_dir", "", "Where data sets live; empty: as in training.")
    flags.DEFINE_string("split", "test", "The split to judge in-betweens on.")
    flags.DEFINE_integer("pairs", PAIRS, "Pairs of frames for each gap.", lower_bound=1)


def main():
    """Evaluates the run that the flags name."""
    evaluate(FLAGS.run_dir, split=FLAGS.split, pairs=FLAGS.pairs, data_dir=FLAGS.data_dir)


def evaluate(run_dir, split="test", pairs=PAIRS, data_dir="", train_seconds=None, steps=None):
    """Writes metrics.json and figures/ of a run; returns what metrics.json holds.

    Args:
        run_dir: with a trained model.
        split: to judge in-betweens on.
        pairs: of frames, for each gap and each t.
        data_dir: where data sets live, if not where the training had them.
        train_seconds, steps: of the training; None: as the last evaluation wrote them.

    Raises:
        InputError: if the run, its model or its data set cannot be read.
    """
    run_dir = Path(run_dir)
    config = run_directory.load_config(run_dir)
    model = run_directory.load_model(run_dir)
    builder = prepare(config, data_dir)
    clips = load_clips(builder, split)
    methods = {"latent": latent_method(model), **baselines.available()}
    if "optical_flow" not in methods:
        print("optical flow left out: pip install 'tf_inbetween[baselines]' adds it")

    before = _read_metrics(run_dir)
    result = {
        "scene": config.scene,
        "split": split,
        "seed": config.seed,
        "steps": config.steps if steps is None else steps,
        "train_seconds": before.get("train_seconds") if train_seconds is None else train_seconds,
        "total_seconds": before.get("total_seconds"),
        "loss": {
            "alpha": config.alpha,
            "matching": config.matching,
            "likelihood": config.likelihood,
            "inbetween_weight": config.inbetween_weight,
        },
        "reconstruction": {
            name: reconstruction(model, load_clips(builder, name))
            for name in {"train": 0, split: 0}
        },
        "inbetween": list(inbetween(methods, clips, _gaps(builder), pairs, _unit(builder))),
        "path": path(model, clips[0], _gaps(builder)[-1]),
    }
    run_directory.write_json(run_dir / "metrics.json", result)
    figures.draw_all(run_dir / "figures", model, methods, builder, clips, result)
    _report(result, run_dir)
    return result


def reconstruction(model, clips):
    """MSE, PSNR, SSIM and ELBO (nats per frame) of frames of `clips` and their reconstructions."""
    frames = np.concatenate([clip.frames for clip in clips])
    frames = frames[:: max(len(frames) // _RECONSTRUCTED, 1)]
    rows = {"mse": [], "psnr": [], "ssim": [], "elbo": []}
    for i in range(0, len(frames), _BATCH):
        truth = to_float(frames[i : i + _BATCH]).numpy()
        drawn = model.reconstruct(truth).numpy()
        rows["mse"].append(metrics.mse(drawn, truth))
        rows["psnr"].append(metrics.psnr(drawn, truth))
        rows["ssim"].append(metrics.ssim(drawn, truth))
        rows["elbo"].append(model.elbo(truth, seed=[0, i]).numpy())
    return {name: float(np.mean(np.concatenate(values))) for name, values in rows.items()}


def inbetween(methods, clips, gaps, pairs, unit):
    """Yields one row of metrics.json for each gap and each t of `PLACES`.

    Args:
        methods: name -> function of (first, second, t), as in `tf_inbetween.baselines`.
        clips: true ones, dense, of one pace.
        gaps: in the scene's unit; those too long for the clips are left out.
        pairs: of frames for each row, evenly spread over the clips.
        unit: the name of the gaps' unit; "" where they are frames.
    """
    rows = [
        (gap, t)
        for gap in dict.fromkeys(gap_in_frames(gap, clips[0]) for gap in gaps)
        if any(clip_starts(clip, gap) for clip in clips)
        for t in PLACES
    ]
    if not rows:
        raise InputError(f"no clip is long enough for a gap of {gaps[0]:g}{unit}")
    floats = [to_float(clip.frames).numpy() for clip in clips]
    for gap, t in tqdm(rows, desc="Evaluating", unit=" rows", leave=False):
        found = {name: {key: [] for key in _MEASURES} for name in methods}
        for index, starts in spread(clips, gap, pairs).items():
            clip, frames = clips[index], floats[index]
            wanted = (starts + round(gap * t)) % len(frames)
            first, second = frames[starts], frames[(starts + gap) % len(frames)]
            for name, method in methods.items():
                drawn = np.clip(method(first, second, t), 0.0, 1.0)
                error = metrics.timing_error(drawn, frames, wanted, clip.closed)
                found[name]["mse"].append(metrics.mse(drawn, frames[wanted]))
                found[name]["psnr"].append(metrics.psnr(drawn, frames[wanted]))
                found[name]["ssim"].append(metrics.ssim(drawn, frames[wanted]))
                found[name]["timing_error"].append(error)
                found[name]["hit_rate"].append(metrics.hits(error, gap))
        pace = clips[0].pace
        yield {
            "gap": gap,
            "gap_label": f"{gap * pace:g}{unit}" if unit else f"{gap} frames",
            "t": t,
            "pairs": pairs,
            "methods": {name: _means(found[name], pace, unit) for name in methods},
        }


_MEASURES = ("mse", "psnr", "ssim", "timing_error", "hit_rate")


def _means(found, pace, unit):
    row = {key: float(np.mean(np.concatenate(values))) for key, values in found.items()}
    if unit == "°":
        row["timing_error_degrees"] = row["timing_error"] * pace
    return row


def gap_in_frames(gap, clip):
    """The whole number of frames nearest to `gap` that has frames at 1/4, 1/2 and 3/4."""
    return max(4 * round(gap / clip.pace / 4), 4)


def clip_starts(clip, gap):
    """How many frames of a clip have another one `gap` frames later."""
    return len(clip.frames) if clip.closed else max(len(clip.frames) - gap, 0)


def spread(clips, gap, pairs):
    """`pairs` starting frames, evenly spread over all clips: {clip index: frame indices}."""
    counts = np.array([clip_starts(clip, gap) for clip in clips])
    places = np.arange(pairs) * counts.sum() // pairs
    owners = np.searchsorted(np.cumsum(counts), places, side="right")
    begins = np.cumsum(counts) - counts
    return {int(i): places[owners == i] - begins[i] for i in np.unique(owners)}


def path(model, clip, gap):
    """ACAI's figures for straight paths of 16 points over `gap`, averaged over 16 starts."""
    frames = to_float(clip.frames).numpy()
    gap = gap_in_frames(gap, clip)
    starts = next(iter(spread([clip], gap, PATH_POINTS).values()))
    t = np.linspace(0, 1, PATH_POINTS, dtype=np.float32)
    distances, unevenness = [], []
    for start in starts:
        ends = frames[[start, (start + gap) % len(frames)]]
        drawn = model.inbetween(
            *(tf.repeat(end[np.newaxis], PATH_POINTS, axis=0) for end in ends), t
        )
        distances.append(metrics.mean_distance(drawn, frames))
        unevenness.append(metrics.smoothness(drawn, frames, clip.closed))
    return {"mean_distance": float(np.mean(distances)), "smoothness": float(np.mean(unevenness))}


def latent_method(model):
    """The in-betweens of `model` as a function of (first, second, t), like those of `baselines`."""

    def draw(first, second, t):
        return np.concatenate(
            [
                model.inbetween(
                    first[i : i + _BATCH],
                    second[i : i + _BATCH],
                    tf.fill([len(first[i : i + _BATCH])], float(t)),
                )
                for i in range(0, len(first), _BATCH)
            ]
        )

    return draw


def _gaps(builder):
    return [float(gap) for gap in builder.info.metadata["gaps"]]


def _unit(builder):
    return builder.info.metadata["gap_unit"]


def _read_metrics(run_dir):
    try:
        return json.loads((run_dir / "metrics.json").read_text())
    except (OSError, ValueError):
        return {}


def _report(result, run_dir):
    print(f"{'gap':>10} {'t':>5}  method         MSE x 1e4  timing error  hit rate")
    for row in result["inbetween"]:
        if row["t"] != 0.5:
            continue
        for name, found in row["methods"].items():
            print(
                f"{row['gap_label']:>10} {row['t']:>5g}  {name:<14} {1e4 * found['mse']:9.2f}  "
                f"{found['timing_error']:7.2f} frames {found['hit_rate']:8.3f}"
            )
    for split, found in result["reconstruction"].items():
        print(f"reconstruction, {split}: MSE x 1e4 {1e4 * found['mse']:.2f}")
    print(f"wrote {run_dir}/metrics.json and {run_dir}/figures/")


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
