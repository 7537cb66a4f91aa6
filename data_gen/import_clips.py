"""Makes a data set of clips of footage of your own.

    python -m data_gen.import_clips --name=my_clips --input=walk.mp4 --input=frames/
    python -m tf_inbetween.train --scene=my_clips ...

An input is a video, a moving picture (GIF, WebP, PNG) or a folder of numbered pictures. How it is
cut and split: `data_gen.imported`; what becomes of what cameras do: `data_gen.footage`.
"""

import math
import time

from absl import flags

from data_gen import command_line

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "name", None, "What to call the data set; then --scene=NAME.", required=True
    )
    flags.DEFINE_multi_string(
        "input",
        None,
        "A video, a moving picture or a folder of pictures. May be given several times.",
        required=True,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "Where TFDS keeps its data sets. Default: TFDS_DATA_DIR, or ~/tensorflow_datasets.",
    )
    flags.DEFINE_boolean("overwrite", False, "Replace a data set of that name.")
    flags.DEFINE_integer("image_size", 64, "Height and width in pixels: 64 or 128.")
    flags.DEFINE_integer("channels", 3, "3 for RGB, 1 for luminance.")
    flags.DEFINE_integer("frames_per_clip", 32, "Frames of a clip: at least 5.")
    flags.DEFINE_float("fps", None, "Frames per second to take. Default: the footage's own.")
    flags.DEFINE_float("start", 0.0, "Seconds of each input to leave out at its beginning.")
    flags.DEFINE_float("end", None, "Where each input stops, in seconds. Default: its end.")
    flags.DEFINE_string(
        "crop", "centre", "What to keep, of which the middle square is taken: centre, or x,y,w,h."
    )
    flags.DEFINE_float("folder_fps", 30.0, "How many pictures of a folder make a second.")
    flags.DEFINE_float(
        "shot_threshold",
        15.0,
        "How much frames differ at a cut between shots (mean, of 255); 0: look for no cuts.",
    )
    flags.DEFINE_float("held_out", 0.1, "Share of the clips for validation, and for the test.")


def main() -> None:
    """Imports what the flags say and prints what came out."""
    from data_gen import imported, pictures

    settings = imported.Settings(
        name=FLAGS.name,
        image_size=FLAGS.image_size,
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
    began = time.monotonic()
    made = imported.import_clips(FLAGS.input, settings, FLAGS.data_dir, FLAGS.overwrite, print)
    seconds = time.monotonic() - began

    for note, frames in made.notes.items():
        print(f"{note} ({frames} frames)")
    length = settings.frames_per_clip
    for split, clips in made.clips.items():
        triplets = clips * math.comb(length, 3)
        print(f"{split}: {clips} clips, {clips * length} frames, {triplets:,} triplets")
    left_over = made.frames_read - length * sum(made.clips.values())
    print(f"{made.shots} shots; {left_over} frames left over at their ends")
    pace = made.frames_read / seconds
    print(f"{made.frames_read} frames in {seconds:.1f} s, {pace:.0f} frames/s")
    print(f"imported into {made.data_dir}")
    print(f"contact sheet: {made.data_dir / imported.CONTACT_SHEET}")
    slots = min(length, 9)  # Of each of several clips, so that a batch shows all of the motion.
    largest = (slots - 1) * ((length - 1) // (slots - 1))
    print(
        f"train with --scene={settings.name} --image_size={settings.image_size} "
        f"--channels={settings.channels} --clips_per_batch=4 --frames_per_clip={slots} "
        f"--inbetweens_per_clip={slots} --triplets_per_clip=64 --min_gap=4 --max_gap={largest}"
    )


if __name__ == "__main__":
    define_flags()
    command_line.run(main, on_interrupt="nothing was imported")
