"""Draws the frames between two pictures, between several, or between all frames of a video.

Of a model of sound: writes the sounds between two sound files, or several, as one sound, see
`tf_inbetween.glides`. Of a model of text: prints the lines between two lines, or several, see
`tf_inbetween.lines`.

    python -m tf_inbetween.inbetween --run_dir=runs/teapot \
        --first=a.png --second=b.png --frames=7 --output=between.gif
    python -m tf_inbetween.inbetween --run_dir=runs/teapot \
        --frame=a.png --frame=b.png --frame=c.png --keyframe_path=spline --output=between.gif
    python -m tf_inbetween.inbetween --run_dir=runs/walk --input=walk.mp4 --output=slow.mp4
    python -m tf_inbetween.inbetween --run_dir=runs/clock --first="ten past four" \
        --second="ten to six"
    python -m tf_inbetween.inbetween --run_dir=runs/tone --first=a.wav --second=b.wav \
        --output=glide.wav
"""

from absl import flags
from tqdm import tqdm

from frame_io import command_line, writing
from tf_inbetween import glides, images, interpolation, lines, run_directory
from tf_inbetween.config import InputError
from tf_inbetween.drawing import draw_through

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("run_dir", None, "The run whose model draws.", required=True)
    flags.DEFINE_string("first", None, "The picture, sound or line to start from; with --second.")
    flags.DEFINE_string("second", None, "The picture, sound or line to end at.")
    flags.DEFINE_multi_string(
        "frame", [], "A key frame; give it twice or more. The path goes through all, in order."
    )
    flags.DEFINE_string(
        "input",
        None,
        "A video, animated image or folder of pictures, whose frames are key frames; a .txt file, "
        "whose lines are.",
    )
    flags.DEFINE_integer(
        "frames",
        7,
        "In-betweens to draw between two key frames.",
        lower_bound=1,
        upper_bound=10_000,
    )
    flags.DEFINE_enum(
        "keyframe_path",
        "linear",
        list(interpolation.PATHS),
        "From key to key as the model joins two frames, or a smooth curve through all.",
    )
    writing.define_flags(required=False)
    flags.DEFINE_float("seconds_per_frame", 0.1, "How long a frame is shown.", 0.01)
    flags.DEFINE_bool("ends", True, "Show the key frames too, not the in-betweens alone.")
    flags.DEFINE_bool(
        "redraw",
        False,
        "Show key frames as the model draws them: then sharpness does not pulse. With "
        "--inbetween_decoder=fusion these are the key frames as given.",
    )
    flags.DEFINE_float("fps", None, "Of --input: key frames per second. Default: all frames.")
    flags.DEFINE_float("start", 0.0, "Of --input: seconds to leave out at the beginning.")
    flags.DEFINE_float("end", None, "Of --input: where to stop, in seconds. Default: its end.")
    flags.DEFINE_string(
        "crop", "centre", "Of --input: what to keep, as it was imported: centre, or x,y,w,h."
    )
    flags.DEFINE_float(
        "folder_fps", 30.0, "Of --input: how many pictures of a folder make a second.", 0.001, 1e4
    )


def main():
    """Draws what the flags say, as the kind of the run's frames asks for it."""
    _kind_of_keys()
    COMMANDS[run_directory.kind_of(FLAGS.run_dir)](FLAGS)


def _draw_pictures(flags):
    """Reads the key frames, draws between them, writes the result."""
    del flags
    kind = _kind_of_keys()
    if FLAGS.output is None:
        raise InputError("missing --output")
    writing.check_writable(FLAGS.output, [FLAGS.first, FLAGS.second, FLAGS.input, *FLAGS.frame])
    config = run_directory.load_config(FLAGS.run_dir)
    size = (config.image_size, config.channels)
    if kind == "input":
        keys = images.Footage(
            FLAGS.input,
            *size,
            FLAGS.crop,
            fps=FLAGS.fps,
            start=FLAGS.start,
            end=FLAGS.end,
            folder_fps=FLAGS.folder_fps,
        )
    else:
        paths = FLAGS.frame if kind == "frame" else [FLAGS.first, FLAGS.second]
        keys = [images.read_frame(path, *size) for path in paths]
    model = run_directory.load_model(FLAGS.run_dir)
    show = ("drawn" if FLAGS.redraw else "given") if FLAGS.ends else "none"
    frames = draw_through(model, keys, FLAGS.frames, FLAGS.keyframe_path, show)
    total = (len(keys) - 1) * (FLAGS.frames + 1) + 1 if FLAGS.ends else None
    with tqdm(total=total, desc="Drawing", unit=" frames", leave=False, delay=2) as bar:
        written = images.write_frames(
            FLAGS.output, _told(frames, bar), FLAGS.seconds_per_frame, FLAGS.scale
        )
    print(f"wrote {FLAGS.output}: {written} frame{'s' * (written != 1)}")


COMMANDS = {
    "pictures": _draw_pictures,
    "sound": glides.write_between,
    "text": lines.write_between,
}


def _kind_of_keys():
    """Which flags name the key frames. Raises `InputError` unless it is one kind, and complete."""
    given = {
        "first": FLAGS.first is not None or FLAGS.second is not None,
        "frame": bool(FLAGS.frame),
        "input": FLAGS.input is not None,
    }
    kinds = [kind for kind, present in given.items() if present]
    if not kinds:
        raise InputError("missing --first and --second, or --frame twice or more, or --input")
    if len(kinds) > 1:
        raise InputError(f"--{kinds[0]} and --{kinds[1]}: give one or the other")
    for name in ("first", "second"):
        if kinds == ["first"] and getattr(FLAGS, name) is None:
            raise InputError(f"missing --{name}")
    if kinds == ["frame"] and len(FLAGS.frame) < 2:
        raise InputError(f"--frame={FLAGS.frame[0]}: give two key frames or more")
    return kinds[0]


def _told(frames, bar):
    for frame in frames:
        yield frame
        bar.update()


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
