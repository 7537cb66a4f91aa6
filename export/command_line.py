"""What the entry points of this package share: flags, and errors that are one clear line.

Free of TensorFlow and of `tf_inbetween`, so that a client starts at once and a server stays apart
from the code of the models it serves.
"""

import re
import sys

from absl import app, flags, logging

FLAGS = flags.FLAGS

# What the extra `serving` installs, by the names that are imported.
_SERVING = {"aiohttp", "av", "grpc", "grpc_health", "prometheus_client"}
_SERVING |= {"requests", "tensorflow_serving"}


class InputError(ValueError):
    """Something that the person or the program that calls got wrong; its text is one line."""


def run(main, on_interrupt=""):
    """Runs `main()` on the parsed flags; what goes wrong ends in one line and exit code 1.

    That is an `InputError`, a file or a port that cannot be used, and a package of the extra
    `serving` that is missing: import those inside `main`. With --verbosity=1 the traceback is
    printed too.

    Args:
        main: a function of no arguments.
        on_interrupt: what Ctrl-C means for this command, said after "interrupted: ".
    """

    def guarded(argv):
        if not FLAGS["verbosity"].present:
            logging.set_verbosity(logging.ERROR)
        try:
            if len(argv) > 1:
                raise InputError(f"unexpected argument {argv[1]!r}: settings are --name=value")
            main()
        except ModuleNotFoundError as error:
            if not error.name or error.name.partition(".")[0] not in _SERVING:
                raise
            sys.exit(f"error: no package {error.name}: pip install 'tf_inbetween[serving]'")
        except (InputError, OSError) as error:
            logging.debug("%s", error, exc_info=True)
            sys.exit(f"error: {one_line(error)}")
        except KeyboardInterrupt:
            sys.exit(": ".join(filter(None, ["interrupted", on_interrupt])))

    app.run(guarded, flags_parser=_parse)


def one_line(error):
    """What an error says, in one line."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = str(error)
    return " ".join(text.split()) or type(error).__name__


def _parse(argv):
    # Absl prints its usage page behind an unknown flag; the one line that says what is wrong is
    # all a person needs, and --help still has the rest.
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
