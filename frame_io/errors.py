"""The error of a bad input, and what any error says in one line."""

import re
import sys


class InputError(ValueError):
    """Something the user gave is wrong. The message is one line: what, where, what is right."""


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    if isinstance(error, tensorflow_errors()):
        # What went wrong stands last, below the places in the code and among those in the graph.
        text = re.sub(r"\[\[.*?\]\]|\{\{.*?\}\}|\[Op:\w+\]( name:.*)?", "", error.message)
        text = text.strip().rpartition("\n\n")[2]
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = f"out of memory: {error}" if isinstance(error, MemoryError) else str(error)
    return " ".join(text.split()) or type(error).__name__


def tensorflow_errors() -> tuple[type[Exception], ...]:
    """The class of TensorFlow's errors, where it is imported, in a tuple."""
    tensorflow = sys.modules.get("tensorflow")
    return (tensorflow.errors.OpError,) if tensorflow else ()
