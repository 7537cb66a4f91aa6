"""What the entry points share: flags made from `Config`, and errors that are one clear line."""

import dataclasses
import logging as standard_logging
import sys

from absl import app, flags, logging

from tf_inbetween.config import Config, InputError

FLAGS = flags.FLAGS


def define_config_flags():
    """Defines one flag per field of `Config`."""
    for field in dataclasses.fields(Config):
        name, default, text = field.name, field.default, field.metadata["help"]
        if field.metadata["choices"] and isinstance(default, str):
            flags.DEFINE_enum(name, default, field.metadata["choices"], text)
        elif isinstance(default, bool):
            flags.DEFINE_bool(name, default, text)
        elif isinstance(default, int):
            flags.DEFINE_integer(name, default, text)
        elif isinstance(default, float):
            flags.DEFINE_float(name, default, text)
        elif isinstance(default, tuple):
            flags.DEFINE_list(name, [str(value) for value in default], text)
        else:
            flags.DEFINE_string(name, default, text)


def config_from_flags():
    """The `Config` that the parsed flags describe."""
    values = {field.name: getattr(FLAGS, field.name) for field in dataclasses.fields(Config)}
    try:
        values["widths"] = tuple(int(width) for width in values["widths"])
    except ValueError:
        given = ",".join(values["widths"])
        raise InputError(f"--widths={given}: must be whole numbers, such as 32,64,128") from None
    return Config(**values)


def run(main):
    """Runs `main()` on the parsed flags; a bad input ends in one line and exit code 1."""

    def guarded(argv):
        if not FLAGS["verbosity"].present:
            # TFDS tells of every file that it opens, and of deprecated calls of its own.
            logging.set_verbosity(logging.ERROR)
            standard_logging.getLogger("tensorflow").setLevel(standard_logging.ERROR)
        try:
            if len(argv) > 1:
                raise InputError(f"unexpected argument {argv[1]!r}: settings are --name=value")
            main()
        except (InputError, OSError) as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            sys.exit("interrupted: the same command goes on from the last checkpoint")

    app.run(guarded, flags_parser=_parse)


def _parse(argv):
    # Absl prints its usage page behind an unknown flag; the one line that says what is wrong is
    # all a person needs, and --help still has the rest.
    try:
        return app.parse_flags_with_usage(argv) if _wants_help(argv) else FLAGS(argv)
    except (flags.Error, OSError) as error:
        sys.exit(f"error: {error}")


def _wants_help(argv):
    return any(argument.lstrip("-").startswith("help") for argument in argv[1:])
