"""Draws the frames between pictures by asking a server: TF Serving, or this package's own.

    python -m export.client --first=a.png --second=b.png --frames=7 --output=between.gif
    python -m export.client --model=tone --first=a.wav --second=b.wav --output=glide.wav
    python -m export.client --model=clock --first="ten past four" --second="ten to six"

Over REST, or over gRPC with --server=grpc://127.0.0.1:8500; with TLS https:// and grpcs://.
"""

import io
import itertools
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
from absl import flags

from export import credentials
from export.client import TIMEOUT_S, connect, draw, draw_glide, draw_lines, picture_files
from frame_io import command_line, sounds, writing
from frame_io.errors import InputError
from frame_io.files import atomic_write, check_no_source

FLAGS = flags.FLAGS

_LOW_CONFIDENCE = 0.5


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "server",
        "http://127.0.0.1:8501",
        "http://… for REST, grpc://… for gRPC; https://… and grpcs://… with TLS.",
    )
    flags.DEFINE_string(
        "ca_certificate", None, "PEM file of the server's certificate authority, if it is private."
    )
    flags.DEFINE_string("token_file", None, "A file with the server's token.")
    flags.DEFINE_string("model", "teapot", "The name under which the model is served.")
    flags.DEFINE_integer("model_version", None, "The version to ask. Default: the newest.", 0)
    flags.DEFINE_string("label", None, "The label of the version to ask, such as stable.")
    flags.DEFINE_float("timeout_s", TIMEOUT_S, "Seconds to wait for an answer.", 0.001)
    flags.DEFINE_string("first", None, "The picture, sound or line to start from.", required=True)
    flags.DEFINE_string("second", None, "The picture, sound or line to go to.", required=True)
    flags.DEFINE_multi_string("then", [], "Another picture, sound or line to go on to; repeatable.")
    flags.DEFINE_integer("frames", 7, "In-betweens between each picture and the next.", 1, 10_000)
    writing.define_flags(required=False)
    flags.DEFINE_float("seconds_per_frame", 0.1, "Seconds that an animation shows a frame.", 0.01)
    flags.DEFINE_bool("ends", True, "Show the given pictures themselves at their places.")


def main():
    """Has the server draw between pictures, sounds or lines, as its model can."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # gRPC's messages import TensorFlow.
    ends = [FLAGS.first, FLAGS.second, *FLAGS.then]
    t = np.linspace(0, 1, FLAGS.frames + 2)[1:-1].tolist()
    if FLAGS.output is None or FLAGS.output.lower().endswith(".txt"):
        _write_lines(ends, t)
    elif Path(FLAGS.output).suffix.lower() in sounds.WRITABLE:
        _write_glide(ends, t)
    else:
        _draw_pictures(ends, t)


def _connect():
    return connect(
        FLAGS.server,
        FLAGS.model,
        FLAGS.timeout_s,
        FLAGS.model_version,
        FLAGS.label,
        ca_certificate=FLAGS.ca_certificate,
        token=credentials.read_token(FLAGS.token_file),
    )


def _write_lines(ends, t):
    """Prints lines, or writes them where --output says."""
    client = _connect()
    if "inbetween_text" not in client.signatures():
        raise InputError(f"missing --output, of a file of pictures: {FLAGS.model} draws pictures")
    parts = []
    for pair in itertools.pairwise(ends):
        lines, confidence = draw_lines(client, *pair, t)
        parts.append(lines)
        _warn(pair, confidence, "lines")
    if FLAGS.ends:
        parts = [ends[:1], *([*part, end] for part, end in zip(parts, ends[1:], strict=True))]
    text = "".join(f"{line}\n" for part in parts for line in part)
    if FLAGS.output is None:
        print(text, end="")
        return
    with atomic_write(FLAGS.output) as beside:
        beside.write_text(text, encoding="utf-8")
    print(f"wrote {FLAGS.output}: {len(text.splitlines())} lines")


def _write_glide(paths, t):
    """Reads the sounds, has the server make a glide of them, writes it."""
    sounds.check_writable(FLAGS.output)
    check_no_source(FLAGS.output, paths)
    try:
        files = [sounds.to_wav(sounds.read(path)) for path in paths]
    except ValueError as error:
        raise InputError(str(error)) from error
    client, glides = _connect(), []
    for number, (pair, ends) in enumerate(
        zip(itertools.pairwise(paths), itertools.pairwise(files), strict=True)
    ):
        # As the model plays them; where two glides meet, once.
        times = [*([0.0] if FLAGS.ends and not number else []), *t, *([1.0] if FLAGS.ends else [])]
        glide, confidence = draw_glide(client, *ends, times)
        try:
            glides.append(sounds.from_wav(glide))
        except ValueError as error:
            raise client.foreign() from error
        _warn(pair, confidence, "sounds")
    samples = np.concatenate(glides)
    sounds.write(FLAGS.output, samples)
    print(f"wrote {FLAGS.output}: {len(samples) / sounds.SAMPLE_RATE:.2f} s")


def _draw_pictures(paths, t):
    """Reads the pictures, has the server draw between them, writes the result."""
    writing.check_writable(FLAGS.output, paths)
    pictures = [picture_files.read(path) for path in paths]
    client = _connect()
    parts = []
    for pair, ends in zip(itertools.pairwise(paths), itertools.pairwise(pictures), strict=True):
        files, confidence = draw(client, *ends, t)
        parts.append([_open(client, file) for file in files])
        _warn(pair, confidence, "pictures")
    if FLAGS.ends:
        ends = [picture_files.fit(picture, parts[0][0]) for picture in pictures]
        parts = [ends[:1], *([*part, end] for part, end in zip(parts, ends[1:], strict=True))]
    frames = [frame for part in parts for frame in part]
    written = picture_files.write(FLAGS.output, frames, FLAGS.seconds_per_frame, FLAGS.scale)
    print(f"wrote {FLAGS.output}: {written}")


def _warn(pair, confidence, what):
    """Says where a model is asked for what it does not know."""
    if confidence < _LOW_CONFIDENCE:
        why = f"at least one of them is unlike the training {what}, or they are too far apart"
        line = f"warning: {', '.join(pair)}: confidence {confidence:.2g}: {why}"
        print(line, file=sys.stderr)


def _open(client, file):
    """The picture in a frame's file."""
    try:
        with warnings.catch_warnings(action="error"), PIL.Image.open(io.BytesIO(file)) as frame:
            frame.load()
            return frame.copy()
    except Exception as error:  # Decoders raise of everything for a damaged file.
        raise client.foreign() from error


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
