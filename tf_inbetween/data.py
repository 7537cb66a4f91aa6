"""From clips to batches of frames with an index of the triplets among them.

A batch holds `frames_per_clip` evenly spaced frames of each of `clips_per_batch` clips, every frame
once, and names many triplets first < middle < second among the frames of one clip:

    "frames"    [N, H, W, C] uint8
    "triplets"  [T, 3] int32, indices of frames
    "t"         [T] float32, where the middle frame lies: (middle - first) / (second - first)

What batch number i holds follows from the seed and i alone, so a resumed run sees the batches that
it would have seen.
"""

import dataclasses

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from data_gen.builder import build
from tf_inbetween.config import InputError

_MIN_FRAMES = 3
_SHUFFLE_BUFFER = 256  # clips, still PNG-encoded


@dataclasses.dataclass(frozen=True)
class Clip:
    """A sequence of frames at an even pace along one motion.

    Attributes:
        name: the clip's own.
        frames: [K, H, W, C] uint8.
        pose: [K, P] float32, the scene's degrees of freedom.
        closed: whether the last frame leads back to the first.
        pace: what one frame is worth in the scene's unit (degrees); 1 where it has none.
    """

    name: str
    frames: np.ndarray
    pose: np.ndarray
    closed: bool
    pace: float


def prepare(config, data_dir=""):
    """The TFDS builder of the clips that `config` names, its data built first if need be.

    `data_dir`, if not empty, takes the place of the config's. Raises `InputError` for an unknown
    scene.
    """
    try:
        return build(
            config.scene, config.image_size, config.channels, data_dir or config.data_dir or None
        )
    except ValueError as error:
        raise InputError(str(error)) from error


def load_clips(builder, split):
    """All clips of a split, decoded: a list of `Clip`. Raises `InputError` for an unknown split."""
    if split not in builder.info.splits:
        raise InputError(
            f"unknown split {split!r}: must be one of {', '.join(builder.info.splits)}"
        )
    examples = tfds.as_numpy(builder.as_dataset(split=split))
    return [
        Clip(
            name=example["clip"].decode(),
            frames=example["frames"],
            pose=example["pose"],
            closed=bool(example["closed"]),
            pace=float(example["pace"]) or 1.0,
        )
        for example in examples
    ]


def batches(builder, split, config, start_step=0, widen_gaps=True):
    """Endless batches of a split.

    Args:
        builder: from `prepare`.
        split: of the builder.
        config: a `Config`; its batch, gap, t, storage and seed fields count.
        start_step: the number of the first batch.
        widen_gaps: whether the largest gap grows over `gap_warmup_steps`.

    Returns:
        A `tf.data.Dataset` of the dicts that this module describes.

    Raises:
        InputError: where a clip is too short, or no triplet has a gap in the range. (For streamed
            clips that shows when they are read, as `tf.errors.InvalidArgumentError`.)
    """
    per_batch = config.clips_per_batch
    source = _in_memory if _fits_in_memory(builder, split, config) else _streamed
    draws = source(builder, split, config, start_draw=start_step * per_batch)

    def sample(draw, clip):
        step = draw // per_batch if widen_gaps else tf.constant(2**40, tf.int64)
        seed = tf.stack([tf.constant(config.seed, tf.int64), draw])
        index, triplets, t = sample_triplets(
            seed, tf.cast(step, tf.float32), clip["length"], clip["closed"], clip["pace"], config
        )
        return {"frames": clip["frames_at"](index), "triplets": triplets, "t": t}

    def flatten(batch):
        # Triplets go round the clips in turn, so that the first D of them are of all clips.
        first_frame = tf.range(per_batch)[:, tf.newaxis, tf.newaxis] * config.frames_per_clip
        by_turns = tf.transpose(batch["triplets"] + first_frame, [1, 0, 2])
        return {
            "frames": tf.reshape(batch["frames"], [-1, *frame_shape(config)]),
            "triplets": tf.reshape(by_turns, [-1, 3]),
            "t": tf.reshape(tf.transpose(batch["t"]), [-1]),
        }

    return draws(sample).batch(per_batch, drop_remainder=True).map(flatten).prefetch(2)


