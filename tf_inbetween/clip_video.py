"""Writes a clip of a scene as a video or an animated image, to look at or to import again.

python -m tf_inbetween.clip_video --scene=teapot_1dof --split=test --output=turn.mp4
"""

import itertools

from absl import flags

from frame_io import command_line, writing
from tf_inbetween import images
from tf_inbetween.clips import prepare
from tf_inbetween.config import Config, InputError

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("scene", "teapot_1dof", "Whose clip.")
    flags.DEFINE_string("image_size", "64", "Size of a frame in pixels, or WIDTHxHEIGHT.")
    flags.DEFINE_integer("channels", 3, "3 for RGB, 1 for grey.")
    flags.DEFINE_string("data_dir", "", "Where data sets live; empty: where TFDS keeps them.")
    flags.DEFINE_string("split", "test", "Of which split.")
    flags.DEFINE_integer("clip", 0, "Which one, counted from 0.", 0)
    flags.DEFINE_integer("times", 1, "How often it is shown, one after another.", 1, 1000)
    writing.define_flags()
    flags.DEFINE_float("fps", 30.0, "Frames of a second.", 0.1, 100)


def main():
    """Writes the clip that the flags name, after building its data set if needed."""
    writing.check_writable(FLAGS.output)
    config = Config(
        scene=FLAGS.scene,
        image_size=FLAGS.image_size,
        channels=FLAGS.channels,
        data_dir=FLAGS.data_dir,
    )
    clips = prepare(config)
    count = len(clips.clip_infos(FLAGS.split))
    if FLAGS.clip >= count:
        raise InputError(f"--clip={FLAGS.clip}: split {FLAGS.split!r} has {count}")
    (clip,) = clips.read(FLAGS.split, [FLAGS.clip])
    shown = itertools.chain.from_iterable(itertools.repeat(clip.frames / 255.0, FLAGS.times))
    written = images.write_frames(FLAGS.output, shown, 1 / FLAGS.fps, FLAGS.scale)
    print(f"wrote {FLAGS.output}: {written}")


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
