"""Measures a trained model: `python -m tf_inbetween.evaluate --run_dir=runs/teapot`.

Writes metrics.json and figures/ into the run directory. Everything is measured on whole clips: the
test clip is rendered densely, and the in-between of two of its frames is compared with the frame
that truly lies there, and with all others, to see which moment it shows.

Of a large data set only the clips that are judged are decoded, a few at a time: first the lengths
of all are read, then what to judge is chosen, evenly spread over all.
"""

import contextlib
import functools
import itertools
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags
from tqdm import tqdm

from tf_inbetween import baselines, command_line, figures, interpolation, metrics, run_directory
from tf_inbetween.checkpoints import progress
from tf_inbetween.clips import prepare
from tf_inbetween.config import InputError, lookup
from tf_inbetween.distributions import gaussian
from tf_inbetween.files import read_checked_json, write_checked_json
from tf_inbetween.matching import MATCHINGS
from tf_inbetween.models import FusionVAE, to_float

FLAGS = flags.FLAGS

PAIRS = 200
PLACES = (0.25, 0.5, 0.75)
PATH_POINTS = 16
_RECONSTRUCTED = 2000  # frames of a split, at the most
_BATCH = 100
_MIXTURE_SAMPLES = 64
_HELD = 1000  # frames of true clips, as floats


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("run_dir", None, "The run to evaluate.", required=True)
    flags.DEFINE_string("data_dir", "", "Where data sets live; empty: as in training.")
    flags.DEFINE_string("split", "test", "The split to judge in-betweens on.")
    flags.DEFINE_integer("pairs", PAIRS, "Pairs of frames for each gap.", lower_bound=1)
    flags.DEFINE_list(
        "methods",
        [],
        f"What draws in-betweens, of {', '.join([*MODEL_METHODS, *baselines.METHODS])}; "
        f"empty: {', '.join(DEFAULT_METHODS)}.",
    )


def main():
    """Evaluates the run that the flags name."""
    evaluate(FLAGS.run_dir, FLAGS.split, FLAGS.pairs, FLAGS.data_dir, FLAGS.methods)


def evaluate(run_dir, split="test", pairs=PAIRS, data_dir="", methods=(), data=None):
    """Writes metrics.json and figures/ of a run; returns what metrics.json holds.

    For another split than test they are metrics.SPLIT.json and figures/SPLIT/.

    Args:
        run_dir: with a trained model.
        split: to judge in-betweens on.
        pairs: of frames, for each gap and each t.
        data_dir: where data sets live, if not where the training had them.
        methods: names of what is to draw in-betweens, of `MODEL_METHODS` and `baselines.METHODS`;
            empty for `DEFAULT_METHODS`, as far as they can run here.
        data: the clips, a `clips.StoredClips` or `clips.ClipsInMemory`; None: those that the run
            was trained on, prepared anew.

    Raises:
        InputError: if the run, its model or its data set cannot be read, the clips of the split
            cannot be judged, see `fitting_gaps`, or a method is unknown or cannot run here.
    """
    run_dir = Path(run_dir)
    config = run_directory.load_config(run_dir)
    names = check_methods(methods)
    model = run_directory.load_model(run_dir)
    for name in set(names) & NEED_LATENTS if not model.has_latents else ():
        raise InputError(f"--methods={name}: the model of {run_dir} has no latents")
    methods = {
        name: MODEL_METHODS[name](model) if name in MODEL_METHODS else baselines.METHODS[name]
        for name in names
    }
    data = data or prepare(config, data_dir)
    clips = {name: data.outlines(name) for name in ("train", split)}
    read = {name: functools.partial(data.read, name) for name in clips}
    encode = model.encode if model.has_posteriors else None
    rows = inbetween(methods, clips[split], read[split], data.gaps, pairs, data.gap_unit, encode)
    (clip,) = read[split]([first_clip(clips[split], max(row["gap"] for row in rows))])
    paths = {
        name: path(method, clip, rows[-1]["gap"])
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
            "alpha": config.alpha if model.has_posteriors else None,
            "matching": config.matching if model.has_posteriors else None,
            "likelihood": config.likelihood,
            "inbetween_weight": config.inbetween_weight,
        },
        "reconstruction": {name: reconstruction(model, clips[name], read[name]) for name in clips},
        "inbetween": rows,
        "path": paths["latent"],
        "paths": paths,
    }
    figures.draw_all(figures_path, model, methods, data, clip, result)
    run_directory.load_config(run_dir)  # It may be gone by now, and metrics alone are no run.
    # Last: where it is, all of the evaluation is.
    write_checked_json(metrics_path, result)
    _report(result)
    print(f"wrote {metrics_path} and {figures_path}/")
    return result


