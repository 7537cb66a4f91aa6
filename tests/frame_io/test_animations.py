"""GIF, WebP and APNG: what they show, how long, and that they are written as frames come."""

import tracemalloc
from fractions import Fraction

import numpy as np
import PIL.Image
import pytest

from frame_io import writing

SUFFIXES = [".gif", ".webp", ".apng"]


def noise(count, height=20, width=30, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def square(count, channels=3):
    """A red square that moves over a few colours, one of them see-through where there is alpha."""
    frames = np.zeros((count, 21, 33, channels), np.uint8)
    frames[..., :3] = np.arange(33, dtype=np.uint8)[:, None] // 4 * 30
    frames[..., 3:] = np.arange(21, dtype=np.uint8)[:, None, None] // 7 * 127
    for i, frame in enumerate(frames):
        frame[5:9, 3 * i + 1 : 3 * i + 6] = (255, 0, 0, 255)[:channels]
    return frames


def shown(path, mode="RGB"):
    """The frames of an animation, and for how many milliseconds each is shown."""
    with PIL.Image.open(path) as picture:
        frames, durations = [], []
        for place in range(picture.n_frames):
            picture.seek(place)
            frames.append(np.asarray(picture.convert(mode)))
            durations.append(picture.info["duration"])
    return np.stack(frames), durations


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_come_back_as_they_were(tmp_path, suffix):
    frames = square(8)
    writing.write(tmp_path / f"a{suffix}", frames)
    np.testing.assert_array_equal(shown(tmp_path / f"a{suffix}")[0], frames)
    grey = noise(3, channels=1)
    writing.write(tmp_path / f"a{suffix}", grey)
    np.testing.assert_allclose(
        shown(tmp_path / f"a{suffix}", "L")[0].astype(int), grey[..., 0], atol=suffix == ".gif"
    )


@pytest.mark.parametrize("suffix", [".webp", ".apng", ".png"])
def test_alpha_is_kept(tmp_path, suffix):
    frames = square(1 if suffix == ".png" else 6, channels=4)
    writing.write(tmp_path / f"a{suffix}", frames)
    with PIL.Image.open(tmp_path / f"a{suffix}") as picture:
        assert picture.mode == "RGBA"
    got = shown(tmp_path / f"a{suffix}", "RGBA")[0] if suffix != ".png" else None
    if got is None:
        got = np.asarray(PIL.Image.open(tmp_path / "a.png"))[None]
    np.testing.assert_array_equal(got[..., 3], frames[..., 3])
    seen = frames[..., 3] > 0
    np.testing.assert_array_equal(got[seen], frames[seen])


def test_a_gif_is_laid_over_white(tmp_path):
    writing.write(tmp_path / "a.gif", square(3, channels=4))
    frames = shown(tmp_path / "a.gif")[0]
    assert frames[0, 0, 20].tolist() == [255] * 3
    np.testing.assert_allclose(frames[0, 10, 32].astype(int), (240 + 255) // 2, atol=1)


@pytest.mark.parametrize(("suffix", "tick"), [(".gif", 10), (".webp", 1)])
def test_delays_are_rounded_so_that_their_mean_is_right(tmp_path, suffix, tick):
    frames = noise(30, 4, 4)
    writing.write(tmp_path / f"a{suffix}", frames, Fraction(1001, 24000))
    durations = shown(tmp_path / f"a{suffix}")[1]
    assert len(set(durations)) == 2
    assert sum(durations) == round(30 * 1001 / 24 / tick) * tick


def test_delays_of_an_apng_are_exact(tmp_path):
    writing.write(tmp_path / "a.apng", noise(3, 4, 4), Fraction(1001, 24000))
    assert shown(tmp_path / "a.apng")[1] == [1000 * 1001 / 24000] * 3
    still = np.zeros((4, 4, 4, 3), np.uint8)
    writing.write(tmp_path / "a.apng", [*still, *noise(1, 4, 4)], 60_000)
    assert shown(tmp_path / "a.apng")[1] == [65_535_000, 60_000_000]


@pytest.mark.parametrize(
    ("name", "rate", "slowed"),
    [("a.gif", 60, True), ("a.webp", 60, True), ("a.gif", 50, False), ("a.mp4", 60, False)],
)
def test_a_rate_that_browsers_slow_down_is_told(tmp_path, name, rate, slowed):
    if name == "a.mp4":
        pytest.importorskip("av")
    said = []
    writing.write(tmp_path / name, noise(2), Fraction(1, rate), notify=said.append)
    line = f"{tmp_path}/{name}: browsers show 60 frames a second as 10 a second; 50 are the most"
    assert said == [line] * slowed


def test_what_stands_still_in_a_gif_does_not_flicker(tmp_path):
    """Whatever passes by; a palette of each frame's own would change the gradient's colours."""
    rows, columns = np.mgrid[:40, :60].astype(np.uint8)
    gradient = np.stack([4 * columns, 6 * rows, 3 * rows + 2 * columns], axis=-1)
    frames = np.stack([gradient] * 6)
    frames[:, :, 40:] = noise(6, 40, 20, seed=1)
    writing.write(tmp_path / "a.gif", frames)
    got = shown(tmp_path / "a.gif")[0]
    assert (got[:, :, :40] == got[0, :, :40]).all()
    assert np.abs(got[0, :, :40].astype(int) - gradient[:, :40]).mean() < 5


def test_a_small_thing_keeps_its_colour_in_a_gif(tmp_path):
    rows, columns = np.mgrid[:120, :160].astype(np.uint8)
    frames = np.stack([np.stack([columns, rows + 100, columns // 2 + rows], axis=-1)] * 2)
    frames[1, 50:54, 60:64] = (255, 0, 255)
    writing.write(tmp_path / "a.gif", frames)
    got = shown(tmp_path / "a.gif")[0][1, 51, 61].astype(int)
    assert np.abs(got - (255, 0, 255)).max() < 20


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.apng", "%03d.png", "a.mp4", "a.webm"])
def test_memory_does_not_grow_with_the_frames(tmp_path, name):
    if name in ("a.mp4", "a.webm"):
        pytest.importorskip("av")

    def peak(count):
        tracemalloc.start()
        writing.write(
            tmp_path / name, (80 * (noise(1, 90, 160, seed=i)[0] // 64) for i in range(count))
        )
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(4)  # What is imported and cached at first.
    frame = 90 * 160 * 3
    assert peak(48) - peak(8) < 6 * frame  # 40 frames more.
