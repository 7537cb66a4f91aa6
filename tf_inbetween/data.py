"""From clips to batches of frames with an index of the triplets among them.

A batch holds `frames_per_clip` evenly spaced frames of each of `clips_per_batch` clips, every frame
once, and names many triplets first < middle < second among the frames of one clip:

    "frames"    [N, H, W, C] uint8
    "triplets"  [T, 3] int32, indices of frames
    "t"         [T] float32, where the middle frame lies: (middle - first) / (second - first)

Batch number i depends only on the seed, i and the cache (clips in memory and streamed clips come in
different orders), so a resumed run sees the same batches.
"""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_inbetween.config import InputError
from tf_inbetween.kinds import KINDS

_MIN_FRAMES = 3
_SHUFFLE_BUFFER = 256  # clips, still PNG-encoded
_LOOKED_AT = 16  # streamed clips that are checked before the training starts


def batches(clips, split, config, start_step=0, widen_gaps=True, replicas=1, own=range(1)):
    """Endless batches of a split.

    If `replicas` share every batch, each gets whole clips of it as a smaller batch, whose triplets
    index its own frames from 0.

    Args:
        clips: a `clips.StoredClips` or `clips.ClipsInMemory`.
        split: one of its splits.
        config: a `Config`; its batch, gap, t, cache and seed fields count.
        start_step: the number of the first batch.
        widen_gaps: whether the largest gap grows over `gap_warmup_steps`.
        replicas: how many share a batch; divides `clips_per_batch`.
        own: the replicas to make batches for, in turn, a range within 0 to `replicas` - 1.

    Returns:
        A `tf.data.Dataset` of the dicts that this module describes, `len(own)` for every step.

    Raises:
        InputError: if a clip is too short, has no triplet with a gap in the range, or its file is
            damaged. Only the first few streamed clips are checked; a later one that does not fit
            raises `tf.errors.InvalidArgumentError` when it is read, and a damaged file
            `tf.errors.DataLossError`, which `clips.report_corruption` explains.
    """
    per_batch = config.clips_per_batch
    per_replica = per_batch // replicas
    with clips.report_corruption(split):
        source = _in_memory if clips.fit_in_memory(split, config) else _streamed

    def is_own(draw, *_):
        replica = draw % per_batch // per_replica
        return tf.logical_and(replica >= own.start, replica < own.stop)

    with clips.report_corruption(split):
        draws = source(
            clips,
            split,
            config,
            start_draw=start_step * per_batch,
            keep=is_own if len(own) < replicas else None,
        )

    def sample(draw, clip):
        step = draw // per_batch if widen_gaps else tf.constant(2**40, tf.int64)
        seed = tf.stack([tf.constant(config.seed, tf.int64), draw])
        index, triplets, t = sample_triplets(
            seed,
            tf.cast(step, tf.float32),
            clip["length"],
            clip["cyclic"],
            clip["units_per_frame"],
            config,
        )
        return {"frames": clip["frames_at"](index), "triplets": triplets, "t": t}

    frame_shape = KINDS[clips.kind].frame_shape(config)

    def flatten(batch):
        # Triplets go round the clips in turn, so that the first D of them are of all clips.
        first_frame = tf.range(per_replica)[:, tf.newaxis, tf.newaxis] * config.frames_per_clip
        by_turns = tf.transpose(batch["triplets"] + first_frame, [1, 0, 2])
        return {
            "frames": tf.reshape(batch["frames"], [-1, *frame_shape]),
            "triplets": tf.reshape(by_turns, [-1, 3]),
            "t": tf.reshape(tf.transpose(batch["t"]), [-1]),
        }

    return draws(sample).batch(per_replica, drop_remainder=True).map(flatten).prefetch(2)


