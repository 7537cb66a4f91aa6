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

Each scene defines its splits; no two splits share a pose. For
`teapot_1dof`, all three are one full turn: train stands at the whole degrees 0, 1, ..., 359;
validation halfway between them at 0.5, 1.5, ..., 359.5; test is twice as dense, at 0.25, 0.75,
..., 359.75, so that every test pose is a quarter of a degree away from the nearest pose of
either.

The bytes on disk depend only on the config (with its seed) and the installed versions, not, for
example, on the number of worker processes. Another kind of CPU may round a pixel differently.
"""

import contextlib
import dataclasses
import itertools
import os
import re
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from data_gen import meshes, scenes, tfds_hooks
from data_gen.data_set_folder import (
    check_metadata,
    damaged,
    features_of,
    locked,
    with_checksum,
)
from data_gen.kinds import KINDS, check_channels
from data_gen.pool import renderer
from frame_io.sizes import Size

IMAGE_SIZES = (64, 32, 128)  # The default first.

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
    """Settings of a data set, which decide its bytes.

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


def config_name(scene, image_size=64, channels=3):
    """Returns the name of a config, such as "teapot_1dof_128px_grey".

    Args:
      scene: a row of `data_gen.scenes.SCENES`, or a variant, see there.
      image_size: 32, 64 or 128, height and width in pixels.
      channels: 3 for RGB, 1 for luminance.

    Raises:
      ValueError: if there is no such variant; the message lists what is valid.
    """
    scene = scenes.variant(scene)
    image_size = _side(image_size)
    kind = scenes.get(scene).kind
    check_channels(kind, channels)
    size = "" if image_size == IMAGE_SIZES[0] else f"_{image_size}{KINDS[kind].size_unit}"
    return scene + size + ("" if channels == KINDS[kind].channels[0] else "_grey")


def _side(image_size):
    """Height and width of a scene's frames, of a size as `Size.of` takes it."""
    size = Size.of(image_size)
    if size.height != size.width or size.width not in IMAGE_SIZES:
        raise ValueError(f"unknown image size {size}; valid: {IMAGE_SIZES}")
    return size.width


def _config(scene, image_size=64, channels=3):
    scene = scenes.variant(scene)
    return ClipsConfig(
        name=config_name(scene, image_size, channels),
        description=scenes.get(scene).description,
        scene=scene,
        image_size=image_size,
        channels=channels,
        seed=scenes.parse(scene)[1].get("seed", 0),
    )


def _named(name):
    """The config that a name tells, the inverse of `config_name`."""
    sized = name.removesuffix("_grey")
    units = "|".join(kind.size_unit for kind in KINDS.values())
    scene, size, _ = re.fullmatch(rf"(.*?)(?:_(\d+)({units}))?", sized).groups()
    channels = KINDS[scenes.get(scene).kind].channels
    if sized != name and len(channels) == 1:
        raise ValueError(f"unknown config {name!r}; did you mean {sized!r}?")
    config = _config(scene, int(size or IMAGE_SIZES[0]), channels[sized != name])
    if config.name != name:
        raise ValueError(f"unknown config {name!r}; did you mean {config.name!r}?")
    return config


