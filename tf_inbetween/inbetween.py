"""Draws the frames between two pictures, between several, or between all frames of a video.

Of a model of sound: writes the sounds between two sound files, or several, as one sound, see
`tf_inbetween.glides`. Of a model of text: prints the lines between two lines, or several, see
`tf_inbetween.lines`.

    python -m tf_inbetween.inbetween --run_dir=runs/teapot \
        --first=a.png --second=b.png --frames=7 --output=between.gif
    python -m tf_inbetween.inbetween --run_dir=runs/teapot \
        --frame=a.png --frame=b.png --frame=c.png --keyframe_path=spline --output=between.gif
    python -m tf_inbetween.inbetween --run_dir=runs/teapot --pairs=list.csv
    python -m tf_inbetween.inbetween --run_dir=runs/walk \
        --input=walk.mp4 --output_fps=60 --output=smooth.mp4
    python -m tf_inbetween.inbetween --run_dir=runs/walk --input=walk.mp4 --slow=4 --output=slow.mp4
    python -m tf_inbetween.inbetween --run_dir=runs/clock --first="ten past four" \
        --second="ten to six"
    python -m tf_inbetween.inbetween --run_dir=runs/tone --first=a.wav --second=b.wav \
        --output=glide.wav

For video whose frames are close, such as 30 a second, optical flow is as sharp, faster, and needs
no training; this is for large gaps and for motion that the training clips show (docs/own_clips.md).
"""

import contextlib
import fractions
import sys
from pathlib import Path

from absl import flags
from tqdm import tqdm

from frame_io import command_line, shots, writing
from frame_io.sizes import Size
from tf_inbetween import (
    glides,
    images,
    interpolation,
    lines,
    pair_list,
    plans,
    run_directory,
    timeline,
)
from tf_inbetween.config import InputError

FLAGS = flags.FLAGS

_MAX_FPS = 1000


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
    flags.DEFINE_string(
        "pairs", None, "A CSV file of pairs to draw between, a row each: first,second,output."
    )
    flags.DEFINE_integer(
        "frames",
        7,
        "In-betweens to draw between two key frames.",
        lower_bound=1,
        upper_bound=10_000,
    )
    flags.DEFINE_string(
        "output_fps",
        None,
        "With --input, instead of --frames: frames per second of the result, such as 60 or "
        "60000/1001. It is as long as the input, and keeps its sound.",
    )
    flags.DEFINE_float(
        "slow",
        None,
        "With --input, instead of --frames: how many times as long the result is, at the frame "
        "rate of the input. Its sound is stretched, at the same pitch.",
        lower_bound=0.1,
        upper_bound=1000,
    )
    flags.DEFINE_enum(
        "keyframe_path",
        "linear",
        list(interpolation.PATHS),
        "How to join key frames: linear, one pair at a time, or spline, a smooth curve.",
    )
    writing.define_flags(required=False)
    flags.DEFINE_string(
        "image_size",
        None,
        "Size to draw in: WIDTHxHEIGHT, or own, that of --input or of the first picture. Default: "
        "the training's.",
    )
    flags.DEFINE_float("seconds_per_frame", 0.1, "With --frames: how long one is shown.", 0.001)
    flags.DEFINE_bool("ends", True, "Show the key frames too, not only the in-betweens.")
    flags.DEFINE_bool(
        "redraw",
        False,
        "Show key frames as the model draws them, so that sharpness does not pulse. With "
        "--inbetween_decoder=fusion these are the key frames as given.",
    )
    flags.DEFINE_bool(
        "loop",
        False,
        "Continue from the last key frame to just before the first: the result loops without "
        "a jump.",
    )
    _define_input_flags()


