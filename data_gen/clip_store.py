"""Stores clips from any source as a data set like a rendered scene's.

The data set is the config of a name of `inbetween_clips`, with the features that `data_gen.builder`
describes. It is written atomically; `data_gen.imported` opens it. Memory holds
one clip and a few for the contact sheet.
"""

import contextlib
import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from data_gen import scenes, tfds_hooks
from data_gen.builder import InbetweenClips
from data_gen.data_set_folder import features_of, locked, with_checksum
from data_gen.kinds import KINDS, check_channels
from data_gen.sheets import SHEETS
from frame_io.sizes import Size

VERSION = "1.0.0"
READER = "data_gen.imported"  # What dataset_info.json names as the module of an import.

_SHARD_BYTES = 2**28
_SHEET_ROWS, _SHEET_COLUMNS = 4, 8  # Of the contact sheet: clips of each split, frames of each.


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """The settings that all imports share.

    Attributes:
      name: of the data set; letters, digits, "_", "-" and ".".
      image_size: of a frame, as `frame_io.sizes.Size.of` takes it; sides of 16 to 4096 pixels. None
        for that of the first input, where there are inputs.
      channels: 3 for RGB, 1 for luminance.
      held_out: share of the clips for validation, and as many for the test; above 0, below 0.5.
      kind: of the frames, a row of `data_gen.kinds.KINDS`.

    Raises:
      ValueError: if one is out of range.
    """

    name: str
    image_size: Size | None = Size(64, 64)
    channels: int = 3
    held_out: float = 0.1
    kind: str = "pictures"

    def __post_init__(self):
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ValueError(f"--name={self.name}: only letters, digits, '_', '-' and '.'")
        if scenes.is_variant(self.name):
            raise ValueError(
                f"--name={self.name}: begins like a rendered scene's name; choose another"
            )
        if self.image_size is not None:
            self._check_size()
        check_channels(self.kind, self.channels)
        if not 0 < self.held_out < 0.5:
            raise ValueError(f"--held_out={self.held_out:g}: must be above 0 and below 0.5")

    def _check_size(self):
        try:
            object.__setattr__(self, "image_size", Size.of(self.image_size))
        except ValueError as error:
            raise ValueError(f"--image_size={error}") from error
        if not 16 <= min(self.image_size) <= max(self.image_size) <= 4096:
            raise ValueError(f"--image_size={self.image_size}: sides must be 16 to 4096 pixels")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
    """How the frames of all clips of a data set follow one another, see `data_gen.builder`.

    Attributes:
      pose_names: of the columns of the pose.
      gaps: to evaluate at, in gap units; multiples of 4 frames, so that a quarter is a whole frame.
      gap_unit: "" for frames.
      units_per_frame: gap units per frame; 0 where these are frames.
      cyclic: whether the last frame leads back to the first.
    """

    pose_names: tuple[str, ...]
    gaps: tuple[float, ...]
    gap_unit: str = ""
    units_per_frame: float = 0.0
    cyclic: bool = False


@dataclasses.dataclass(frozen=True)
class Imported:
    """The result of an import.

    Attributes:
      data_dir: the data set's folder.
      image_size: of its frames, a `Size`.
      clips: the number of clips of each split.
      frames_read: the frames that were chosen from the footage or the source.
      shots: the number of shots in the footage; 0 for public data sets, which know their clips.
      notes: how pictures were converted, with the number of pictures.
      frames: of each split; None where all clips are of one length.
      training_flags: what a training on them needs besides `fitting_settings`.
    """

    data_dir: Path
    image_size: Size
    clips: dict[str, int]
    frames_read: int
    shots: int
    notes: dict[str, int]
    frames: dict[str, int] | None = None
    training_flags: tuple[str, ...] = ()


def shares(units, held_out):
    """Returns how many of some units go to each split; under three all go to training."""
    held = max(round(held_out * units), 1) if units >= 3 else 0
    return units - 2 * held, held, held


def gaps(length):
    """Returns the gaps at which to evaluate clips of a length: 4, 8, 16, … frames, and the most.

    All are multiples of 4, so that a quarter of them is a whole frame.
    """
    largest = (length - 1) // 4 * 4
    doubled = itertools.takewhile(lambda gap: gap < largest, (4 * 2**i for i in itertools.count()))
    return [float(gap) for gap in (*doubled, largest)]


def folder_of(name, data_dir=None):
    """Returns the folder of the data set of a name, there or not."""
    return tfds_hooks.folder_of(InbetweenClips.name, name, VERSION, data_dir)


def free_folder(name, data_dir=None, overwrite=False):
    """Returns where a data set of a name goes.

    Raises:
      ValueError: if there is one already, unless it is to be replaced.
    """
    folder = folder_of(name, data_dir)
    if folder.exists() and not overwrite:
        raise ValueError(f"--name={name}: is taken ({folder}); --overwrite replaces it")
    return folder


