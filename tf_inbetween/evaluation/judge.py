"""Measures the in-betweens of methods and the reconstructions of a model.

Only the clips to judge are decoded, a few at a time: the lengths of all clips are read first, and
pairs are chosen evenly over all of them.
"""

import itertools
import sys

import numpy as np
from tqdm import tqdm

from tf_inbetween import interpolation
from tf_inbetween.distributions import gaussian
from tf_inbetween.evaluation import metrics
from tf_inbetween.evaluation.pairs import at_once, by_clip, clip_starts, fitting_gaps, spread
from tf_inbetween.kinds import KINDS
from tf_inbetween.matching import MATCHINGS
from tf_inbetween.models import LatentModel, TripletVAE, to_float

PLACES = (0.25, 0.5, 0.75)
PATH_POINTS = 16
_RECONSTRUCTED = 2000  # frames of a split, at the most
_BATCH = 100  # As in `methods`, so that drawing in parts changes no batch of a model.
_MIXTURE_SAMPLES = 64
_HELD = 1000  # frames of true clips, as floats


def reconstruction(model, clips, read):
    """The measures of every n-th frame's reconstruction and of its ELBO (nats per frame).

    The measures are those of the model's kind, None if unavailable: all of them without latents,
    the ELBO without posteriors.

    Args:
        model: of a run.
        clips, read: as for `inbetween`. About 2000 to 4000 frames of all are taken, or all; of
            large frames fewer.
    """
    kind = KINDS[model.kind]
    rows = {name: [] for name in (*kind.measure_names, *kind.likelihood_names)}
    if not isinstance(model, LatentModel):
        return dict.fromkeys(rows)
    lengths = np.array([clip.length for clip in clips])
    size = at_once(model.frame_shape, _BATCH)
    step = max(lengths.sum() * _BATCH // (_RECONSTRUCTED * size), 1)
    if step % lengths[0] == 0:
        step += 1  # Otherwise 100,000 clips of one length would all show their first frame.
    chosen = np.arange(0, lengths.sum(), step)
    places = by_clip(chosen, lengths)
    frames = (
        frame
        for inside, clip in zip(places.values(), read(list(places)), strict=True)
        for frame in clip.frames[inside]
    )
    with _bar(len(chosen), "Reconstructing", "frames") as bar:
        for i in itertools.count(0, size):
            batch = list(itertools.islice(frames, size))
            if not batch:
                break
            truth = to_float(np.stack(batch)).numpy()
            measured = kind.measures(model.reconstruct(truth).numpy(), truth)
            if isinstance(model, TripletVAE):
                measured |= kind.of_likelihood(model.elbo(truth, seed=[0, i]).numpy(), truth)
            for name, values in measured.items():
                rows[name].append(values)
            bar.update(len(batch))
    return {
        name: float(np.mean(np.concatenate(values))) if values else None
        for name, values in rows.items()
    }


def inbetween(
    methods, clips, read, gaps, pairs, unit, encode=None, kind=KINDS["pictures"], pose_names=()
):
    """The rows of metrics.json: one for each gap and each t of `PLACES`.

    Args:
        methods: name -> function of (first, second, t), as in `tf_inbetween.evaluation.baselines`.
        clips: the `ClipInfo`s of true clips, dense, of one pace.
        read: a function from ascending clip numbers to these `Clip`s. At most a thousand frames of
            64x64 (fewer larger ones), or one clip, are held at a time.
        gaps: in the scene's unit; those too long for all clips are skipped.
        pairs: of frames for each row, evenly spread over the clips.
        unit: the name of the gaps' unit; "" where they are frames.
        encode: frames [N, H, W, C] -> posteriors; each row then has their `latent_geometry`, means
            over the pairs.
        kind: of the frames, one of `kinds.KINDS`.
        pose_names: of the clips' poses.

    Raises:
        InputError: if no clip is long enough for a gap, or the clips differ in pace.
    """
    starts = {gap: spread(clips, gap, pairs) for gap in fitting_gaps(clips, gaps)}
    measured = {(gap, t): [] for gap in starts for t in PLACES}
    shapes = {place: [] for place in measured}
    numbers = sorted(set().union(*starts.values()))
    source = read(numbers)
    pairs_of = {gap: sum(map(len, starts[gap].values())) for gap, _ in measured}
    total = len(methods) * sum(pairs_of[gap] for gap, _ in measured)
    with _bar(total, "Evaluating", "pairs") as bar:
        clips_read = ((n, _Held(clip, encode)) for n, clip in zip(numbers, source, strict=True))
        for held in _groups(clips_read):
            for gap in starts:
                judged = [(held[n], starts[gap][n]) for n in held if n in starts[gap]]
                if not judged:
                    continue
                rows = _measured(methods, judged, gap, kind, pose_names, bar.update)
                for t, row in rows.items():
                    measured[gap, t].append(row)
                    if encode:
                        shapes[gap, t].append(_geometry(judged, gap, t))
    units_per_frame = clips[0].units_per_frame
    return [
        {
            "gap": gap,
            "gap_label": f"{gap * units_per_frame:.4g}{unit}" if unit else f"{gap} frames",
            "t": t,
            "pairs": min(pairs, sum(clip_starts(clip, gap) for clip in clips)),
            "methods": {
                name: _averages([p[name] for p in parts], units_per_frame, unit, kind.medians)
                for name in methods
            },
            **({"latent_geometry": _mean_geometry(shapes[gap, t])} if encode else {}),
        }
        for (gap, t), parts in measured.items()
    ]


def _groups(clips):
    """Gathers (number, `_Held`) into dicts of at most `_HELD` frames, or of one clip."""
    group, frames = {}, 0
    for number, held in clips:
        if group and frames + len(held.frames) > at_once(held.frames.shape[1:], _HELD):
            yield group
            group, frames = {}, 0
        group[number] = held
        frames += len(held.frames)
    if group:
        yield group


class _Held:
    """A clip's frames as floats, their posteriors if asked for, and whether it is closed."""

    def __init__(self, clip, encode=None):
        self.frames, self.cyclic = to_float(clip.frames).numpy(), clip.cyclic
        self.pose = clip.pose
        if encode:
            size = at_once(self.frames.shape[1:], _BATCH)
            starts = range(0, len(self.frames), size)
            posteriors = [encode(self.frames[i : i + size]) for i in starts]
            self.mean = np.concatenate([q.mean() for q in posteriors])
            self.stddev = np.concatenate([q.stddev() for q in posteriors])

    def at(self, places):
        """The frames at `places` [N], which may go round the end."""
        return self.frames[places % len(self.frames)]

    def pose_at(self, places):
        """The poses of the frames at `places`: [N, P]."""
        return self.pose[places % len(self.frames)]

    def posterior_at(self, places):
        """The means and the stddevs of the posteriors of the frames at `places`: [2, N, Z]."""
        places = places % len(self.frames)
        return np.stack([self.mean[places], self.stddev[places]])


def _measured(methods, judged, gap, kind, pose_names=(), drew=lambda count: None):
    """The measures of what the methods draw, {t: {method: {measure: [N]}}} for t of `PLACES`.

    Args:
        methods, gap, kind, pose_names: as in `inbetween`.
        judged: clips, and for each the indices of the frames that in-betweens start from.
        drew: called with how many frames were drawn, some at a time.
    """
    first, second = (_at(judged, offset) for offset in (0, gap))
    steps = [round(gap * t) for t in PLACES]
    truths = [_at(judged, step) for step in steps]
    rows = {t: {} for t in PLACES}
    for name, method in methods.items():
        drawn = _drawn(method, first, second, drew)
        for row, step, frames, truth in zip(rows.values(), steps, drawn, truths, strict=True):
            pose = np.concatenate([clip.pose_at(starts + step) for clip, starts in judged])
            error = _timing_errors(frames, judged, step, kind)
            row[name] = {
                **kind.measures(frames, truth),
                **kind.of_pose(frames, pose, pose_names),
                "timing_error": error,
                "hit_rate": metrics.hits(error, gap),
            }
    return rows


def _timing_errors(frames, judged, step, kind):
    """Of frames drawn `step` after the starts of judged clips: [N]."""
    ends = np.cumsum([len(starts) for _, starts in judged])
    parts = zip(np.split(frames, ends[:-1]), judged, strict=True)
    return np.concatenate(
        [
            kind.timing_error(part, clip.frames, (starts + step) % len(clip.frames), clip.cyclic)
            for part, (clip, starts) in parts
        ]
    )


def _at(judged, offset):
    """The frames of judged clips `offset` after the starts."""
    return np.concatenate([clip.at(starts + offset) for clip, starts in judged])


def _drawn(method, first, second, drew):
    """What a method draws at `PLACES` [T], a batch at a time: [T, N, H, W, C].

    All t of a pair lie in one batch, one after another. `drew` as for `_measured`.
    """
    size = max(at_once(first.shape[1:], _BATCH) // len(PLACES), 1)
    parts = []
    for i in range(0, len(first), size):
        ends = (np.repeat(frames[i : i + size], len(PLACES), axis=0) for frames in (first, second))
        frames = method(*ends, np.tile(np.float32(PLACES), len(first[i : i + size])))
        parts.append(frames.reshape(-1, len(PLACES), *first.shape[1:]))
        drew(len(frames))
    return np.clip(np.concatenate(parts), 0.0, 1.0).swapaxes(0, 1)


def _bar(total, what, unit):
    return tqdm(
        total=total,
        desc=what,
        unit=f" {unit}",
        leave=False,
        mininterval=0.5 if sys.stderr.isatty() else 10.0,
        miniters=1,
        smoothing=0.0,  # Methods differ in speed and take turns.
    )


def _geometry(judged, gap, t):
    """`latent_geometry` of judged pairs, before averaging: {measure: [N]}."""
    q0, q1, q2 = (
        gaussian(*np.concatenate([clip.posterior_at(s + offset) for clip, s in judged], axis=1))
        for offset in (0, round(gap * t), gap)
    )
    return latent_geometry(q0, q1, q2, np.full(q0.batch_shape, t, np.float32))


def latent_geometry(q0, q1, q2, t):
    """How far the posterior of the true frame is from the chord.

    Args:
        q0, q1, q2: posteriors of the first, the true and the second frames, batch [N].
        t: [N], where the true frames lie.

    Returns:
        {"chord_deviation": see `interpolation.chord_deviation`, "kl_READING": KL( q1 || (1-t) q0 +
        t q2 ) in nats by each of `matching.MATCHINGS`}, each [N]. That of the mixture is estimated
        from 64 draws.
    """
    divergences = {
        f"kl_{name}": matching(q0, q1, q2, t, samples=_MIXTURE_SAMPLES, seed=[0, 0]).numpy()
        for name, matching in MATCHINGS.items()
    }
    chord_deviation = interpolation.chord_deviation(q0.mean(), q1.mean(), q2.mean(), q1.stddev(), t)
    return {"chord_deviation": chord_deviation.numpy(), **divergences}


def _mean_geometry(parts):
    return {key: float(np.mean(np.concatenate([part[key] for part in parts]))) for key in parts[0]}


def _joined(parts, key):
    return np.concatenate([part[key] for part in parts])


def _averages(parts, units_per_frame, unit, medians):
    row = {
        key: float((np.median if key in medians else np.mean)(_joined(parts, key)))
        for key in parts[0]
    }
    if unit == "°":
        row["timing_error_degrees"] = row["timing_error"] * units_per_frame
    return row


def path(method, clip, gap, kind=KINDS["pictures"]):
    """ACAI's measures of paths of 16 points over `gap` frames, averaged over 16 starts.

    `method`: what draws them, one of `MODEL_METHODS` of a model. `kind`: as in `inbetween`.
    """
    frames = to_float(clip.frames).numpy()
    starts = next(iter(spread([clip], gap, PATH_POINTS).values()))
    ends = np.stack([starts, (starts + gap) % len(frames)]).repeat(PATH_POINTS, axis=1)
    t = np.tile(np.linspace(0, 1, PATH_POINTS), len(starts))
    paths = np.split(method(frames[ends[0]], frames[ends[1]], t), len(starts))
    times = [kind.nearest_times(drawn, frames) for drawn in paths]
    unevenness = [metrics.smoothness(each, len(frames), clip.cyclic) for each in times]
    return {
        "mean_distance": kind.mean_distance(np.concatenate(paths), frames),
        "smoothness": float(np.mean(unevenness)),
    }
