"""Renders a scene into a data set: python -m data_gen.build --scene=teapot_1dof."""

import time

from absl import flags
from absl.logging import WARNING

from data_gen import scene_flags
from frame_io import command_line

_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Where TFDS keeps its data sets. Default: TFDS_DATA_DIR, or ~/tensorflow_datasets.",
)
_OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Build again if it exists.")

_BEAM = flags.DEFINE_string(
    "beam_pipeline_options",
    None,
    "Build by Apache Beam with these options, such as runner=DirectRunner,direct_num_workers=2.",
)


def main():
    """Builds what the flags say and prints where it is."""
    from data_gen import builder

    scene, image_size, channels, workers = scene_flags.variant()
    name = builder.config_name(scene, image_size, channels)
    clips = builder.InbetweenClips(config=name, data_dir=_DATA_DIR.value)
    was_there = clips.data_path.exists() and not _OVERWRITE.value
    start = time.monotonic()
    clips = builder.build(
        scene,
        image_size,
        channels,
        _DATA_DIR.value,
        _OVERWRITE.value,
        workers,
        _BEAM.value,
    )
    seconds = time.monotonic() - start

    counts = clips.counts()
    frames = sum(frames for _, frames in counts.values())
    sizes = ", ".join(
        f"{split} {number} clip{'s' * (number != 1)} of {total} frames in all"
        for split, (number, total) in counts.items()
    )
    print(f"{clips.info.full_name}: {sizes}")
    if was_there:
        print(f"already built in {clips.data_dir}")
    else:
        print(f"built in {clips.data_dir}")
        print(f"{frames} frames in {seconds:.1f} s, {frames / seconds:.0f} frames/s")


if __name__ == "__main__":
    command_line.run(
        main, on_interrupt="nothing was built", bad_input=(ValueError,), verbosity=WARNING
    )
