"""Clips for training and evaluation: stored on disk by `data_gen`, or given as arrays.

Both kinds have splits of `Clip`s and the same methods:

    load(split)             all its clips, decoded
    read(split, numbers)    some of them, one after another
    clip_infos(split)       what is known of each without its frames
"""

import contextlib
import dataclasses
import itertools
import re
import zlib

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from data_gen import imported, scenes
from data_gen.builder import build
from tf_inbetween.config import InputError, checked_floats
from tf_inbetween.kinds import KINDS

_ENCODED = {"frames": tfds.decode.SkipDecoding()}
_WITHOUT_FRAMES = tfds.decode.PartialDecoding(
    {"pose": True, "cyclic": True, "units_per_frame": True}
)


@dataclasses.dataclass(frozen=True)
class Clip:
    """A sequence of frames at an even pace along one motion.

    Attributes:
        name: the clip's own.
        frames: [K, H, W, C] uint8.
        pose: [K, P] float32, the scene's degrees of freedom.
        cyclic: whether the last frame leads back to the first.
        units_per_frame: the scene's units (degrees) per frame; 1 if it has none.
    """

    name: str
    frames: np.ndarray
    pose: np.ndarray
    cyclic: bool
    units_per_frame: float

    @property
    def length(self):
        """How many frames there are: K."""
        return len(self.frames)


@dataclasses.dataclass(frozen=True, slots=True)
class ClipInfo:
    """A `Clip` without its frames, but with `length`, their number."""

    length: int
    cyclic: bool
    units_per_frame: float


def prepare(config, data_dir=""):
    """The `StoredClips` that `config` names; scenes are rendered if needed.

    `data_dir`, if not empty, takes the place of the config's. Raises `InputError` for an unknown
    scene.
    """
    find = build if scenes.is_variant(config.scene) else imported.open_clips
    try:
        builder = find(
            config.scene, config.image_size, config.channels, data_dir or config.data_dir or None
        )
    except (ValueError, RuntimeError) as error:
        raise InputError(str(error)) from error
    return StoredClips(builder)


def kind_of(config, data_dir=""):
    """The kind of the frames of the clips that `config` names, a row of `kinds.KINDS`.

    Nothing is built. Arguments and errors as of `prepare`.
    """
    try:
        if scenes.is_variant(config.scene):
            return scenes.get(config.scene).kind
        return imported.kind_of(config.scene, data_dir or config.data_dir or None)
    except ValueError as error:
        raise InputError(str(error)) from error


