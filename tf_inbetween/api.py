"""The Python API: load, train, build, triplets, write.

    import tf_inbetween as ib

    model = ib.load("runs/teapot")
    frames = model.path("a.png", "b.png", [0.25, 0.5, 0.75])
    ib.write("between.gif", frames)

    model = ib.train([clip, other_clip], steps=1600)  # uint8 [K, H, W, C] each

The commands do the same from flags and files; both call the functions of `tf_inbetween.training`,
`tf_inbetween.data` and `tf_inbetween.images`.
"""

import dataclasses
import tempfile
from pathlib import Path

import tensorflow as tf

from data_gen.fitting import fitting_settings
from frame_io.files import without_pattern
from tf_inbetween import data, images, run_directory, training
from tf_inbetween.clips import ClipsInMemory
from tf_inbetween.config import Config, InputError
from tf_inbetween.kinds import KINDS

# As flags/teapot_2dof.flags; a few frames of several clips make a batch.
_RECIPE = {
    "latent_dim": 16,
    "t_sampling": "uniform",
    "latent_path": "curved",
    "inbetween_decoder": "fusion",
    "fusion_filters": (16, 32, 64, 128),
    "inbetween_weight": 8.0,
    "learning_rate": 3e-3,
}


def load(path):
    """The model of a run directory, of a `model.keras`, or of an exported SavedModel.

    Args:
        path: of the run directory; of the file; or of the folder that `export.exporter` wrote,
            or one version in it.

    Returns:
        A model with `path` and `inbetween`. The first two are Keras models, which `encode`,
        `decode` and train on, too; a SavedModel is an `ExportedModel`.

    Raises:
        InputError: if there is none, or it cannot be loaded.
    """
    path = Path(path)
    if path.suffix == ".keras":
        return run_directory.load_model_file(path)
    if (path / "flags.txt").is_file():
        return run_directory.load_model(path)
    versions = [path, *sorted(path.glob("[0-9]*"), key=lambda p: (len(p.name), p.name))[::-1]]
    for version in versions:
        if (version / "saved_model.pb").is_file():
            return ExportedModel(version)
    raise InputError(
        f"{path}: no model there; must be a run directory (with flags.txt), a model.keras or a "
        "SavedModel's folder"
    )


class ExportedModel:
    """A SavedModel that `export.exporter` wrote.

    Attributes:
        signatures: its functions by name, see `export.signatures`.
        frame_shape: [H, W, C].
        kind: of its frames, a row of `kinds.KINDS`.
    """

    any_size = False

    def __init__(self, folder):
        """Raises `InputError` unless `folder` holds one that loads."""
        try:
            with without_pattern(folder) as plain:
                self._loaded = tf.saved_model.load(plain)
            self.signatures = self._loaded.signatures
            first = self.signatures["sequence"].structured_input_signature[1]["first"]
            self.kind = next(k.name for k in KINDS.values() if k.signature in self.signatures)
        except Exception as error:  # TensorFlow raises of everything for a damaged file.
            line = str(error).strip().partition("\n")[0]
            raise InputError(f"{folder}: cannot be loaded: {line}") from error
        self.frame_shape = tuple(first.shape[1:])

    def inbetween(self, first, second, t):
        """The frames at `t` [N] between `first` and `second` [N, H, W, C], all in [0, 1].

        With several times for each pair, t [N, K], the frames are [N, K, H, W, C].
        """
        first, second, t = (tf.cast(x, tf.float32) for x in (first, second, t))
        one = t.shape.rank == 1
        t = t[:, tf.newaxis] if one else t
        frames = self.signatures["sequence"](first=first, second=second, t=t)["frames"]
        return frames[:, 0] if one else frames

    def path(self, first, second, t):
        """As `tf_inbetween.TripletVAE.path`."""
        return KINDS[self.kind].path(self, first, second, t)


def train(clips, run_dir=None, validation=None, cyclic=False, **settings):
    """Trains a model on frames in memory.

    Like the command, it seeds Python, NumPy and TensorFlow, and turns on deterministic operations
    (to change that: `seed`, `deterministic=False`).

    Args:
        clips: a list of arrays [K, H, W, C], each the frames of one motion at an even pace: uint8
            in 0..255 or floats in [0, 1]; H and W from 16 to 4096, C 3 or 1.
        run_dir: for checkpoints, TensorBoard's logs and the model. The same call resumes an
            interrupted training; other clips are an error. None: a new temporary folder.
        validation: like `clips`, for choosing the best weights. None: every tenth of `clips`; if
            there are fewer than ten, all of them, which are trained on too.
        cyclic: whether the last frame of each clip leads back to its first.
        **settings: fields of `Config` that override those of `config_for`.

    Returns:
        The model with its best weights.

    Raises:
        InputError: for clips or settings that do not fit; the message says what would.
    """
    source = ClipsInMemory(clips, validation, cyclic)
    run_dir = str(run_dir or tempfile.mkdtemp(prefix="tf_inbetween-"))
    training.train(config_for(source, run_dir=run_dir, **settings), source)
    return run_directory.load_model(run_dir)


def config_for(clips, **settings):
    """A `Config` whose frame sizes and gaps fit clips.

    Args:
        clips: a `ClipsInMemory`.
        **settings: fields to override.

    Raises:
        InputError: for an unknown field or a value out of range.
    """
    *size, channels = clips.frame_shape
    clip_infos = clips.clip_infos("train") + clips.clip_infos("validation")
    shortest = min(clip_info.length for clip_info in clip_infos)
    fitting = fitting_settings(shortest, all(clip_info.cyclic for clip_info in clip_infos))
    steps = settings.get("steps", Config.steps)
    if "steps_per_epoch" not in settings and steps % Config.steps_per_epoch:
        fitting |= {"steps_per_epoch": steps, "steps_per_execution": 1}
    known = {field.name for field in dataclasses.fields(Config)}
    for name in settings:
        if name not in known:
            raise InputError(f"unknown setting {name!r}: must be one of {', '.join(sorted(known))}")
    shape = {"scene": clips.name, "image_size": tuple(size), "channels": channels}
    return Config(**{**shape, **_RECIPE, **fitting, **settings})


def build(config, kind="pictures"):
    """The untrained model of a `Config`, compiled: for `model.fit(triplets(clips, config))`.

    `kind`: of its frames, a row of `kinds.KINDS`.
    """
    return training.build_model(config, kind=kind)


def triplets(clips, config, split="train"):
    """Endless batches of triplets of clips, for `fit`.

    Args:
        clips: as for `train`, or a `ClipsInMemory`.
        config: a `Config`, such as `config_for` returns.
        split: "train" or "validation".

    Returns:
        A `tf.data.Dataset` of the dicts that `tf_inbetween.data` describes.

    Raises:
        InputError: for clips that do not fit the config.
    """
    source = clips if isinstance(clips, ClipsInMemory) else ClipsInMemory(clips)
    return data.batches(source, split, config)


def write(path, frames, seconds_per_frame=0.1, scale=1):
    """Writes frames as an animation, a video or pictures; see `frame_io.writing.write`.

    Args:
        path: ends in .gif, .webp, .apng, .mp4, .mov, .mkv, .webm or .png.
        frames: [K, H, W, C], floats in [0, 1] or uint8 in 0..255; or anything that yields frames
            [H, W, C].
        seconds_per_frame: how long each is shown.
        scale: whole number by which frames are enlarged.
    """
    pixels = (images.as_frame(f"frames[{i}]", frame) for i, frame in enumerate(frames))
    images.write_frames(path, pixels, seconds_per_frame, scale)
