"""Clips of public data sets of TensorFlow Datasets, those of `data_gen.tfds_sources`.

    made = import_source(Settings(name="my_mnist", source="moving_mnist"))

The result is stored like an import of footage (`data_gen.clip_store`). There are two kinds of
source:

- Videos: an example is a clip. The pose is the number of the frame, and gaps are frames.
- Pictures with their factors: a clip is all pictures that differ in one factor alone, in its order.
  TFDS stores the pictures shuffled. So the labels are read first (tens of bytes a picture stay in
  memory), and then the pictures, undecoded, by whole groups: as many at a time as make 256 MiB of
  PNG, each time in a pass of its own through the files. Groups with a missing or repeated value are
  skipped and counted.

Splits: the source's test split is the test. The rest is divided into training, validation (a share
of `held_out`) and, if the source has no test split, the test (as much). It is divided by
objects if there are any, otherwise by clips, in the order of a hash of their labels or number,
so that no object or clip is in two splits.
"""

import collections
import dataclasses
import hashlib
import io
import itertools

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds
from tqdm import tqdm

from data_gen import scenes
from data_gen.clip_store import Imported, StoreSettings, free_folder, shares, store
from data_gen.tfds_sources import SOURCES
from frame_io import pictures

_HELD_BYTES = 2**28
_BATCH = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(StoreSettings):
    """How clips are taken from a source.

    Attributes:
      name, image_size, channels, held_out: see `StoreSettings`.
      source: a row of `SOURCES`.
      max_clips: of each split of the source at most so many, drawn by the hash; None for all.

    Raises:
      ValueError: if there is no such source (the message lists them), or one is out of range.
    """

    source: str
    max_clips: int | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.source not in SOURCES:
            raise ValueError(f"unknown --tfds={self.source}; valid: {', '.join(sorted(SOURCES))}")
        if self.max_clips is not None and self.max_clips < len(scenes.SPLITS):
            raise ValueError(f"--max_clips={self.max_clips}: at least {len(scenes.SPLITS)}")


def import_source(
    settings,
    data_dir=None,
    overwrite=False,
    download=False,
    notify=lambda line: None,
):
    """Reads clips out of a data set of TFDS and stores them.

    Args:
      settings: which, and how.
      data_dir: where TFDS keeps its data sets, both that one and the clips; None for its default.
      overwrite: whether to replace clips of that name.
      download: whether to download and prepare the data set if it is not there.
      notify: called with one line for a download, and one for each split of the source.

    Raises:
      ValueError: if the name is taken, the data set is not there or cannot be downloaded, or a
        split gets no clip. Nothing of the clips is left behind then, nor after any other error.
      OSError, tf.errors.OpError: if it cannot be read or written.
    """
    source = SOURCES[settings.source]
    free_folder(settings.name, data_dir, overwrite)
    builder = _prepared(settings.source, data_dir, download, notify)
    parts = [_Part(builder, source, split) for split in source.splits]
    chosen = [mixed(part.keys)[: settings.max_clips] for part in parts]
    plans = deal(
        {
            part.split: {key[: source.owner] for key in keys}
            for part, keys in zip(parts, chosen, strict=True)
        },
        settings.held_out,
    )
    for part, keys in zip(parts, chosen, strict=True):
        notify(f"{settings.source}, {part.describe(len(keys))}")
    notes = collections.Counter()
    steps = np.arange(source.length)[:, np.newaxis]
    pose = source.first_pose + steps * (source.motion.units_per_frame or 1.0)
    total = source.length * sum(map(len, chosen))
    with tqdm(total=total, desc="Importing", unit=" frames", mininterval=0.5) as bar:

        def clips():
            for part, keys, plan in zip(parts, chosen, plans, strict=True):
                for key, encoded in part.read(keys):
                    frames = [_frame(png, settings, notes) for png in encoded]
                    yield plan[key[: source.owner]], part.name(key), np.stack(frames), pose
                    bar.update(source.length)

        folder, counts = store(
            clips(),
            settings,
            motion=source.motion,
            metadata={
                "frames_per_clip": source.length,
                "tfds": f"{builder.name}:{builder.version}",
                "tfds_feature": source.image,
                "max_clips": settings.max_clips,
            },
            description=f"Clips of the TFDS data set {builder.name}: {source.clip}.",
            citation=builder.info.citation,
            too_few=f"--tfds={settings.source}: too few whole clips, none for {{}}",
            data_dir=data_dir,
            overwrite=overwrite,
        )
    return Imported(folder, settings.image_size, counts, bar.n, 0, dict(notes))


def mixed(keys):
    """Returns keys in a fixed pseudorandom order."""
    return sorted(keys, key=lambda key: hashlib.sha256(repr(key).encode()).digest())


def deal(owners, held_out):
    """Divides the splits of a source among the splits of the clips.

    Args:
      owners: for each split of the source what is dealt as a whole.
      held_out: share for validation, and for the test unless the source has one.

    Returns:
      For each split of the source the split of each owner.
    """
    plans = []
    for split, held in owners.items():
        if split == "test" and len(owners) > 1:
            plans.append(dict.fromkeys(held, "test"))
            continue
        train, validation, test = shares(len(held), held_out)
        if len(owners) > 1:
            train, test = train + test, 0
        sizes = zip(scenes.SPLITS, (train, validation, test), strict=True)
        dealt = [name for name, count in sizes for _ in range(count)]
        plans.append(dict(zip(mixed(held), dealt, strict=True)))
    return plans


