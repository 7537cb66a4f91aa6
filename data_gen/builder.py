"""The TensorFlow Datasets builder `inbetween_clips`: rendered clips, one config per scene variant.

An example is one clip:

    clip    string []             its name, such as "train_000000"
    frames  uint8 [K, H, W, C]    sRGB, stored as K PNG images
    pose    float32 [K, P]        the degrees of freedom of every frame, see metadata["pose_names"]
    cyclic  bool []               whether the last frame leads back to the first
    units_per_frame  float32 []   gap units (metadata["gap_unit"], such as degrees) per frame; 0 if
                                  the scene has none

and, where clips are drawn at random or their looks vary (so not for plain `teapot_1dof`, whose
one look the code tells), how it was drawn:

    colours     float32 [N, 3]    linear RGB of each part
    light       float32 [3]       from the solids towards the lamp
    background  float32 [3]       linear RGB
    seed        int64 []          with the clip's name, what `Scene.clip` needs to plan it again

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
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.core import shuffle
from tensorflow_datasets.core.utils import tqdm_utils
from tensorflow_datasets.core.writer import ExampleWriter
from tqdm import tqdm

from data_gen import meshes, scenes
from data_gen.pool import RenderPool

IMAGE_SIZES = (64, 128)
CHANNELS = (3, 1)

_SHUFFLED_IN_MEMORY = 2**25  # bytes of encoded clips; TFDS would hold thirty times as many

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
      scene: a row of `data_gen.scenes.SCENES`, or a variant, see there.
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
    """Returns the name of a config, such as "teapot_1dof_128px_grey".

    Args:
      scene: a row of `data_gen.scenes.SCENES`, or a variant, see there.
      image_size: 64 or 128, height and width in pixels.
      channels: 3 for RGB, 1 for luminance.

    Raises:
      ValueError: if there is no such variant; the message lists what is valid.
    """
    scene = scenes.variant(scene)
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"unknown image size {image_size!r}; valid: {IMAGE_SIZES}")
    if channels not in CHANNELS:
        raise ValueError(f"unknown number of channels {channels!r}; valid: {CHANNELS}")
    size = "" if image_size == IMAGE_SIZES[0] else f"_{image_size}px"
    return scene + size + ("_grey" if channels == 1 else "")


def _config(scene: str, image_size: int = 64, channels: int = 3) -> ClipsConfig:
    scene = scenes.variant(scene)
    return ClipsConfig(
        name=config_name(scene, image_size, channels),
        description=scenes.get(scene).description,
        scene=scene,
        image_size=image_size,
        channels=channels,
        seed=scenes.parse(scene)[1].get("seed", 0),
    )


def _named(name: str) -> ClipsConfig:
    """The config that a name tells, the inverse of `config_name`."""
    sized = name.removesuffix("_grey")
    scene = sized.removesuffix(f"_{IMAGE_SIZES[1]}px")
    config = _config(scene, IMAGE_SIZES[scene != sized], CHANNELS[sized != name])
    if config.name != name:
        raise ValueError(f"unknown config {name!r}; did you mean {config.name!r}?")
    return config


class InbetweenClips(tfds.core.GeneratorBasedBuilder):
    """The data set `inbetween_clips`; the module's docstring describes an example."""

    name = "inbetween_clips"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The first release."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        _config(scene, image_size, channels)
        for scene in scenes.SCENES
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
          ValueError: if the config names an unknown scene, or what is there of the data set cannot
            be read.
        """
        self._workers = workers
        try:
            super().__init__(**kwargs)
        except Exception as error:
            folder = getattr(self, "_data_dir", None)  # Set once the config is known.
            if folder is None or not os.path.isdir(folder):
                raise
            raise damaged(folder, error) from error

    def download_and_prepare(self, **kwargs) -> None:
        """Builds the data set unless it is there, as in TFDS.

        Only one process builds it at a time. A second one waits and then finds it built. What a
        killed build has left behind is removed.

        Args:
          **kwargs: those of `tfds.core.DatasetBuilder.download_and_prepare`. If its download_config
            names a runner or options of Apache Beam, that does the work.
        """
        download_config = kwargs.get("download_config")
        overwrite = download_config and download_config.download_mode.overwrite_dataset
        self._by_beam = bool(
            download_config and (download_config.beam_options or download_config.beam_runner)
        )
        with contextlib.ExitStack() as stack:
            # A bucket, such as gs://…, has no locks.
            is_local = "://" not in str(self.data_dir)
            if is_local and (overwrite or not os.path.exists(self.data_dir)):
                stack.enter_context(_locked(Path(self.data_dir).parent))
            if self.data_path.exists() and not overwrite:
                self.info.read_from_directory(self.data_dir)
                check_metadata(self.data_dir)
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
                    disable=self._by_beam,
                )
            )
            stack.enter_context(_without_tfds_noise())
            stack.enter_context(_shuffling_on_disk())
            super().download_and_prepare(**kwargs)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Returns the number of clips, and of frames in all of them, of each split."""
        config, scene = self.builder_config, scenes.get(self.builder_config.scene)
        return {
            split: scenes.count(scene, split, config.seed, config.frame_stride)
            for split in scene.clips
        }

    def _create_builder_config(self, builder_config, version):
        """Finds a config by its name; those of variants are not listed but made."""
        if isinstance(builder_config, str) and builder_config not in self.builder_configs:
            return _named(builder_config.partition(":")[0])
        return super()._create_builder_config(builder_config, version)

    def _example_writer(self) -> ExampleWriter:
        return _CanonicalWriter(super()._example_writer().file_format)

    def _log_download_bytes(self) -> None:
        """Keeps TFDS from announcing a download of unknown size."""

    def _log_download_done(self) -> None:
        """Keeps TFDS from announcing that a download is over."""

    def _info(self) -> tfds.core.DatasetInfo:
        config, scene = self.builder_config, scenes.get(self.builder_config.scene)
        size, pose_size = config.image_size, len(scene.pose_names)
        how_drawn = {
            "colours": tfds.features.Tensor(shape=(None, 3), dtype=np.float32),
            "light": tfds.features.Tensor(shape=(3,), dtype=np.float32),
            "background": tfds.features.Tensor(shape=(3,), dtype=np.float32),
            "seed": np.int64,
        }
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
                    "cyclic": np.bool_,
                    "units_per_frame": np.float32,
                    **(how_drawn if _stores_how_drawn(scene) else {}),
                }
            ),
            citation=_CITATION,
            license=_LICENSE,
            metadata=with_checksum(
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
        clips = scenes.get(self.builder_config.scene).clips
        return {split: self._generate_examples(split) for split in clips}

    def _generate_examples(self, split: str):
        config, numbers = self.builder_config, range(self.counts()[split][0])
        if self._by_beam:
            return _beam_clips(config, split, numbers)
        return _clips(config, split, numbers, self._render)

    def _render(self, pictures: Iterable[scenes.Picture]) -> Iterator[np.ndarray]:
        for frame in self._pool.render(pictures):
            self._progress.update()
            yield frame


def build(
    scene: str,
    image_size: int = 64,
    channels: int = 3,
    data_dir: str | os.PathLike | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    beam_pipeline_options: str | None = None,
) -> tfds.core.DatasetBuilder:
    """Returns the builder of a scene or a variant of one, its data set built if it was not.

    Args:
      scene: a row of `data_gen.scenes.SCENES`, or a variant, see there.
      image_size: 64 or 128, height and width in pixels.
      channels: 3 for RGB, 1 for luminance.
      data_dir: where TFDS keeps its data sets; None for its default (TFDS_DATA_DIR, or
        tensorflow_datasets in the home directory).
      overwrite: build it again even if it is there.
      workers: rendering processes; None for one per CPU core, 0 for none but this one.
      beam_pipeline_options: build by Apache Beam with these, such as "runner=DirectRunner"; the
        examples are the same, how many files they fill may differ.

    Raises:
      ValueError: if there is no such scene or variant; the message lists what is valid. Or if
        Apache Beam is asked for and not installed.
      RuntimeError: if a rendering process dies.
    """
    builder = InbetweenClips(
        config=config_name(scene, image_size, channels), data_dir=data_dir, workers=workers
    )
    mode = "REUSE_CACHE_IF_EXISTS" if overwrite else "REUSE_DATASET_IF_EXISTS"
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            download_mode=getattr(tfds.download.GenerateMode, mode),
            beam_options=_beam_options(beam_pipeline_options) if beam_pipeline_options else None,
        )
    )
    return builder


