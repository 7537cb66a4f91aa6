"""How many frames a file has, and how long they are shown."""

import numpy as np
import PIL.Image
import pytest

from frame_io import writing

# Two equal frames, two others, the first again: A A B C A.
LEVELS = (0, 0, 100, 200, 0)
FRAMES = [np.full((8, 8, 3), level, np.uint8) for level in LEVELS]


def test_equal_neighbours_of_a_gif_are_one_frame(tmp_path):
    assert writing.write(tmp_path / "a.gif", FRAMES).frames == 4
    with PIL.Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 4
        milliseconds = []
        for place in range(4):
            animation.seek(place)
            milliseconds.append(animation.info["duration"])
    assert milliseconds == [200, 100, 100, 100]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_number_of_an_animation_is_what_a_viewer_shows(tmp_path, suffix, count):
    path = tmp_path / f"a{suffix}"
    told = writing.write(path, FRAMES[:count]).frames
    with PIL.Image.open(path) as animation:
        assert told == animation.n_frames
    assert told == {1: 1, 2: 1, 5: 4}[count]


@pytest.mark.parametrize("name", ["a.png", "%02d.png", "a.mp4"])
def test_other_files_have_every_frame(tmp_path, name):
    if name == "a.mp4":
        pytest.importorskip("av")
    assert writing.write(tmp_path / name, iter(FRAMES)).frames == 5