def _prepared(name, data_dir, download, notify):
    builder = tfds.builder_cls(name)(data_dir=data_dir)
    if builder.is_prepared():
        return builder
    size = SOURCES[name].download
    if not download:
        raise ValueError(f"--tfds={name}: is not in {builder.data_dir}; --download gets it, {size}")
    notify(f"{name}: downloading {size}, and preparing it in {builder.data_dir}")
    try:
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises errors of many classes.
        raise ValueError(
            f"--tfds={name}: cannot be downloaded and prepared ({type(error).__name__}: {error})"
        ) from error
    return builder


def _frame(png, settings, notes):
    return pictures.convert(
        PIL.Image.open(io.BytesIO(png)),
        settings.image_size,
        settings.channels,
        notify=lambda text: notes.update([f"{settings.source}: {text}"]),
    )


class _Part:
    """A split of a source.

    Attributes:
      split: its name.
      keys: of its clips: (number,), or what the labels `source.fixed` are, as integers.
      left_out: groups of pictures that make no clip.
    """

    def __init__(self, builder, source, split):
        self.split, self.left_out = split, 0
        self._builder, self._source = builder, source
        if source.sweep:
            self._sizes = self._index()
            self.keys = list(self._sizes)
        else:
            self.keys = [(number,) for number in range(int(self._examples().cardinality()))]

    def describe(self, taken):
        """What the split holds and what is taken of it, in one line."""
        line = f"{self.split}: {len(self.keys)} clips of {self._source.length} frames"
        if taken < len(self.keys):
            line += f", {taken} taken"
        if self.left_out:
            line += f"; {self.left_out} groups skipped: {self._source.sweep} missing or repeated"
        return line

    def name(self, key):
        """The name of a clip, such as "cars_4_3_2" or "train_00412"."""
        if not self._source.sweep:
            return f"{self.split}_{key[0]:05d}"
        features = self._builder.info.features
        labels = zip(self._source.fixed, key, strict=True)
        return "_".join(features[label].int2str(value) for label, value in labels)

    def read(self, keys):
        """Yields (key, its frames as PNG) of these clips."""
        if self._source.sweep:
            return self._read_groups(sorted(keys))
        return self._read_videos(set(keys))

    def _read_videos(self, keys):
        for number, example in enumerate(tfds.as_numpy(self._examples())):
            if (number,) in keys:
                yield (number,), example[self._source.image]

    def _read_groups(self, keys):
        for portion in _portions(keys, self._sizes, _HELD_BYTES):
            held = {key: [b""] * self._source.length for key in portion}
            for key, place, png in self._pictures():
                if key in held:
                    held[key][place] = png
            for key in portion:
                yield key, held.pop(key)

    def _index(self):
        """The bytes of every group that is whole."""
        dimensions = [
            self._builder.info.features[label].num_classes
            for label in (*self._source.fixed, self._source.sweep)
        ]
        # Plain arrays: half a million tuples would be a hundred times as large.
        numbers, sizes = [], []
        for labels, pngs in self._batches():
            numbers.append(np.ravel_multi_index(labels, dimensions))
            sizes.append(np.array([len(png) for png in pngs]))
        if not numbers:
            return {}
        numbers, sizes = np.concatenate(numbers), np.concatenate(sizes)
        groups, group, pictures_of = np.unique(
            numbers // dimensions[-1], return_inverse=True, return_counts=True
        )
        distinct = np.bincount(
            np.searchsorted(groups, np.unique(numbers) // dimensions[-1]), minlength=len(groups)
        )
        whole = (pictures_of == self._source.length) & (distinct == self._source.length)
        self.left_out = int((~whole).sum())
        bytes_of = np.bincount(group, weights=sizes)
        keys = np.stack(np.unravel_index(groups[whole], dimensions[:-1]), axis=1).tolist()
        return dict(zip(map(tuple, keys), bytes_of[whole].tolist(), strict=True))

    def _pictures(self):
        for labels, pngs in self._batches():
            *fixed, places = (values.tolist() for values in labels)
            yield from zip(zip(*fixed, strict=True), places, pngs, strict=True)

    def _batches(self):
        """Yields labels (those of `fixed`, and the sweep), each int64 [N], and N PNG pictures."""
        for batch in tfds.as_numpy(self._examples().batch(_BATCH)):
            labels = (*self._source.fixed, self._source.sweep)
            yield [batch[label] for label in labels], batch[self._source.image]

    def _examples(self):
        names = filter(None, (self._source.image, *self._source.fixed, self._source.sweep))
        return self._builder.as_dataset(
            split=self.split,
            decoders=tfds.decode.PartialDecoding(
                dict.fromkeys(names, True),
                decoders={self._source.image: tfds.decode.SkipDecoding()},
            ),
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
            shuffle_files=False,
        )


def _portions(keys, sizes, limit):
    """Divides keys into lists of at most `limit` bytes in all, or of one key."""
    totals = itertools.accumulate(sizes[key] for key in keys)
    portion, before = [], 0
    for key, total in zip(keys, totals, strict=True):
        if portion and total - before > limit:
            yield portion
            portion, before = [], total - sizes[key]
        portion.append(key)
    if portion:
        yield portion
