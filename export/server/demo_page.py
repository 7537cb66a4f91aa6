"""The demo page, and the newest version's samples: pictures, sounds or lines of text."""

import urllib.parse
from pathlib import Path

from export.server.servable import is_within

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:;"
    " connect-src 'self' http: https:; object-src 'none'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)

_DEMO = Path(__file__).parent / "demo"
_SAMPLES = Path("assets.extra") / "samples"
_CONTENT_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


_SAMPLE_TYPES = {".png": "image/png", ".txt": "text/plain", ".wav": "audio/wav"}


def page_file(path):
    """The content of the page's file at a path of the address, and its type; None for no file."""
    # By name from a list: nothing outside the folder can be asked for.
    files = {file.name: file for file in _DEMO.iterdir() if file.suffix in _CONTENT_TYPES}
    return _content(files.get(urllib.parse.unquote(path[1:]) or "index.html"))


def sample_names(version):
    """The names of the samples of a version, whose folder is `version`, in order."""
    return sorted(_samples(version))


def sample(version, name):
    """The content of a sample, named as in an address, and its type; None for no sample."""
    return _content(_samples(version).get(urllib.parse.unquote(name)))


def _samples(version):
    files = (version / _SAMPLES).glob("*")
    return {
        f.name: f
        for f in files
        if f.suffix in _SAMPLE_TYPES and f.is_file() and is_within(version, f)
    }


def _content(file):
    types = {**_CONTENT_TYPES, **_SAMPLE_TYPES}
    return file and (file.read_bytes(), types[file.suffix])
