"""Serves a SavedModel over TensorFlow Serving's REST and gRPC APIs, for development.

    python -m export.serve --model_dir=models/teapot

It is compatible with TensorFlow Serving; in production, use TensorFlow Serving itself. It serves
any SavedModel, and imports neither this project's models nor TensorFlow Probability nor Keras.
"""

import asyncio
import dataclasses
import os
import signal
import sys

from absl import flags

from export.server.server import Options, Server
from frame_io import command_line


def define_flags():
    """Defines one flag per field of `Options`."""
    define = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    for field in dataclasses.fields(Options):
        text, lower, upper = field.metadata.values()
        bounds = () if lower is None else (lower, upper)
        define[field.type](field.name, field.default, text, *bounds)
    flags.mark_flag_as_required("model_dir")


def _print(line):
    """Prints a line, in which the name of a file need not be text, if anyone still reads."""
    try:
        print(line.encode(errors="backslashreplace").decode(), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _serve(options):
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    server = Server(options, _print)
    started = asyncio.create_task(server.start())
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((started, stopped), return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            started.result()
            await stopped
        _print("stopping")
    finally:
        started.cancel()
        await server.stop()
    if server.busy:
        # A thread inside TensorFlow cannot be interrupted, and Python would wait for it.
        sys.stdout.flush()
        os._exit(0)


def main():
    """Serves until SIGINT or SIGTERM."""
    names = [field.name for field in dataclasses.fields(Options)]
    asyncio.run(_serve(Options(**{name: getattr(flags.FLAGS, name) for name in names})))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow imports Keras where it finds it, which takes time and memory and is of no use here.
    sys.modules.setdefault("keras", None)
    define_flags()
    command_line.run(main)