def store(
    clips,
    settings,
    *,
    motion,
    metadata,
    description,
    too_few,
    citation="",
    data_dir=None,
    overwrite=False,
):
    """Writes clips as a data set, atomically.

    Args:
      clips: the split, a name, the frames uint8 [K, H, W, C] and the pose [K, P] of each; made one
        at a time, and not before the folder is this process's own.
      settings: name and size.
      motion: of all clips.
      metadata: what else decided the clips, for JSON.
      description, citation: for the data set's information.
      too_few: the error where splits stay empty; "{}" stands for their names.
      data_dir: where TFDS keeps its data sets; None for its default.
      overwrite: whether to replace a data set of that name.

    Returns:
      The data set's folder, and the number of clips of each split.

    Raises:
      ValueError: if the name is taken, or a split gets no clip. After any error nothing is left.
      OSError, tf.errors.OpError: if it cannot be written.
    """
    folder = free_folder(settings.name, data_dir, overwrite)
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(folder.parent))
        free_folder(settings.name, data_dir, overwrite)  # Another process may have been first.
        beside = stack.enter_context(tfds_hooks.incomplete_folder(folder, overwrite))
        info = _info(settings, motion, metadata, beside, description, citation)
        shards = {
            split: stack.enter_context(_Shards(beside, split, info)) for split in scenes.SPLITS
        }
        rows = {split: _Spread(_SHEET_ROWS) for split in scenes.SPLITS}
        for split, name, frames, pose in clips:
            shards[split].write(
                {
                    "clip": f"{split}_{shards[split].clips:06d}_{name}",
                    "frames": frames,
                    "pose": pose.astype(np.float32),
                    "cyclic": motion.cyclic,
                    "units_per_frame": motion.units_per_frame,
                }
            )
            rows[split].add(frames)
        empty = [split for split in scenes.SPLITS if not shards[split].clips]
        if empty:
            raise ValueError(too_few.format(", ".join(empty)))
        info.set_splits(tfds.core.SplitDict([shards[split].close() for split in scenes.SPLITS]))
        info.write_to_directory(beside)
        kept = [row for split in scenes.SPLITS for row in rows[split].kept]
        SHEETS[settings.kind](beside, kept, _SHEET_COLUMNS)
    return folder, {split: shards[split].clips for split in scenes.SPLITS}


def _info(settings, motion, metadata, folder, description, citation):
    return tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name=InbetweenClips.name,
            version=tfds.core.Version(VERSION),
            data_dir=str(folder),
            module_name=READER,
            config_name=settings.name,
            config_description=description,
        ),
        description=description,
        citation=citation,
        features=features_of(
            KINDS[settings.kind].shape(settings.image_size, settings.channels),
            len(motion.pose_names),
        ),
        metadata=with_checksum(
            scene=settings.name,
            pose_names=list(motion.pose_names),
            gap_unit=motion.gap_unit,
            gaps=list(motion.gaps),
            image_size=str(settings.image_size),
            channels=settings.channels,
            **metadata,
            held_out=settings.held_out,
            kind=settings.kind,
            generator_version=VERSION,
        ),
    )


class _Shards(contextlib.AbstractContextManager):
    """The files of one split, written in the order in which the clips come."""

    def __init__(self, folder, split, info):
        self.clips = 0
        self._split, self._info = split, info
        self._template = tfds.core.ShardedFileTemplate(
            data_dir=folder, dataset_name=info.name, split=split, filetype_suffix="tfrecord"
        )
        self._paths, self._lengths, self._sizes, self._writer = [], [], [], None

    def write(self, example):
        """Appends one example."""
        record = tfds_hooks.serialized(self._info, example)
        if self._writer is None or self._sizes[-1] + len(record) > _SHARD_BYTES:
            self._close_shard()
            path = Path(self._template.data_dir) / f"{self._split}-{len(self._paths)}"
            self._writer = tf.io.TFRecordWriter(str(path))
            self._paths.append(path)
            self._lengths.append(0)
            self._sizes.append(0)
        self._writer.write(record)
        self.clips += 1
        self._lengths[-1] += 1
        self._sizes[-1] += len(record)

    def close(self):
        """Ends the files, named as TFDS names them; returns the `tfds.core.SplitInfo`."""
        self._close_shard()
        for index, path in enumerate(self._paths):
            path.rename(
                self._template.sharded_filepath(shard_index=index, num_shards=len(self._paths))
            )
        return tfds.core.SplitInfo(
            name=self._split,
            shard_lengths=self._lengths,
            num_bytes=sum(self._sizes),
            filename_template=self._template,
        )

    def __exit__(self, *error):
        with contextlib.suppress(tf.errors.OpError):  # The disk that is full, a second time.
            self._close_shard()

    def _close_shard(self):
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()


class _Spread:
    """Keeps `count` clips, about evenly spread over a stream, in constant memory."""

    def __init__(self, count):
        self._count, self._step, self._seen, self._held = count, 1, 0, []

    @property
    def kept(self):
        """Lists of frames."""
        last = len(self._held) - 1
        places = np.linspace(0, last, min(self._count, last + 1)).round().astype(int)
        return [self._held[place] for place in places]

    def add(self, clip):
        """Shows it one clip."""
        if self._seen % self._step == 0:
            self._held.append(clip)
        self._seen += 1
        if len(self._held) == 2 * self._count:
            self._held, self._step = self._held[::2], 2 * self._step
