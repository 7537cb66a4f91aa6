"""Makes a data set of clips from your own footage, or from a public data set.

    python -m data_gen.import_clips --name=my_clips --input=walk.mp4 --input=frames/
    python -m data_gen.import_clips --name=my_song --input=song.wav
    python -m data_gen.import_clips --name=my_steps --input=steps.txt
    python -m data_gen.import_clips --name=my_mnist --tfds=moving_mnist --download
    python -m tf_inbetween.train --scene=my_clips ...

An input is a video, an animated image (GIF, WebP, PNG), a folder of numbered pictures, a sound file
(see `data_gen.sound_clips`; with --sound a video too), or a .txt file (see `data_gen.text_clips`).
`data_gen.footage_clips` says how it is cut and split, `frame_io.footage` how it is read, and
`data_gen.tfds_sources` what a clip of a public data set is.
"""

import math
import time

from absl import flags
from absl.logging import WARNING

from data_gen.fitting import fitting_settings
from frame_io import command_line

FLAGS = flags.FLAGS

_ONLY_WITH = {
    "input": (
        "sound",
        "frames_per_clip",
        "fps",
        "start",
        "end",
        "crop",
        "folder_fps",
        "shot_threshold",
    ),
    "tfds": ("download", "max_clips"),
}


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "name", None, "The name of the data set; then train with --scene=NAME.", required=True
    )
    flags.DEFINE_multi_string(
        "input",
        None,
        "A video, animated image, folder of pictures, sound or .txt file. May be given several "
        "times.",
    )
    flags.DEFINE_boolean("sound", False, "Take the sound of the inputs: of videos, not the frames.")
    flags.DEFINE_string(
        "tfds", None, "In place of --input: a data set of TFDS, a row of data_gen.tfds_sources."
    )
    flags.DEFINE_boolean("download", False, "Download the data set of --tfds if it is not there.")
    flags.DEFINE_integer(
        "max_clips", None, "Take at most this many clips of each split of --tfds. Default: all."
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "Where TFDS keeps its data sets. Default: TFDS_DATA_DIR, or ~/tensorflow_datasets.",
    )
    flags.DEFINE_boolean("overwrite", False, "Replace a data set of that name.")
    flags.DEFINE_string(
        "image_size",
        "64",
        "Size of a frame in pixels: a number, WIDTHxHEIGHT such as 320x180, or own, that of the "
        "first --input. Of sound: bands and times; of text: bytes of a line.",
    )
    flags.DEFINE_integer("channels", 3, "3 for RGB, 1 for luminance. Sound and text have 1.")
    flags.DEFINE_integer("frames_per_clip", 32, "Frames of a clip: at least 5.")
    flags.DEFINE_float("fps", None, "Frames per second to take. Default: the footage's own.")
    flags.DEFINE_float("start", 0.0, "Seconds of each input to leave out at its beginning.")
    flags.DEFINE_float("end", None, "Where each input stops, in seconds. Default: its end.")
    flags.DEFINE_string(
        "crop",
        "centre",
        "What to keep, of which the largest middle part of the frame's shape is taken: centre, of "
        "all, or x,y,w,h.",
    )
    flags.DEFINE_float("folder_fps", 30.0, "Pictures per second of a folder.")
    flags.DEFINE_float(
        "shot_threshold",
        15.0,
        "How much frames differ at a cut between shots (mean, of 255); 0: look for no cuts.",
    )
    flags.DEFINE_float("held_out", 0.1, "Share of the clips for validation, and for the test.")


def main():
    """Imports what the flags say and prints a summary."""
    began = time.monotonic()
    made, length, cyclic, units_per_frame = _import_of_kind()()
    seconds = time.monotonic() - began

    for note, frames in made.notes.items():
        print(f"{note} ({frames} frames)")
    for split, clips in made.clips.items():
        if made.frames:
            print(f"{split}: {clips} clips, {made.frames[split]} frames")
            continue
        triplets = clips * math.comb(length, 3)
        print(f"{split}: {clips} clips, {clips * length} frames, {triplets:,} triplets")
    if made.shots:
        left_over = made.frames_read - length * sum(made.clips.values())
        print(f"{made.shots} shots; {left_over} frames left over at their ends")
    print(
        f"{made.frames_read} frames in {seconds:.1f} s, {made.frames_read / seconds:.0f} frames/s"
    )
    print(f"imported into {made.data_dir}")
    print(f"contact sheet: {next(made.data_dir.glob('contact_sheet.*'))}")
    print(
        f"train with --scene={FLAGS.name} --image_size={made.image_size} "
        f"--channels={FLAGS.channels} "
        + " ".join([*made.training_flags, *training_flags(length, cyclic, units_per_frame)])
    )


