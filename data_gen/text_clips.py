"""Your own text: lines of files as clips, stored like a rendered scene.

    made = import_clips(["steps.txt"], Settings(name="my_steps"))

Lines in order are a clip, an empty line begins the next; `frame_io.texts` says how files are read.
The data set is the config `my_steps` of `inbetween_clips`: kind "text", pose [K, 1] the number of
the line in its clip, no clip cyclic, gaps in lines. Every clip has at least 5 lines, as the
smallest gap that is evaluated is 4.

Splits: of each file the last clips are for the test, those before for validation, each `held_out`
of all and at least one; the rest is for training. Files of fewer than three clips go whole to one
split, in the same shares.
"""

import dataclasses
import itertools
from pathlib import Path

import numpy as np

from data_gen.clip_store import Imported, Motion, StoreSettings, free_folder, gaps, store
from data_gen.footage_clips import divide
from frame_io import texts

MIN_LINES = 5
_TRAINING_FLAGS = ("--network=text", "--likelihood=ctc")

_DESCRIPTION = "Lines of a person's own text, for learning to write the lines between."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(StoreSettings):
    """How text is stored; `image_size` is the bytes of a line, see `StoreSettings`."""

    channels: int = 1
    kind: str = "text"


def is_text(inputs):
    """Whether inputs are text, by their names.

    Raises:
      ValueError: if some are and some are not.
    """
    are = [Path(path).suffix.lower() == ".txt" for path in inputs]
    if any(are) and not all(are):
        other = inputs[are.index(False)]
        raise ValueError(
            f"--input={other}: is not a .txt file, but others are; import them separately"
        )
    return all(are)


def import_clips(inputs, settings, data_dir=None, overwrite=False):
    """Stores the lines of files as clips.

    Args:
      inputs: paths of text files.
      settings: see `Settings`.
      data_dir: where TFDS keeps its data sets; None for its default.
      overwrite: whether to replace a data set of that name.

    Returns:
      The `Imported`, and the number of lines of the shortest clip.

    Raises:
      ValueError: for a file or a line that cannot be read, a clip that is too short, too few clips,
        or a name that is taken. Nothing is left behind then.
    """
    free_folder(settings.name, data_dir, overwrite)
    files = [texts.read_clips(path, settings.image_size.width) for path in inputs]
    for path, clips in zip(inputs, files, strict=True):
        for number, clip in enumerate(clips, 1):
            if len(clip) < MIN_LINES:
                raise ValueError(
                    f"{path}, clip {number}: has {len(clip)} lines, beginning "
                    f"{texts.to_line(clip[0])!r}; must have at least {MIN_LINES}"
                )
    lengths = [len(clip) for clip in itertools.chain(*files)]
    splits = divide([len(clips) for clips in files], settings.held_out)
    folder, counts = store(
        (
            (split, str(number), clip, np.arange(len(clip), dtype=np.float32)[:, np.newaxis])
            for number, (split, clip) in enumerate(
                zip(itertools.chain(*splits), itertools.chain(*files), strict=True)
            )
        ),
        settings,
        motion=Motion(pose_names=("line",), gaps=tuple(gaps(min(lengths)))),
        metadata={"inputs": [Path(path).name for path in inputs]},
        description=_DESCRIPTION,
        too_few=f"no clip for {{}}: {len(lengths)} clips in all, and at least 3 are needed; an "
        "empty line begins the next clip",
        data_dir=data_dir,
        overwrite=overwrite,
    )
    frames = dict.fromkeys(counts, 0)
    for split, length in zip(itertools.chain(*splits), lengths, strict=True):
        frames[split] += length
    made = Imported(
        folder, settings.image_size, counts, sum(lengths), 0, {}, frames, _TRAINING_FLAGS
    )
    return made, min(lengths)