class StoredClips:
    """The clips of a TFDS builder.

    Attributes:
        builder: the `tfds.core.DatasetBuilder`.
        splits: how many clips each has, {name: count}.
        gaps: the gaps to judge, in the scene's unit.
        gap_unit: of gaps: "°", or "" for frames.
        pose_names: of the degrees of freedom.
        kind: of the frames, a row of `kinds.KINDS`.
    """

    def __init__(self, builder):
        self.builder = builder
        self.splits = {name: split.num_examples for name, split in builder.info.splits.items()}
        metadata = builder.info.metadata or {}
        self.gaps, self.gap_unit = metadata.get("gaps"), metadata.get("gap_unit")
        self.pose_names = metadata.get("pose_names")
        self.kind = metadata.get("kind", "pictures")

    def load(self, split):
        """All clips of a split, decoded: a list of `Clip`.

        Raises `InputError` for an unknown split, or one whose files are damaged.
        """
        with self.report_corruption(split):
            return [_clip(example) for example in tfds.as_numpy(self._examples(split))]

    def read(self, split, numbers):
        """Some clips of a split, each read and decoded on demand.

        Args:
            split: one of `splits`.
            numbers: which clips, ascending, counted from 0 in the order of `load`.

        Returns:
            An iterator over as many `Clip`s, which raises as `load` where the data are damaged.

        Raises:
            InputError: for a split that is not there.
        """
        examples = (
            self._examples(split, _ENCODED)
            .enumerate()
            .filter(lambda number, _: tf.reduce_any(number == tf.constant(numbers, tf.int64)))
            .map(lambda _, example: {**example, "frames": self.decode(example["frames"])})
            .take(len(numbers))
        )
        return self._read(split, examples)

    def _read(self, split, examples):
        with self.report_corruption(split):
            yield from map(_clip, tfds.as_numpy(examples))

    def clip_infos(self, split):
        """The `ClipInfo` of every clip of a split, in the order of `load`; no frame is decoded.

        Raises as `load`.
        """
        with self.report_corruption(split):
            return [
                ClipInfo(
                    length=len(example["pose"]),
                    cyclic=bool(example["cyclic"]),
                    units_per_frame=float(example["units_per_frame"]) or 1.0,
                )
                for example in tfds.as_numpy(self._examples(split, _WITHOUT_FRAMES))
            ]

    def fit_in_memory(self, split, config):
        """Whether `config` asks for a split's clips to be decoded into memory."""
        if config.cache != "auto":
            return config.cache == "memory"
        first = next(iter(self.builder.as_dataset(split=f"{split}[:1]", decoders=_ENCODED)))
        frames = self.splits[split] * first["frames"].shape[0]
        return (
            frames * np.prod(KINDS[self.kind].frame_shape(config)) <= config.memory_limit_mb * 2**20
        )

    def encoded(self, split):
        """A dataset of a split's examples, their frames still PNG files."""
        return self.builder.as_dataset(split=split, decoders=_ENCODED, shuffle_files=False)

    def decode(self, pngs):
        """PNG files [K] to frames uint8 [K, H, W, C]."""
        shape = self.builder.info.features["frames"].shape[1:]
        return tf.map_fn(
            lambda png: tf.io.decode_png(png, channels=shape[-1]),
            pngs,
            fn_output_signature=tf.TensorSpec(shape, tf.uint8),
        )

    @contextlib.contextmanager
    def report_corruption(self, *splits):
        """Turns a failed read of some splits into an `InputError` that names the damaged file.

        TensorFlow detects the damage (every record has a CRC32C, and TFDS counts the records) but
        does not name the file.
        """
        try:
            yield
        except tf.errors.OpError as error:
            damage = next(filter(None, map(self._damage, splits)), None)
            if damage is None:
                raise
            raise InputError(damage) from error

    def _damage(self, split):
        """Which file of a split is damaged, and how, in one line; None if all can be read."""
        info = self.builder.info.splits[split]
        for path, written in zip(info.filepaths, info.shard_lengths, strict=True):
            try:
                count = sum(1 for _ in tf.data.TFRecordDataset(str(path)))
            except tf.errors.OpError as error:
                reason = " ".join(re.sub(r"\{\{.*?\}\}|\[Op:.*", "", error.message).split())
            else:
                reason = f"holds {count} clips, {written} were written" if count != written else ""
            if reason:
                return (
                    f"{path}: {reason}; the data set is damaged: remove {self.builder.data_dir} "
                    "and build or import it again"
                )
        return None

    def _examples(self, split, decoders=None):
        """The examples of a split in the order of the files, not cached by TFDS."""
        _check_split(split, self.splits)
        return self.builder.as_dataset(
            split=split, decoders=decoders, read_config=tfds.ReadConfig(try_autocache=False)
        )