def training_flags(length, cyclic=False, units_per_frame=0.0):
    """Returns the flags of a training that fit clips; arguments as of `fitting_settings`."""
    settings = fitting_settings(length, cyclic, units_per_frame)
    return [f"--{name}={value:g}" for name, value in settings.items()]


def _is_public():
    """Whether --tfds says what to import, and not --input."""
    if FLAGS.input and FLAGS.tfds is not None:
        raise ValueError("--input and --tfds: give one or the other")
    if not FLAGS.input and FLAGS.tfds is None:
        raise ValueError("missing --input, or --tfds")
    public = FLAGS.tfds is not None
    given, other = ("tfds", "input") if public else ("input", "tfds")
    alien = [f"--{name}" for name in _ONLY_WITH[other] if FLAGS[name].present]
    if alien:
        raise ValueError(f"{', '.join(alien)}: cannot be used with --{given}")
    return public


def _import_of_kind():
    """The function that imports what the flags name."""
    from data_gen import sound_clips, text_clips

    if _is_public():
        return _import_source
    if FLAGS.sound or sound_clips.is_sound(FLAGS.input):
        return _import_sound
    return _import_text if text_clips.is_text(FLAGS.input) else _import_footage


def _import_text():
    from data_gen import text_clips

    alien = [f"--{name}" for name in _ONLY_WITH["input"] if FLAGS[name].present]
    if alien:
        raise ValueError(f"{', '.join(alien)}: cannot be used with text")
    FLAGS.set_default("channels", 1)
    settings = text_clips.Settings(
        name=FLAGS.name,
        image_size=FLAGS.image_size,
        channels=FLAGS.channels,
        held_out=FLAGS.held_out,
    )
    made, shortest = text_clips.import_clips(FLAGS.input, settings, FLAGS.data_dir, FLAGS.overwrite)
    return made, shortest, False, 0.0


def _import_sound():
    from data_gen import sound_clips

    alien = [
        f"--{name}" for name in ("crop", "folder_fps", "shot_threshold") if FLAGS[name].present
    ]
    if alien:
        raise ValueError(f"{', '.join(alien)}: cannot be used with sound")
    FLAGS.set_default("channels", 1)
    settings = sound_clips.Settings(
        name=FLAGS.name,
        image_size=FLAGS.image_size,
        channels=FLAGS.channels,
        frames_per_clip=FLAGS.frames_per_clip,
        fps=FLAGS.fps,
        start=FLAGS.start,
        end=FLAGS.end,
        held_out=FLAGS.held_out,
    )
    made = sound_clips.import_clips(FLAGS.input, settings, FLAGS.data_dir, FLAGS.overwrite, print)
    return made, settings.frames_per_clip, False, 0.0


def _import_footage():
    from data_gen import footage_clips
    from frame_io import pictures

    settings = footage_clips.Settings(
        name=FLAGS.name,
        image_size=None if FLAGS.image_size == "own" else FLAGS.image_size,
        channels=FLAGS.channels,
        frames_per_clip=FLAGS.frames_per_clip,
        fps=FLAGS.fps,
        start=FLAGS.start,
        end=FLAGS.end,
        crop=pictures.parse_crop(FLAGS.crop),
        folder_fps=FLAGS.folder_fps,
        shot_threshold=FLAGS.shot_threshold,
        held_out=FLAGS.held_out,
    )
    made = footage_clips.import_clips(FLAGS.input, settings, FLAGS.data_dir, FLAGS.overwrite, print)
    return made, settings.frames_per_clip, False, 0.0


def _import_source():
    from data_gen import tfds_clips
    from data_gen.tfds_sources import SOURCES

    settings = tfds_clips.Settings(
        name=FLAGS.name,
        image_size=FLAGS.image_size,
        channels=FLAGS.channels,
        source=FLAGS.tfds,
        max_clips=FLAGS.max_clips,
        held_out=FLAGS.held_out,
    )
    made = tfds_clips.import_source(
        settings, FLAGS.data_dir, FLAGS.overwrite, FLAGS.download, print
    )
    source = SOURCES[FLAGS.tfds]
    return made, source.length, source.motion.cyclic, source.motion.units_per_frame


if __name__ == "__main__":
    define_flags()
    command_line.run(
        main, on_interrupt="nothing was imported", bad_input=(ValueError,), verbosity=WARNING
    )