def check_methods(methods):
    """The names of the methods of an evaluation, each once; all of `DEFAULT_METHODS` if none given.

    Without OpenCV optical flow is left out of the default. Raises `InputError` for a name that is
    unknown, or a method that is asked for and cannot run here.
    """
    if not methods:
        names = [n for n in DEFAULT_METHODS if n in (*MODEL_METHODS, *baselines.available())]
        if len(names) < len(DEFAULT_METHODS):
            print("optical flow left out: pip install 'tf_inbetween[baselines]' adds it")
        return names
    for name in methods:
        lookup({**MODEL_METHODS, **baselines.METHODS}, name, "method")
        if name not in MODEL_METHODS and name not in baselines.available():
            raise InputError(f"--methods={','.join(methods)}: {baselines.MISSING}")
    return list(dict.fromkeys(methods))


def path_of_metrics(run_dir, split):
    """Where the evaluation of a run on a split is: metrics.json, or metrics.SPLIT.json."""
    return Path(run_dir) / ("metrics.json" if split == "test" else f"metrics.{split}.json")


def path_of_figures(run_dir, split):
    """Where its pictures are: figures, or figures/SPLIT."""
    return Path(run_dir) / "figures" / ("" if split == "test" else split)


def reconstruction(model, clips, read):
    """MSE, PSNR, SSIM, detail and ELBO (nats per frame) of every n-th frame's reconstruction.

    None for what the model lacks: all of it without latents, the ELBO without posteriors.

    Args:
        model: of a run.
        clips, read: as for `inbetween`. About 2000 to 4000 frames of all are taken, or all.
    """
    if not model.has_latents:
        return dict.fromkeys(("mse", "psnr", "ssim", "detail", "elbo"))
    lengths = np.array([clip.length for clip in clips])
    step = max(lengths.sum() // _RECONSTRUCTED, 1)
    if step % lengths[0] == 0:
        step += 1  # Or 100,000 clips of one length would all show their first frame.
    places = _by_clip(np.arange(0, lengths.sum(), step), lengths)
    frames = (
        frame
        for inside, clip in zip(places.values(), read(list(places)), strict=True)
        for frame in clip.frames[inside]
    )
    rows = {"mse": [], "psnr": [], "ssim": [], "detail": [], "elbo": []}
    for i in itertools.count(0, _BATCH):
        batch = list(itertools.islice(frames, _BATCH))
        if not batch:
            break
        truth = to_float(np.stack(batch)).numpy()
        drawn = model.reconstruct(truth).numpy()
        rows["mse"].append(metrics.mse(drawn, truth))
        rows["psnr"].append(metrics.psnr(drawn, truth))
        rows["ssim"].append(metrics.ssim(drawn, truth))
        rows["detail"].append(metrics.detail(drawn, truth))
        if model.has_posteriors:
            rows["elbo"].append(model.elbo(truth, seed=[0, i]).numpy())
    return {
        name: float(np.mean(np.concatenate(values))) if values else None
        for name, values in rows.items()
    }


def inbetween(methods, clips, read, gaps, pairs, unit, encode=None):
    """The rows of metrics.json: one for each gap and each t of `PLACES`.

    Args:
        methods: name -> function of (first, second, t), as in `tf_inbetween.baselines`.
        clips: the `Outline`s of true clips, dense, of one pace.
        read: a function that takes the numbers of some of them, ascending, and yields these
            `Clip`s. A thousand frames are held here at a time, or one clip.
        gaps: in the scene's unit; those too long for all clips are left out.
        pairs: of frames for each row, evenly spread over the clips.
        unit: the name of the gaps' unit; "" where they are frames.
        encode: frames [N, H, W, C] -> posteriors; each row then has their `latent_geometry`, means
            over the pairs.

    Raises:
        InputError: if no clip is long enough for a gap, or the clips differ in pace.
    """
    starts = {gap: spread(clips, gap, pairs) for gap in fitting_gaps(clips, gaps)}
    found = {(gap, t): [] for gap in starts for t in PLACES}
    shapes = {place: [] for place in found}
    numbers = sorted(set().union(*starts.values()))
    source = read(numbers)
    with tqdm(total=len(numbers), desc="Evaluating", unit=" clips", leave=False) as bar:
        for group in _groups(numbers, clips):
            frames = (_Held(clip, encode) for clip in itertools.islice(source, len(group)))
            held = dict(zip(group, frames, strict=True))
            for gap, t in found:
                judged = [(held[n], starts[gap][n]) for n in group if n in starts[gap]]
                if judged:
                    found[gap, t].append(_measured(methods, judged, gap, t))
                    if encode:
                        shapes[gap, t].append(_geometry(judged, gap, t))
            bar.update(len(group))
    pace = clips[0].pace
    return [
        {
            "gap": gap,
            "gap_label": f"{gap * pace:.4g}{unit}" if unit else f"{gap} frames",
            "t": t,
            "pairs": min(pairs, sum(clip_starts(clip, gap) for clip in clips)),
            "methods": {name: _means([p[name] for p in parts], pace, unit) for name in methods},
            **({"latent_geometry": _mean_geometry(shapes[gap, t])} if encode else {}),
        }
        for (gap, t), parts in found.items()
    ]


def _groups(numbers, clips):
    """Divides clips, in order, into groups of at most `_HELD` frames, or of one clip."""
    groups, frames = [], np.inf
    for number in numbers:
        frames += clips[number].length
        if frames > _HELD:
            groups.append([])
            frames = clips[number].length
        groups[-1].append(number)
    return groups


class _Held:
    """A clip's frames as floats, their posteriors if asked for, and whether it is closed."""

    def __init__(self, clip, encode=None):
        self.frames, self.closed = to_float(clip.frames).numpy(), clip.closed
        if encode:
            starts = range(0, len(self.frames), _BATCH)
            posteriors = [encode(self.frames[i : i + _BATCH]) for i in starts]
            self.mean = np.concatenate([q.mean() for q in posteriors])
            self.stddev = np.concatenate([q.stddev() for q in posteriors])

    def at(self, places):
        """The frames at `places` [N], which may go round the end."""
        return self.frames[places % len(self.frames)]

    def posterior_at(self, places):
        """The means and the stddevs of the posteriors of the frames at `places`: [2, N, Z]."""
        places = places % len(self.frames)
        return np.stack([self.mean[places], self.stddev[places]])


def _measured(methods, judged, gap, t):
    """What the methods draw, measured: {method: {measure: [N]}}.

    Args:
        methods, gap, t: as in `inbetween`.
        judged: clips, and for each the indices of the frames that in-betweens start from.
    """
    step = round(gap * t)
    first, truth, second = (
        np.concatenate([clip.at(starts + offset) for clip, starts in judged])
        for offset in (0, step, gap)
    )
    ends = np.cumsum([len(starts) for _, starts in judged])
    found = {}
    for name, method in methods.items():
        drawn = np.clip(method(first, second, t), 0.0, 1.0)
        by_clip = zip(np.split(drawn, ends[:-1]), judged, strict=True)
        errors = [
            metrics.timing_error(part, clip.frames, (starts + step) % len(clip.frames), clip.closed)
            for part, (clip, starts) in by_clip
        ]
        error = np.concatenate(errors)
        found[name] = {
            "mse": metrics.mse(drawn, truth),
            "psnr": metrics.psnr(drawn, truth),
            "ssim": metrics.ssim(drawn, truth),
            "detail": metrics.detail(drawn, truth),
            "timing_error": error,
            "hit_rate": metrics.hits(error, gap),
        }
    return found


def _geometry(judged, gap, t):
    """What `latent_geometry` has of judged pairs, before the means: {measure: [N]}."""
    q0, q1, q2 = (
        gaussian(*np.concatenate([clip.posterior_at(s + offset) for clip, s in judged], axis=1))
        for offset in (0, round(gap * t), gap)
    )
    return latent_geometry(q0, q1, q2, np.full(q0.batch_shape, t, np.float32))


def latent_geometry(q0, q1, q2, t):
    """How far the posterior of the true frame is from where the chord passes.

    Args:
        q0, q1, q2: posteriors of the first, the true and the second frames, batch [N].
        t: [N], where the true frames lie.

    Returns:
        {"sagitta": see `interpolation.sagitta`, "kl_READING": KL( q1 || (1-t) q0 + t q2 ) in nats
        by each of `matching.MATCHINGS`}, each [N]. That of the mixture is estimated from 64 draws.
    """
    found = {
        f"kl_{name}": matching(q0, q1, q2, t, samples=_MIXTURE_SAMPLES, seed=[0, 0]).numpy()
        for name, matching in MATCHINGS.items()
    }
    sagitta = interpolation.sagitta(q0.mean(), q1.mean(), q2.mean(), q1.stddev(), t)
    return {"sagitta": sagitta.numpy(), **found}


def _mean_geometry(parts):
    return {key: float(np.mean(np.concatenate([part[key] for part in parts]))) for key in parts[0]}


def _means(parts, pace, unit):
    row = {key: float(np.mean(np.concatenate([part[key] for part in parts]))) for key in parts[0]}
    if unit == "°":
        row["timing_error_degrees"] = row["timing_error"] * pace
    return row


def fitting_gaps(clips, gaps):
    """Those of `gaps`, in the scene's unit, for which a clip is long enough: in frames, each once.

    Args:
        clips: `Clip`s, or their `Outline`s.
        gaps: at least one.

    Raises:
        InputError: if there is no clip, none is long enough for any gap, or they differ in pace.
    """
    if not clips:
        raise InputError("there are no clips to judge")
    paces = sorted({clip.pace for clip in clips})
    if len(paces) > 1:
        raise InputError(
            f"the clips differ in pace ({paces[0]:g} and {paces[-1]:g}), so a gap is not the same "
            "in all of them"
        )
    in_frames = dict.fromkeys(gap_in_frames(gap, clips[0]) for gap in gaps)
    first_clip(clips, min(in_frames))
    return [gap for gap in in_frames if any(clip_starts(clip, gap) for clip in clips)]


def first_clip(clips, gap):
    """The number of the first clip that has two frames `gap` apart; `InputError` if none has."""
    for number, clip in enumerate(clips):
        if clip_starts(clip, gap):
            return number
    longest = max(clip.length for clip in clips)
    raise InputError(f"no clip is long enough for a gap of {gap} frames: the longest has {longest}")


def gap_in_frames(gap, clip):
    """The whole number of frames nearest to `gap` that has frames at 1/4, 1/2 and 3/4."""
    return max(4 * round(gap / clip.pace / 4), 4)


def clip_starts(clip, gap):
    """How many frames of a clip have another one `gap` frames later, at most once round."""
    inside = max(clip.length - gap, 0)
    return clip.length if clip.closed and inside else inside


def spread(clips, gap, pairs):
    """`pairs` starting frames (or all), evenly spread over all clips: {clip index: indices}."""
    counts = np.array([clip_starts(clip, gap) for clip in clips])
    pairs = min(pairs, counts.sum())
    return _by_clip(np.arange(pairs) * counts.sum() // pairs, counts)


def _by_clip(places, counts):
    """Places among clips of `counts` frames laid end to end: {clip index: places inside it}."""
    ends = np.cumsum(counts)
    owners = np.searchsorted(ends, places, side="right")
    return {int(i): places[owners == i] - (ends - counts)[i] for i in np.unique(owners)}


def path(method, clip, gap):
    """ACAI's figures for paths of 16 points over `gap` frames, averaged over 16 starts.

    `method`: what draws them, one of `MODEL_METHODS` of a model.
    """
    frames = to_float(clip.frames).numpy()
    starts = next(iter(spread([clip], gap, PATH_POINTS).values()))
    ends = np.stack([starts, (starts + gap) % len(frames)]).repeat(PATH_POINTS, axis=1)
    t = np.tile(np.linspace(0, 1, PATH_POINTS), len(starts))
    paths = np.split(method(frames[ends[0]], frames[ends[1]], t), len(starts))
    unevenness = [metrics.smoothness(drawn, frames, clip.closed) for drawn in paths]
    return {
        "mean_distance": metrics.mean_distance(np.concatenate(paths), frames),
        "smoothness": float(np.mean(unevenness)),
    }


def latent_method(model):
    """The in-betweens of `model` as a function of (first, second, t), like those of `baselines`.

    Unlike there `t` may also be [N], one for each pair. A `FusionVAE` draws the fused frame.
    """
    return _in_batches(model.inbetween)


def latent_only_method(model):
    """As `latent_method`, from the latent alone: decode(z_t), as the paper draws.

    For every model but a `FusionVAE` that is its own way too.
    """

    def draw(first, second, t):
        z0, z2 = _ends(model, first, second)
        return model.decode(model.join(z0, z2, t))

    return _in_batches(draw)


def slerp_method(model):
    """As `latent_method`, along the great circle between the two posterior means."""

    def draw(first, second, t):
        z0, z2 = _ends(model, first, second)
        z_t = interpolation.slerp(z0, z2, t)
        if isinstance(model, FusionVAE):
            return model.fuse(first, second, z0, z2, z_t, t)["frame"]
        return model.decode(z_t)

    return _in_batches(draw)


def _ends(model, first, second):
    """The posterior means of both frames, each [N, Z]."""
    return tf.split(model.encode(tf.concat([first, second], axis=0)).mean(), 2)


# What a model draws with; the first is its own way. `baselines.METHODS` need no model.
MODEL_METHODS = {
    "latent": latent_method,
    "latent_only": latent_only_method,
    "latent_slerp": slerp_method,
}
NEED_LATENTS = {"latent_only", "latent_slerp"}
DEFAULT_METHODS = ("latent", "crossfade", "optical_flow", "nearest_frame")


def _in_batches(draw):
    """`draw` on some pairs at a time; its t [B] is made of a number or of t [N]."""

    def method(first, second, t):
        t = np.broadcast_to(np.float32(t), len(first))
        parts = (slice(i, i + _BATCH) for i in range(0, len(first), _BATCH))
        return np.concatenate([draw(first[part], second[part], t[part]) for part in parts])

    return method


def _progress(run_dir):
    """The steps and the seconds of a training; from an evaluation if it has no checkpoints now."""
    found = progress(run_dir / "checkpoints")
    for path in () if found[0] else run_dir.glob("metrics*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            before = read_checked_json(path)
            found = before["steps"], before["train_seconds"]
    return found


def _total_seconds(metrics_path):
    """What the training command wrote of its own duration; None if it did not."""
    try:
        return read_checked_json(metrics_path)["total_seconds"]
    except (OSError, ValueError, KeyError):
        return None


def _report(result):
    print(
        f"{'gap':>10} {'t':>5}  method                  MSE x 1e4  timing error  hit rate  detail"
    )
    for row in result["inbetween"]:
        if row["t"] != 0.5:
            continue
        for name, found in row["methods"].items():
            error = found.get("timing_error_degrees")
            error = f"{found['timing_error']:7.2f} frames" if error is None else f"{error:13.2f}°"
            print(
                f"{row['gap_label']:>10} {row['t']:>5g}  {name:<23} {1e4 * found['mse']:9.2f}  "
                f"{error} {found['hit_rate']:8.3f} {found['detail']:7.3f}"
            )
    for split, found in result["reconstruction"].items():
        if found["mse"] is None:
            continue
        print(
            f"reconstruction, {split}: MSE x 1e4 {1e4 * found['mse']:.2f}, "
            f"detail {found['detail']:.3f}"
        )


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
