"""Renders a scene into a data set: python -m data_gen.build --scene=teapot_1dof."""

import os
import sys
import time

from absl import app, flags, logging

_SCENE = flags.DEFINE_string("scene", "teapot_1dof", "The scene to render.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 64, "Height and width in pixels: 64 or 128.")
_CHANNELS = flags.DEFINE_integer("channels", 3, "3 for RGB, 1 for luminance.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Where TFDS keeps its data sets. Default: TFDS_DATA_DIR, or ~/tensorflow_datasets.",
)
_OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Build it again even if it is there.")
_WORKERS = flags.DEFINE_integer(
    "workers",
    None,
    "Rendering processes; 0 for none but this one. Default: one per CPU core.",
    lower_bound=0,
)


def main(argv: list[str]) -> None:
    """Builds what the flags say and prints where it is."""
    if len(argv) > 1:
        sys.exit(f"error: unexpected argument {argv[1]!r}: settings are --name=value")

    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    from data_gen import builder

    try:
        name = builder.config_name(_SCENE.value, _IMAGE_SIZE.value, _CHANNELS.value)
        clips = builder.InbetweenClips(config=name, data_dir=_DATA_DIR.value)
        was_there = os.path.exists(clips.data_dir) and not _OVERWRITE.value
        start = time.monotonic()
        clips = builder.build(
            _SCENE.value,
            _IMAGE_SIZE.value,
            _CHANNELS.value,
            _DATA_DIR.value,
            _OVERWRITE.value,
            _WORKERS.value,
        )
        seconds = time.monotonic() - start
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"error: {_line(error)}")
    except KeyboardInterrupt:
        sys.exit("interrupted: nothing was built")

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


def _parse(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.CantOpenFlagFileError as error:
        sys.exit(f"error: --flagfile={_line(error.__context__)}")
    except UnicodeDecodeError:
        sys.exit("error: --flagfile: cannot be read as text")
    except (flags.Error, ValueError) as error:
        sys.exit(f"error: {_line(error).removeprefix('flag ')}")


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    # TensorFlow only writes files here: what it says of GPUs and CPU features is beside the point.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.run(main, flags_parser=_parse)
