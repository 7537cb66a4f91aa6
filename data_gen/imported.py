"""Clips of a person's own: footage cut into clips and stored like a rendered scene.

    made = import_clips(["walk.mp4", "frames/"], Settings(name="my_clips"))

The data set is the config `my_clips` of `inbetween_clips`, with the features that
`data_gen.builder` describes. pose [K, 1] is the time of every frame within its input, in seconds;
no clip is closed, there is no gap unit (gaps are frames) and the pace is 0.

- Shots: a frame begins a new one if it differs from the frame before by `shot_threshold` at least
  (mean over pixels and channels at the clips' size, of 255) and by three times the mean of the two
  differences before and the two after. Fades are not found. No clip goes over a cut.
- Clips: `frames_per_clip` frames one after another, none in two clips. What is left at the end of
  a shot is dropped.
- Splits: of each input the last clips are for the test, those before for validation, each
  `held_out` of all and at least one; the rest is for training. Inputs of fewer than three clips go
  whole to one split, in the same shares.

Where cuts are looked for, footage is decoded twice: once to count its clips, once to store them.
Memory holds one clip and a few frames. The data set is written beside and renamed into place, and
its bytes depend on the footage, the settings and the installed versions alone.

Public data sets (`data_gen.tfds_sources`) are stored by the same `store`.
"""

import collections
import contextlib
import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.core.utils import file_utils
from tqdm import tqdm

from data_gen import scenes
from data_gen.builder import (
    CHANNELS,
    IMAGE_SIZES,
    InbetweenClips,
    _locked,
    check_metadata,
    damaged,
    with_checksum,
)
from frame_io import footage, pictures

VERSION = "1.0.0"
CONTACT_SHEET = "contact_sheet.png"
MIN_FRAMES_PER_CLIP = 5  # The smallest gap that is evaluated is 4 frames.

