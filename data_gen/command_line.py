"""What the entry points of this package share: errors that are one clear line."""

import os
import re
import sys
from collections.abc import Callable

from absl import app, flags, logging

FLAGS = flags.FLAGS


def run(main: Callable[[], None], on_interrupt: str = "") -> None:
    """Parses the flags and runs `guarded(main, on_interrupt)`."""
    # TensorFlow only writes files here: what it says of GPUs and CPU features is beside the point.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stdout.reconfigure(errors="backslashreplace")  # Names of files may be no Unicode.
    app.run(guarded(main, on_interrupt), flags_parser=_parse)


def guarded(main: Callable[[], None], on_interrupt: str = "") -> Callable[[list[str]], None]:
    """Returns a function of argv that runs `main()`; a bad input ends it in one line, exit code 1.

    Bad input is a ValueError, a file that cannot be read or written, or a RuntimeError, such as
    that of a rendering process that died, more than memory holds, or what TensorFlow reports.

    Args:
      main: a function of no arguments.
      on_interrupt: what Ctrl-C means for this command, said after "interrupted: ".
    """

    def run_main(argv):
        if len(argv) > 1:
            sys.exit(f"error: unexpected argument {argv[1]!r}: settings are --name=value")
        if not FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)
        try:
            main()
        except KeyboardInterrupt:
            sys.exit(": ".join(filter(None, ["interrupted", on_interrupt])))
        except Exception as error:
            bad_input = (ValueError, RuntimeError, OSError, MemoryError, *_tensorflow_errors())
            if not isinstance(error, bad_input):
                raise
            sys.exit(f"error: {_one_line(error)}")

    return run_main


def _one_line(error):
    """What an error says, in one line."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(getattr(error, "message", error)).split()) or type(error).__name__
    return f"out of memory: {text}" if isinstance(error, MemoryError) else text


def _tensorflow_errors():
    tensorflow = sys.modules.get("tensorflow")
    return (tensorflow.errors.OpError,) if tensorflow else ()


def _parse(argv):
    try:
        return FLAGS(argv)
    except flags.CantOpenFlagFileError as error:
        sys.exit(f"error: --flagfile={_one_line(error.__context__)}")
    except UnicodeDecodeError:
        sys.exit("error: --flagfile: cannot be read as text")
    except (flags.Error, ValueError) as error:
        missing = re.findall(r"flag (--\w+)=None: Flag \1 must have a value", str(error))
        line = f"missing {', '.join(missing)}" if missing else _one_line(error)
        sys.exit(f"error: {line.removeprefix('flag ')}")
