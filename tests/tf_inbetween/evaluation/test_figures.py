"""The figures: of masks, of latents, of grey and of open clips."""

import dataclasses

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from tf_inbetween.clips import Clip
from tf_inbetween.evaluation import baselines, figures
from tf_inbetween.models import to_float


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mask_of_a_fusion_model_is_drawn(fusion_model, stored, tmp_path, channels, monkeypatch):
    """One row for each gap at t = 1/2; the mask and the frame are what the model has there."""
    model = fusion_model(channels=channels)
    (clip,) = stored.load("test")
    clip = dataclasses.replace(clip, frames=clip.frames[..., :channels])
    rows = [
        {"gap": gap, "gap_label": f"{5 * gap}°", "t": t} for gap in (4, 12) for t in (0.25, 0.5)
    ]
    drawn = []
    monkeypatch.setattr(figures, "labelled_grid", lambda *given: drawn.append(given))
    figures.mask_grid(tmp_path / "mask.png", model, clip, rows)
    ((path, grid, labels, heads),) = drawn
    assert (path.name, labels) == ("mask.png", ("20°", "60°"))
    assert heads == [
        *("first", "second", "truth", "drawn", "mask", "first,\nwarped", "second,\nwarped")
    ]
    frames = to_float(clip.frames).numpy()
    for gap, (first, second, truth, frame, mask, *warped) in zip((4, 12), grid, strict=True):
        begin = len(frames) // 8
        np.testing.assert_array_equal(first, frames[begin])
        np.testing.assert_array_equal(second, frames[begin + gap])
        np.testing.assert_array_equal(truth, frames[begin + gap // 2])
        parts = model.parts(first[None], second[None], tf.constant([0.5]))
        np.testing.assert_allclose(frame, parts["frame"][0], atol=1e-5)
        np.testing.assert_allclose(mask, parts["mask"][0], atol=1e-5)
        assert mask.shape == (64, 64, 3)
        np.testing.assert_allclose(mask.sum(axis=-1), 1, atol=1e-5)
        for name, picture in zip(("first_warped", "second_warped"), warped, strict=True):
            np.testing.assert_allclose(picture, parts[name][0], atol=1e-5)
    monkeypatch.undo()
    figures.mask_grid(tmp_path / "mask.png", model, clip, rows)
    with PIL.Image.open(tmp_path / "mask.png") as picture:
        red, green, blue = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int).T
    assert np.any(np.abs(red - green) + np.abs(green - blue) > 60)  # Of a grey model too.


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["azimuth", "elevation"], 0),
        (["qw", "qx", "qy", "qz", "x", "y", "z"], 4),
        (["cube_qw", "cube_qx", "cube_qy", "cube_qz", "cube_x"], 4),
        (["qw"], 0),
    ],
)
def test_latents_are_coloured_by_what_says_something_alone(names, expected):
    assert figures.telling(names) == expected


@pytest.mark.parametrize("channels", [1, 3])
def test_figures_of_grey_and_open_clips(tmp_path, channels):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, size=(20, 16, 16, channels), dtype=np.uint8)
    clip = Clip("c", frames, np.arange(20.0)[:, None], False, 1.0)
    rows = [{"gap": 16, "gap_label": "16 frames", "t": 0.5, "methods": {"crossfade": {}}}]
    methods = {"crossfade": baselines.crossfade}
    for row in rows:
        measures = {"mse": 0.1, "timing_error": 0.0, "hit_rate": 1.0, "detail": 0.5}
        row["methods"]["crossfade"] = measures
    figures.error_by_gap(tmp_path / "e.png", rows)
    figures.path_picture(tmp_path / "f.png", {"nearest_frame": baselines.nearest_frame}, clip, 16)
    figures.inbetween_grid(tmp_path / "a.png", methods, clip, rows)
    figures.path_picture(tmp_path / "b.png", methods, clip, 16)
    figures.latent_pca(tmp_path / "c.png", [rng.normal(size=(20, 1))], [np.arange(20)], "x", False)
    figures.path_picture(tmp_path / "d.png", methods, clip, 16, truth_below=True)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in "abcdef"}
    above, below = (np.asarray(PIL.Image.open(tmp_path / name)) for name in ("b.png", "d.png"))
    assert above.shape == below.shape
    assert not np.array_equal(above, below)


def test_a_grid_shows_every_frame_in_its_place_whole(tmp_path):
    red, green, blue = np.eye(3, dtype=np.float32)
    rows = [
        [np.full((8, 8, 3), colour, np.float32) for colour in (red, green)],
        [None, np.full((4, 16, 3), blue, np.float32)],
        [np.full((8, 8, 1), 0.5, np.float32)],
    ]
    figures.labelled_grid(tmp_path / "grid.png", rows, ["a", "b", "c"], ["first", "second"])
    with PIL.Image.open(tmp_path / "grid.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    colours = {"red": 255 * red, "green": 255 * green, "blue": 255 * blue, "grey": 127.5}
    boxes = {}
    for name, colour in colours.items():
        filled = np.abs(pixels - colour).max(axis=-1) < 3
        # Letters have greys too, but few.
        down, right = (np.nonzero(filled.sum(axis=axis) > 20)[0] for axis in (1, 0))
        boxes[name] = np.array([down[0], down[-1], right[0], right[-1]])
    for name, (top, bottom, left, right) in boxes.items():
        assert (right - left) / (bottom - top) == pytest.approx(4 if name == "blue" else 1, rel=0.1)
    np.testing.assert_allclose(boxes["red"][:2], boxes["green"][:2], atol=1)
    np.testing.assert_allclose(boxes["red"][2:], boxes["grey"][2:], atol=1)
    np.testing.assert_allclose(boxes["green"][2:], boxes["blue"][2:], atol=1)
    assert boxes["red"][1] < boxes["blue"][0] < boxes["blue"][1] < boxes["grey"][0]
    assert boxes["red"][3] < boxes["green"][2]