_SHARD_BYTES = 2**28
_DESCRIPTION = "Clips cut from footage of a person's own, for learning to draw the frames between."
_OUTSTANDING = 3.0  # How many times the change around it a cut is.
_NAMES_OF_FEATURES = ("pythonClassName", "python_class_name", "type")  # All that TFDS reads.
_SHEET_ROWS, _SHEET_COLUMNS = 4, 8  # Of the contact sheet: clips of each split, frames of each.


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """What every import decides, wherever its clips come from.

    Attributes:
      name: of the data set; letters, digits, "_", "-" and ".".
      image_size: height and width in pixels, 64 or 128.
      channels: 3 for RGB, 1 for luminance.
      held_out: share of the clips for validation, and as many for the test; above 0, below 0.5.

    Raises:
      ValueError: if one is out of range.
    """

    name: str
    image_size: int = 64
    channels: int = 3
    held_out: float = 0.1

    def __post_init__(self):
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ValueError(f"--name={self.name}: only letters, digits, '_', '-' and '.'")
        if scenes.is_variant(self.name):
            raise ValueError(
                f"--name={self.name}: is a rendered scene's, or begins like one; choose another"
            )
        if self.image_size not in IMAGE_SIZES:
            raise ValueError(f"unknown image size {self.image_size!r}; valid: {IMAGE_SIZES}")
        if self.channels not in CHANNELS:
            raise ValueError(f"unknown number of channels {self.channels!r}; valid: {CHANNELS}")
        if not 0 < self.held_out < 0.5:
            raise ValueError(f"--held_out={self.held_out:g}: must be above 0 and below 0.5")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(StoreSettings):
    """What decides the clips that come out of some footage.

    Attributes:
      name, image_size, channels, held_out: see `StoreSettings`.
      frames_per_clip: at least 5.
      fps: frames per second, at most the footage's own; None for that.
      start: seconds of each input to leave out at its beginning.
      end: where each input stops, in seconds; None for its end.
      crop: x, y, width and height of a box in pixels; None for all. The centred square of it is
        taken.
      folder_fps: pictures of a folder in a second.
      shot_threshold: see the module; 0 looks for no cuts.

    Raises:
      ValueError: if one is out of range.
    """

    frames_per_clip: int = 32
    fps: float | None = None
    start: float = 0.0
    end: float | None = None
    crop: pictures.Box | None = None
    folder_fps: float = footage.FOLDER_FPS
    shot_threshold: float = 15.0

    def __post_init__(self):
        super().__post_init__()
        if self.frames_per_clip < MIN_FRAMES_PER_CLIP:
            raise ValueError(
                f"--frames_per_clip={self.frames_per_clip}: at least {MIN_FRAMES_PER_CLIP}"
            )
        for name in ("fps", "folder_fps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e4:
                raise ValueError(f"--{name}={value:g}: must be above 0 and below 10000")
        if not 0 <= self.start < np.inf:
            raise ValueError(f"--start={self.start:g}: must be at least 0 seconds")
        if self.end is not None and not self.end > self.start:
            raise ValueError(f"--end={self.end:g}: must be after --start={self.start:g}")
        if not self.shot_threshold >= 0:
            raise ValueError(f"--shot_threshold={self.shot_threshold:g}: must be at least 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
    """How the frames of all clips of a data set follow one another, see `data_gen.builder`.

    Attributes:
      pose_names: of the columns of the pose.
      gaps: to judge at, in gap units; multiples of 4 frames, so that a quarter is a whole frame.
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
    """What an import made.

    Attributes:
      data_dir: the data set's folder.
      clips: the number of clips of each split.
      frames_read: the frames that were chosen from the footage or the source.
      shots: into which it was cut; 0 for public data sets, which know their clips.
      notes: what was done to pictures, and to how many.
    """

    data_dir: Path
    clips: dict[str, int]
    frames_read: int
    shots: int
    notes: dict[str, int]


def names(data_dir: str | Path | None = None) -> list[str]:
    """Returns the names of the imported data sets, sorted."""
    found = []
    for path in _folder("*", data_dir).parent.parent.glob(f"*/{VERSION}/dataset_info.json"):
        with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
            if path.is_file() and json.loads(path.read_text()).get("moduleName") == __name__:
                found.append(path.parent.parent.name)
    return sorted(found)


def open_clips(
    name: str, image_size: int = 64, channels: int = 3, data_dir: str | Path | None = None
) -> tfds.core.DatasetBuilder:
    """Returns the builder of an imported data set.

    Args:
      name: as it was imported.
      image_size, channels: what the frames must have.
      data_dir: where TFDS keeps its data sets; None for its default.

    Raises:
      ValueError: if there is no such data set (the message lists all scenes), it is damaged, its
        description is not one that an import writes, or its frames are of another size.
    """
    imported = names(data_dir)
    folder = _folder(name, data_dir)
    if name not in imported and folder.is_dir():
        raise damaged(folder, ValueError("dataset_info.json cannot be read"))
    if name not in imported:
        valid = ", ".join([*sorted(scenes.SCENES), *imported])
        raise ValueError(f"unknown scene {name!r}; valid: {valid}")
    check_metadata(folder)
    _check_features(folder / "features.json")
    try:
        builder = tfds.builder_from_directory(folder)
        found = builder.info.metadata
    except Exception as error:  # TFDS raises a different one for every damage.
        raise damaged(folder, error) from error
    if (found["image_size"], found["channels"]) != (image_size, channels):
        raise ValueError(
            f"scene {name!r} was imported with --image_size={found['image_size']} "
            f"--channels={found['channels']}, not --image_size={image_size} --channels={channels}: "
            "ask for those, or import it again"
        )
    return builder


def _check_features(path):
    """Raises `ValueError` if features are not TFDS's own: it imports the modules that they name."""
    named = []

    def note(part):
        named.extend(part[key] for key in _NAMES_OF_FEATURES if key in part)

    try:
        json.loads(path.read_text(), object_hook=note)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: missing or damaged; import the clips again") from error
    for name in named:
        if not str(name).startswith("tensorflow_datasets.core.features."):
            raise ValueError(f"{path}: {name!r} is no feature of TFDS; import the clips again")


def import_clips(
    inputs: Sequence[str | Path],
    settings: Settings,
    data_dir: str | Path | None = None,
    overwrite: bool = False,
    notify: Callable[[str], None] = lambda line: None,
) -> Imported:
    """Cuts footage into clips and stores them.

    Args:
      inputs: video files, moving pictures and folders of pictures.
      settings: how.
      data_dir: where TFDS keeps its data sets; None for its default.
      overwrite: whether to replace a data set of that name.
      notify: told in one line of each input what it is.

    Raises:
      ValueError: if the name is taken, an input cannot be read, or a split gets no clip. Nothing
        is left behind then, nor after any other error.
      OSError, tf.errors.OpError: if it cannot be written.
    """
    free_folder(settings.name, data_dir, overwrite)
    if not inputs:
        raise ValueError("no --input: name a video, a moving picture or a folder of pictures")
    looked = [footage.look(path, settings.folder_fps) for path in inputs]
    wanted = [_select(one, settings) for one in looked]
    for one, frames in zip(looked, wanted, strict=True):
        notify(_describe(one, frames, settings))
        if one.left_out:
            notify(f"{one.path}: {one.left_out}")
    length = settings.frames_per_clip
    shots, notes = itertools.count(), collections.Counter()
    frames_read = sum(map(len, wanted))
    total = 2 * frames_read if settings.shot_threshold else frames_read
    with tqdm(total=total, desc="Importing", unit=" frames", mininterval=0.5) as bar:

        def drawn(one, frames, notes):
            return marked(_frames(one, frames, settings, notes, bar), settings.shot_threshold)

        def count(one, frames):
            if not settings.shot_threshold:
                return len(frames) // length
            return sum(1 for _ in cut(drawn(one, frames, collections.Counter()), length))

        def clips():
            counts = [count(one, frames) for one, frames in zip(looked, wanted, strict=True)]
            plan = divide(counts, settings.held_out)
            for one, frames, splits in zip(looked, wanted, plan, strict=True):
                found = cut(_counting(drawn(one, frames, notes), shots), length)
                for clip, split in zip(found, splits, strict=True):
                    seconds, pixels = zip(*clip, strict=True)
                    yield split, _shown(one), np.stack(pixels), np.array(seconds)[:, np.newaxis]

        folder, counts = store(
            clips(),
            settings,
            motion=Motion(pose_names=("seconds",), gaps=tuple(gaps(length))),
            metadata=_how_cut(settings, looked),
            description=_DESCRIPTION,
            too_few=f"no clip of {length} frames for {{}}: give more footage, or a smaller "
            "--frames_per_clip or --shot_threshold=0",
            data_dir=data_dir,
            overwrite=overwrite,
        )
    return Imported(folder, counts, frames_read, next(shots), dict(notes))


# --- how footage is cut ----------------------------------------------------------------------


def divide(counts: Sequence[int], held_out: float) -> list[list[str]]:
    """Divides the clips of inputs among the splits.

    Args:
      counts: clips of each input.
      held_out: share for validation, and for the test.

    Returns:
      For each input the splits of its clips, in order.
    """
    few = sum(0 < count < 3 for count in counts)
    in_turn = iter(_in_order(shares(few, held_out)))
    return [
        count * [next(in_turn)] if 0 < count < 3 else _in_order(shares(count, held_out))
        for count in counts
    ]


def _in_order(sizes):
    """The name of each split so many times."""
    return [name for name, size in zip(scenes.SPLITS, sizes, strict=True) for _ in range(size)]


def shares(units: int, held_out: float) -> tuple[int, int, int]:
    """Returns how many of so many units are for each split; under three all are for training."""
    held = max(round(held_out * units), 1) if units >= 3 else 0
    return units - 2 * held, held, held


def marked(frames: Iterable, threshold: float) -> Iterator[tuple[bool, tuple]]:
    """Finds the cuts between shots.

    Args:
      frames: (anything, uint8 array) for every frame, in order.
      threshold: see the module; 0 finds none.

    Yields:
      Whether a shot begins here (the first frame begins none), and the frame.
    """
    before, ahead, last = collections.deque(maxlen=2), collections.deque(), None

    def judged():
        change, frame = ahead.popleft()
        near = [*before, *(change for change, _ in ahead)]
        if change is None:
            return False, frame
        before.append(change)
        outstanding = not near or change >= _OUTSTANDING * np.mean(near)
        return bool(threshold and change >= threshold and outstanding), frame

    for frame in frames:
        pixels = frame[1].astype(np.int16)
        ahead.append((None if last is None else float(np.abs(pixels - last).mean()), frame))
        last = pixels
        if len(ahead) == 3:
            yield judged()
    while ahead:
        yield judged()


def cut(frames: Iterable[tuple[bool, tuple]], length: int) -> Iterator[list]:
    """Cuts the frames of an input into clips.

    Args:
      frames: whether a shot begins, and the frame; from `marked`.
      length: frames of a clip.

    Yields:
      `length` frames, one after another in one shot.
    """
    clip = []
    for begins, frame in frames:
        if begins:
            clip = []
        clip.append(frame)
        if len(clip) == length:
            yield clip
            clip = []


def gaps(length: int) -> list[float]:
    """Returns the gaps at which clips of so many frames are judged: 4, 8, 16, … frames, and most.

    All are multiples of 4, so that a quarter of them is a whole frame.
    """
    largest = (length - 1) // 4 * 4
    doubled = itertools.takewhile(lambda gap: gap < largest, (4 * 2**i for i in itertools.count()))
    return [float(gap) for gap in (*doubled, largest)]


def _select(one, settings):
    try:
        return footage.select(one.times, settings.fps, settings.start, settings.end)
    except ValueError as error:
        raise ValueError(f"{one.path}: {error}") from error


def _frames(one, wanted, settings, notes, bar):
    """Yields (seconds, frame uint8 [H, W, C]) of the chosen frames of one input."""
    shown = frame = None
    for place, picture in one.pictures(wanted):
        if picture is not shown:  # One that stands long comes several times.
            try:
                frame = pictures.convert(
                    picture,
                    settings.image_size,
                    settings.channels,
                    settings.crop,
                    lambda text: notes.update([f"{one.path}: {text}"]),
                    quick=True,
                )
            except ValueError as error:
                # Of a folder, which of its pictures.
                name = getattr(picture, "filename", one.path)
                raise ValueError(f"{name}: {error}") from error
            shown = picture
        bar.update()
        yield one.times[wanted[0]] + place / _pace(one, settings), frame


def _pace(one, settings):
    """Frames per second of the clips of one input."""
    own = footage.rate(one.times)
    return own if settings.fps is None else min(settings.fps, own)


def _describe(one, wanted, settings):
    own, units_per_frame = footage.rate(one.times), _pace(one, settings)
    line = f"{one.path}: {len(one.times)} frames, {own:.4g} a second"
    if not footage.is_even(one.times):
        line += f", unevenly: made even at {units_per_frame:.4g}"
    if len(wanted) != len(one.times):
        line += f"; {len(wanted)} taken"
    if len(wanted) < settings.frames_per_clip:
        line += f", too few for a clip of {settings.frames_per_clip}"
    return line


def _shown(one):
    """The name of an input in Unicode, which on disk it need not be."""
    return one.path.name.encode(errors="backslashreplace").decode()


def _counting(frames, shots):
    """Passes frames on and counts the shots."""
    for place, (begins, frame) in enumerate(frames):
        if begins or not place:
            next(shots)
        yield begins, frame


def _how_cut(settings, looked):
    return {
        "frames_per_clip": settings.frames_per_clip,
        "inputs": [_shown(one) for one in looked],
        "frames_per_second": [round(_pace(one, settings), 6) for one in looked],
        "start": settings.start,
        "end": settings.end,
        "crop": settings.crop and list(settings.crop),
        "shot_threshold": settings.shot_threshold,
    }


# --- how clips are stored --------------------------------------------------------------------


def free_folder(name: str, data_dir: str | Path | None = None, overwrite: bool = False) -> Path:
    """Returns where a data set of a name goes.

    Raises:
      ValueError: if there is one already, unless it is to be replaced.
    """
    folder = _folder(name, data_dir)
    if folder.exists() and not overwrite:
        raise ValueError(f"--name={name}: is taken ({folder}); --overwrite replaces it")
    return folder


def store(
    clips: Iterable[tuple[str, str, np.ndarray, np.ndarray]],
    settings: StoreSettings,
    *,
    motion: Motion,
    metadata: dict,
    description: str,
    too_few: str,
    citation: str = "",
    data_dir: str | Path | None = None,
    overwrite: bool = False,
) -> tuple[Path, dict[str, int]]:
    """Writes clips as a data set, whole or not at all.

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
      ValueError: if the name is taken, or a split gets no clip. Nothing is left behind then, nor
        after any other error.
      OSError, tf.errors.OpError: if it cannot be written.
    """
    folder = free_folder(settings.name, data_dir, overwrite)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_locked(folder.parent))
        free_folder(settings.name, data_dir, overwrite)  # Another process may have been first.
        beside = Path(stack.enter_context(file_utils.incomplete_dir(folder, overwrite=overwrite)))
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
        _contact_sheet([row for split in scenes.SPLITS for row in rows[split].kept]).save(
            beside / CONTACT_SHEET
        )
    return folder, {split: shards[split].clips for split in scenes.SPLITS}


def _folder(name, data_dir):
    _, folder = file_utils.get_data_dir_and_dataset_dir(
        given_data_dir=data_dir,
        builder_name=InbetweenClips.name,
        config_name=name,
        version=tfds.core.Version(VERSION),
    )
    return Path(folder)


def _info(settings, motion, metadata, folder, description, citation):
    size = settings.image_size
    return tfds.core.DatasetInfo(
        builder=tfds.core.dataset_info.DatasetIdentity(
            name=InbetweenClips.name,
            version=tfds.core.Version(VERSION),
            data_dir=str(folder),
            module_name=__name__,
            config_name=settings.name,
            config_description=description,
        ),
        description=description,
        citation=citation,
        features=tfds.features.FeaturesDict(
            {
                "clip": tfds.features.Text(),
                "frames": tfds.features.Sequence(
                    tfds.features.Image(
                        shape=(size, size, settings.channels), encoding_format="png"
                    )
                ),
                "pose": tfds.features.Tensor(
                    shape=(None, len(motion.pose_names)), dtype=np.float32
                ),
                "cyclic": np.bool_,
                "units_per_frame": np.float32,
            }
        ),
        metadata=with_checksum(
            scene=settings.name,
            pose_names=list(motion.pose_names),
            gap_unit=motion.gap_unit,
            gaps=list(motion.gaps),
            image_size=size,
            channels=settings.channels,
            **metadata,
            held_out=settings.held_out,
            generator_version=VERSION,
        ),
    )


class _Shards(contextlib.AbstractContextManager):
    """The files of one split, written in the order in which the clips come."""

    def __init__(self, folder, split, info):
        self.clips = 0
        self._split, self._info = split, info
        self._serializer = ExampleSerializer(info.features.get_serialized_info())
        self._template = tfds.core.ShardedFileTemplate(
            data_dir=folder, dataset_name=info.name, split=split, filetype_suffix="tfrecord"
        )
        self._paths, self._lengths, self._sizes, self._writer = [], [], [], None

    def write(self, example):
        """Appends one example."""
        found = self._serializer.get_tf_example(self._info.features.encode_example(example))
        record = found.SerializeToString(deterministic=True)
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
    """Keeps `count` clips, about evenly spread over all that come, in constant memory."""

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


def _contact_sheet(clips):
    """Some clips, one a row, some frames of each: a `PIL.Image.Image`."""
    rows = []
    for clip in clips:
        places = np.linspace(0, len(clip) - 1, min(_SHEET_COLUMNS, len(clip))).round().astype(int)
        rows.append(np.concatenate([clip[place] for place in places], axis=1))
    sheet = np.concatenate(rows)
    return PIL.Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet)
