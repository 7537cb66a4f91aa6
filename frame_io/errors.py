"""The error for bad input, and one-line messages of any error."""

import re
import sys


class InputError(ValueError):
    """Bad input. The message is one line: what, where, and what would be right."""


def one_line(error):
    """Returns the message of an error in one line."""
    if isinstance(error, tensorflow_errors()):
        # The cause is last, below the places in the code and among those in the graph.
        text = re.sub(r"\[\[.*?\]\]|\{\{.*?\}\}|\[Op:\w+\]( name:.*)?", "", error.message)
        text = text.strip().rpartition("\n\n")[2]
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = f"out of memory: {error}" if isinstance(error, MemoryError) else str(error)
    return " ".join(text.split()) or type(error).__name__


def tensorflow_errors():
    """Returns the class of TensorFlow's errors in a tuple, which is empty if it is not imported."""
    tensorflow = sys.modules.get("tensorflow")
    return (tensorflow.errors.OpError,) if tensorflow else ()
