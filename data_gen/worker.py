"""The rendering process: JSON lines in, raw pixels out. Started by `data_gen.pool`, not by hand.

The first line says what all pictures share, {"view", "image_size", "channels", "samples",
"mesh_files"}; every further line is a list of pictures, each {"parts", "light", "background"}.
The answer to such a line is the pictures' uint8 pixels and nothing else. The process ends when its
input does, so it never outlives the one that started it.
"""

import json
import os
import signal
import sys

from data_gen import meshes, render
from data_gen.scenes import Camera, Light, Part, View


def main():
    """Renders what standard input asks for until it ends."""
    # Ctrl-C is the parent's to handle; it closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pixels = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # A library that prints must not print into the pixels.

    setup = json.loads(sys.stdin.readline())
    for path in setup.pop("mesh_files"):
        meshes.add_file(path)
    view = setup.pop("view")
    view = View(Camera(**view["camera"]), Light(**view["light"]), tuple(view["background"]))
    renderer = render.Renderer(view, **setup)
    for line in sys.stdin:
        for picture in json.loads(line):
            parts = [Part(**part) for part in picture.pop("parts")]
            pixels.write(renderer.render(parts, **picture).tobytes())
        pixels.flush()


if __name__ == "__main__":
    main()
