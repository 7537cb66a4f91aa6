"""Renders pictures in parallel, in order, in constant memory.

The workers are plain child processes that speak JSON and raw bytes (`data_gen.worker`) rather than
`multiprocessing` ones: forking a process that has TensorFlow loaded can deadlock, and spawning
runs the user's main module again. A thread per worker waits for its answers.
"""

import collections
import contextlib
import dataclasses
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from data_gen import meshes
from data_gen.kinds import KINDS

# Pictures per request: enough to hide the round trip, few enough for an even load.
_CHUNK = 8


def default_workers():
    """Returns the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def renderer(scene, image_size, channels, samples=4, workers=None):
    """Returns what draws the pictures of a scene, a context manager with `render`.

    A `RenderPool`; of a `FrameScene` a `FramesOfPoses`. Arguments as of `RenderPool`.
    """
    if scene.frame is None:
        return RenderPool(scene.view, image_size, channels, samples, workers)
    return FramesOfPoses(scene.frame, KINDS[scene.kind].shape(image_size, channels))


class FramesOfPoses(contextlib.AbstractContextManager):
    """Makes the frames of a `FrameScene`, in this process."""

    def __init__(self, frame, shape):
        """Arguments as of a `FrameScene`, and the shape (H, W, C) of its frames."""
        self._frame, self._shape = frame, shape

    def __exit__(self, *exception):
        """Has nothing to end."""

    def render(self, poses):
        """Yields the frame of each pose, uint8 [H, W, C]."""
        return (self._frame(pose, self._shape) for pose in poses)


class RenderPool:
    """Renders the pictures of one view; use it as a context manager.

    The pixels do not depend on the number of workers.
    """

    def __init__(self, view, image_size, channels=3, samples=4, workers=None):
        """Notes what to render; processes start when the first pictures are asked for.

        Args:
          view: camera, light and background.
          image_size: height and width in pixels.
          channels: 3 for RGB, 1 for luminance.
          samples: rays along each side of a pixel.
          workers: number of processes; None for one per CPU core, 0 to render in this process.

        Raises:
          ValueError: if workers is negative.
        """
        self._workers = default_workers() if workers is None else workers
        if self._workers < 0:
            raise ValueError(f"workers must be at least 0, got {workers}")
        self._view = view
        self._setup = {"image_size": image_size, "channels": channels, "samples": samples}
        self._shape = (image_size, image_size, channels)
        self._processes: list[_Process] = []
        self._mine = threading.local()
        self._threads = ThreadPoolExecutor(max(self._workers, 1), initializer=self._start)

    def __enter__(self):
        """Returns the pool itself."""
        return self

    def __exit__(self, *exception):
        """Ends the worker processes at once."""
        for process in list(self._processes):
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.close()

    def render(self, pictures):
        """Renders pictures as they are asked for, a few requests ahead.

        Args:
          pictures: what to draw; read lazily, so it may be endless.

        Yields:
          uint8 [image_size, image_size, channels], sRGB-encoded, in the order of `pictures`.

        Raises:
          RuntimeError: if a worker process dies; the message ends with what it last said.
          ValueError: if rendering in this process and a part names an unknown mesh.
        """
        if self._workers == 0:
            from data_gen import render

            renderer = render.Renderer(self._view, **self._setup)
            for picture in pictures:
                yield renderer.render(picture.parts, picture.light, picture.background)
            return
        window = 3 * self._workers
        pending = collections.deque()
        pictures = iter(pictures)
        while chunk := list(itertools.islice(pictures, _CHUNK)):
            pending.append(self._threads.submit(self._request, chunk))
            if len(pending) >= window:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()

    def _start(self):
        if self._workers:
            setup = {**self._setup, "mesh_files": list(meshes.FILES.values())}
            self._mine.process = _Process({"view": dataclasses.asdict(self._view), **setup})
            self._processes.append(self._mine.process)

    def _request(self, chunk):
        pictures = [
            {
                "parts": [_as_json(part) for part in picture.parts],
                "light": picture.light,
                "background": picture.background,
            }
            for picture in chunk
        ]
        shape = (len(chunk), *self._shape)
        pixels = self._mine.process.ask(pictures, int(np.prod(shape)))
        return np.frombuffer(pixels, np.uint8).reshape(shape)


class _Process:
    """One worker process and its pipes."""

    def __init__(self, setup):
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        # Workers are the parallelism; a thread pool inside each would only get in their way.
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "data_gen.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, "PYTHONPATH": path, **threads},
        )
        self._setup = setup

    def ask(self, request, size):
        """Sends one request and waits for its answer of `size` bytes."""
        try:
            for message in filter(None, (self._setup, request)):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
            self._setup = None
            answer = self._process.stdout.read(size)
        except (BrokenPipeError, ValueError):
            answer = b""
        if len(answer) < size:
            code = self._process.wait()
            self._said.seek(0)
            last = self._said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(": ".join([f"a rendering process ended with code {code}", *last]))
        return answer

    def kill(self):
        """Ends the process, whatever it is doing."""
        self._process.kill()

    def close(self):
        """Ends the process and closes its pipes."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._said.close()


def _as_json(part):
    return {
        "mesh": part.mesh,
        "transform": np.asarray(part.transform, np.float64).tolist(),
        "colour": list(part.colour),
    }
