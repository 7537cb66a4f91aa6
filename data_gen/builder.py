"""The TensorFlow Datasets builder `inbetween_clips`: rendered clips, one config per scene variant.

An example is one clip:

    clip    string []             its name, such as "train_000000"
    frames  uint8 [K, H, W, C]    sRGB, stored as K PNG images
    pose    float32 [K, P]        the degrees of freedom of every frame, see metadata["pose_names"]
    closed  bool []               whether the last frame leads back to the first
    pace    float32 []            gap units (metadata["gap_unit"], such as degrees) per frame

How the splits of a scene differ is the scene's business; no two splits ever share a pose. For
`teapot_1dof`, all three are one full turn: train stands at the whole degrees 0, 1, ..., 359;
validation halfway between them at 0.5, 1.5, ..., 359.5; test is twice as dense, at 0.25, 0.75,
..., 359.75, so that every test pose is a quarter of a degree away from the nearest pose of
either.

The bytes on disk depend on the config (its seed included) and on the installed versions, and on
nothing else, such as the number of worker processes. Another kind of CPU may round a pixel
differently.
"""

import contextlib
import dataclasses
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.core.utils import tqdm_utils
from tensorflow_datasets.core.writer import ExampleWriter
from tqdm import tqdm

from data_gen import scenes
from data_gen.pool import RenderPool

IMAGE_SIZES = (64, 128)
CHANNELS = (3, 1)

_DESCRIPTION = """\
Clips for learning to draw the frames between two frames: short films of rendered solids in even
motion, with the pose of every frame.
"""
_CITATION = """\
@article{cristovao2020inbetween,
  author  = {Paulino Cristovao and Hidemoto Nakada and Yusuke Tanimura and Hideki Asoh},
  title   = {Generating In-Between Images Through Learned Latent Space Representation Using
             Variational Autoencoders},
  journal = {IEEE Access},
  volume  = {8},
  pages   = {149456--149467},
  year    = {2020},
  doi     = {10.1109/ACCESS.2020.3016313}
}
"""
_LICENSE = (
    "Apache-2.0. The Utah teapot's control points: Martin Newell, 1975, as published by the "
    "three.js authors under the MIT licence."
)


@dataclasses.dataclass(eq=False, kw_only=True)
class ClipsConfig(tfds.core.BuilderConfig):
    """What decides the bytes of a data set.

    Attributes:
      scene: a row of `data_gen.scenes.SCENES`.
      image_size: height and width in pixels.
      channels: 3 for RGB, 1 for luminance.
      samples: rays along each side of a pixel.
      seed: for scenes with something random in them.
      frame_stride: keep every n-th frame of each clip; the pace is n times as large.
    """

    scene: str
    image_size: int = 64
    channels: int = 3
    samples: int = 4
    seed: int = 0
    frame_stride: int = 1


def config_name(scene: str, image_size: int = 64, channels: int = 3) -> str:
    """Returns the name of a scene's variant, such as "teapot_1dof_128px_grey".

    Args:
      scene: a row of `data_gen.scenes.SCENES`.
      image_size: 64 or 128, height and width in pixels.
      channels: 3 for RGB, 1 for luminance.

    Raises:
      ValueError: if there is no such variant; the message lists what is valid.
    """
    scenes.get(scene)
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"unknown image size {image_size!r}; valid: {IMAGE_SIZES}")
    if channels not in CHANNELS:
        raise ValueError(f"unknown number of channels {channels!r}; valid: {CHANNELS}")
    size = "" if image_size == IMAGE_SIZES[0] else f"_{image_size}px"
    return scene + size + ("_grey" if channels == 1 else "")