class InbetweenClips(tfds_hooks.CanonicalBuilder):
    """The data set `inbetween_clips`; the module's docstring describes an example."""

    name = "inbetween_clips"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The first release."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        _config(scene, image_size, channels)
        for scene in scenes.SCENES
        for image_size, channels in itertools.product(
            IMAGE_SIZES, KINDS[scenes.get(scene).kind].channels
        )
    ]

    def __init__(self, *, workers=None, **kwargs):
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
            folder = getattr(self, "data_dir", None)  # Set once the config is known.
            if folder is None or not os.path.isdir(folder):
                raise
            raise damaged(folder, error) from error

    def download_and_prepare(self, **kwargs):
        """Builds the data set unless it is there, as in TFDS.

        Only one process builds it at a time. A second one waits and then finds it built. Leftovers
        of killed builds are removed.

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
                stack.enter_context(locked(Path(self.data_dir).parent))
            if self.data_path.exists() and not overwrite:
                self.info.read_from_directory(self.data_dir)
                check_metadata(self.data_dir)
                return
            config, scene = self.builder_config, scenes.get(self.builder_config.scene)
            self._pool = stack.enter_context(
                renderer(scene, config.image_size, config.channels, config.samples, self._workers)
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
            stack.enter_context(tfds_hooks.no_progress_bars())
            stack.enter_context(tfds_hooks.shuffling_on_disk())
            super().download_and_prepare(**kwargs)

    def counts(self):
        """Returns the number of clips, and of frames in all of them, of each split."""
        config, scene = self.builder_config, scenes.get(self.builder_config.scene)
        return {
            split: scenes.count(scene, split, config.seed, config.frame_stride)
            for split in scene.clips
        }

    @classmethod
    def config_of(cls, name):
        """Returns the config of a variant, which is not listed but made."""
        return _named(name)

    def _info(self):
        config, scene = self.builder_config, scenes.get(self.builder_config.scene)
        pose_size = len(scene.pose_names)
        how_drawn = {
            "colours": tfds.features.Tensor(shape=(None, 3), dtype=np.float32),
            "light": tfds.features.Tensor(shape=(3,), dtype=np.float32),
            "background": tfds.features.Tensor(shape=(3,), dtype=np.float32),
            "seed": np.int64,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{_DESCRIPTION}\n{scene.description}",
            features=features_of(
                KINDS[scene.kind].shape(Size.of(config.image_size), config.channels),
                pose_size,
                **(how_drawn if _stores_how_drawn(scene) else {}),
            ),
            citation=_CITATION,
            license=_LICENSE,
            metadata=with_checksum(
                scene=config.scene,
                pose_names=list(scene.pose_names),
                gap_unit=scene.gap_unit,
                gaps=list(scene.gaps),
                image_size=config.image_size,
                channels=config.channels,
                samples=config.samples,
                seed=config.seed,
                frame_stride=config.frame_stride,
                kind=scene.kind,
                generator_version=str(self.VERSION),
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        clips = scenes.get(self.builder_config.scene).clips
        return {split: self._generate_examples(split) for split in clips}

    def _generate_examples(self, split):
        config, numbers = self.builder_config, range(self.counts()[split][0])
        if self._by_beam:
            return _beam_clips(config, split, numbers)
        return _clips(config, split, numbers, self._render)

    def _render(self, pictures):
        for frame in self._pool.render(pictures):
            self._progress.update()
            yield frame


def build(
    scene,
    image_size=64,
    channels=3,
    data_dir=None,
    overwrite=False,
    workers=None,
    beam_pipeline_options=None,
):
    """Returns the builder of a scene or a variant, after building its data set if needed.

    Args:
      scene: a row of `data_gen.scenes.SCENES`, or a variant, see there.
      image_size: 32, 64 or 128, height and width in pixels.
      channels: 3 for RGB, 1 for luminance.
      data_dir: where TFDS keeps its data sets; None for its default (TFDS_DATA_DIR, or
        tensorflow_datasets in the home directory).
      overwrite: build it again if it exists.
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


def _clips(config, split, numbers, render):
    """Plans and draws the clips of some numbers one after the other, each with its number."""
    scene = scenes.get(config.scene)

    def plan(number):
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


def _beam_clips(config, split, numbers):
    """The same clips as a transform of Apache Beam."""
    import apache_beam as beam

    return (
        beam.Create(numbers)
        | beam.Reshuffle()
        | beam.FlatMap(_beam_clip, config=config, split=split, files=list(meshes.FILES.values()))
    )


def _beam_clip(number, config, split, files):
    for path in set(files) - set(meshes.FILES.values()):
        meshes.add_file(path)
    scene, size = scenes.get(config.scene), (config.image_size, config.channels)
    with renderer(scene, *size, config.samples, workers=0) as pool:
        yield from _clips(config, split, [number], pool.render)


def _beam_options(text):
    """Reads "runner=DirectRunner,direct_num_workers=2", as the command line of TFDS does."""
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise ValueError(
            "a build by Apache Beam needs it: pip install 'tf_inbetween[beam]'"
        ) from None
    return PipelineOptions(flags=[f"--{option}" for option in text.split(",")])


def _stores_how_drawn(scene):
    return scene.frame is None and (scene.is_drawn or bool(scene.vary))
