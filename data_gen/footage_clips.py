"""Your own clips: footage cut into clips and stored like a rendered scene.

    made = import_clips(["walk.mp4", "frames/"], Settings(name="my_clips"))

The data set is the config `my_clips` of `inbetween_clips`, with the features that
`data_gen.builder` describes. pose [K, 1] is the time of every frame within its input, in seconds;
no clip is cyclic, there is no gap unit (gaps are frames) and units_per_frame is 0.

- Shots, from one scene change to the next, are found by `frame_io.shots` in frames of the clips'
  size. No clip goes over a scene change.
- Clips: `frames_per_clip` frames one after another, none in two clips. The rest of a shot is
  dropped.
- Splits: of each input the last clips are for the test, those before for validation, each
  `held_out` of all and at least one; the rest is for training. Inputs of fewer than three clips go
  whole to one split, in the same shares.

To find cuts, footage is decoded twice: once to count its clips, once to store them. Memory holds
one clip and a few frames. The data set's bytes depend only on the footage, the settings and the
installed versions.
"""

import collections
import dataclasses
import itertools

import numpy as np
from tqdm import tqdm

from data_gen import scenes
from data_gen.clip_store import (
    Imported,
    Motion,
    StoreSettings,
    free_folder,
    gaps,
    shares,
    store,
)
from frame_io import footage, pictures, shots

MIN_FRAMES_PER_CLIP = 5  # The smallest gap that is evaluated is 4 frames.

_DESCRIPTION = "Clips cut from footage of a person's own, for learning to draw the frames between."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(StoreSettings):
    """How footage is cut into clips.

    Attributes:
      name, image_size, channels, held_out: see `StoreSettings`.
      frames_per_clip: at least 5.
      fps: frames per second, at most the footage's own; None for that.
      start: seconds of each input to leave out at its beginning.
      end: where each input stops, in seconds; None for its end.
      crop: x, y, width and height of a box in pixels; None for all. The largest centred part of
        it that has the frame's shape is taken.
      folder_fps: pictures of a folder in a second.
      shot_threshold: see `frame_io.shots`; 0 looks for no cuts.

    Raises:
      ValueError: if one is out of range.
    """

    frames_per_clip: int = 32
    fps: float | None = None
    start: float = 0.0
    end: float | None = None
    crop: pictures.Box | None = None
    folder_fps: float = footage.FOLDER_FPS
    shot_threshold: float = shots.THRESHOLD

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


def import_clips(inputs, settings, data_dir=None, overwrite=False, notify=lambda line: None):
    """Cuts footage into clips and stores them.

    Args:
      inputs: video files, animated images and folders of pictures.
      settings: how.
      data_dir: where TFDS keeps its data sets; None for its default.
      overwrite: whether to replace a data set of that name.
      notify: called with one line that describes each input.

    Raises:
      ValueError: if the name is taken, an input cannot be read, or a split gets no clip. After any
      error nothing is left. OSError, tf.errors.OpError: if it cannot be written.
    """
    free_folder(settings.name, data_dir, overwrite)
    if not inputs:
        raise ValueError("no --input: name a video, an animated image or a folder of pictures")
    looked = [footage.look(path, settings.folder_fps) for path in inputs]
    wanted = [_select(one, settings) for one in looked]
    if settings.image_size is None:
        own = _own_size(looked[0], wanted[0], settings)
        settings = dataclasses.replace(settings, image_size=own)
    for one, frames in zip(looked, wanted, strict=True):
        notify(_describe(one, frames, settings))
        for note in one.notes:
            notify(f"{one.path}: {note}")
    length = settings.frames_per_clip
    shots_seen, notes = itertools.count(), collections.Counter()
    frames_read = sum(map(len, wanted))
    total = 2 * frames_read if settings.shot_threshold else frames_read
    with tqdm(total=total, desc="Importing", unit=" frames", mininterval=0.5) as bar:

        def drawn(one, frames, notes):
            return shots.marked(_frames(one, frames, settings, notes, bar), settings.shot_threshold)

        def count(one, frames):
            if not settings.shot_threshold:
                return len(frames) // length
            return sum(1 for _ in cut(drawn(one, frames, collections.Counter()), length))

        def clips():
            counts = [count(one, frames) for one, frames in zip(looked, wanted, strict=True)]
            plan = divide(counts, settings.held_out)
            for one, frames, splits in zip(looked, wanted, plan, strict=True):
                cuts = cut(_counting(drawn(one, frames, notes), shots_seen), length)
                for clip, split in zip(cuts, splits, strict=True):
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
    return Imported(folder, settings.image_size, counts, frames_read, next(shots_seen), dict(notes))


def divide(counts, held_out):
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


def cut(frames, length):
    """Cuts the frames of an input into clips.

    Args:
      frames: whether a shot begins, and the frame; from `shots.marked`.
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


def _select(one, settings):
    try:
        return footage.select(one.times, settings.fps, settings.start, settings.end)
    except ValueError as error:
        raise ValueError(f"{one.path}: {error}") from error


def _own_size(one, wanted, settings):
    """(height, width) of the first frame taken of an input, or of the box that is taken of it."""
    _, picture = next(one.pictures(wanted[:1]))
    width, height = picture.size if settings.crop is None else settings.crop[2:]
    return height, width


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
        line += f", at an uneven rate: resampled at {units_per_frame:.4g}"
    if len(wanted) != len(one.times):
        line += f"; {len(wanted)} taken"
    if len(wanted) < settings.frames_per_clip:
        line += f", too few for a clip of {settings.frames_per_clip}"
    return line


def _shown(one):
    """The name of an input in Unicode, which on disk it need not be."""
    return one.path.name.encode(errors="backslashreplace").decode()


def _counting(frames, shots_seen):
    """Passes frames on and counts the shots."""
    for place, (begins, frame) in enumerate(frames):
        if begins or not place:
            next(shots_seen)
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
