"""SHA256SUMS: detects changes in the files of an exported version.

TensorFlow keeps checksums of a SavedModel's weights, but not of its graph: a flipped bit in
`saved_model.pb` may silently change a constant. So an export lists the SHA-256 of every file in
`assets.extra/SHA256SUMS`, which TensorFlow Serving ignores. `sha256sum --check
assets.extra/SHA256SUMS` in the version's folder checks it too.
"""

import hashlib
from pathlib import Path

NAME = Path("assets.extra") / "SHA256SUMS"


def write(folder):
    """Lists all files below `folder`, which has a folder assets.extra, except the list itself."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in files if path != folder / NAME]
    lines = [f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / NAME).write_text("".join(lines))


def check(folder):
    """Checks every listed file below `folder`; does nothing if there is no list.

    Raises:
        ValueError: if one is missing or damaged, or the list itself is.
        OSError: if one cannot be read.
    """
    folder = Path(folder)
    if not (folder / NAME).exists():
        return
    for line in (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        path = folder / name
        if not name or not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{folder / NAME}: damaged")
        if not path.is_file():
            raise ValueError(f"{path}: missing, though {NAME} lists it")
        if _sha256(path) != digest:
            raise ValueError(f"{path}: damaged, its SHA-256 is not the one in {NAME}")


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
