"""Atomic writes, and checks of files."""

import contextlib
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from frame_io.errors import InputError

_LARGEST_TEXT = 2**26  # bytes; a page or a metrics.json has some hundred thousand


@contextlib.contextmanager
def atomic_write(path):
    """Yields a temporary path to write to; on success it replaces `path`.

    A crash leaves the old file. Raises `OSError` with the file's name, which `write` itself omits
    for a full disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = str(beside)
        raise
    finally:
        beside.unlink(missing_ok=True)


def check_no_source(path, sources):
    """Raises `InputError` if an output's path is one of `sources`, the paths (or None) read."""
    path = Path(path)
    sources = [source for source in sources if source and Path(source).exists()]
    if path.exists() and any(path.samefile(source) for source in sources):
        raise InputError(f"--output={path}: is the input itself; name another file")


def check_place(path, called=None):
    """Raises `InputError` if a path is a folder, or its folder is not writable.

    `called`: what messages call it; None: the path.
    """
    path = Path(path)
    called = called or path
    if path.is_dir():
        raise InputError(f"{called}: is a folder; name a file")
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise InputError(f"{called}: cannot be written: {parent} is not a folder you can write to")


@contextlib.contextmanager
def without_pattern(path):
    """Yields an alias of a path, without the characters of TensorFlow's patterns.

    TensorFlow expands *, ?, [] and \\ in the paths of checkpoints and SavedModels.

    Args:
        path: of a file or folder, or the prefix of a checkpoint's files; its own name has none.
    """
    folder, name = Path(path).parent, Path(path).name
    if not re.search(r"[*?\[\]\\]", str(folder)):
        yield str(path)
        return
    with tempfile.TemporaryDirectory() as beside:
        link = Path(beside) / "folder"
        link.symlink_to(folder.resolve(), target_is_directory=True)
        yield str(link / name)


def write_json(path, content):
    """Writes `content` as JSON, atomically. NaN and infinity are errors."""
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_checked_json(path, content, table=None):
    """As `write_json`, with the key "sha256", which `read_checked_json` checks.

    Args:
        path, content: as for `write_json`.
        table: the key of an object of many members, each of which gets one line.
    """
    checked = {**content, "sha256": _sha256(content)}
    if table is None:
        write_json(path, checked)
        return
    rows = [
        f"    {json.dumps(name)}: {json.dumps(row, allow_nan=False)}"
        for name, row in checked.pop(table).items()
    ]
    head = json.dumps(checked, indent=2, allow_nan=False).removesuffix("\n}")
    with atomic_write(path) as beside:
        beside.write_text(head + f',\n  "{table}": {{\n' + ",\n".join(rows) + "\n  }\n}\n")


def read_checked_json(path):
    """Reads what `write_checked_json` wrote, without the key "sha256".

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    if "sha256" not in content:
        raise ValueError("it has no checksum")
    if content.pop("sha256") != _sha256(content):
        raise ValueError("its checksum does not match")
    return content


def _sha256(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_text(path):
    """Returns the text, in UTF-8, of a file that a command wrote.

    Raises `OSError` if it cannot be read, and `ValueError` for a pipe or a device, which might
    never end, or over 64 MiB.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: is not a file")
    if path.stat().st_size > _LARGEST_TEXT:
        raise ValueError(f"{path}: larger than {_LARGEST_TEXT:,} bytes")
    return path.read_text(encoding="utf-8")


def read_json(path):
    """Returns the content of a JSON file.

    Raises as `read_text`, and `ValueError` if it is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply") from None


def check_section(page, name):
    """Raises `InputError` unless a page has the lines `<!-- name -->` and `<!-- /name -->`."""
    _around_section(page, name)


def write_section(page, name, text):
    """Replaces what stands in a page between `<!-- name -->` and `<!-- /name -->`.

    Raises `InputError` if it has no such lines.
    """
    before, after = _around_section(page, name)
    with atomic_write(page) as beside:
        beside.write_text(f"{before}\n{text}{after}")


def _around_section(page, name):
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found_begin, rest = Path(page).read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise InputError(f"--page={page}: has no lines {begin} and {end}")
    return before + begin, end + after
