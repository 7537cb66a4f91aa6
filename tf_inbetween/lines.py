"""The command `tf_inbetween.inbetween` for models of text: lines in, lines out."""

from pathlib import Path

from frame_io import texts
from frame_io.files import atomic_write, check_place
from tf_inbetween import run_directory
from tf_inbetween.config import InputError
from tf_inbetween.drawing import draw_through
from tf_inbetween.kinds import KINDS
from tf_inbetween.kinds.text import to_lines

_PICTURES_ONLY = (
    *("pairs", "scale", "image_size", "seconds_per_frame", "output_fps", "slow", "loop", "sound"),
    *("fps", "start", "end", "crop", "folder_fps", "shot_threshold", "duplicates"),
)


def check_output(path):
    """Raises `InputError` unless lines can be written to a path (None: no check)."""
    if path is None:
        return
    path = Path(path)
    if path.suffix.lower() != ".txt":
        raise InputError(f"--output={path}: must end in .txt; without it the lines are printed")
    check_place(path, f"--output={path}")


def write_between(flags):
    """Prints or writes the lines between the key lines that the flags name.

    A key line is given as it is, or as the name of a .txt file that holds it; those of --input are
    all lines of a .txt file.

    Raises:
        InputError: for flags that are not for text, lines that do not fit, an output that cannot be
            written.
    """
    for name in _PICTURES_ONLY:
        if flags[name].present:
            raise InputError(f"--{name}: is for pictures; {flags.run_dir} is a model of text")
    check_output(flags.output)
    model = run_directory.load_model(flags.run_dir)
    keys = _keys(flags, model.frame_shape)
    show = ("drawn" if flags.redraw else "given") if flags.ends else "none"
    frames = draw_through(model, keys, flags.frames, flags.keyframe_path, show)
    lines = [line for frame in frames for line in to_lines(frame[None])]
    if flags.output is None:
        print("\n".join(lines))
        return
    with atomic_write(flags.output) as beside:
        beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"wrote {flags.output}: {len(lines)} line{'s' * (len(lines) != 1)}")


def _keys(flags, shape):
    kind = KINDS["text"]
    if flags.input is None:
        given = {"--first": flags.first, "--second": flags.second}
        given = [("--frame", text) for text in flags.frame] or list(given.items())
        return [
            kind.as_frame(name, Path(text) if text.endswith(".txt") else text, shape)
            for name, text in given
        ]
    try:
        clips = texts.read_clips(flags.input, shape[0])
    except ValueError as error:
        raise InputError(str(error)) from error
    if len(clips) > 1:
        raise InputError(f"{flags.input}: has an empty line between lines; must be one clip")
    if len(clips[0]) < 2:
        raise InputError(f"{flags.input}: has one line; give two or more")
    return list(clips[0].astype("float32") / 255.0)