def _clips(
    config: ClipsConfig,
    split: str,
    numbers: Iterable[int],
    render: Callable[[Iterable[scenes.Picture]], Iterator[np.ndarray]],
) -> Iterator[tuple[int, dict]]:
    """Plans and draws the clips of some numbers one after the other, each with its number."""
    scene = scenes.get(config.scene)

    def plan(number: int) -> tuple[int, scenes.ClipPlan, scenes.Look]:
        plan = scene.clip(split, number, config.seed).strided(config.frame_stride)
        return number, plan, scene.look(split, number, config.seed, scene.parts(plan.poses[0]))

    plans, plans_to_draw = itertools.tee(map(plan, numbers))
    frames = render(
        scene.picture(pose, look) for _, plan, look in plans_to_draw for pose in plan.poses
    )
    for number, plan, look in plans:
        example = {
            "clip": f"{split}_{number:06d}",
            "frames": np.stack(list(itertools.islice(frames, len(plan.poses)))),
            "pose": plan.poses.astype(np.float32),
            "cyclic": plan.cyclic,
            "units_per_frame": plan.units_per_frame,
        }
        if _stores_how_drawn(scene):
            example |= {
                "colours": np.array(look.colours, np.float32),
                "light": np.array(look.light, np.float32),
                "background": np.array(look.background, np.float32),
                "seed": config.seed,
            }
        yield number, example


