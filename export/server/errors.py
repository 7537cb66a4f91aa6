"""The error class of the server, with canonical codes.

The codes and what HTTP makes of them are those of TensorFlow Serving (`http_server.cc`).
"""

import re

from absl import logging

# Canonical code: its number in gRPC and in TensorFlow, its HTTP status.
CODES = {
    "OK": (0, 200),
    "CANCELLED": (1, 499),
    "UNKNOWN": (2, 500),
    "INVALID_ARGUMENT": (3, 400),
    "DEADLINE_EXCEEDED": (4, 504),
    "NOT_FOUND": (5, 404),
    "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429),
    "FAILED_PRECONDITION": (9, 400),
    "ABORTED": (10, 409),
    "OUT_OF_RANGE": (11, 400),
    "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500),
    "UNAVAILABLE": (14, 503),
    "DATA_LOSS": (15, 500),
    "UNAUTHENTICATED": (16, 401),
}
_NAMES = {number: name for name, (number, _) in CODES.items()}

_LONGEST = 1000  # Characters of a message; a graph's error may quote a whole tensor.


class ServingError(Exception):
    """The answer to a request that failed.

    Attributes:
        code: a key of `CODES`.
        message: one line.
        http_status: the status of the answer over HTTP.
    """

    def __init__(self, code, message, http_status=None):
        message = " ".join(message.split())
        if len(message) > _LONGEST:
            message = message[: _LONGEST - 1] + "…"
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status or CODES[code][1]


def invalid(message):
    """The error for an invalid request."""
    return ServingError("INVALID_ARGUMENT", message)


def from_exception(error):
    """The `ServingError` for `error`.

    A TensorFlow error keeps its code and loses the names of graph nodes. Any other error is logged
    and answered as INTERNAL.
    """
    if isinstance(error, ServingError):
        return error
    if hasattr(error, "error_code") and hasattr(error, "message"):
        return ServingError(_NAMES.get(error.error_code, "UNKNOWN"), _readable(error.message))
    logging.error("internal error", exc_info=error)
    return ServingError("INTERNAL", f"internal error: {type(error).__name__}: {error}")


def _readable(message):
    """The message of a graph's error, without its place in the graph."""
    text = message.partition("Graph execution error:")[2] or message
    several = re.search(r"\(0\)\s+[A-Z_]+:(.*?)\n\s*\(1\)", text, re.DOTALL)
    text = several[1] if several else text
    text = re.sub(r"\[\[\{\{.*?\}\}.*?\]\]|\[Op:\w+\]( name:.*)?|\{\{.*?\}\}", " ", text)
    text = " ".join(text.split())
    head, failed, parts = text.partition("assertion failed: [")
    if failed:
        # [t must lie in [0, 1]] [Condition x <= y did not hold:] [x (t:0) = ] [1.5]
        parts = parts.removesuffix("]").split("] [")
        parts = [re.sub(r" \([\w./]+:\d+\) = $", " =", part) for part in parts]
        text = f"{head}assertion failed: {' '.join(parts)}"
    return text or "error without a message"
