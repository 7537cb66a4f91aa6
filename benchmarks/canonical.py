"""What is measured of flags/study/teapot.flags: its settings, batches, and network at any size."""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from frame_io.sizes import Size
from tf_inbetween.clips import prepare
from tf_inbetween.config import Config
from tf_inbetween.data import batches

ROOT = Path(__file__).resolve().parent.parent

# Of the rivals and of what is compared with them step by step; it was tuned with Adam.
ADAM_LEARNING_RATE = 2e-3


def canonical_config(path=ROOT / "flags/study/teapot.flags", **overrides):
    """The `Config` of a flag file of this repository; `overrides` replace its fields."""
    return Config(**{**_read_flags(Path(path)), **overrides})


def batch_config(frames):
    """The settings with batches of so many frames, as many in-betweens and 8 times the triplets.

    The optimizer is Adam, as that of the rivals is.
    """
    return canonical_config(
        frames_per_clip=frames,
        inbetweens_per_clip=frames,
        triplets_per_clip=8 * frames,
        optimizer="adam",
        learning_rate=ADAM_LEARNING_RATE,
    )


def save_batches(path, config, count=8):
    """Writes the first batches of a training, and its clip, for rivals that read no TFDS.

    The file is an .npz: "frames" [count, N, H, W, C] uint8, "triplets" [count, T, 3] int32, "t"
    [count, T] float32, "clip" [K, H, W, C] uint8.
    """
    clips = prepare(config)
    drawn = list(batches(clips, "train", config).take(count).as_numpy_iterator())
    columns = {name: np.stack([batch[name] for batch in drawn]) for name in drawn[0]}
    np.savez(path, clip=clips.load("train")[0].frames, **columns)


def synthetic_batch(config, image_size):
    """A batch of noise of any image size: speed does not depend on what frames show.

    `image_size`: of a square, or (height, width).
    """
    rng = np.random.default_rng(0)
    frames = config.clips_per_batch * config.frames_per_clip
    triplets = config.clips_per_batch * config.triplets_per_clip
    height, width = Size.of(image_size)
    gap = 4
    first = np.arange(triplets) % (frames - gap)
    return {
        "frames": tf.constant(
            rng.integers(0, 256, (frames, height, width, config.channels), np.uint8)
        ),
        "triplets": tf.constant(np.stack([first, first + 1, first + gap], 1), tf.int32),
        "t": tf.fill([triplets], 0.25),
    }


def _read_flags(path):
    defaults = {field.name: field.default for field in dataclasses.fields(Config)}
    values = {}
    for line in path.read_text().splitlines():
        name, _, text = line.removeprefix("--").partition("=")
        if name == "flagfile":
            values |= _read_flags(ROOT / text)
        elif line.startswith("--"):
            values[name] = _parse(text, defaults[name])
    return values


def _parse(text, like):
    if isinstance(like, bool):
        return text.lower() in ("true", "1")
    if isinstance(like, tuple):
        return tuple(int(item) for item in text.split(","))
    return type(like)(text)