class InbetweenClips(tfds.core.GeneratorBasedBuilder):
    """The data set `inbetween_clips`; the module's docstring describes an example."""

    name = "inbetween_clips"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The first release."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        ClipsConfig(
            name=config_name(scene, image_size, channels),
            description=description.description,
            scene=scene,
            image_size=image_size,
            channels=channels,
        )
        for scene, description in scenes.SCENES.items()
        for image_size, channels in itertools.product(IMAGE_SIZES, CHANNELS)
    ]

    # Nothing is downloaded; looking for checksums would need a package TFDS 4.9 does not declare.
    url_infos = None

    def __init__(self, *, workers: int | None = None, **kwargs):
        """Names a data set, built or not.

        Args:
          workers: rendering processes; None for one per CPU core, 0 for none but this one.
          **kwargs: those of `tfds.core.DatasetBuilder`, such as config and data_dir.

        Raises:
          ValueError: if the config names an unknown scene.
        """
        self._workers = workers
        super().__init__(**kwargs)

    def download_and_prepare(self, **kwargs) -> None:
        """Builds the data set unless it is there, as in TFDS.

        Only one process builds it at a time. A second one waits and then finds it built. What a
        killed build has left behind is removed.

        Args:
          **kwargs: those of `tfds.core.DatasetBuilder.download_and_prepare`.
        """
        download_config = kwargs.get("download_config")
        overwrite = download_config and download_config.download_mode.overwrite_dataset
        with contextlib.ExitStack() as stack:
            if overwrite or not os.path.exists(self.data_dir):
                stack.enter_context(_locked(Path(self.data_dir).parent))
            if os.path.exists(self.data_dir) and not overwrite:
                self.info.read_from_directory(self.data_dir)
                return
            config, scene = self.builder_config, scenes.get(self.builder_config.scene)
            self._pool = stack.enter_context(
                RenderPool(
                    scene.view, config.image_size, config.channels, config.samples, self._workers
                )
            )
            self._progress = stack.enter_context(
                tqdm(
                    total=sum(frames for _, frames in self.counts().values()),
                    desc=f"Rendering {config.name}",
                    unit=" frames",
                    leave=False,
                    mininterval=0.5,
                )
            )
            stack.enter_context(_without_tfds_noise())
            super().download_and_prepare(**kwargs)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Returns the number of clips, and of frames in all of them, of each split."""
        config, scene = self.builder_config, scenes.get(self.builder_config.scene)
        return {
            split: scenes.count(scene, split, config.seed, config.frame_stride)
            for split in scenes.SPLITS
        }

    def _example_writer(self) -> ExampleWriter:
        return _CanonicalWriter(super()._example_writer().file_format)

    def _log_download_bytes(self) -> None:
        """Keeps TFDS from announcing a download of unknown size."""

    def _log_download_done(self) -> None:
        """Keeps TFDS from announcing that a download is over."""

    def _info(self) -> tfds.core.DatasetInfo:
        config, scene = self.builder_config, scenes.get(self.builder_config.scene)
        size, pose_size = config.image_size, len(scene.pose_names)
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{_DESCRIPTION}\n{scene.description}",
            features=tfds.features.FeaturesDict(
                {
                    "clip": tfds.features.Text(),
                    "frames": tfds.features.Sequence(
                        tfds.features.Image(
                            shape=(size, size, config.channels), encoding_format="png"
                        )
                    ),
                    "pose": tfds.features.Tensor(shape=(None, pose_size), dtype=np.float32),
                    "closed": np.bool_,
                    "pace": np.float32,
                }
            ),
            citation=_CITATION,
            license=_LICENSE,
            metadata=tfds.core.MetadataDict(
                scene=config.scene,
                pose_names=list(scene.pose_names),
                gap_unit=scene.gap_unit,
                gaps=list(scene.gaps),
                image_size=size,
                channels=config.channels,
                samples=config.samples,
                seed=config.seed,
                frame_stride=config.frame_stride,
                generator_version=str(self.VERSION),
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        del dl_manager
        return {split: self._generate_examples(split) for split in scenes.SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict]]:
        config, scene = self.builder_config, scenes.get(self.builder_config.scene)
        plans, plans_to_draw = itertools.tee(
            plan.strided(config.frame_stride) for plan in scene.plan(split, config.seed)
        )
        frames = self._pool.render(
            scene.parts(pose) for plan in plans_to_draw for pose in plan.poses
        )
        for index, plan in enumerate(plans):
            clip = np.empty((len(plan.poses), *self.info.features["frames"].shape[1:]), np.uint8)
            for k, frame in enumerate(itertools.islice(frames, len(clip))):
                clip[k] = frame
                self._progress.update()
            yield (
                index,
                {
                    "clip": f"{split}_{index:06d}",
                    "frames": clip,
                    "pose": plan.poses.astype(np.float32),
                    "closed": plan.closed,
                    "pace": plan.pace,
                },
            )


def build(
    scene: str,
    image_size: int = 64,
    channels: int = 3,
    data_dir: str | os.PathLike | None = None,
    overwrite: bool = False,
    workers: int | None = None,
) -> tfds.core.DatasetBuilder:
    """Returns the builder of a scene's variant, its data set built if it was not.

    Args:
      scene: a row of `data_gen.scenes.SCENES`, or the name of clips that were imported into
        data_dir (`data_gen.imported`), of which the last two arguments change nothing.
      image_size: 64 or 128, height and width in pixels.
      channels: 3 for RGB, 1 for luminance.
      data_dir: where TFDS keeps its data sets; None for its default (TFDS_DATA_DIR, or
        tensorflow_datasets in the home directory).
      overwrite: build it again even if it is there.
      workers: rendering processes; None for one per CPU core, 0 for none but this one.

    Raises:
      ValueError: if there is no such scene or variant; the message lists what is valid.
      RuntimeError: if a rendering process dies.
    """
    if scene not in scenes.SCENES:
        from data_gen import imported  # It builds on this module.

        return imported.open_clips(scene, image_size, channels, data_dir)
    builder = InbetweenClips(
        config=config_name(scene, image_size, channels), data_dir=data_dir, workers=workers
    )
    mode = "REUSE_CACHE_IF_EXISTS" if overwrite else "REUSE_DATASET_IF_EXISTS"
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            download_mode=getattr(tfds.download.GenerateMode, mode)
        )
    )
    return builder


class _CanonicalWriter(ExampleWriter):
    """Writes the features of an example sorted by name; TFDS leaves their order to chance."""

    def write(self, path, examples):
        """Writes (key, serialised tf.train.Example) pairs to a shard."""
        from tensorflow.train import Example

        return super().write(
            path,
            (
                (key, Example.FromString(example).SerializeToString(deterministic=True))
                for key, example in examples
            ),
        )


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Waits for the other builds in a directory to end, then clears away what dead ones left.

    The operating system drops the lock of a process that dies, so whoever holds it is the only
    one at work here and every unfinished build is a dead one's.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.warning("another process is building %s; waiting for it", directory)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in directory.glob("incomplete.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


@contextlib.contextmanager
def _without_tfds_noise() -> Iterator[None]:
    """Hides TFDS's progress bars, which count clips where ours counts frames."""
    active = tqdm_utils._active
    tfds.display_progress_bar(False)
    try:
        yield
    finally:
        tfds.display_progress_bar(active)