class ClipsInMemory:
    """Clips given as arrays.

    The attributes are those of `StoredClips`, and `name`, which follows from all frames.

    Args:
        clips: arrays [K, H, W, C], uint8 in 0..255 or floats in [0, 1], all of one H, W, C, each
            the frames of one motion at an even pace.
        validation: like `clips`, for choosing the best weights. None: every tenth of `clips`; if
            there are fewer than ten, all of them, which are trained on too.
        cyclic: whether the last frame of each clip leads back to its first.

    Raises:
        InputError: for clips of other ranks, types, sizes or ranges, or too few of them; the
            message names the clip and what would be right.
    """

    gap_unit = ""
    pose_names = ("time",)
    kind = "pictures"

    def __init__(self, clips, validation=None, cyclic=False):
        clips = _checked("clips", clips)
        if validation is not None:
            held_out = _checked("validation", validation, like=clips[0])
        elif len(clips) >= 10:
            clips, held_out = [c for i, c in enumerate(clips) if i % 10 != 9], clips[9::10]
        else:
            held_out = clips
        self._clips = {
            "train": [_clip_of(i, frames, cyclic) for i, frames in enumerate(clips)],
            "validation": [_clip_of(i, frames, cyclic) for i, frames in enumerate(held_out)],
        }
        self.splits = {name: len(clips) for name, clips in self._clips.items()}
        self.name = f"arrays_{_checksum(self._clips):08x}"
        longest = max(clip.length for clip in self._clips["validation"]) - 1
        self.gaps = sorted({float(max(longest // part // 2 * 2, 2)) for part in (4, 2, 1)})

    @property
    def frame_shape(self):
        """(H, W, C) of all frames."""
        return self._clips["train"][0].frames.shape[1:]

    def load(self, split):
        """As `StoredClips.load`."""
        _check_split(split, self.splits)
        return self._clips[split]

    def read(self, split, numbers):
        """As `StoredClips.read`."""
        return iter([self.load(split)[number] for number in numbers])

    def clip_infos(self, split):
        """As `StoredClips.clip_infos`."""
        return [
            ClipInfo(clip.length, clip.cyclic, clip.units_per_frame) for clip in self.load(split)
        ]

    def fit_in_memory(self, split, config):
        """Always true."""
        del split, config
        return True

    def report_corruption(self, *splits):
        """Does nothing: there are no files."""
        del splits
        return contextlib.nullcontext()


def _clip(example):
    return Clip(
        name=example["clip"].decode(),
        frames=example["frames"],
        pose=example["pose"],
        cyclic=bool(example["cyclic"]),
        units_per_frame=float(example["units_per_frame"]) or 1.0,
    )


def _checksum(clips):
    """Of the frames, their shapes and whether they are cyclic, 32 bits."""
    checksum = 0
    for clip in itertools.chain.from_iterable(clips.values()):
        checksum = zlib.crc32(repr((clip.frames.shape, clip.cyclic)).encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(clip.frames), checksum)
    return checksum


def _check_split(split, splits):
    if split not in splits:
        raise InputError(f"unknown split {split!r}: must be one of {', '.join(splits)}")


def _clip_of(number, frames, cyclic):
    """A `Clip` of frames alone: its pose is the time."""
    return Clip(str(number), frames, np.arange(len(frames), dtype=np.float32)[:, None], cyclic, 1.0)


def _checked(name, clips, like=None):
    """Clips as a list of uint8 arrays [K, H, W, C], H, W, C the same for all and for `like`."""
    if isinstance(clips, np.ndarray) and clips.ndim == 4:
        raise InputError(
            f"{name}: one array of shape {clips.shape}; give a list of clips, each [K, H, W, C]"
        )
    arrays = [_as_uint8(f"{name}[{i}]", clip) for i, clip in enumerate(clips)]
    if not arrays:
        raise InputError(f"{name}: is empty; give at least one clip, [K, H, W, C]")
    shape = (arrays[0] if like is None else like).shape[1:]
    for i, frames in enumerate(arrays):
        if frames.shape[1:] != shape:
            raise InputError(
                f"{name}[{i}]: its frames are {frames.shape[1:]}, those before {shape}; all must "
                "have one size"
            )
    return arrays


def _as_uint8(name, clip):
    frames = np.asarray(clip)
    if frames.ndim != 4 or frames.shape[-1] not in (1, 3):
        raise InputError(f"{name}: has shape {frames.shape}; must be [K, H, W, C], C 3 or 1")
    if frames.dtype == np.uint8:
        return frames
    return np.rint(255 * checked_floats(name, frames)).astype(np.uint8)