def _beam_clips(config: ClipsConfig, split: str, numbers: Iterable[int]):
    """The same clips as a transform of Apache Beam."""
    import apache_beam as beam

    return (
        beam.Create(numbers)
        | beam.Reshuffle()
        | beam.FlatMap(_beam_clip, config=config, split=split, files=list(meshes.FILES.values()))
    )


def _beam_clip(
    number: int, config: ClipsConfig, split: str, files: list[str]
) -> Iterator[tuple[int, dict]]:
    for path in set(files) - set(meshes.FILES.values()):
        meshes.add_file(path)
    view = scenes.get(config.scene).view
    size, channels, samples = config.image_size, config.channels, config.samples
    with RenderPool(view, size, channels, samples, workers=0) as pool:
        yield from _clips(config, split, [number], pool.render)


def _beam_options(text: str):
    """Reads "runner=DirectRunner,direct_num_workers=2", as the command line of TFDS does."""
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise ValueError(
            "a build by Apache Beam needs it: pip install 'tf_inbetween[beam]'"
        ) from None
    return PipelineOptions(flags=[f"--{option}" for option in text.split(",")])


def with_checksum(**metadata) -> tfds.core.MetadataDict:
    """Returns metadata with the key "sha256", of all the others; `check_metadata` looks at it.

    TFDS keeps no checksum of it, and a bit that flips in it would change gaps or names.
    """
    return tfds.core.MetadataDict(**metadata, sha256=_sha256(metadata))


def check_metadata(data_dir: str | os.PathLike) -> None:
    """Raises ValueError if the metadata.json of a data set is damaged.

    One without the key "sha256", of a version that did not write it, is taken as it is.
    """
    try:
        metadata = json.loads((Path(data_dir) / "metadata.json").read_text())
        if "sha256" in metadata and metadata.pop("sha256") != _sha256(metadata):
            raise ValueError("the checksum of metadata.json does not match")
    except (OSError, ValueError, TypeError) as error:
        raise damaged(data_dir, error) from error


def damaged(data_dir: str | os.PathLike, error: Exception) -> ValueError:
    """The error for a data set whose files cannot be read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return ValueError(
        f"{data_dir}: the data set is damaged ({reason}): remove that folder and build or import "
        "it again"
    )


def _sha256(metadata):
    return hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()


def _stores_how_drawn(scene: scenes.Scene) -> bool:
    return scene.is_drawn or bool(scene.vary)


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
    one at work here and every unfinished build is a dead one's. After an error the lock file goes
    while it is still held, and so do the folders that were not there before, if they are empty.
    """
    path = directory / ".lock"
    new = list(itertools.takewhile(lambda f: not f.exists(), [directory, *directory.parents]))
    with _locked_file(path):
        try:
            for leftover in directory.glob("incomplete.*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
                for folder in new:
                    folder.rmdir()
            raise


def _locked_file(path: Path) -> IO:
    """Opens a file and waits for its lock; if it was removed meanwhile, does so with a new one."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:
            lock = stack.enter_context(open(path, "w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.warning("another process is building %s; waiting for it", path.parent)
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(path)):
                stack.pop_all()
                return lock


@contextlib.contextmanager
def _without_tfds_noise() -> Iterator[None]:
    """Hides TFDS's progress bars, which count clips where ours counts frames."""
    active = tqdm_utils._active
    tfds.display_progress_bar(False)
    try:
        yield
    finally:
        tfds.display_progress_bar(active)


@contextlib.contextmanager
def _shuffling_on_disk() -> Iterator[None]:
    """Lets TFDS hold less of a split in memory before it sorts it by way of files; same bytes."""
    limit = shuffle.MAX_MEM_BUFFER_SIZE
    shuffle.MAX_MEM_BUFFER_SIZE = _SHUFFLED_IN_MEMORY
    try:
        yield
    finally:
        shuffle.MAX_MEM_BUFFER_SIZE = limit