def _define_input_flags():
    flags.DEFINE_float("fps", None, "With --input: key frames per second. Default: all frames.")
    flags.DEFINE_float("start", 0.0, "With --input: seconds to leave out at the beginning.")
    flags.DEFINE_float("end", None, "With --input: where to stop, in seconds. Default: its end.")
    flags.DEFINE_string(
        "crop", "centre", "With --input: what to keep, as it was imported: centre, or x,y,w,h."
    )
    flags.DEFINE_float(
        "folder_fps", 30.0, "With --input: pictures per second of a folder.", 0.001, 1e4
    )
    flags.DEFINE_float(
        "shot_threshold",
        shots.THRESHOLD,
        "With --input: how much frames differ at a cut between shots (mean, of 255), across which "
        "nothing is drawn; 0: look for no cuts.",
        0,
    )
    flags.DEFINE_enum(
        "duplicates",
        "redraw",
        ["redraw", "keep"],
        "With --input: what to do with frames that repeat the one before. redraw: draw them again "
        "if they last 0.2 s at most, else keep a still scene. keep: they are key frames.",
    )
    flags.DEFINE_bool("sound", True, "With --input: keep its sound, if --output is a video.")


def main():
    """Draws what the flags say, by the kind of the run's frames."""
    _kind_of_keys()
    COMMANDS[run_directory.kind_of(FLAGS.run_dir)](FLAGS)


def _draw_pictures(flags):
    """Reads the key frames, draws between them, writes the result."""
    del flags
    kind = _kind_of_keys()
    pace = _pace(kind)
    if kind == "pairs":
        _draw_pairs()
        return
    if FLAGS.output is None:
        raise InputError("missing --output")
    writing.check_writable(FLAGS.output, [FLAGS.first, FLAGS.second, FLAGS.input, *FLAGS.frame])
    config = run_directory.load_config(FLAGS.run_dir)
    if kind == "input":
        plan = _plan_of_footage(config, pace)
    else:
        paths = FLAGS.frame if kind == "frame" else [FLAGS.first, FLAGS.second]
        plan = _plan_of_pictures(config, paths, FLAGS.output)
    _draw(run_directory.load_model(FLAGS.run_dir), plan, FLAGS.output)


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
        "pairs": FLAGS.pairs is not None,
    }
    kinds = [kind for kind, present in given.items() if present]
    if not kinds:
        raise InputError(
            "missing --first and --second, or --frame twice or more, or --input, or --pairs"
        )
    if len(kinds) > 1:
        raise InputError(f"--{kinds[0]} and --{kinds[1]}: give one or the other")
    (kind,) = kinds
    for name in ("first", "second"):
        if kind == "first" and getattr(FLAGS, name) is None:
            raise InputError(f"missing --{name}")
    if kind == "frame" and len(FLAGS.frame) < 2:
        raise InputError(f"--frame={FLAGS.frame[0]}: give two key frames or more")
    if kind == "pairs" and FLAGS.output is not None:
        raise InputError("--output: --pairs names an output in each row; leave it out")
    return kind


def _pace(kind):
    """Which flag says how many frames are drawn: "frames", "output_fps" or "slow"."""
    given = [name for name in ("frames", "output_fps", "slow") if FLAGS[name].present]
    if len(given) > 1:
        raise InputError(
            f"--{given[0]} and --{given[1]}: give one of --frames, --output_fps and --slow"
        )
    (pace,) = given or ["frames"]
    if pace != "frames" and kind != "input":
        raise InputError(f"--{pace}: is for --input, which has a length; give --frames")
    for flag, name in (("--seconds_per_frame", "seconds_per_frame"), ("--noends", "ends")):
        if pace != "frames" and FLAGS[name].present:
            raise InputError(f"{flag}: goes with --frames, not with --{pace}")
    return pace


def _size(config):
    """(height, width) of the frames to draw; None for that of the first key frame."""
    if FLAGS.image_size == "own":
        return None
    try:
        return Size.of(FLAGS.image_size or config.image_size)
    except ValueError as error:
        raise InputError(f"--image_size={error}") from error


def _plan_of_pictures(config, paths, output, notify=print):
    alpha, size = writing.keeps_alpha(output), _size(config)
    keys = []
    for path in paths:
        keys.append(images.read_frame(path, size, config.channels, notify, alpha))
        size = keys[0].shape[:2]
    return plans.of_pictures(
        keys, FLAGS.frames, FLAGS.seconds_per_frame, FLAGS.ends, FLAGS.loop, alpha
    )


