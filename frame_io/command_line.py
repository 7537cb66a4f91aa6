"""Runs commands: bad input is a one-line error with exit code 1."""

import contextlib
import logging as standard_logging
import os
import re
import sys

from absl import app, flags, logging

from frame_io.errors import InputError, one_line, tensorflow_errors

FLAGS = flags.FLAGS

# What the extra `serving` installs, by the names that are imported.
_SERVING = {"aiohttp", "av", "grpc", "grpc_health", "prometheus_client"}
_SERVING |= {"requests", "tensorflow_serving"}


def run(main, on_interrupt="", bad_input=(InputError,), verbosity=logging.ERROR):
    """Runs `main()` on the parsed flags; bad input is a one-line error with exit code 1.

    Besides `bad_input`, that covers files and ports that cannot be used, missing packages of the
    extra `serving` (import those inside `main`), errors of TensorFlow, out of memory, and
    `RuntimeError`, such as a rendering process that died. --verbosity=1 also prints the traceback.

    Args:
        main: a function of no arguments.
        on_interrupt: the effect of Ctrl-C, printed after "interrupted: ".
        bad_input: classes of errors.
        verbosity: of absl's logging, unless --verbosity is given.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's messages about GPUs and CPUs.
    with contextlib.suppress(AttributeError):  # Stdout may be replaced by another object.
        sys.stdout.reconfigure(errors="backslashreplace")  # File names may not be Unicode.
    app.run(guarded(main, on_interrupt, bad_input, verbosity), flags_parser=_parse)


def guarded(main, on_interrupt="", bad_input=(InputError,), verbosity=logging.ERROR):
    """Returns the function of argv that `run` runs; its arguments are those of `run`."""

    def run_main(argv):
        if not FLAGS["verbosity"].present:
            # TFDS logs every file that it opens, and its own deprecated calls.
            logging.set_verbosity(verbosity)
            standard_logging.getLogger("tensorflow").setLevel(standard_logging.ERROR)
        try:
            if len(argv) > 1:
                raise InputError(f"unexpected argument {argv[1]!r}: settings are --name=value")
            main()
        except ModuleNotFoundError as error:
            if not error.name or error.name.partition(".")[0] not in _SERVING:
                raise
            sys.exit(f"error: no package {error.name}: pip install 'tf_inbetween[serving]'")
        except KeyboardInterrupt:
            sys.exit(": ".join(filter(None, ["interrupted", on_interrupt])))
        except Exception as error:
            bad = (InputError, *bad_input, OSError, RuntimeError, MemoryError)
            if not isinstance(error, (*bad, *tensorflow_errors())):
                raise
            logging.debug("%s", error, exc_info=True)
            sys.exit(f"error: {one_line(error)}")

    return run_main


def _parse(argv):
    # Absl prints its usage page after an unknown flag; one line is enough, and --help has the rest.
    try:
        return FLAGS(argv)
    except flags.CantOpenFlagFileError as error:
        sys.exit(f"error: --flagfile={one_line(error.__context__)}")
    except UnicodeDecodeError:
        name = re.search(r"-flagfile[=\0]([^\0]*)", "\0".join(argv))[1]
        sys.exit(f"error: --flagfile={name}: cannot be read as text")
    except (flags.Error, ValueError) as error:
        missing = re.findall(r"flag (--\w+)=None: Flag \1 must have a value", str(error))
        line = f"missing {', '.join(missing)}" if missing else one_line(error)
        sys.exit(f"error: {line.removeprefix('flag ')}")
