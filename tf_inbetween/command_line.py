"""What the entry points share: flags made from `Config`, and errors that are one clear line."""

import dataclasses
import logging as standard_logging
import re
import sys

import tensorflow as tf
from absl import app, flags, logging

from tf_inbetween.config import Config, InputError

FLAGS = flags.FLAGS

flags.disclaim_key_flags()  # --help lists the config's flags under the command that defines them.


def define_config_flags(flag_values=FLAGS):
    """Defines one flag per field of `Config`, in absl's `FLAGS` or in other `FlagValues`."""
    for field in dataclasses.fields(Config):
        name, default, text = field.name, field.default, field.metadata["help"]
        to = {"flag_values": flag_values}
        if field.metadata["choices"] and isinstance(default, str):
            flags.DEFINE_enum(name, default, field.metadata["choices"], text, **to)
        elif isinstance(default, bool):
            flags.DEFINE_bool(name, default, text, **to)
        elif isinstance(default, int):
            flags.DEFINE_integer(name, default, text, **to)
        elif isinstance(default, float):
            flags.DEFINE_float(name, default, text, **to)
        elif isinstance(default, tuple):
            flags.DEFINE_list(name, [str(value) for value in default], text, **to)
        else:
            flags.DEFINE_string(name, default, text, **to)


def config_from_flags(flag_values=FLAGS):
    """The `Config` that parsed flags describe."""
    values = {field.name: getattr(flag_values, field.name) for field in dataclasses.fields(Config)}
    for name, value in values.items():
        if isinstance(value, list):
            try:
                values[name] = tuple(map(int, value))
            except ValueError:
                raise InputError(
                    f"--{name}={','.join(value)}: must be whole numbers, such as 32,64,128"
                ) from None
    return Config(**values)


def config_of(arguments):
    """The `Config` of a training's command line, without running it.

    Args:
        arguments: such as ["--flagfile=teapot.flags", "--alpha=5"]; flags of `Config` alone.

    Raises:
        InputError: for a flag that is unknown or wrong, or a flag file that cannot be read.
    """
    flag_values = flags.FlagValues()
    define_config_flags(flag_values)
    try:
        flag_values(["train", *arguments])
    except flags.CantOpenFlagFileError as error:
        raise InputError(f"--flagfile={_line(error.__context__)}") from error
    except (flags.Error, ValueError) as error:
        raise InputError(_line(error).removeprefix("flag ")) from error
    return config_from_flags(flag_values)


def run(main, on_interrupt=""):
    """Runs `main()` on the parsed flags; a bad input ends in one line and exit code 1.

    Bad input is an `InputError`, a file that cannot be read or written, an error that TensorFlow
    reports, more than memory holds, or a `RuntimeError`, such as that of a rendering process that
    died; with --verbosity=1 the traceback is printed too.

    Args:
        main: a function of no arguments.
        on_interrupt: what Ctrl-C means for this command, said after "interrupted: ".
    """

    def guarded(argv):
        if not FLAGS["verbosity"].present:
            # TFDS tells of every file that it opens, and of deprecated calls of its own.
            logging.set_verbosity(logging.ERROR)
            standard_logging.getLogger("tensorflow").setLevel(standard_logging.ERROR)
        try:
            if len(argv) > 1:
                raise InputError(f"unexpected argument {argv[1]!r}: settings are --name=value")
            main()
        except (InputError, OSError, RuntimeError, MemoryError, tf.errors.OpError) as error:
            logging.debug("%s", error, exc_info=True)
            sys.exit(f"error: {_line(error)}")
        except KeyboardInterrupt:
            sys.exit(": ".join(filter(None, ["interrupted", on_interrupt])))

    sys.stdout.reconfigure(errors="backslashreplace")  # Names of files may be no Unicode.
    app.run(guarded, flags_parser=_parse)


def _parse(argv):
    # Absl prints its usage page behind an unknown flag; the one line that says what is wrong is
    # all a person needs, and --help still has the rest.
    try:
        return FLAGS(argv)
    except flags.CantOpenFlagFileError as error:
        sys.exit(f"error: --flagfile={_line(error.__context__)}")
    except UnicodeDecodeError:
        name = re.search(r"-flagfile[=\0]([^\0]*)", "\0".join(argv))[1]
        sys.exit(f"error: --flagfile={name}: cannot be read as text")
    except (flags.Error, ValueError) as error:
        missing = re.findall(r"flag (--\w+)=None: Flag \1 must have a value", str(error))
        line = f"missing {', '.join(missing)}" if missing else _line(error).removeprefix("flag ")
        sys.exit(f"error: {line}")


def _line(error):
    """What an error says, in one line."""
    if isinstance(error, tf.errors.OpError):
        # What went wrong stands last, below the places in the code and among those in the graph.
        text = re.sub(r"\[\[.*?\]\]|\{\{.*?\}\}|\[Op:\w+\]( name:.*)?", "", error.message)
        text = text.strip().rpartition("\n\n")[2]
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = f"out of memory: {error}" if isinstance(error, MemoryError) else str(error)
    return " ".join(text.split()) or type(error).__name__