def _plan_of_footage(config, pace):
    output_fps = _output_fps()
    footage = images.Footage(
        FLAGS.input,
        _size(config),
        config.channels,
        FLAGS.crop,
        fps=FLAGS.fps,
        start=FLAGS.start,
        end=FLAGS.end,
        folder_fps=FLAGS.folder_fps,
        even=pace == "frames",
        alpha=writing.keeps_alpha(FLAGS.output),
    )
    with _progress(footage, len(footage), "Looking") as frames:
        redraw = FLAGS.duplicates == "redraw"
        seen = timeline.look_through(frames, footage.times, FLAGS.shot_threshold, redraw)
    if pace == "frames":
        plan = plans.by_count(
            footage, seen, FLAGS.frames, FLAGS.seconds_per_frame, FLAGS.ends, FLAGS.loop
        )
    else:
        plan = plans.by_rate(footage, seen, output_fps, FLAGS.slow or 1.0, FLAGS.loop)
    _say_what_was_seen(plan)
    return plan


def _output_fps():
    if FLAGS.output_fps is None:
        return None
    try:
        rate = fractions.Fraction(FLAGS.output_fps)
    except (ValueError, ZeroDivisionError):
        rate = 0
    if not 0 < rate <= _MAX_FPS:
        raise InputError(
            f"--output_fps={FLAGS.output_fps}: must be a number above 0 and up to {_MAX_FPS}, "
            "such as 60, 23.976 or 60000/1001"
        )
    return rate


def _say_what_was_seen(plan):
    said = []
    if len(plan.shots) > 1:
        said.append(f"{len(plan.shots)} shots, with nothing drawn from one to the next")
    if plan.redrawn:
        said.append(f"{plan.redrawn} repeated frames are drawn again")
    if plan.sound and not writing.keeps_sound(FLAGS.output) and FLAGS.sound:
        said.append(f"its sound is left out, as a {Path(FLAGS.output).suffix} has none")
    if said:
        print(f"{FLAGS.input}: {'; '.join(said)}")


def _draw(model, plan, output):
    """Draws and writes one result, and reports it."""
    frames = plan.frames(model, FLAGS.keyframe_path, FLAGS.redraw)
    sound = plan.sound if FLAGS.sound and writing.keeps_sound(output) else None
    with _progress(frames, len(plan.places), "Drawing") as told:
        written = images.write_frames(
            output, told, plan.seconds_per_frame, FLAGS.scale, sound, tqdm.write
        )
    tqdm.write(f"wrote {output}: {written}")


@contextlib.contextmanager
def _progress(frames, total, what):
    """Yields the frames as they come; a bar shows how far they are, if it takes long."""
    with tqdm(total=total, desc=what, unit=" frames", leave=False, delay=2) as bar:

        def told():
            for frame in frames:
                yield frame
                bar.update()

        yield told()


def _draw_pairs():
    """Draws between the pairs of a list; all pairs are checked before the first is drawn."""
    config = run_directory.load_config(FLAGS.run_dir)
    size = _size(config)
    pairs, faults = pair_list.read(FLAGS.pairs)
    with tqdm(total=2 * len(pairs), desc="Looking", unit=" pictures", leave=False, delay=2) as bar:

        def read_frame(path):
            bar.update()
            images.read_frame(path, size, config.channels, notify=lambda text: None)

        faults += pair_list.faults_of(pairs, read_frame)
    for row, fault in sorted(faults):
        print(f"{FLAGS.pairs}: row {row}: {fault}", file=sys.stderr)
    if faults:
        raise InputError(f"--pairs={FLAGS.pairs}: {len(faults)} faults; nothing was drawn")
    model = run_directory.load_model(FLAGS.run_dir)
    for pair in tqdm(pairs, desc="Drawing", unit=" pairs", delay=2):
        plan = _plan_of_pictures(config, [pair.first, pair.second], pair.output, tqdm.write)
        _draw(model, plan, pair.output)


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
