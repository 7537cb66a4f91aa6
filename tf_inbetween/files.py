"""Writing files whole or not at all."""

import contextlib
import json
import os
from pathlib import Path


@contextlib.contextmanager
def written_whole(path):
    """Yields a path beside `path` to write to; on success it takes the place of `path`.

    A crash leaves what was at `path` before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path, content):
    """Writes `content` as JSON, whole or not at all. NaN and infinity are errors."""
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