def frame_shape(config):
    """[H, W, C] of the frames that `config` asks for."""
    return (config.image_size, config.image_size, config.channels)


def sample_triplets(seed, step, length, closed, pace, config):
    """Draws the frames of one clip and the triplets among them, from a stateless seed.

    Args:
        seed: [2] integers; the same seed draws the same.
        step: scalar float, for the gap schedule.
        length: scalar int, frames in the clip, at least `config.frames_per_clip`.
        closed: scalar bool. Triplets of a closed clip go round its end.
        pace: scalar float, units per frame.
        config: a `Config`.

    Returns:
        Frame indices [F] int64; triplets [T, 3] int32, indices into the former; t [T] float32.
    """
    slots, count = config.frames_per_clip, config.triplets_per_clip
    length = tf.cast(length, tf.int64)
    slot = tf.range(slots, dtype=tf.int64)
    u = tf.random.stateless_uniform([3, count], seed)
    second_seed = seed + tf.constant([1 << 32, 0], tf.int64)
    u_stride, u_start = tf.unstack(tf.random.stateless_uniform([2], second_seed))

    # A closed clip is covered all round; an open one at any stride that leaves gaps in the range.
    strides = _strides(length, pace, config)
    stride = strides[0] + _uniform_int(u_stride, strides[1] - strides[0] + 1)
    offsets = tf.where(closed, slot * length // slots, slot * stride)
    start = _uniform_int(u_start, tf.where(closed, length, length - offsets[-1]))
    frames_per_slot = tf.where(
        closed, tf.cast(length, tf.float32) / slots, tf.cast(stride, tf.float32)
    )
    low, high = _gap_in_slots(frames_per_slot * pace, step, config)
    if config.t == "half":
        half = (low + 1) // 2 + _uniform_int(u[0], high // 2 - (low + 1) // 2 + 1)
        gap, to_middle = 2 * half, half
    else:
        gap = low + _uniform_int(u[0], high - low + 1)
        to_middle = 1 + _uniform_int(u[1], gap - 1)
    first = _uniform_int(u[2], tf.where(closed, tf.constant(slots, tf.int64), slots - gap))
    triplets = tf.stack([first, first + to_middle, first + gap], axis=1) % slots
    position = tf.gather(offsets, triplets)
    ahead = (position - position[:, :1]) % length
    t = tf.cast(ahead[:, 1], tf.float32) / tf.cast(ahead[:, 2], tf.float32)
    return (start + offsets) % length, tf.cast(triplets, tf.int32), t


def _strides(length, pace, config):
    """The smallest and the largest stride through an open clip with gaps that `config` allows."""
    slots = config.frames_per_clip
    widest = (length - 1) // (slots - 1)
    largest = tf.cast(tf.floor(float(config.max_gap) / (2 * pace) + 1e-4), tf.int64)
    smallest = tf.cast(tf.math.ceil(float(config.min_gap) / ((slots - 1) * pace) - 1e-4), tf.int64)
    largest = tf.clip_by_value(largest, 1, widest)
    return tf.clip_by_value(smallest, 1, largest), largest


def _gap_in_slots(unit_per_slot, step, config):
    """The smallest and the largest gap, in slots of the batch, that `step` allows."""
    smallest, largest = float(config.min_gap), tf.constant(float(config.max_gap))
    if config.gap_warmup_steps:
        progress = tf.minimum(step / config.gap_warmup_steps, 1.0)
        largest = smallest + (largest - smallest) * progress
    low = tf.maximum(tf.cast(tf.math.ceil(smallest / unit_per_slot - 1e-4), tf.int64), 2)
    high = tf.cast(tf.floor(largest / unit_per_slot + 1e-4), tf.int64)
    # An even gap has a frame in its middle, whatever the schedule says at the start.
    return low, tf.clip_by_value(high, low + low % 2, config.frames_per_clip - 1)


def _uniform_int(u, n):
    """u in [0, 1) -> an integer in [0, n)."""
    n = tf.cast(n, tf.int64)
    return tf.minimum(tf.cast(u * tf.cast(n, tf.float32), tf.int64), n - 1)


def _fits_in_memory(builder, split, config):
    if config.storage != "auto":
        return config.storage == "memory"
    clips = builder.info.splits[split].num_examples
    first = next(iter(builder.as_dataset(split=f"{split}[:1]", decoders=_ENCODED)))
    frames = clips * first["frames"].shape[0]
    return frames * np.prod(frame_shape(config)) <= config.memory_limit_mb * 2**20


_ENCODED = {"frames": tfds.decode.SkipDecoding()}


def _in_memory(builder, split, config, start_draw):
    """Draws from decoded clips; each epoch goes through them in a new order."""
    clips = load_clips(builder, split)
    for clip in clips:
        _check(clip, config)
    lengths = np.array([len(clip.frames) for clip in clips])
    table = {
        "offset": tf.constant(np.cumsum(lengths) - lengths),
        "length": tf.constant(lengths),
        "closed": tf.constant([clip.closed for clip in clips]),
        "pace": tf.constant([clip.pace for clip in clips], tf.float32),
    }
    frames = tf.constant(np.concatenate([clip.frames for clip in clips]))

    def clip_of(draw):
        epoch, place = draw // len(clips), draw % len(clips)
        seed = tf.stack([tf.constant(config.seed, tf.int64), epoch])
        row = tf.random.experimental.index_shuffle(place, seed, len(clips) - 1)
        clip = {name: column[row] for name, column in table.items()}
        return {**clip, "frames_at": lambda index: tf.gather(frames, clip["offset"] + index)}

    counter = tf.data.Dataset.counter(start_draw)
    return lambda sample: counter.map(
        lambda draw: sample(draw, clip_of(draw)), num_parallel_calls=tf.data.AUTOTUNE
    )


def _streamed(builder, split, config, start_draw):
    """Draws from clips read from disk, of which only the frames in use are decoded."""
    examples = builder.as_dataset(split=split, decoders=_ENCODED, shuffle_files=False)
    examples = examples.shuffle(_SHUFFLE_BUFFER, seed=config.seed).repeat().skip(start_draw)

    def clip_of(example):
        length = tf.shape(example["frames"], tf.int64)[0]
        with tf.control_dependencies(
            [
                tf.debugging.assert_greater_equal(
                    length,
                    tf.constant(config.frames_per_clip, tf.int64),
                    f"a clip has fewer frames than --frames_per_clip={config.frames_per_clip}",
                )
            ]
        ):
            length = tf.identity(length)
        return {
            "length": length,
            "closed": example["closed"],
            "pace": tf.where(example["pace"] == 0, 1.0, example["pace"]),
            "frames_at": lambda index: tf.map_fn(
                lambda png: tf.io.decode_png(png, channels=config.channels),
                tf.gather(example["frames"], index),
                fn_output_signature=tf.TensorSpec(frame_shape(config), tf.uint8),
            ),
        }

    numbered = tf.data.Dataset.zip(tf.data.Dataset.counter(start_draw), examples)
    return lambda sample: numbered.map(
        lambda draw, example: sample(draw, clip_of(example)), num_parallel_calls=tf.data.AUTOTUNE
    )


def _check(clip, config):
    frames = len(clip.frames)
    if frames < _MIN_FRAMES:
        raise InputError(
            f"clip {clip.name!r} has {frames} frames: a triplet needs at least {_MIN_FRAMES}"
        )
    slots = config.frames_per_clip
    if frames < slots:
        raise InputError(
            f"clip {clip.name!r} has {frames} frames: --frames_per_clip={slots} is too many"
        )
    if clip.closed:
        finest = widest = clip.pace * frames / slots
    else:
        finest, widest = clip.pace, clip.pace * ((frames - 1) // (slots - 1))
    smallest, largest = 2 * finest, (slots - 1) * widest
    if config.max_gap < smallest - 1e-4 or config.min_gap > largest + 1e-4:
        raise InputError(
            f"clip {clip.name!r}: {slots} of its {frames} frames have gaps of {smallest:g} to "
            f"{largest:g}; --min_gap={config.min_gap:g} and --max_gap={config.max_gap:g} leave none"
        )
