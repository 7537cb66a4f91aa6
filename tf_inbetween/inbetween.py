"""Draws the frames between two pictures, between several, or between all frames of a video.

    python -m tf_inbetween.inbetween --run_dir=runs/teapot \
        --first=a.png --second=b.png --frames=7 --output=between.gif
    python -m tf_inbetween.inbetween --run_dir=runs/teapot \
        --frame=a.png --frame=b.png --frame=c.png --path=spline --output=between.gif
    python -m tf_inbetween.inbetween --run_dir=runs/walk --input=walk.mp4 --output=slow.mp4
"""

import functools
import itertools

import numpy as np
from absl import flags
from tqdm import tqdm

from tf_inbetween import command_line, images, interpolation, run_directory
from tf_inbetween.config import InputError, lookup
from tf_inbetween.models import FusionVAE

FLAGS = flags.FLAGS

_BATCH = 64


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("run_dir", None, "The run whose model draws.", required=True)
    flags.DEFINE_string("first", None, "The picture to start from; with --second.")
    flags.DEFINE_string("second", None, "The picture to end at.")
    flags.DEFINE_multi_string(
        "frame", [], "A key frame; give it twice or more. The path goes through all, in order."
    )
    flags.DEFINE_string(
        "input", None, "A video, moving picture or folder of pictures, whose frames are key frames."
    )
    flags.DEFINE_integer(
        "frames",
        7,
        "In-betweens to draw between two key frames.",
        lower_bound=1,
        upper_bound=10_000,
    )
    flags.DEFINE_enum(
        "path",
        "linear",
        list(interpolation.PATHS),
        "From key to key as the model joins two frames, or a smooth curve through all.",
    )
    flags.DEFINE_string(
        "output", None, "Where to: .gif, .webp, .apng, .mp4, or .png for a strip.", required=True
    )
    flags.DEFINE_float("seconds_per_frame", 0.1, "How long a frame is shown.", 0.01)
    flags.DEFINE_integer("scale", 1, "Pixels drawn for every pixel of a frame.", 1, 64)
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
    """Reads the key frames, draws between them, writes the result."""
    kind = _kind_of_keys()
    images.check_writable(FLAGS.output, [FLAGS.first, FLAGS.second, FLAGS.input, *FLAGS.frame])
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
    frames = draw_through(model, keys, FLAGS.frames, FLAGS.path, show)
    total = (len(keys) - 1) * (FLAGS.frames + 1) + 1 if FLAGS.ends else None
    with tqdm(total=total, desc="Drawing", unit=" frames", leave=False, delay=2) as bar:
        images.write_frames(FLAGS.output, _told(frames, bar), FLAGS.seconds_per_frame, FLAGS.scale)
        written = bar.n
    print(f"wrote {FLAGS.output}: {written} frames")


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


def draw(model, first, second, count):
    """The `count` evenly spaced frames strictly between two frames.

    Args:
        model: of a run.
        first, second: float [H, W, C] in [0, 1].
        count: at least 1.

    Returns:
        float32 [count, H, W, C] in [0, 1].
    """
    if count < 1:
        raise InputError(f"{count} in-betweens: must be at least 1")
    return model.path(first, second, np.linspace(0, 1, count + 2)[1:-1])


def draw_through(model, keys, count, path="linear", show="given"):
    """Draws `count` evenly spaced frames in every gap between key frames.

    A latent model decodes the path through the latents of all keys. A `FusionVAE` fuses each frame
    from the two keys around it and the latent on that path.

    Args:
        model: of a run.
        keys: at least two frames, float [H, W, C] in [0, 1]; a list, or anything else that can be
            iterated over twice. One batch of them is held at a time.
        count: at least 1.
        path: how the latents are joined: a row of `interpolation.PATHS`.
        show: what stands at the key frames themselves: "given", as they are; "drawn", as the model
            draws them at t = 0: a latent model reconstructs them, a `FusionVAE` copies them, so
            that "drawn" is "given"; "none", nothing.

    Yields:
        float32 [H, W, C] in [0, 1]: the frames in order.

    Raises:
        InputError: for an unknown path, one that the model cannot go, or fewer than one in-between,
            when the first is asked for.
    """
    if count < 1:
        raise InputError(f"{count} in-betweens: must be at least 1")
    join = lookup(interpolation.PATHS, path, "path")
    if not model.has_latents:
        yield from _draw_pairs(model, keys, count, path, show)
        return
    if model.curve is not None:
        if path != "linear":
            raise InputError(
                f"--path={path}: this model has a curve of its own from key to key, trained with "
                "--path=curved; --path=linear goes along it"
            )
        join = functools.partial(join, join=model.join)
    latents = np.concatenate(
        [model.encode(np.stack(batch)).mean().numpy() for batch in _batches(keys, _BATCH)]
    )
    if isinstance(model, FusionVAE):
        yield from _fuse_through(model, keys, latents, count, join, show)
        return
    gaps = len(latents) - 1
    steps = range(gaps * (count + 1) + 1)
    if show != "drawn":
        steps = (step for step in steps if step % (count + 1))
    drawn = (
        frame
        for batch in _batches(steps, _BATCH)
        for frame in model.decode(join(latents, np.float64(batch) / (count + 1))).numpy()
    )
    if show != "given":
        yield from drawn
        return
    for place, key in enumerate(keys):
        yield key
        if place < gaps:
            yield from itertools.islice(drawn, count)


def _fuse_through(model, keys, latents, count, join, show):
    """As `draw_through`, for a `FusionVAE` and the latents [M, Z] of its keys."""
    steps = (
        (gap * (count + 1) + step, first, second)
        for gap, (first, second) in enumerate(itertools.pairwise(keys))
        for step in range(1, count + 1)
    )
    for batch in _batches(steps, _BATCH):
        step, first, second = (np.stack(each) for each in zip(*batch, strict=True))
        gap, step_in_gap = np.divmod(step, count + 1)
        z_t = join(latents, step / (count + 1))
        t = np.float32(step_in_gap / (count + 1))
        parts = model.fuse(first, second, latents[gap], latents[gap + 1], z_t, t)
        for key, place, frame in zip(first, step_in_gap, parts["frame"].numpy(), strict=True):
            if show != "none" and place == 1:
                yield key
            yield frame
    if show != "none":
        yield second[-1]


def _draw_pairs(model, keys, count, path, show):
    """As `draw_through`, for a model without latents: one pair of key frames after another."""
    if path != "linear":
        raise InputError(f"--path={path}: this model has no latents; --path=linear draws pairs")
    if show == "drawn":
        raise InputError("--redraw: this model has no latents and draws no key frames again")
    for place, (first, second) in enumerate(itertools.pairwise(keys)):
        if show == "given" and not place:
            yield first
        yield from draw(model, first, second, count)
        if show == "given":
            yield second


def _batches(items, size):
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
