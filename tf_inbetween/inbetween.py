"""Draws the frames between two pictures.

    python -m tf_inbetween.inbetween --run_dir=runs/teapot \
        --first=a.png --second=b.png --frames=7 --output=between.gif
"""

import numpy as np
from absl import flags

from tf_inbetween import command_line, images, run_directory
from tf_inbetween.config import InputError

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("run_dir", None, "The run whose model draws.", required=True)
    flags.DEFINE_string("first", None, "The picture to start from.", required=True)
    flags.DEFINE_string("second", None, "The picture to end at.", required=True)
    flags.DEFINE_integer("frames", 7, "In-betweens to draw.", lower_bound=1, upper_bound=10_000)
    flags.DEFINE_string(
        "output", None, "Where to: .gif, .webp, .apng, or .png for a strip.", required=True
    )
    flags.DEFINE_float("seconds_per_frame", 0.1, "How long an animation shows a frame.", 0.01)
    flags.DEFINE_integer("scale", 1, "Pixels drawn for every pixel of a frame.", 1, 64)
    flags.DEFINE_bool("ends", True, "Put the two pictures themselves at the ends.")


def main():
    """Reads two pictures, draws between them, writes the result."""
    images.check_writable(FLAGS.output)
    config = run_directory.load_config(FLAGS.run_dir)
    first, second = (
        images.read_frame(path, config.image_size, config.channels)
        for path in (FLAGS.first, FLAGS.second)
    )
    model = run_directory.load_model(FLAGS.run_dir)
    frames = draw(model, first, second, FLAGS.frames)
    if FLAGS.ends:
        frames = np.concatenate([first[np.newaxis], frames, second[np.newaxis]])
    images.write_frames(FLAGS.output, frames, FLAGS.seconds_per_frame, FLAGS.scale)
    print(f"wrote {FLAGS.output}: {len(frames)} frames")


def draw(model, first, second, count):
    """The `count` evenly spaced frames strictly between two frames.

    Args:
        model: a `TripletVAE`.
        first, second: float [H, W, C] in [0, 1].
        count: at least 1.

    Returns:
        float32 [count, H, W, C] in [0, 1].
    """
    if count < 1:
        raise InputError(f"{count} in-betweens: must be at least 1")
    return model.path(first, second, np.linspace(0, 1, count + 2)[1:-1]).numpy()


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
