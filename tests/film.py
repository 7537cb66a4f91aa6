"""Makes a film to try the package on: 640x360, several shots, sound, a camera and things that move.

    python -m tests.film --output=runs/film.mp4

The camera moves over photographs that scikit-image ships, and the project's renderer draws solids
that fly and turn in front of them. Every shot has another photograph and another solid.
"""

from pathlib import Path

import av
import numpy as np
import PIL.Image
from absl import app, flags
from skimage import data

from data_gen import scenes
from data_gen.render import Renderer
from data_gen.scenes.scene import Part

WIDTH, HEIGHT, FPS = 640, 360, 25
_SOLID = 192  # Pixels of the square that a solid is drawn in.
_SHOTS = (
    ("rocket", "teapot", (0.7, 0.2, 0.1)),
    ("chelsea", "cube", (0.1, 0.3, 0.7)),
    ("coffee", "torus", (0.1, 0.5, 0.2)),
    ("astronaut", "teapot", (0.6, 0.5, 0.1)),
    ("hubble_deep_field", "cube", (0.6, 0.1, 0.5)),
)

_OUTPUT = flags.DEFINE_string("output", "runs/film.mp4", "Where to write it: an .mp4.")
_SECONDS = flags.DEFINE_float("seconds", 8.0, "Of each of the five shots.", 0.5)


def frames(seconds, seed=0):
    """Yields the film's frames, uint8 [360, 640, 3], shot after shot."""
    rng = np.random.default_rng(seed)
    for photograph, mesh, colour in _SHOTS:
        yield from _shot(getattr(data, photograph)(), mesh, colour, round(seconds * FPS), rng)


def _shot(photograph, mesh, colour, count, rng):
    picture = PIL.Image.fromarray(photograph[..., :3])
    scale = 1.35 * max(WIDTH / picture.width, HEIGHT / picture.height)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    renderer = Renderer(scenes.get("teapot_2dof").view, _SOLID, samples=2)
    camera, place, turn = (_wander(rng, count, n) for n in (2, 2, 3))
    for i in range(count):
        free = np.array([picture.width - WIDTH, picture.height - HEIGHT])
        left, top = (camera[i] + 1) / 2 * free
        box = (left, top, left + WIDTH, top + HEIGHT)
        frame = np.asarray(
            picture.resize((WIDTH, HEIGHT), PIL.Image.Resampling.BICUBIC, box=box), np.float32
        ).copy()
        part = Part(mesh, _turned(np.pi * turn[i]), colour)
        dark, bright = (
            renderer.render([part], background=(level,) * 3).astype(np.float32)
            for level in (0.0, 1.0)
        )
        seen_through = (bright - dark) / 255.0  # As both backgrounds are: 1 where nothing is.
        x, y = ((place[i] + 1) / 2 * (WIDTH - _SOLID, HEIGHT - _SOLID)).astype(int)
        behind = frame[y : y + _SOLID, x : x + _SOLID]
        behind[:] = behind * seen_through + dark
        yield np.rint(frame.clip(0, 255)).astype(np.uint8)


def _wander(rng, count, dimensions):
    """A smooth path in [-1, 1]: [count, dimensions], sines of 5 to 10 seconds."""
    seconds = np.arange(count)[:, np.newaxis] / FPS
    periods, phases = rng.uniform(5, 10, dimensions), rng.uniform(0, 2 * np.pi, dimensions)
    return np.sin(2 * np.pi * seconds / periods + phases)


def _turned(angles):
    """[4, 4]: about x by angles[0], then y, then z."""
    matrix = np.eye(4)
    for axis, angle in enumerate(angles):
        turn = np.eye(4)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def sound(seconds, rate=44100):
    """A melody, a note every quarter of a second: float32 [2, samples]."""
    time = np.arange(round(seconds * rate)) / rate
    steps = np.array([0, 4, 7, 12, 7, 4, 9, 5])[(time * 4).astype(int) % 8]
    wave = np.sin(2 * np.pi * np.cumsum(220 * 2 ** (steps / 12)) / rate)
    return np.stack([0.4 * wave, 0.3 * wave]).astype(np.float32)


def write(path, seconds=8.0):
    """Writes the film as H.264 with AAC; `seconds` of each shot. Returns the number of frames."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "16", "g": "50"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=44100, layout="stereo")
        count = 0
        for pixels in frames(seconds):
            count += 1
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())
        wave = sound(count / FPS)
        for start in range(0, wave.shape[1], 1024):
            part = np.ascontiguousarray(wave[:, start : start + 1024])
            block = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            block.sample_rate, block.pts = 44100, start
            container.mux(audio.encode(block))
        container.mux(audio.encode())
    return count


def main(_):
    """Writes the film that the flags describe."""
    Path(_OUTPUT.value).parent.mkdir(parents=True, exist_ok=True)
    print(f"wrote {_OUTPUT.value}: {write(_OUTPUT.value, _SECONDS.value)} frames")


if __name__ == "__main__":
    app.run(main)