def sample_triplets(seed, step, length, cyclic, units_per_frame, config):
    """Draws the frames of one clip and the triplets among them, from a stateless seed.

    The frames lie at an even stride. A closed clip whose length is a multiple of their number is
    covered all the way round, and its triplets cross its end; otherwise the stride is drawn from
    those with gaps in the range. For t = 1/2 the middle frame is exactly in the middle.

    Args:
        seed: [2] int64; the same seed draws the same.
        step: scalar float32, for the gap schedule.
        length: scalar int, frames in the clip, at least `config.frames_per_clip`.
        cyclic: scalar bool.
        units_per_frame: scalar float32, units per frame.
        config: a `Config`.

    Returns:
        Frame indices [F] int64; triplets [T, 3] int32, indices into the former; t [T] float32.
    """
    slots, count = config.frames_per_clip, config.triplets_per_clip
    u = tf.random.stateless_uniform([3, count], seed)
    second_seed = seed + tf.constant([1 << 32, 0], tf.int64)
    u_stride, u_start = tf.unstack(tf.random.stateless_uniform([2], second_seed))

    length = tf.cast(length, tf.int64)
    strides, low, high, all_round = gaps_of_strides(length, cyclic, units_per_frame, config)
    tf.debugging.assert_positive(
        tf.size(strides), f"a clip has no {slots} frames with gaps in the range"
    )
    chosen = _uniform_int(u_stride, tf.size(strides))
    stride, low, high = strides[chosen], low[chosen], high[chosen]
    if config.gap_warmup_steps:
        scheduled = config.min_gap + (config.max_gap - config.min_gap) * tf.minimum(
            step / config.gap_warmup_steps, 1.0
        )
        widened = _whole_gap(
            tf.floor(scheduled / (tf.cast(stride, tf.float32) * units_per_frame)), config, 0
        )
        high = tf.clip_by_value(widened, low, high)

    if config.t_sampling == "midpoint":
        half = low // 2 + _uniform_int(u[0], (high - low) // 2 + 1)
        gap, to_middle = 2 * half, half
    else:
        gap = low + _uniform_int(u[0], high - low + 1)
        to_middle = 1 + _uniform_int(u[1], gap - 1)
    first = _uniform_int(u[2], tf.where(all_round, tf.constant(slots, tf.int64), slots - gap))
    triplets = tf.stack([first, first + to_middle, first + gap], axis=1) % slots
    start = _uniform_int(u_start, tf.where(cyclic, length, length - (slots - 1) * stride))
    index = (start + tf.range(slots, dtype=tf.int64) * stride) % length
    t = tf.cast(to_middle, tf.float32) / tf.cast(gap, tf.float32)
    return index, tf.cast(triplets, tf.int32), t


def gaps_of_strides(length, cyclic, units_per_frame, config):
    """The strides through a clip that have gaps in the range, with their gaps.

    Args:
        length, cyclic, units_per_frame, config: as for `sample_triplets`.

    Returns:
        Strides in frames [S] int64; their smallest and largest gap in strides, each [S] int64 (even
        where t is 1/2); and whether the one stride goes all round a closed clip, scalar bool.
    """
    slots = config.frames_per_clip
    length = tf.cast(length, tf.int64)
    all_round = tf.logical_and(cyclic, length % slots == 0)
    widest = (length - 1) // (slots - 1)
    strides = tf.range(
        tf.where(all_round, length // slots, 1), tf.where(all_round, length // slots, widest) + 1
    )
    unit = tf.cast(strides, tf.float32) * units_per_frame
    low = _whole_gap(tf.maximum(tf.math.ceil(config.min_gap / unit - 1e-4), 2), config, 1)
    high = _whole_gap(tf.floor(config.max_gap / unit + 1e-4), config, 0)
    high = tf.minimum(high, (slots - 1) // 2 * 2 if config.t_sampling == "midpoint" else slots - 1)
    fit = low <= high
    return *(tf.boolean_mask(values, fit) for values in (strides, low, high)), all_round


def _whole_gap(gap, config, up):
    """A gap in strides as an integer; for t = 1/2 the next even one, up or down."""
    gap = tf.cast(gap, tf.int64)
    return gap + (gap % 2) * (1 if up else -1) if config.t_sampling == "midpoint" else gap


def _uniform_int(u, n):
    """u in [0, 1) -> an integer in [0, n)."""
    n = tf.cast(n, tf.int64)
    return tf.minimum(tf.cast(u * tf.cast(n, tf.float32), tf.int64), n - 1)


def _in_memory(source, split, config, start_draw, keep):
    """Draws from decoded clips, in a new order each epoch.

    `keep`, if not None, is asked of the number of every draw.
    """
    clips = source.load(split)
    for clip in clips:
        _check(clip.name, len(clip.frames), clip.cyclic, clip.units_per_frame, config)
    count = len(clips)
    lengths = np.array([len(clip.frames) for clip in clips])
    table = {
        "offset": tf.constant(np.cumsum(lengths) - lengths),
        "length": tf.constant(lengths),
        "cyclic": tf.constant([clip.cyclic for clip in clips]),
        "units_per_frame": tf.constant([clip.units_per_frame for clip in clips], tf.float32),
    }
    frames = tf.constant(np.concatenate([clip.frames for clip in clips]))
    del clips  # The frames are held once.

    def clip_of(draw):
        epoch, place = draw // count, draw % count
        seed = tf.stack([tf.constant(config.seed, tf.int64), epoch])
        row = tf.random.experimental.index_shuffle(place, seed, count - 1)
        clip = {name: column[row] for name, column in table.items()}
        return {**clip, "frames_at": lambda index: tf.gather(frames, clip["offset"] + index)}

    counter = tf.data.Dataset.counter(start_draw)
    counter = counter.filter(keep) if keep else counter
    return lambda sample: counter.map(
        lambda draw: sample(draw, clip_of(draw)), num_parallel_calls=tf.data.AUTOTUNE
    )


def _streamed(clips, split, config, start_draw, keep):
    """Draws from clips read from disk, of which only the frames in use are decoded.

    `keep`, if not None, selects draws by their number. Clips of other draws are read too, so that
    the order does not depend on the worker.
    """
    examples = clips.encoded(split)
    for example in tfds.as_numpy(examples.take(_LOOKED_AT)):
        units_per_frame = float(example["units_per_frame"]) or 1.0
        name, cyclic = example["clip"].decode(), bool(example["cyclic"])
        _check(name, len(example["frames"]), cyclic, units_per_frame, config)
    examples = examples.shuffle(_SHUFFLE_BUFFER, seed=config.seed).repeat().skip(start_draw)

    def clip_of(example):
        return {
            "length": tf.shape(example["frames"], tf.int64)[0],
            "cyclic": example["cyclic"],
            "units_per_frame": tf.where(
                example["units_per_frame"] == 0, 1.0, example["units_per_frame"]
            ),
            "frames_at": lambda index: clips.decode(tf.gather(example["frames"], index)),
        }

    numbered = tf.data.Dataset.zip(tf.data.Dataset.counter(start_draw), examples)
    numbered = numbered.filter(keep) if keep else numbered
    return lambda sample: numbered.map(
        lambda draw, example: sample(draw, clip_of(example)), num_parallel_calls=tf.data.AUTOTUNE
    )


def _check(name, frames, cyclic, units_per_frame, config):
    slots = config.frames_per_clip
    if frames < _MIN_FRAMES:
        raise InputError(f"clip {name!r} has {frames} frames: a triplet needs at least 3")
    if frames < slots:
        raise InputError(
            f"clip {name!r} has {frames} frames: --frames_per_clip={slots} is too many"
        )
    strides, *_, all_round = gaps_of_strides(frames, cyclic, units_per_frame, config)
    if not len(strides):
        finest = frames // slots if all_round else 1
        widest = finest if all_round else (frames - 1) // (slots - 1)
        raise InputError(
            f"clip {name!r}: {slots} of its {frames} frames have gaps of "
            f"{2 * finest * units_per_frame:g} to {(slots - 1) * widest * units_per_frame:g}, and "
            f"none that --min_gap={config.min_gap:g}, "
            f"--max_gap={config.max_gap:g} and --t_sampling={config.t_sampling} allow"
        )
